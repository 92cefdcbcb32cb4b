//! The difference between what is desired and what is known to be out: which subjects have
//! to be looked at, and what has to be published for them. Pure: rows are read, heads signed
//! and messages sent by whoever drives this.

use std::collections::BTreeMap;

use hoist_protocol::id::{DeviceId, Generation, GroupId, ReleaseId};

pub use super::ledger::{Known, Publish};
use super::ledger::{Ledger, Seen};
use crate::mutant::{Mutant, is_planted};
use crate::transport::Outgoing;

/// Something of which one message is retained, in the order in which changes go out: what
/// holds a device goes before what would let it start (S10).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// The root document.
    Root,
    /// A release's manifest.
    Release(ReleaseId),
    /// A device's head.
    Device(DeviceId),
    /// A group's head.
    Group(GroupId),
}

/// Why a subject is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// What is retained differs from what is known to be out.
    Seen,
    /// Its rows changed.
    Changed,
}

/// What to do about a retained message without rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// Nothing is known of it: it is not ours to touch.
    NotOurs,
    /// We signed it: it is a device's membership and may be all that is left of a lost
    /// registry (W4).
    Kept,
    /// Clear it.
    Clear,
    /// Clear it with everything the device reported: it was removed.
    ClearReports,
}

/// What has to be looked at, and what is known to be out.
#[derive(Debug, Default, Clone)]
pub struct Difference {
    ledger: Ledger,
    marked: BTreeMap<Subject, Cause>,
}

impl Difference {
    /// A new connection: the broker may have lost everything.
    pub fn connected(&mut self) {
        self.ledger.forget_broker(|_| true);
    }

    /// Everything can be seen now: these subjects go out again, and of what was sent before
    /// the subscription only heads of devices are taken as out.
    pub fn subscribed(&mut self, shared: impl IntoIterator<Item = Subject>) {
        self.ledger
            .forget_broker(|subject| !matches!(subject, Subject::Device(_)));
        let shared = shared.into_iter();
        for subject in shared.filter(|_| !is_planted(Mutant::ConnectionTrusted)) {
            self.mark(subject, Cause::Changed);
        }
    }

    /// A device connected: its head is published unless it is known to be out.
    pub fn born(&mut self, device: DeviceId) {
        let subject = Subject::Device(device);
        if !self.ledger.is_out(&subject) {
            self.mark(subject, Cause::Seen);
        }
    }

    /// A device shows its key because it has no head that names it: whatever is thought
    /// to be out did not reach it.
    pub fn asked(&mut self, device: DeviceId) {
        let subject = Subject::Device(device);
        self.ledger.forget_broker_of(&subject);
        self.mark(subject, Cause::Seen);
    }

    /// Notes what the broker delivered on a subject's topic; `signed` is its generation when
    /// our signature on it holds.
    pub fn seen(&mut self, subject: Subject, payload: &[u8], signed: Option<Generation>) {
        match self.ledger.seen(&subject, payload, signed) {
            Seen::AsDesired => {}
            Seen::Different => self.mark(subject, Cause::Seen),
        }
    }

    /// Looks again at what was sent long ago and never seen back, and at what is past half
    /// of its validity (W2).
    pub fn review(&mut self, now_ms: u64) {
        for subject in self.ledger.overdue(now_ms) {
            self.mark(subject, Cause::Seen);
        }
    }

    /// Has a subject looked at.
    pub fn mark(&mut self, subject: Subject, cause: Cause) {
        let marked = self.marked.entry(subject).or_insert(cause);
        *marked = cause.max(*marked);
    }

    /// The next subject to look at.
    pub fn pop(&mut self) -> Option<(Subject, Cause)> {
        self.marked.pop_first()
    }

    /// The subjects still to be looked at.
    pub fn marked(&self) -> impl Iterator<Item = &Subject> {
        self.marked.keys()
    }

    /// Everything known to be out, sorted by subject.
    #[must_use]
    pub fn known(&self) -> Vec<Known> {
        let mut known: Vec<Known> = self.ledger.known().collect();
        known.sort_by(|a, b| a.subject.cmp(&b.subject));
        known
    }

    /// Whether nothing is to be looked at among these, and all that was sent of them was
    /// seen back from the broker.
    pub fn is_quiet(&self, these: impl Fn(&Subject) -> bool) -> bool {
        !self.marked.keys().any(&these) && self.ledger.all_seen(these)
    }

    /// Whether what is desired of a subject was seen to be at the broker.
    pub fn is_held(&self, subject: &Subject) -> bool {
        !self.marked.contains_key(subject) && self.ledger.is_held(subject)
    }

    /// Whether something of a subject is still to be looked at or to be seen back.
    pub fn is_on_its_way(&self, subject: &Subject) -> bool {
        self.marked.contains_key(subject) || self.ledger.is_on_its_way(subject)
    }

    /// What to publish so that the broker holds what `seal` makes, or `None` when it does.
    pub fn publish(
        &mut self,
        subject: &Subject,
        seal: impl Fn(Generation) -> Outgoing,
        valid_ms: u64,
        now_ms: u64,
    ) -> Option<Publish> {
        self.ledger.head(subject, seal, valid_ms, now_ms)
    }

    /// Nothing is desired for this subject: what is retained is cleared when its rows were
    /// deleted or it is not ours.
    pub fn unknown(&mut self, subject: &Subject, cause: Cause) -> Unknown {
        if matches!(subject, Subject::Release(_)) {
            // Its id is its content's: it can mislead nobody.
            self.ledger.forget(subject);
            return Unknown::NotOurs;
        }
        if cause == Cause::Seen && !self.ledger.knows(subject) {
            return Unknown::NotOurs;
        }
        if cause == Cause::Seen && self.ledger.has_signed(subject) {
            return Unknown::Kept;
        }
        self.ledger.forget(subject);
        match (subject, cause) {
            _ if is_planted(Mutant::RemovedKept) => Unknown::NotOurs,
            (Subject::Device(_), Cause::Changed) => Unknown::ClearReports,
            _ => Unknown::Clear,
        }
    }
}
