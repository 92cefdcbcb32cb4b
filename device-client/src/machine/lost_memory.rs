//! A device that lost its memory asks before it does anything (W5, bad-inputs rows 28 and 60): its
//! own retained status says where its numbers were and what was running; what it cannot
//! know any more it reports as lost. It never installs again blindly.

use alloc::vec::Vec;

use hoist_protocol::id::{Attempt, DeploymentId, ReleaseId, Round, Seq};
use hoist_protocol::reason::Reason;
use hoist_protocol::status::{
    DeviceStatus, Failure, FinalResult, OUTCOMES_MAX, Outcome, Rollback, sentence,
};

use super::Machine;
use super::action::Action;
use super::rollback::failure;
use super::state::{Link, Member};
use crate::job::Cause;
use crate::record::Memory;

/// Highest number of an own status that is believed: some 10¹⁸ remain to be counted.
const SEQ_MAX: Seq = Seq(1 << 63);

impl Machine {
    /// True if the device's own retained status must be read before anything else.
    #[must_use]
    pub fn wants_own_status(&self) -> bool {
        self.memory != Memory::Whole
    }

    /// The device's own status, verified: outcomes without a signature are left out of it.
    pub(super) fn own_status(&mut self, status: &DeviceStatus, out: &mut Vec<Action>) {
        // Progress is not signed: a number that no device counts to is somebody else's.
        if self.memory == Memory::Whole || status.seq > SEQ_MAX {
            return;
        }
        self.own_status_heard = true;
        // What was said last was said without knowing this.
        self.last = None;
        if self.has_lost_outcomes(status) {
            // What ended since the loss comes on top of what was acknowledged before it.
            let since = self.ring.since(self.acked).to_vec();
            let kept = self.ring.outcomes.len() - since.len();
            self.ring.outcomes.truncate(kept);
            let (past, kept) = (self.ring.past.clone(), self.ring.outcomes.clone());
            // What left the ring long ago is not missing in it.
            let left = |told: &Outcome| past.tells_of(told) && !is_told(&since, told);
            let known = |told: &Outcome| is_told(&kept, told) || left(told);
            self.add_what_is_missing(&status.outcomes, known);
            self.ring.ended = status.ended;
            self.acked = status.ended;
            let told = self.ring.outcomes.clone();
            self.add_what_is_missing(&since, |since| is_told(&told, since));
        }
        let running = status.running.filter(|running| {
            let kept = self.job().map(|job| job.deployment);
            let over = self.ring.is_over(running.deployment, None, running.round);
            kept != Some(running.deployment) && !over
        });
        if let Some(running) = running {
            let key = (running.deployment, running.round);
            self.say_lost(key, running.attempt, None);
            out.push(Action::Distrust);
        }
        out.push(Action::StoreOutcomes(self.ring.clone()));
        // Else the next start would count what the broker has as ended since the loss.
        self.persist(out);
        self.go_on_from(status.seq, out);
        if self.memory == Memory::New {
            self.remembers(out);
        }
    }

    fn add_what_is_missing(&mut self, outcomes: &[Outcome], is_there: impl Fn(&Outcome) -> bool) {
        for outcome in outcomes.iter().filter(|outcome| !is_there(outcome)) {
            self.ring.push(outcome.clone(), None);
        }
    }

    /// True if the status accounts for outcomes that the ring does not have.
    fn has_lost_outcomes(&self, status: &DeviceStatus) -> bool {
        let counted = usize::try_from(self.ring.ended).unwrap_or(OUTCOMES_MAX);
        status.ended > self.ring.ended
            || self.ring.outcomes.len() < counted.min(OUTCOMES_MAX)
            || !status
                .outcomes
                .iter()
                .all(|told| self.ring.past.tells_of(told))
    }

    /// The own spec came, and no status before it: there is none.
    pub(super) fn own_status_is_over(&mut self, out: &mut Vec<Action>) {
        match (self.memory, &self.own) {
            (Memory::New, _) => self.remembers(out),
            // Numbers are counted one by one: none was ever as high as a time.
            (Memory::Lost, Some(own)) if !self.own_status_heard => {
                // A thief of a key may have signed any: the numbers must not end there.
                self.go_on_from(Seq(own.generation.0).min(SEQ_MAX), out);
            }
            (Memory::Lost | Memory::Whole, _) => {}
        }
    }

    /// With the group's spec it is known what may have been running: a release that was
    /// kept and is listed.
    pub(super) fn settle_what_was_lost(&mut self, out: &mut Vec<Action>) {
        if self.memory != Memory::Lost {
            return;
        }
        let listed = match &self.link {
            Link::Member(Member {
                spec: Some(spec), ..
            }) => spec
                .entries
                .iter()
                .find(|entry| Some(entry.release) == self.kept_release)
                .map(|entry| {
                    let own = self.own.as_ref();
                    let round = own.map_or(entry.round, |own| own.round(entry));
                    ((entry.deployment, round), entry.release)
                }),
            _ => return,
        };
        if self.job().is_none() {
            if let Some((key, release)) = listed
                && !self.ring.is_over(key.0, Some(release), key.1)
            {
                self.say_lost(key, Attempt(0), Some(release));
                out.push(Action::Distrust);
                out.push(Action::StoreOutcomes(self.ring.clone()));
            }
            out.push(Action::Cleanup);
        }
        self.remembers(out);
        self.report(out);
    }

    fn remembers(&mut self, out: &mut Vec<Action>) {
        self.memory = Memory::Whole;
        self.kept_release = None;
        self.persist(out);
    }

    fn say_lost(
        &mut self,
        (deployment, round): (DeploymentId, Round),
        attempt: Attempt,
        release: Option<ReleaseId>,
    ) {
        let failure = Failure {
            output: sentence("the memory of what was begun is lost"),
            ..failure(Cause::plain(Reason::StateLost), Rollback::Failed)
        };
        let outcome = Outcome {
            deployment,
            round,
            attempt,
            result: FinalResult::Failed(failure),
        };
        self.ring.push(outcome, release);
    }

    /// Numbers go on behind these. A session that began with a lower one would lose
    /// against earlier ones, so another is begun.
    fn go_on_from(&mut self, seq: Seq, out: &mut Vec<Action>) {
        if seq <= self.seq {
            return;
        }
        self.seq = seq;
        self.persist(out);
        out.push(Action::Reconnect);
    }
}

/// True if outcomes tell of another one, or of one of a higher round.
fn is_told(outcomes: &[Outcome], other: &Outcome) -> bool {
    let mut outcomes = outcomes.iter();
    outcomes.any(|told| told.deployment == other.deployment && told.round >= other.round)
}
