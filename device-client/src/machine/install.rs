//! Fetching and the way in: pre-install, install, post-install, reboot, verify, artifact
//! by artifact. Every script's intent is in the journal before it runs (S9).

use alloc::sync::Arc;
use alloc::vec::Vec;

use hoist_protocol::reason::Reason;
use hoist_protocol::status::{FinalResult, Outcome, sentence};
use hoist_protocol::status::{Rollback, ScriptExit, ScriptFailure, ScriptKind, Success};

use super::action::{Action, BootReason, ScriptRun};
use super::event::{FetchFailure, Retry};
use super::plan::ArtifactPlan;
use super::retry::retry_ms;
use super::state::{Active, Work};
use super::{Machine, Now};
use crate::job::{Cause, EXIT_LATER, Stage};

/// A reboot that has not come by then never will.
const REBOOT_MS: u64 = 10 * 60 * 1_000;

/// The text that people are told of [`Reason::Superseded`].
pub(super) const SUPERSEDED: &str =
    "a newer deployment took its place before anything was installed";

/// The state of the artifact at hand.
#[derive(Clone, Copy)]
pub(super) enum Done {
    Nothing,
    Script(ScriptKind),
    Reboot,
}

enum Next {
    Script(ScriptKind),
    Reboot,
    Artifact,
}

fn next(plan: &ArtifactPlan, done: Done) -> Next {
    use ScriptKind::{Install, PostInstall, PreInstall, Verify};
    let after = |done: Option<ScriptKind>| {
        [PreInstall, Install, PostInstall]
            .into_iter()
            .find(|kind| {
                done.is_none_or(|done| *kind > done) && plan.scripts[*kind as usize].is_some()
            })
            .map(Next::Script)
    };
    let verify = || match plan.scripts[Verify as usize] {
        Some(_) => Next::Script(Verify),
        None => Next::Artifact,
    };
    match done {
        Done::Script(Verify) => Next::Artifact,
        Done::Reboot => verify(),
        Done::Nothing => after(None).unwrap_or_else(verify),
        Done::Script(kind) => {
            after(Some(kind)).unwrap_or_else(|| if plan.reboot { Next::Reboot } else { verify() })
        }
    }
}

impl Machine {
    /// Writes a stage and reports it; its effect comes after.
    pub(super) fn enter(&mut self, stage: Stage, out: &mut Vec<Action>) {
        if let Some(active) = self.active_mut() {
            active.job.stage = stage;
            active.wake = None;
        }
        self.persist(out);
        self.report(out);
    }

    pub(super) fn downloaded(
        &mut self,
        plans: Arc<[ArtifactPlan]>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let Some(active) = self.active_mut() else {
            return;
        };
        active.percent = 100;
        active.wake = None;
        // A wait for the network is over. What waits for a script proves all of it before
        // each run, and has come no further by that.
        if active.trouble.take().is_some() {
            active.waits = 0;
        }
        active.plans = Some(plans);
        self.report(out);
        self.go_on(now, out);
    }

    pub(super) fn download_failed(
        &mut self,
        failure: FetchFailure,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let Some(active) = self.active_mut() else {
            return;
        };
        let (reason, retry) = (failure.reason, failure.retry);
        let late = now.unix_ms >= active.job.deadline_ms;
        let (begun, rolled_back) = (active.job.attempt.0 > 0, active.is_rolled_back());
        let is_lost = begun && reason == Reason::StateLost;
        let ends = (!begun || rolled_back) && (retry == Retry::Useless || late);
        // What the way back needs cannot be had: a person must look at this device.
        let is_done = matches!(
            active.job.stage,
            Stage::Committing | Stage::Confirming { .. }
        );
        let is_stuck = late && !is_done;
        if is_lost || ends || is_stuck {
            active.output = sentence(&failure.detail);
        }
        if is_lost {
            return self.end_failed(Cause::plain(reason), Rollback::Failed, out);
        }
        if ends {
            let rollback = match begun {
                true => Rollback::Succeeded,
                false => Rollback::NotNeeded,
            };
            return self.end_failed(Cause::plain(reason), rollback, out);
        }
        if is_stuck {
            let lost = Cause::plain(Reason::RollbackFailed);
            return self.end_failed(lost, Rollback::Failed, out);
        }
        if failure.gained {
            active.waits = 0;
        }
        active.cause = Some(failure.cause);
        let asked_ms = failure.after_ms;
        active.trouble = Some(failure);
        self.wait(asked_ms, now);
        self.report(out);
    }

    /// Does what follows in the artifact at hand, or in the next one.
    pub(super) fn proceed(&mut self, mut done: Done, now: Now, out: &mut Vec<Action>) {
        loop {
            let boot = self.boot;
            let Some(active) = self.active_mut() else {
                return;
            };
            let Some(plans) = active.plans.clone() else {
                return;
            };
            let Some(plan) = plans.get(usize::from(active.job.artifact)) else {
                return self.confirm(0, now, out);
            };
            if matches!(done, Done::Nothing)
                && let Some(opening) = active.waits_for(now)
            {
                return self.wait_for_window(opening, out);
            }
            match next(plan, done) {
                Next::Script(kind) => {
                    let is_first = kind == ScriptKind::Install && active.job.attempt.0 == 0;
                    if is_first && self.is_superseded() {
                        let cause = Cause::plain(Reason::Superseded);
                        self.says(SUPERSEDED);
                        return self.end_failed(cause, Rollback::NotNeeded, out);
                    }
                    let Some(active) = self.active_mut() else {
                        return;
                    };
                    if kind == ScriptKind::Install && !active.job.counted {
                        active.job.counted = true;
                        active.job.attempt.0 += 1;
                    }
                    self.enter(Stage::Script { kind, run: 1 }, out);
                    return self.run_script(kind, out);
                }
                Next::Reboot => return self.reboot(boot, 1, now, out),
                Next::Artifact => {
                    active.job.artifact += 1;
                    active.waits = 0;
                    done = Done::Nothing;
                }
            }
        }
    }

    pub(super) fn reboot(
        &mut self,
        boot: super::BootId,
        asked: u8,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        self.enter(Stage::Rebooting { boot, asked }, out);
        if let Some(active) = self.active_mut() {
            active.wake = Some(now.unix_ms + REBOOT_MS);
        }
        out.push(Action::Reboot);
    }

    pub(super) fn run_script(&self, kind: ScriptKind, out: &mut Vec<Action>) {
        let Work::Active(active) = &self.work else {
            return;
        };
        let job = &active.job;
        let artifact = match job.stage {
            Stage::RollingBack { at, .. } => at,
            _ => job.artifact,
        };
        // A pre-install belongs to the attempt that its install will begin.
        let attempt = job.attempt.0 + u32::from(!job.counted && kind != ScriptKind::Rollback);
        let deployment = job.deployment;
        // However often it runs: an artifact that reboots is verified after its reboot.
        let plan = active
            .plans
            .as_ref()
            .and_then(|plans| plans.get(usize::from(artifact)));
        let boot = match plan {
            Some(plan) if plan.reboot && kind == ScriptKind::Verify => BootReason::Update,
            _ => BootReason::Normal,
        };
        out.push(Action::RunScript(ScriptRun {
            artifact,
            kind,
            deployment,
            attempt,
            boot,
        }));
    }

    /// A script ran and exited, or was refused for a reason.
    pub(super) fn script_ended(
        &mut self,
        ended: Result<ScriptExit, Reason>,
        output: Vec<u8>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let Some(active) = self.active_mut() else {
            return;
        };
        match (active.job.stage, ended) {
            (Stage::RollingBack { .. }, _) => {
                let exit = ended.unwrap_or(ScriptExit::NotStarted);
                self.rollback_done(exit, output, now, out);
            }
            // Another run in this pass would find the same; the next one proves it all again.
            (Stage::Script { kind, .. }, Err(reason)) => {
                active.output = output;
                let cause = active.cause(reason, kind, ScriptExit::NotStarted);
                self.fail_pass(cause, now, out);
            }
            (Stage::Script { kind, run }, Ok(exit)) => match exit {
                ScriptExit::Code(0) => self.proceed(Done::Script(kind), now, out),
                ScriptExit::Code(EXIT_LATER) => {
                    active.output = output;
                    let cause = active.cause(Reason::ScriptFailed, kind, exit);
                    self.put_off(cause, now, out);
                }
                _ => self.script_failed(kind, run, exit, output, now, out),
            },
            _ => {}
        }
    }

    fn script_failed(
        &mut self,
        kind: ScriptKind,
        run: u8,
        exit: ScriptExit,
        output: Vec<u8>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let Some(active) = self.active_mut() else {
            return;
        };
        let plan = active.script(active.job.artifact, kind);
        let late = now.unix_ms >= active.job.deadline_ms;
        if !late && plan.is_some_and(|plan| run < plan.attempts) {
            self.enter(Stage::Script { kind, run: run + 1 }, out);
            return self.run_script(kind, out);
        }
        active.output = output;
        let reason = match exit {
            ScriptExit::Timeout => Reason::ScriptTimeout,
            ScriptExit::Interrupted => Reason::Interrupted,
            ScriptExit::Code(_) | ScriptExit::Signal(_) | ScriptExit::NotStarted => {
                Reason::ScriptFailed
            }
        };
        let cause = active.cause(reason, kind, exit);
        self.fail_pass(cause, now, out);
    }

    pub(super) fn commit(&mut self, out: &mut Vec<Action>) {
        self.enter(Stage::Committing, out);
        self.finish_commit(out);
    }

    pub(super) fn finish_commit(&mut self, out: &mut Vec<Action>) {
        out.push(Action::CommitInventory);
        self.end(FinalResult::Successful(Success::Installed), out);
    }

    /// Writes the final outcome, forgets the job, and asks what else there is (W2).
    pub(super) fn end(&mut self, result: FinalResult, out: &mut Vec<Action>) {
        let Some(job) = self.job() else { return };
        let (is_local, release) = (job.is_local(), job.release);
        let outcome = Outcome {
            deployment: job.deployment,
            round: job.round,
            attempt: job.attempt,
            result,
        };
        self.work = Work::Idle;
        if is_local {
            self.persist(out);
            out.push(Action::Applied(outcome.result));
        } else {
            self.ring.push(outcome, Some(release));
            out.push(Action::StoreOutcomes(self.ring.clone()));
            self.persist(out);
            self.report(out);
        }
        out.push(Action::Cleanup);
        out.push(Action::PublishInfo(super::InfoExtent::IfChanged));
        self.ask_if_something_waited(out);
    }

    /// Sets the timer of the next try, not before the time that was asked for.
    pub(super) fn wait(&mut self, asked_ms: u64, now: Now) {
        if let Some(active) = self.active_mut() {
            active.wake = Some(now.unix_ms + retry_ms(active.waits, asked_ms, now.random));
            active.waits = active.waits.saturating_add(1);
        }
    }
}

impl Active {
    /// True if nothing of the release is installed at the moment.
    fn is_rolled_back(&self) -> bool {
        self.job.artifact == 0 && self.job.stage == Stage::Waiting
    }

    pub(super) fn cause(&self, reason: Reason, kind: ScriptKind, exit: ScriptExit) -> Cause {
        Cause {
            reason,
            artifact: Some(self.job.artifact),
            script: Some(ScriptFailure { kind, exit }),
        }
    }
}
