//! Root documents, one after the other: which one the device hears, and what follows when a newer
//! one is trusted. Signatures are verified before.

use alloc::vec::Vec;

use hoist_protocol::envelope::KeyId;
use hoist_protocol::root::{KeyRole, RootDocument};
use hoist_protocol::spec::DeploymentSpec;
use hoist_protocol::topic::Topic;
use serde::Serialize;

use super::{Clock, Session};
use crate::machine::{Before, Event, Machine};

/// The parts of the trusted root document that a conversation needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trusted {
    /// Its number.
    pub number: u32,
    /// The keys that sign specs; none where signatures are not looked at.
    pub signers: Vec<KeyId>,
    /// Its issue time, Unix ms.
    pub issued_ms: u64,
}

impl From<&RootDocument> for Trusted {
    fn from(root: &RootDocument) -> Self {
        Self {
            number: root.number,
            signers: root.key_ids_of(KeyRole::Orchestrator).collect(),
            issued_ms: root.issued.0,
        }
    }
}

/// The document that names the keys which the device believes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Root {
    /// It is there, and followed by the next one when that comes.
    Known(Trusted),
    /// The pinned one, of this number, is fetched before anything else.
    Wanted(u32),
}

/// Lets a machine believe the keys of a root document; from when device time begins anew, if it was
/// told by a key that is revoked, Unix ms.
pub(super) fn believe(machine: &mut Machine, root: &Root) -> Option<u64> {
    let Root::Known(trusted) = root else {
        return None;
    };
    let before = machine.believe(trusted.number, trusted.signers.clone());
    (before == Before::Revoked).then_some(trusted.issued_ms)
}

impl Session {
    /// The number of the root document that is heard: the pinned one, or the one after the trusted.
    #[must_use]
    pub fn wanted_root(&self) -> u32 {
        match &self.identity.root {
            Root::Known(trusted) => trusted.number.saturating_add(1),
            Root::Wanted(number) => *number,
        }
    }

    /// A root document came that is the pinned one, or follows the trusted one, and is durable.
    /// Everything that the device was told is asked for again: only what a key of this document has
    /// signed counts.
    pub fn trusts(&mut self, trusted: Trusted, clock: &mut impl Clock) {
        let known = Root::Known(trusted);
        self.anew_ms = believe(&mut self.machine, &known).or(self.anew_ms);
        let heard = self.wanted_root();
        self.identity.root = known;
        if self.link.is_none() {
            return;
        }
        self.unsubscribe(Topic::Root(heard));
        self.leave_group();
        self.leave_manifest();
        self.handle(Event::Disconnected, clock);
        self.subscribe(Topic::Root(self.wanted_root()));
        self.join(clock);
    }

    /// A message came that an unknown key has signed: a newer root document may name it, and is
    /// asked for again, once in a connection.
    pub fn signed_by_unknown(&mut self) {
        if self.asks_root() {
            self.subscribe(Topic::Root(self.wanted_root()));
        }
    }

    /// An unknown key has signed the manifest of an entry: true if the manifest is asked for once
    /// more, behind the root document that may name the key.
    #[must_use]
    pub fn asks_again(&mut self, entry: &DeploymentSpec) -> bool {
        let asks = self.asks_root();
        if asks {
            self.subscribe(Topic::Root(self.wanted_root()));
            self.fetch_manifest(entry.clone());
        }
        asks
    }

    fn asks_root(&mut self) -> bool {
        let link = self.link.as_mut();
        link.is_some_and(|link| !core::mem::replace(&mut link.asked_root, true))
    }

    fn leave_manifest(&mut self) {
        let left = self.link.as_mut().and_then(|link| link.wanted.take());
        if let Some(entry) = left {
            self.unsubscribe(Topic::Release(entry.release));
        }
    }
}
