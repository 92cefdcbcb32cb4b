//! The row of a device's refused reports: enough to see at a glance what is wrong.

use hoist_protocol::id::Seq;
use serde::{Deserialize, Serialize};

use crate::model::error::Code;

/// Codes remembered of one device: more than a report can be refused with.
pub const REFUSALS_MAX: usize = 16;

/// The refused reports of a device, by code, the last one last.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RefusedRow {
    /// At most [`REFUSALS_MAX`].
    pub refusals: Vec<Refusal>,
}

/// Reports of a device that were refused with one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// With which.
    pub code: Code,
    /// Unix time of the last one, in ms.
    pub at_ms: u64,
    /// Number of refused reports.
    pub count: u64,
    /// The number of the newest report that was taken in before the last one, or with it.
    pub seq: Option<Seq>,
}

impl RefusedRow {
    /// The last refusal.
    #[must_use]
    pub fn last(&self) -> Option<&Refusal> {
        self.refusals.last()
    }

    /// Adds what was counted with one code.
    pub fn add(&mut self, more: Refusal) {
        let known = self.refusals.iter().position(|it| it.code == more.code);
        let before = known.map_or(0, |place| self.refusals.remove(place).count);
        if self.refusals.len() == REFUSALS_MAX {
            self.refusals.remove(0);
        }
        self.refusals.push(Refusal {
            count: before.saturating_add(more.count),
            ..more
        });
        self.refusals.sort_by_key(|it| it.at_ms);
    }
}
