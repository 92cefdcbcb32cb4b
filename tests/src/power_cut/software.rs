//! The truth about a device: what its scripts did to what it runs.

use std::collections::BTreeMap;

use hoist_protocol::status::ScriptKind;

use super::package::{Part, Reboot};

/// The state of the software of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum State {
    /// Nothing.
    #[default]
    Absent,
    /// This version, whole.
    Version(u8),
    /// Something was half done to it.
    Broken,
}

/// The software of a name, now and later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Slot {
    now: State,
    /// The state after the next boot.
    next: Option<State>,
    /// The state that a rollback restores.
    before: State,
}

/// One run of an install: order, ask, attempt and artifact.
pub type InstallKey = (usize, u32, u32, u8);

/// Everything that is installed, and what ran.
#[derive(Debug, Clone, Default, Hash)]
pub struct Software {
    slots: BTreeMap<&'static str, Slot>,
    installs: BTreeMap<InstallKey, u32>,
    runs: BTreeMap<(usize, u8, ScriptKind), u32>,
}

impl Software {
    /// A device that came with this.
    pub fn with(parts: &[(&'static str, u8)]) -> Self {
        let mut software = Self::default();
        for (name, version) in parts {
            software.slot(name).now = State::Version(*version);
        }
        software.begin_order();
        software
    }

    fn slot(&mut self, name: &'static str) -> &mut Slot {
        self.slots.entry(name).or_default()
    }

    /// The state of a name that is in use.
    pub fn now(&self, name: &str) -> State {
        self.slots.get(name).map_or(State::Absent, |slot| slot.now)
    }

    /// The state of a name that a rollback restores.
    pub fn before(&self, name: &str) -> State {
        let slot = self.slots.get(name);
        slot.map_or(State::Absent, |slot| slot.before)
    }

    /// The next order is given: the way back leads here.
    pub fn begin_order(&mut self) {
        for slot in self.slots.values_mut() {
            slot.before = slot.now;
        }
    }

    /// The device has booted.
    pub fn boot(&mut self) {
        for slot in self.slots.values_mut() {
            slot.now = slot.next.take().unwrap_or(slot.now);
        }
    }

    /// Counts a run of a script, from 0.
    pub fn count_run(&mut self, order: usize, artifact: u8, kind: ScriptKind) -> u32 {
        let runs = self.runs.entry((order, artifact, kind)).or_default();
        *runs += 1;
        *runs - 1
    }

    /// Counts a run of an install, from 1.
    pub fn count_install(&mut self, key: InstallKey) -> u32 {
        let runs = self.installs.entry(key).or_default();
        *runs += 1;
        *runs
    }

    /// An install goes on to `state`.
    pub fn install(&mut self, part: &Part, state: State) {
        let slot = self.slot(part.name);
        match part.reboot {
            Reboot::Switches => slot.next = Some(state),
            Reboot::None | Reboot::Restarts => slot.now = state,
        }
    }

    /// A rollback is half done.
    pub fn begin_rollback(&mut self, part: &Part) {
        let slot = self.slot(part.name);
        slot.next = None;
        if slot.now != slot.before {
            slot.now = State::Broken;
        }
    }

    /// A rollback is done.
    pub fn end_rollback(&mut self, part: &Part) {
        let slot = self.slot(part.name);
        slot.now = slot.before;
    }

    /// True if the device uses this part, and will.
    pub fn is_installed(&self, part: &Part) -> bool {
        let slot = self.slots.get(part.name).copied().unwrap_or_default();
        slot.next.is_none() && slot.now == State::Version(part.version)
    }

    /// True if everything is as before the order.
    pub fn is_as_before(&self) -> bool {
        let mut slots = self.slots.values();
        slots.all(|slot| slot.next.is_none() && slot.now == slot.before)
    }
}
