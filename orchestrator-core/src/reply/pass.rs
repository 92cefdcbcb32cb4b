//! Passes over all devices, as people see them.

use serde::{Deserialize, Serialize};

use crate::model::word::{Word, Worded};

/// The change that a pass makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassKind {
    /// Labels are set and taken away.
    Label,
    /// Devices are moved to a group.
    Move,
    /// Devices are put where their labels say.
    Place,
}

impl Worded for PassKind {
    const ALL: &'static [Self] = &[Self::Label, Self::Move, Self::Place];

    fn word(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Move => "move",
            Self::Place => "place",
        }
    }
}

/// One pass over all devices in `pass-list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PassItem {
    /// Its number.
    pub pass: u32,
    /// The change: `label` or `move`, or `place` into dynamic groups.
    pub what: Word<PassKind>,
    /// The devices; null is all.
    pub selector: Option<String>,
    /// The group to which they are moved.
    pub group: Option<String>,
    /// Who asked for it.
    pub by: String,
    /// When, RFC 3339.
    pub begun_at: String,
    /// When it was done, RFC 3339; null before. A pass waits for those before it.
    pub ended_at: Option<String>,
    /// Devices up to this one are done; null before the first.
    pub up_to: Option<String>,
    /// Devices that were changed.
    pub changed: u32,
    /// Devices that could not be changed: they would have too many labels, or their group is gone.
    pub refused: u32,
}
