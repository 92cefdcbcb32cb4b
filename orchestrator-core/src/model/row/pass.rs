//! The stored row of passes over all devices.

use hoist_protocol::id::{DeviceId, GroupId, UserId};
use serde::{Deserialize, Serialize};

use crate::model::selector::Selector;

/// The passes over all devices: those that wait or are at work, and the last that have ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PassesRow {
    /// The number of the newest.
    pub last: u32,
    /// By number; the first that has not ended is at work, the others wait for it.
    pub passes: Vec<Pass>,
    /// When the page at work, if there is one, is asked for again: ms of connected uptime.
    pub due_ms: Option<u64>,
}

/// A walk over all devices in the background, which changes those that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// Its number.
    pub number: u32,
    /// The change.
    pub work: PassWork,
    /// Only devices of these groups; empty means all.
    pub groups: Vec<GroupId>,
    /// The user who asked for it.
    pub by: UserId,
    /// Unix time at which it was asked for, in ms.
    pub begun_ms: u64,
    /// Devices up to this one are done.
    pub after: Option<DeviceId>,
    /// Devices that were changed.
    pub changed: u32,
    /// Devices that could not be changed.
    pub refused: u32,
    /// Unix time of its end, in ms.
    pub ended_ms: Option<u64>,
}

/// The change that a pass makes. Append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PassWork {
    /// Labels of the selected devices are set and taken away.
    Label {
        /// Which devices.
        selector: Selector,
        /// Labels to set, sorted by name.
        set: Vec<(String, String)>,
        /// Names of labels to take away.
        remove: Vec<String>,
    },
    /// The selected devices are moved.
    Move {
        /// Which devices.
        selector: Selector,
        /// Where to.
        group: GroupId,
    },
}

impl PassesRow {
    /// The pass at work.
    #[must_use]
    pub fn at_work(&self) -> Option<&Pass> {
        self.passes.iter().find(|pass| pass.ended_ms.is_none())
    }

    pub(crate) fn at_work_mut(&mut self) -> Option<&mut Pass> {
        self.passes.iter_mut().find(|pass| pass.ended_ms.is_none())
    }
}

impl PassWork {
    /// The devices that it is about.
    #[must_use]
    pub fn selector(&self) -> &Selector {
        match self {
            Self::Label { selector, .. } | Self::Move { selector, .. } => selector,
        }
    }
}
