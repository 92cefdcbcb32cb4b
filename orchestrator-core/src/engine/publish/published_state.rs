//! The messages that are known to be retained at the broker: per subject the highest generation,
//! the hash of our message at that generation, and whether the broker was seen to hold it.

use std::collections::HashMap;

use hoist_protocol::id::{Generation, sha256};
use serde::Serialize;

use super::subject::Subject;
use crate::engine::desired::next_generation;

/// A message that was sent is seen back within this time, or it is sent again (bad-inputs row 12).
const ECHO_MS: u64 = 10_000;

type Digest = [u8; 32];

/// True if what was sent then should have been seen back by now. A clock that was set back says
/// nothing: then it is.
pub(super) fn is_overdue(sent_ms: u64, now_ms: u64) -> bool {
    now_ms < sent_ms || sent_ms.saturating_add(ECHO_MS) <= now_ms
}

/// Where our message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Broker {
    /// Not known: never sent on this connection, or seen to be something else.
    Unknown,
    /// Sent at this Unix ms, not yet seen back.
    Sent(u64),
    /// Seen back.
    Holds,
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Highest generation sent, or seen with our signature.
    generation: Option<Generation>,
    /// Hash of our message at that generation.
    digest: Option<Digest>,
    broker: Broker,
    /// True if it was sent by this run of the program. What was only seen may be an old message on
    /// its way, with a newer one behind it.
    sent: bool,
    /// Unix ms at which it is signed again; none for what does not expire.
    renew_ms: Option<u64>,
}

impl Entry {
    /// A message that was never sent from here is not sent again as it is: its generation could be
    /// one that has been passed.
    fn forget_broker(&mut self) {
        self.broker = Broker::Unknown;
        if !self.sent {
            self.digest = None;
        }
    }
}

/// The meaning of a delivery on one of our topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// The broker holds what we sent, or it is an older one of ours still on its way.
    AsDesired,
    /// Somebody overwrote it, or nothing is known of it: look at the rows.
    Different,
}

/// The facts known of a subject's message, for the comparison of two states.
#[derive(Debug, Serialize)]
pub struct Known {
    /// Which subject.
    pub subject: Subject,
    /// Highest generation sent or seen.
    pub generation: Option<Generation>,
    /// Hash of our message at that generation.
    pub digest: Option<[u8; 32]>,
    /// Where it is.
    pub broker: Broker,
    /// True if it was sent by this run of the program.
    pub sent: bool,
}

/// A message to publish.
pub struct Publish {
    /// Of what it says.
    pub generation: Generation,
    /// The content, sealed.
    pub payload: Vec<u8>,
}

/// The published state: everything known to be out. A few dozen bytes for each device.
#[derive(Debug, Default, Clone)]
pub(super) struct PublishedState {
    pub(super) entries: HashMap<Subject, Entry>,
    /// Earlier runs of the program signed nothing above it, and nothing that was forgotten is
    /// above it.
    pub(super) floor: Generation,
    /// Nothing above it may be signed: a later run would not know of it.
    pub(super) reserved: Generation,
    /// Highest generation signed or seen.
    pub(super) highest: Generation,
}

impl PublishedState {
    /// The program starts; earlier runs have reserved generations up to this one.
    pub(super) fn started(&mut self, reserved: Generation) {
        self.floor = reserved;
        self.reserved = reserved;
    }

    /// Another key signs from now on: it begins its own generations. Returns what was out.
    pub(super) fn signed_anew(&mut self) -> Vec<Subject> {
        let before = std::mem::take(self);
        before.entries.into_keys().collect()
    }

    /// An earlier run signed with this generation.
    pub(super) fn learned(&mut self, signed: Generation) {
        self.floor = self.floor.max(signed);
    }

    /// True if a generation is above everything that this store ever let be signed: it was signed
    /// by one that went on from a copy of it.
    pub(super) fn is_ahead(&self, signed: Generation) -> bool {
        signed > self.reserved
    }

    /// Generations up to this one are reserved for this run.
    pub(super) fn reserve(&mut self, reserved: Generation) {
        self.reserved = self.reserved.max(reserved);
    }

    /// Up to where generations have to be reserved before so many specs are signed.
    pub(super) fn runs_out(&self, specs: usize, now_ms: u64) -> Option<Generation> {
        let first = self.highest.0.max(self.issue_ms(now_ms));
        let specs = u64::try_from(specs).unwrap_or(u64::MAX);
        let last = first.saturating_add(specs);
        let runs_out = specs > 0 && last > self.reserved.0;
        runs_out.then_some(Generation(last))
    }

    /// True if what is signed of a subject now may need a generation that is not reserved.
    pub(super) fn is_short_of(&self, subject: &Subject, now_ms: u64) -> bool {
        let known = self.entries.get(subject).and_then(|entry| entry.generation);
        next_generation(known, self.issue_ms(now_ms)) > self.reserved
    }

    /// The generations that earlier runs reserved and that this one did, and the highest signed or
    /// seen.
    pub(super) fn generations(&self) -> [Generation; 3] {
        [self.floor, self.reserved, self.highest]
    }

    /// The issue time of what is signed now (W1): the clock's, unless it stands behind what
    /// an earlier run may have signed.
    fn issue_ms(&self, now_ms: u64) -> u64 {
        now_ms.max(self.floor.0.saturating_add(1))
    }

    /// The broker may have lost these.
    pub(super) fn forget_broker(&mut self, these: impl Fn(&Subject) -> bool) {
        let entries = self.entries.iter_mut();
        let these = entries.filter(|(subject, _)| these(subject));
        these.for_each(|(_, entry)| entry.forget_broker());
    }

    /// The broker may have lost this one.
    pub(super) fn forget_broker_of(&mut self, subject: &Subject) {
        if let Some(entry) = self.entries.get_mut(subject) {
            entry.forget_broker();
        }
    }

    /// Takes the message that is out for outdated: the desired one is signed above it.
    pub(super) fn outdate(&mut self, subject: &Subject) {
        if let Some(entry) = self.entries.get_mut(subject) {
            entry.broker = Broker::Unknown;
            entry.digest = None;
        }
    }

    /// Nothing is desired for the subject any more. What is signed for it when it comes again
    /// is newer than whatever was, because somebody may remember that.
    pub(super) fn forget(&mut self, subject: &Subject) {
        let forgotten = self.entries.remove(subject);
        let generation = forgotten.and_then(|entry| entry.generation);
        self.floor = self.floor.max(generation.unwrap_or_default());
    }

    /// True if our message was sent on this connection or seen at the broker.
    pub(super) fn is_out(&self, subject: &Subject) -> bool {
        let entry = self.entries.get(subject);
        entry.is_some_and(|entry| entry.broker != Broker::Unknown)
    }

    /// True if the broker was seen to hold our message.
    pub(super) fn is_held(&self, subject: &Subject) -> bool {
        let entry = self.entries.get(subject);
        entry.is_some_and(|entry| entry.broker == Broker::Holds)
    }

    /// True if the broker was seen to hold what this run of the program sent. What was only seen
    /// may be an older message, with the retained one behind it.
    pub(super) fn is_confirmed(&self, subject: &Subject) -> bool {
        let entry = self.entries.get(subject);
        entry.is_some_and(|entry| entry.broker == Broker::Holds && entry.sent)
    }

    /// Takes a message that was only seen for held no more: it is sent again.
    pub(super) fn distrust(&mut self, subject: &Subject) {
        let entry = self.entries.get_mut(subject);
        if let Some(entry) = entry.filter(|entry| !entry.sent) {
            entry.broker = Broker::Unknown;
            entry.digest = None;
        }
    }

    /// True if our message was sent and not yet seen back.
    pub(super) fn is_on_its_way(&self, subject: &Subject) -> bool {
        let entry = self.entries.get(subject);
        entry.is_some_and(|entry| matches!(entry.broker, Broker::Sent(_)))
    }

    /// True if anything was sent or seen.
    pub(super) fn knows(&self, subject: &Subject) -> bool {
        self.entries.contains_key(subject)
    }

    /// True if a message with our signature was sent or seen.
    pub(super) fn has_signed(&self, subject: &Subject) -> bool {
        let entry = self.entries.get(subject);
        entry.is_some_and(|entry| entry.generation.is_some())
    }

    /// True if this run of the program signed this generation for the subject, or a higher one.
    pub(super) fn signed_here(&self, subject: &Subject, generation: Generation) -> bool {
        let entry = self.entries.get(subject).filter(|entry| entry.sent);
        entry.is_some_and(|entry| entry.generation >= Some(generation))
    }

    /// True if all that was sent of these subjects was seen back. What the broker may have lost is
    /// not waited for: it is sent when it is wanted.
    pub(super) fn all_seen(&self, these: impl Fn(&Subject) -> bool) -> bool {
        let mut entries = self.entries.iter().filter(|(subject, _)| these(subject));
        entries.all(|(_, entry)| !matches!(entry.broker, Broker::Sent(_)))
    }

    /// Everything known, in no order.
    pub(super) fn known(&self) -> impl Iterator<Item = Known> {
        self.entries.iter().map(|(subject, entry)| Known {
            subject: subject.clone(),
            generation: entry.generation,
            digest: entry.digest,
            broker: entry.broker,
            sent: entry.sent,
        })
    }

    /// Subjects sent too long ago to be still on their way, or due to be signed again.
    pub(super) fn overdue(&self, now_ms: u64) -> Vec<Subject> {
        let late = |entry: &Entry| {
            let lost = matches!(entry.broker, Broker::Sent(at) if is_overdue(at, now_ms));
            lost || entry.renew_ms.is_some_and(|at| at <= now_ms)
        };
        let late = self.entries.iter().filter(|(_, entry)| late(entry));
        late.map(|(subject, _)| subject.clone()).collect()
    }

    /// Notes what the broker delivered; `signed` is its generation when we signed it.
    pub(super) fn seen(
        &mut self,
        subject: &Subject,
        payload: &[u8],
        signed: Option<Generation>,
    ) -> Seen {
        if payload.is_empty() && !self.entries.contains_key(subject) {
            // What we cleared, or never sent, is not there: so be it.
            return Seen::AsDesired;
        }
        let digest = sha256(payload);
        let entry = self.entries.entry(subject.clone()).or_insert(Entry {
            generation: None,
            digest: None,
            broker: Broker::Unknown,
            sent: false,
            renew_ms: None,
        });
        if entry.digest == Some(digest) {
            entry.broker = Broker::Holds;
            return Seen::AsDesired;
        }
        if signed.is_some() && signed > entry.generation {
            // From before a restart, or of a clock ahead of ours: go on from there.
            entry.generation = signed;
            entry.digest = Some(digest);
            entry.broker = Broker::Holds;
            entry.sent = false;
            self.highest = self.highest.max(signed.unwrap_or_default());
            return Seen::Different;
        }
        if signed.is_some() && matches!(entry.broker, Broker::Sent(_)) {
            return Seen::AsDesired;
        }
        entry.broker = Broker::Unknown;
        entry.digest = entry.digest.filter(|_| entry.sent);
        Seen::Different
    }

    /// The message to publish so that the broker holds what `seal` makes, or `None` when it does.
    /// The generation rises only when the content changed or is to be signed again.
    pub(super) fn spec(
        &mut self,
        subject: &Subject,
        seal: impl Fn(Generation) -> Vec<u8>,
        valid_ms: u64,
        now_ms: u64,
    ) -> Option<Publish> {
        let renew_ms = |generation: Generation| {
            (valid_ms > 0).then(|| generation.0.saturating_add(valid_ms / 2))
        };
        let known = self.entries.get(subject).and_then(|entry| entry.generation);
        let fresh = known.filter(|known| renew_ms(*known).is_none_or(|at| now_ms < at));
        if let Some(generation) = fresh {
            let payload = seal(generation);
            let digest = sha256(&payload);
            let entry = self.entries.get_mut(subject);
            if let Some(entry) = entry.filter(|entry| entry.digest == Some(digest)) {
                entry.renew_ms = renew_ms(generation);
                let out = match entry.broker {
                    Broker::Holds => true,
                    Broker::Sent(at) => !is_overdue(at, now_ms),
                    Broker::Unknown => false,
                };
                if out {
                    return None;
                }
                entry.broker = Broker::Sent(now_ms);
                return Some(Publish {
                    generation,
                    payload,
                });
            }
        }
        let generation = next_generation(known, self.issue_ms(now_ms));
        self.highest = self.highest.max(generation);
        let payload = seal(generation);
        let entry = Entry {
            generation: Some(generation),
            digest: Some(sha256(&payload)),
            broker: Broker::Sent(now_ms),
            sent: true,
            renew_ms: renew_ms(generation),
        };
        self.entries.insert(subject.clone(), entry);
        Some(Publish {
            generation,
            payload,
        })
    }
}

#[cfg(test)]
#[path = "published_state_tests.rs"]
mod tests;
