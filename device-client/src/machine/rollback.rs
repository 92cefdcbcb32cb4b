//! The way back: a failed pass restores the artifact at hand; the end of all attempts
//! restores the earlier ones too, in reverse (S8). A rollback script runs three times at
//! most (S9).

use alloc::vec::Vec;

use hoist_protocol::reason::Reason;
use hoist_protocol::status::{
    Failure, FinalResult, Rollback, ScriptExit, ScriptFailure, ScriptKind,
};

use super::action::Action;
use super::{Machine, Now};
use crate::job::{Cause, Stage, Then};

/// Runs of one rollback script (S9): loud and final after that, no loop.
const ROLLBACK_RUNS_MAX: u8 = 3;

/// A failure without output.
pub(super) fn failure(cause: Cause, rollback: Rollback) -> Failure {
    Failure {
        reason: cause.reason,
        artifact: cause.artifact,
        script: cause.script,
        rollback,
        output: Vec::new(),
    }
}

impl Machine {
    /// A pass failed and is counted.
    pub(super) fn fail_pass(&mut self, cause: Cause, now: Now, out: &mut Vec<Action>) {
        let Some(active) = self.active_mut() else {
            return;
        };
        let job = &mut active.job;
        job.failures += 1;
        let over = job.failures >= job.attempts || now.unix_ms >= job.deadline_ms;
        let then = if over { Then::GiveUp } else { Then::Retry };
        self.undo(cause, then, now, out);
    }

    /// A script asked for another time: it costs time and no attempt (S9).
    pub(super) fn put_off(&mut self, cause: Cause, now: Now, out: &mut Vec<Action>) {
        let Some(active) = self.active_mut() else {
            return;
        };
        if now.unix_ms < active.job.deadline_ms {
            return self.undo(cause, Then::Retry, now, out);
        }
        let cause = Cause {
            reason: Reason::TimedOut,
            ..cause
        };
        self.undo(cause, Then::GiveUp, now, out);
    }

    /// Rolls the artifact at hand back, if its install was begun.
    fn undo(&mut self, cause: Cause, then: Then, now: Now, out: &mut Vec<Action>) {
        let Some(active) = self.active_mut() else {
            return;
        };
        let at = active.job.artifact;
        let touched = match active.job.stage {
            Stage::Script { kind, .. } => kind != ScriptKind::PreInstall,
            Stage::Rebooting { .. } => true,
            _ => false,
        };
        if touched {
            self.roll_back(at, 1, cause, then, out);
        } else {
            self.rolled_back(at, cause, then, now, out);
        }
    }

    pub(super) fn roll_back(
        &mut self,
        at: u8,
        run: u8,
        cause: Cause,
        then: Then,
        out: &mut Vec<Action>,
    ) {
        self.enter(
            Stage::RollingBack {
                at,
                run,
                cause,
                then,
            },
            out,
        );
        self.run_script(ScriptKind::Rollback, out);
    }

    /// Everything from artifact `at` on is as it was.
    pub(super) fn rolled_back(
        &mut self,
        at: u8,
        cause: Cause,
        then: Then,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        match (then, at.checked_sub(1)) {
            (Then::Retry, _) => {
                if let Some(active) = self.active_mut() {
                    active.job.counted = false;
                    // Another pass tells of itself.
                    active.output.clear();
                    active.cause = Some(cause.retry());
                }
                self.enter(Stage::Waiting, out);
                self.wait(0, now);
            }
            (Then::GiveUp, Some(earlier)) => {
                self.roll_back(earlier, 1, cause, then, out);
            }
            (Then::GiveUp, _) => {
                let begun = self.job().is_some_and(|job| job.attempt.0 > 0);
                let rollback = if begun {
                    Rollback::Succeeded
                } else {
                    Rollback::NotNeeded
                };
                self.end_failed(cause, rollback, out);
            }
        }
    }

    pub(super) fn rollback_done(
        &mut self,
        exit: ScriptExit,
        output: Vec<u8>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let Some(active) = self.active_mut() else {
            return;
        };
        let Stage::RollingBack {
            at,
            run,
            cause,
            then,
        } = active.job.stage
        else {
            return;
        };
        if exit == ScriptExit::Code(0) {
            return self.rolled_back(at, cause, then, now, out);
        }
        if run < ROLLBACK_RUNS_MAX {
            return self.roll_back(at, run + 1, cause, then, out);
        }
        active.output = output;
        let kind = ScriptKind::Rollback;
        let cause = Cause {
            reason: Reason::RollbackFailed,
            artifact: Some(at),
            script: Some(ScriptFailure { kind, exit }),
        };
        self.end_failed(cause, Rollback::Failed, out);
    }

    /// The end is journaled before it is written to the ring, so that a power cut between
    /// the two runs no rollback again.
    pub(super) fn end_failed(&mut self, cause: Cause, rollback: Rollback, out: &mut Vec<Action>) {
        let Some(active) = self.active_mut() else {
            return;
        };
        active.job.stage = Stage::Failing { cause, rollback };
        active.wake = None;
        let output = core::mem::take(&mut active.output);
        if rollback != Rollback::NotNeeded {
            self.persist(out);
        }
        if rollback == Rollback::Failed {
            out.push(Action::Distrust);
        }
        self.end(
            FinalResult::Failed(Failure {
                output,
                ..failure(cause, rollback)
            }),
            out,
        );
    }
}
