//! The difference between what is desired and what is known to be out: which subjects have
//! to be looked at, and what has to be published for them. Pure: rows are read, specs signed
//! and messages sent by whoever drives this.

use std::collections::BTreeMap;

use hoist_protocol::id::{DeviceId, Generation, GroupId};
use serde::Serialize;

use super::outbox::Outbox;
pub use super::published_state::{Known, Publish};
use super::published_state::{PublishedState, Seen};
use super::subject::Subject;
use crate::engine::input::Input;
use crate::model::row::OutboxRow;

/// Why a subject is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The retained message differs from what is known to be out.
    Seen,
    /// Its rows changed.
    Changed,
}

/// The deed that a retained message without rows asks for.
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

/// The subjects that have to be looked at, and the messages that are known to be out.
#[derive(Debug, Default, Clone)]
pub struct Difference {
    pub(super) published_state: PublishedState,
    pub(super) marked: BTreeMap<Subject, Cause>,
    pub(super) outbox: Outbox,
}

impl Difference {
    /// The program starts; no earlier run signed a generation above this one.
    pub fn started(&mut self, reserved: Generation) {
        self.published_state.started(reserved);
    }

    /// Another key signs from now on: nothing that is out counts, and everything is looked at.
    pub fn signed_anew(&mut self) {
        for subject in self.published_state.signed_anew() {
            self.mark(subject, Cause::Seen);
        }
    }

    /// Specs may be signed with generations up to this one.
    pub fn reserved(&mut self, reserved: Generation) {
        self.published_state.reserve(reserved);
    }

    /// A spec with our signature was signed with this generation: what is signed from now on
    /// is newer.
    pub fn learned(&mut self, signed: Generation) {
        self.published_state.learned(signed);
    }

    /// True if a generation with our signature is above everything that this store ever let be
    /// signed: the store is an older copy then, or another server signs with its keys.
    #[must_use]
    pub fn is_ahead(&self, signed: Generation) -> bool {
        self.published_state.is_ahead(signed)
    }

    /// The input that has to be decided before anything is published: generations to be reserved,
    /// for what is marked and the groups that it may have to wait for.
    #[must_use]
    pub fn wants(&self, now_ms: u64) -> Option<Input> {
        let runs_out = self.published_state.runs_out(self.marked.len() * 2, now_ms);
        runs_out.map(Input::ReserveGenerations)
    }

    /// Word of what was seen at the broker since the last call, to be decided.
    pub fn take_out(&mut self) -> Vec<Input> {
        self.outbox.take_out()
    }

    /// True if there is such word.
    pub(crate) fn has_out(&self) -> bool {
        self.outbox.has_out()
    }

    /// A new connection: the broker may have lost everything.
    pub fn connected(&mut self) {
        self.published_state.forget_broker(|_| true);
        self.outbox.connected();
    }

    /// Everything can be seen now: these subjects go out again (what is shared, and whatever
    /// is in the outbox), and of what was sent before the subscription only specs of devices
    /// are taken as out.
    pub fn subscribed(&mut self, shared: impl IntoIterator<Item = Subject>) {
        self.published_state
            .forget_broker(|subject| !matches!(subject, Subject::Device(_)));
        for subject in shared {
            self.mark(subject, Cause::Changed);
        }
    }

    /// True if a spec of a device with this generation was signed by this run of the program.
    pub fn signed_here(&self, device: &DeviceId, generation: Generation) -> bool {
        let subject = Subject::Device(device.clone());
        self.published_state.signed_here(&subject, generation)
    }

    /// A device connected: its spec is published unless it is known to be out.
    pub fn born(&mut self, device: DeviceId) {
        let subject = Subject::Device(device);
        if !self.published_state.is_out(&subject) {
            self.mark(subject, Cause::Seen);
        }
    }

    /// A device shows its stored spec: none reached it since, or an older one than it knows
    /// was brought back.
    pub fn asked(&mut self, device: DeviceId) {
        let subject = Subject::Device(device);
        self.published_state.forget_broker_of(&subject);
        self.mark(subject, Cause::Seen);
    }

    /// A device shows its key: it has no spec that names it. It may have forgotten the one
    /// that is out, because it was told that it is removed, and takes only a newer one now
    /// (W1).
    pub fn forgot(&mut self, device: DeviceId) {
        let subject = Subject::Device(device);
        self.published_state.outdate(&subject);
        self.mark(subject, Cause::Seen);
    }

    /// Notes what the broker delivered on a subject's topic; `signed` is its generation when
    /// our signature on it holds.
    pub fn seen(&mut self, subject: Subject, payload: &[u8], signed: Option<Generation>) {
        if let Subject::Device(device) = &subject
            && payload.is_empty()
            && self.outbox.arrived(device, true)
        {
            self.published_state.forget(&subject);
            return;
        }
        match self.published_state.seen(&subject, payload, signed) {
            Seen::Different => self.mark(subject, Cause::Seen),
            Seen::AsDesired => self.arrived(&subject),
        }
    }

    /// The broker may hold what is desired of a subject by now: who waits for that hears it.
    fn arrived(&mut self, subject: &Subject) {
        match subject {
            Subject::Device(device) if self.published_state.is_confirmed(subject) => {
                self.outbox.arrived(device, false);
            }
            Subject::Group(group) if self.is_confirmed(subject) => {
                for device in self.outbox.release(group) {
                    self.mark(Subject::Device(device), Cause::Changed);
                }
            }
            _ => {}
        }
    }

    /// Looks again at what was sent long ago and never seen back, and at what is past half
    /// of its validity (W2).
    pub fn review(&mut self, now_ms: u64) {
        for subject in self.published_state.overdue(now_ms) {
            self.mark(subject, Cause::Seen);
        }
        for device in self.outbox.overdue(now_ms) {
            self.mark(Subject::Device(device), Cause::Changed);
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
        let mut known: Vec<Known> = self.published_state.known().collect();
        known.sort_by(|a, b| a.subject.cmp(&b.subject));
        known
    }

    /// Generations that bound what is signed, for whoever compares two states: what earlier
    /// runs reserved, what this one did, and the highest signed or seen.
    #[must_use]
    pub fn generations(&self) -> [Generation; 3] {
        self.published_state.generations()
    }

    /// Changes of devices' specs on their way, for whoever compares or prints two states.
    #[must_use]
    pub fn outbox(&self) -> impl std::fmt::Debug + Serialize {
        &self.outbox
    }

    /// True if nothing is to be looked at among these, and all that was sent of them was seen back
    /// from the broker.
    pub fn is_quiet(&self, these: impl Fn(&Subject) -> bool) -> bool {
        !self.marked.keys().any(&these) && self.published_state.all_seen(these)
    }

    /// True if no change of a device's spec is on its way.
    #[must_use]
    pub fn has_told_all(&self) -> bool {
        self.outbox.is_empty()
    }

    /// True if what is desired of a subject was seen to be at the broker.
    pub fn is_held(&self, subject: &Subject) -> bool {
        !self.marked.contains_key(subject) && self.published_state.is_held(subject)
    }

    /// True if something of a subject is still to be looked at or to be seen back.
    pub fn is_on_its_way(&self, subject: &Subject) -> bool {
        let waits = match subject {
            Subject::Device(device) => self.outbox.is_waiting(device),
            _ => false,
        };
        waits || self.marked.contains_key(subject) || self.published_state.is_on_its_way(subject)
    }

    fn is_confirmed(&self, subject: &Subject) -> bool {
        !self.marked.contains_key(subject) && self.published_state.is_confirmed(subject)
    }

    /// The message to publish so that the broker holds what `seal` makes, or `None` when it does.
    pub fn publish(
        &mut self,
        subject: &Subject,
        seal: impl Fn(Generation) -> Vec<u8>,
        valid_ms: u64,
        now_ms: u64,
    ) -> Option<Publish> {
        if let Subject::Group(group) = subject
            && self.outbox.is_awaited(group)
        {
            self.published_state.distrust(subject);
        }
        if self.waits_for_generations(subject, now_ms) {
            return None;
        }
        let publish = self.published_state.spec(subject, seal, valid_ms, now_ms);
        if publish.is_none() {
            self.arrived(subject);
        }
        publish
    }

    /// The same for a device's spec, with its row in the outbox. What permits something
    /// waits until its group's spec, as it is desired now, was seen at the broker: else the
    /// device could read an older one that lists what is over (S4, S10).
    pub fn publish_device(
        &mut self,
        device: &DeviceId,
        group: &GroupId,
        outbox: Option<&OutboxRow>,
        seal: impl Fn(Generation) -> Vec<u8>,
        now_ms: u64,
    ) -> Option<Publish> {
        let permits = outbox.is_some_and(|row| row.permits);
        let shared = Subject::Group(group.clone());
        if permits && !self.is_confirmed(&shared) {
            if !self.is_on_its_way(&shared) {
                self.mark(shared, Cause::Seen);
            }
            self.outbox.wait(group.clone(), device.clone());
            return None;
        }
        let subject = Subject::Device(device.clone());
        if self.waits_for_generations(&subject, now_ms) {
            return None;
        }
        if outbox.is_some() {
            self.published_state.distrust(&subject);
        }
        let publish = self.published_state.spec(&subject, seal, 0, now_ms);
        if let Some(row) = outbox {
            let held = self.published_state.is_confirmed(&subject);
            self.outbox.sent(device, row, held, now_ms);
        }
        publish
    }

    /// Generations are reserved before anything is looked at. Where that was not enough, the
    /// subject is looked at again: what is signed above the reservation, the next run of the
    /// program would take for the word of a newer store (W1).
    fn waits_for_generations(&mut self, subject: &Subject, now_ms: u64) -> bool {
        let short = self.published_state.is_short_of(subject, now_ms);
        if short {
            self.mark(subject.clone(), Cause::Seen);
        }
        short
    }

    /// A removed device's spec was cleared, with its row in the outbox.
    pub fn cleared(&mut self, device: &DeviceId, outbox: Option<&OutboxRow>, now_ms: u64) {
        if let Some(row) = outbox {
            self.outbox.cleared(device, row, now_ms);
        }
    }

    /// Nothing is desired for this subject: what is retained is cleared when its rows were
    /// deleted or it is not ours.
    pub fn unknown(&mut self, subject: &Subject, cause: Cause) -> Unknown {
        // A manifest was published only for a release that the store had: this one was removed, and
        // its clearing may have been lost with a connection.
        if matches!(subject, Subject::Release(_)) {
            self.published_state.forget(subject);
            return Unknown::Clear;
        }
        if cause == Cause::Seen && !self.published_state.knows(subject) {
            return Unknown::NotOurs;
        }
        if cause == Cause::Seen && self.published_state.has_signed(subject) {
            return Unknown::Kept;
        }
        self.published_state.forget(subject);
        match (subject, cause) {
            (Subject::Device(_), Cause::Changed) => Unknown::ClearReports,
            _ => Unknown::Clear,
        }
    }
}
