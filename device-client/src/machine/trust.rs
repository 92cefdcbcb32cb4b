//! Keys that sign specs. Generations of one key only rise (W1); when the root document does not
//! name that key any more, they hold nothing back, and those of the new key begin anew: whoever
//! has stolen a key cannot keep a device from its successor (bad-inputs row 43).

use alloc::vec::Vec;

use hoist_protocol::envelope::KeyId;
use hoist_protocol::id::Generation;
use hoist_protocol::spec::DeviceSpec;

use super::Machine;

/// The number of the first root document.
const FIRST: u32 = 1;

/// The worth of what was signed before, under the keys of a root document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Everything counts.
    Counts,
    /// Something was signed by a key that nobody believes any more.
    Revoked,
}

impl Machine {
    /// Believes specs of these keys alone from now on, which the root document of this number names.
    /// Nothing is asked of the outside for it: the
    /// same follows from the root document and the journal after a power cut.
    #[must_use]
    pub fn believe(&mut self, root: u32, signers: Vec<KeyId>) -> Before {
        self.root = root;
        self.signers = signers;
        let told = [
            (self.generation > Generation::default()).then_some(self.signer),
            self.own.is_some().then_some(self.own_by),
            self.forgotten.map(|floor| floor.by),
        ];
        if told.into_iter().flatten().all(|by| self.counts(by)) {
            return Before::Counts;
        }
        if !self.counts(self.signer) {
            self.generation = Generation::default();
            self.signer = None;
        }
        Before::Revoked
    }

    /// Takes note of the key that signed the stored DeviceSpec.
    pub fn own_spec_is_by(&mut self, signer: Option<KeyId>) {
        self.own_by = signer;
    }

    /// True if this spec of its own is older than one that counts.
    pub(super) fn is_replay_of_own(&self, spec: &DeviceSpec) -> bool {
        let own = self.own.as_ref().filter(|_| self.counts(self.own_by));
        let forgotten = self.forgotten.filter(|floor| self.counts(floor.by));
        forgotten.is_some_and(|floor| spec.generation <= floor.generation)
            || own.is_some_and(|own| spec.generation < own.generation)
    }

    /// An agent that did not keep which key had signed followed no root document either: that key
    /// is one of the first document.
    fn counts(&self, signer: Option<KeyId>) -> bool {
        if self.signers.is_empty() {
            return true;
        }
        signer.map_or(self.root == FIRST, |by| self.signers.contains(&by))
    }
}
