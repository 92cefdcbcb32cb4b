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
    /// Every device is put where its labels say.
    Place,
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
    /// The devices that it is about; none is all.
    #[must_use]
    pub fn selector(&self) -> Option<&Selector> {
        match self {
            Self::Label { selector, .. } | Self::Move { selector, .. } => Some(selector),
            Self::Place => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::row::tests::golden;

    #[test]
    fn the_passes_over_all_devices_keep_their_bytes() {
        let pass = |work| Pass {
            number: 3,
            work,
            groups: vec!["eu".parse().unwrap()],
            by: "al".parse().unwrap(),
            begun_ms: 300,
            after: Some("d1".parse().unwrap()),
            changed: 2,
            refused: 1,
            ended_ms: None,
        };
        let selector: Selector = "a=b".parse().unwrap();
        let label = PassWork::Label {
            selector: selector.clone(),
            set: vec![("k".into(), "v".into())],
            remove: vec!["r".into()],
        };
        let to = PassWork::Move {
            selector,
            group: "eu".parse().unwrap(),
        };
        let row = PassesRow {
            last: 4,
            passes: vec![pass(label), pass(to)],
            due_ms: Some(5),
        };
        golden(
            &row,
            "010402030003613d6201016b01760101720102657502616cac0201026431020100030103613d620265750102657502616cac02010264310201000105",
        );
    }
}
