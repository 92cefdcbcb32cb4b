//! Statuses, which the device says of its work (W5, W7), and the journal's record.

use alloc::vec::Vec;

use hoist_protocol::id::{Seq, SessionCounter};
use hoist_protocol::status::{DeviceStatus, Progress, Step};

use super::action::Action;
use super::state::{Active, Work};
use super::{Machine, Now};
use crate::job::{Stage, Terms};
use crate::record::Record;

/// Status numbers reserved by one write: a flash page lasts 64 statuses, and a restart
/// skips at most as many.
const SEQ_BLOCK: u64 = 64;
/// W7: progress is reported at most every 10 percent or 30 seconds.
const PROGRESS_PERCENT: u8 = 10;
const PROGRESS_MS: u64 = 30_000;

impl Machine {
    /// Writes the record; whatever follows in the actions may rely on it.
    pub(super) fn persist(&mut self, out: &mut Vec<Action>) {
        self.reserved = Seq(self.seq.0 + SEQ_BLOCK);
        out.push(Action::Persist(Record {
            format: self.format,
            reserved: self.reserved,
            acked: self.acked,
            generation: self.generation,
            signer: self.signer,
            device_resync: self.device_resync.answered(),
            group_resync: self.group_resync.answered(),
            time_ms: self.now_ms,
            memory: self.memory,
            job: self.job().cloned(),
            terms: match &self.work {
                Work::Active(active) => active.terms.clone(),
                Work::Idle | Work::Asking(_) => Terms::default(),
            },
        }));
    }

    /// Publishes if there is something new to say.
    pub(super) fn report(&mut self, out: &mut Vec<Action>) {
        let status = self.status();
        let same = self
            .last
            .as_ref()
            .is_some_and(|last| last.running == status.running && last.ended == status.ended);
        if !same {
            self.publish(status, out);
        }
    }

    /// W7: the last status again, at the start of a session.
    pub(super) fn report_again(&mut self, out: &mut Vec<Action>) {
        match self.last.clone() {
            Some(last) => out.push(Action::Publish(last)),
            None => self.report(out),
        }
    }

    pub(super) fn progress(&mut self, percent: u8, now: Now, out: &mut Vec<Action>) {
        let reported = match self.last.as_ref().and_then(|last| last.running) {
            Some(Progress {
                step: Step::Downloading(percent),
                ..
            }) => percent,
            _ => 0,
        };
        let due = now.unix_ms >= self.reported_ms + PROGRESS_MS;
        let Some(active) = self.active_mut() else {
            return;
        };
        active.percent = percent.min(100);
        if percent >= reported.saturating_add(PROGRESS_PERCENT) || due {
            self.reported_ms = now.unix_ms;
            self.report(out);
        }
    }

    pub(super) fn status(&self) -> DeviceStatus {
        DeviceStatus {
            seq: self.seq,
            ended: self.ring.ended,
            running: match &self.work {
                Work::Active(active) if !active.job.is_local() => Some(active.progress()),
                Work::Active(_) | Work::Idle | Work::Asking(_) => None,
            },
            outcomes: self.outcomes_to_tell(),
        }
    }

    /// The counter of a new session: a status number, so it rises across restarts (W8).
    pub fn begin_session(&mut self) -> (SessionCounter, Vec<Action>) {
        let mut out = Vec::new();
        let session = SessionCounter(self.next_seq(&mut out).0);
        (session, out)
    }

    fn next_seq(&mut self, out: &mut Vec<Action>) -> Seq {
        if self.seq.0 + 1 >= self.reserved.0 {
            self.persist(out);
        }
        self.seq = Seq(self.seq.0 + 1);
        self.seq
    }

    pub(super) fn publish(&mut self, mut status: DeviceStatus, out: &mut Vec<Action>) {
        status.seq = self.next_seq(out);
        self.last = Some(status.clone());
        out.push(Action::Publish(status));
    }
}

impl Active {
    fn retrying(&self) -> Step {
        self.cause.map_or(Step::Retrying, Step::RetryingAfter)
    }

    fn progress(&self) -> Progress {
        Progress {
            deployment: self.job.deployment,
            round: self.job.round,
            attempt: self.job.attempt,
            step: self.step(),
        }
    }

    fn step(&self) -> Step {
        match self.job.stage {
            Stage::Waiting => self.retrying(),
            Stage::Fetching if self.plans.is_some() => Step::Downloaded,
            Stage::Fetching if self.wake.is_some() => self.retrying(),
            Stage::Fetching => Step::Downloading(self.percent),
            Stage::Rebooting { .. } => Step::Rebooting,
            Stage::Script { .. }
            | Stage::RollingBack { .. }
            | Stage::Confirming { .. }
            | Stage::Committing
            | Stage::Failing { .. } => Step::Installing,
        }
    }
}
