//! Freezes, as people see them.

use serde::{Deserialize, Serialize};

use crate::model::row::Frozen;
use crate::model::time::format_time;
use crate::rules::freeze::Freeze;

/// A freeze that lasts: nobody starts anything, and who has started finishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenItem {
    /// Since when, RFC 3339.
    pub at: String,
    /// By whom.
    pub by: String,
    /// True if everything is frozen, and not this group alone.
    pub everything: bool,
}

impl FrozenItem {
    /// That of a group, as people see it.
    #[must_use]
    pub fn of(freeze: &Freeze) -> Self {
        Self {
            everything: freeze.everything,
            ..Self::of_everything(&freeze.frozen)
        }
    }

    /// That of everything, as people see it.
    #[must_use]
    pub fn of_everything(frozen: &Frozen) -> Self {
        Self {
            at: format_time(frozen.at_ms),
            by: frozen.by.to_string(),
            everything: true,
        }
    }
}

/// `freeze`, `unfreeze`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreezeResult {
    /// Which group; null is everything.
    pub group: Option<String>,
    /// True if nobody starts anything there now.
    pub frozen: bool,
}
