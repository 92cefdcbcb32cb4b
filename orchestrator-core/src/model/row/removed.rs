//! The remains of something that was removed: as much as its next life must know.

use hoist_protocol::id::Resync;
use serde::{Deserialize, Serialize};

/// A group that was removed. One of its name goes on from here: devices remember its resync
/// calls, and what they did before is told from what they do then by the group's turns (S14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RemovedGroupRow {
    /// Its resync number (W6).
    pub resync: Resync,
    /// Its turn.
    pub turn: u64,
}

/// A deployment that was removed, because it had been over for as long as they are kept. Its
/// number is never given again, and what devices still tell of it is no offence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ForgottenRow {
    /// Unix time of the removal, in ms.
    pub at_ms: u64,
    /// While rows of it are left: when they are asked for again, in ms of connected uptime.
    pub sweep_due_ms: Option<u64>,
}
