//! Going on: after a start, after a wait, and the evidence of a reboot.

use alloc::borrow::ToOwned;
use alloc::vec::Vec;

use hoist_protocol::reason::Reason;
use hoist_protocol::status::{ScriptExit, ScriptKind, sentence};

use super::action::Action;
use super::event::FetchFailure;
use super::install::Done;
use super::state::{Active, Work};
use super::{Machine, Now};
use crate::job::{Cause, Stage, Then};
use crate::record::Memory;

/// Runs of an idempotent script that power cuts may take: more is no accident.
const CUT_RUNS_MAX: u8 = 5;
/// In the place of what was said of a failure before a restart: only its reason is kept.
const UNKEPT: &str = "a restart came meanwhile: only the reason is kept";
/// The number of times that a reboot that does not come is asked for.
const REBOOTS_MAX: u8 = 3;

impl Machine {
    /// Finishes what was started before the restart.
    pub(super) fn resume(&mut self, _now: Now, out: &mut Vec<Action>) {
        // Who wanted it is at the device and can say so again.
        let is_left = |job: &super::Job| job.is_local() && job.is_untouched();
        if self.job().is_some_and(is_left) {
            self.work = Work::Idle;
        }
        // Numbers in use after a restart are never those of before.
        self.persist(out);
        let Some(job) = self.job() else {
            // What may have been running when memory was lost is still needed.
            if self.memory != Memory::Lost {
                out.push(Action::Cleanup);
            }
            return;
        };
        let allow_downgrade = job.allow_downgrade;
        match job.stage {
            Stage::Failing { cause, rollback } => {
                self.says(UNKEPT);
                self.end_failed(cause, rollback, out);
            }
            Stage::RollingBack { .. } => {
                self.says(UNKEPT);
                out.push(Action::Download { allow_downgrade });
            }
            Stage::Fetching
            | Stage::Waiting
            | Stage::Script { .. }
            | Stage::Rebooting { .. }
            | Stage::Confirming { .. }
            | Stage::Committing => out.push(Action::Download { allow_downgrade }),
        }
    }

    /// Everything needed is proven to be on disk: begin, or go on after the cut.
    pub(super) fn go_on(&mut self, now: Now, out: &mut Vec<Action>) {
        let current = self.boot;
        let Some(active) = self.active_mut() else {
            return;
        };
        match active.job.stage {
            Stage::Fetching | Stage::Waiting if active.is_late(now) => self.give_up(now, out),
            Stage::Fetching | Stage::Waiting => self.proceed(Done::Nothing, now, out),
            Stage::Script { kind, run } => self.cut_off(kind, run, now, out),
            Stage::Rebooting { boot, .. } if boot != current => {
                self.proceed(Done::Reboot, now, out);
            }
            Stage::Rebooting { boot, asked } if asked < REBOOTS_MAX => {
                self.reboot(boot, asked + 1, now, out);
            }
            Stage::Rebooting { .. } => self.reboot_failed(now, out),
            Stage::RollingBack { .. } => {
                let output = sentence("each run was cut off by a power loss or a restart");
                self.rollback_done(ScriptExit::Interrupted, output, now, out);
            }
            Stage::Confirming { begun } => self.confirm(begun, now, out),
            Stage::Committing => self.finish_commit(out),
            Stage::Failing { .. } => {}
        }
    }

    /// A script was running when the power went.
    fn cut_off(&mut self, kind: ScriptKind, run: u8, now: Now, out: &mut Vec<Action>) {
        let Some(active) = self.active_mut() else {
            return;
        };
        let plan = active.script(active.job.artifact, kind);
        if plan.is_some_and(|plan| plan.idempotent) && run < CUT_RUNS_MAX {
            self.enter(Stage::Script { kind, run: run + 1 }, out);
            return self.run_script(kind, out);
        }
        let cause = active.cause(Reason::Interrupted, kind, ScriptExit::Interrupted);
        self.says("a power loss or a restart came while it ran");
        self.fail_pass(cause, now, out);
    }

    fn reboot_failed(&mut self, now: Now, out: &mut Vec<Action>) {
        let Some(active) = self.active_mut() else {
            return;
        };
        let artifact = Some(active.job.artifact);
        let cause = Cause {
            reason: Reason::RebootFailed,
            artifact,
            script: None,
        };
        self.says("the reboot that was asked for did not come");
        self.fail_pass(cause, now, out);
    }

    pub(super) fn work_timer(&mut self, now: Now, out: &mut Vec<Action>) {
        let Some(active) = self.active_mut() else {
            return;
        };
        if active.is_late(now) {
            out.push(Action::CancelDownload);
            return self.give_up(now, out);
        }
        if active.wake.is_none_or(|at| at > now.unix_ms) {
            return;
        }
        active.wake = None;
        if matches!(active.job.stage, Stage::Rebooting { .. }) && active.plans.is_some() {
            return self.reboot_failed(now, out);
        }
        if matches!(active.job.stage, Stage::Confirming { .. }) && active.plans.is_some() {
            return self.unconfirmed(now, out);
        }
        // What is on disk proves itself again: a script may have touched it.
        let plans = active.plans.take();
        let allow_downgrade = active.job.allow_downgrade;
        // What was downloaded ahead of a window still is, as far as people care.
        if active.job.stage != Stage::Fetching || plans.is_none() {
            self.report(out);
        }
        out.push(Action::Download { allow_downgrade });
    }
}

impl Machine {
    /// The deadline has passed, and nothing is begun anew.
    fn give_up(&mut self, now: Now, out: &mut Vec<Action>) {
        let Some(active) = self.active_mut() else {
            return;
        };
        let artifact = active.job.artifact;
        let trouble = active.trouble.take();
        if active.plans.is_some() {
            let late = Cause::plain(Reason::TimedOut);
            active.output = sentence("the deadline passed before the next attempt");
            return self.rolled_back(artifact, late, Then::GiveUp, now, out);
        }
        let trouble = trouble.unwrap_or_else(|| FetchFailure {
            detail: "not everything was fetched before the deadline".to_owned(),
            ..FetchFailure::new(Reason::DownloadFailed, super::Retry::Later)
        });
        if active.job.attempt.0 > 0 {
            return self.download_failed(trouble, now, out);
        }
        active.output = sentence(&trouble.detail);
        let cause = Cause::plain(trouble.reason);
        self.rolled_back(artifact, cause, Then::GiveUp, now, out);
    }

    /// Notes a text that people are told of a failure, in the place of a script's output.
    pub(super) fn says(&mut self, text: &str) {
        if let Some(active) = self.active_mut() {
            active.output = sentence(text);
        }
    }
}

impl Active {
    /// The deadline, where something would be begun anew. What a start has to prove again before it
    /// can be rolled back comes first.
    fn deadline(&self) -> Option<u64> {
        let begins = matches!(self.job.stage, Stage::Fetching | Stage::Waiting);
        let proves = self.job.attempt.0 > 0 && self.plans.is_none() && self.wake.is_none();
        (begins && !proves).then_some(self.job.deadline_ms)
    }

    fn is_late(&self, now: Now) -> bool {
        self.deadline().is_some_and(|at| at <= now.unix_ms)
    }

    pub(super) fn next_timeout(&self) -> Option<u64> {
        [self.wake, self.deadline()].into_iter().flatten().min()
    }
}

impl Machine {
    /// True if a deployment is started and not ended.
    #[must_use]
    pub fn is_working(&self) -> bool {
        matches!(self.work, Work::Active(_))
    }
}
