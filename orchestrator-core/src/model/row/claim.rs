//! The stored rows of enrollment.

use hoist_protocol::envelope::PublicKey;
use hoist_protocol::id::{ClaimId, GroupId, UserId};
use serde::{Deserialize, Serialize};

/// Devices that wait for approval, at most: nobody has approved so many by hand.
pub const WAITING_MAX: u32 = 1_000;

/// Devices that wait for approval by one claim, at most: whoever has one does not keep the devices of
/// all others out.
pub const WAITING_OF_CLAIM_MAX: u32 = 250;

/// Boards that wait under one id, at most: each is seen, and none sends another away. More than a few
/// are not two boards that were mixed up, but somebody who makes keys.
pub const WAITING_OF_DEVICE_MAX: u8 = 4;

/// Time for which a claim that has expired is kept, so that people see it and devices are told, in ms.
const KEPT_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// A claim, by which devices register themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRow {
    /// The group of devices that come by it.
    pub group: GroupId,
    /// The ids that it is for: a text in which `*` stands for any.
    pub ids: String,
    /// Number of devices that may register.
    pub uses: u32,
    /// Number of devices that have.
    pub used: u32,
    /// Unix time from which on it is good for nothing, in ms.
    pub expires_ms: u64,
    /// True if each device waits until an operator approves it.
    pub approval: bool,
    /// Unix time of its creation, in ms.
    pub created_ms: u64,
    /// By whom.
    pub by: UserId,
    /// Number of devices that wait for approval by it; 0 in rows of servers that did not count them.
    pub waiting: u32,
}

impl ClaimRow {
    /// Unix time at which it is forgotten, in ms.
    #[must_use]
    pub fn forgotten_ms(&self) -> u64 {
        self.expires_ms.saturating_add(KEPT_MS)
    }
}

/// A board that waits under the id of a device until an operator approves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingRow {
    /// The claim by which it came.
    pub claim: ClaimId,
    /// The group of that.
    pub group: GroupId,
    /// Its key.
    pub key: PublicKey,
    /// Its type; empty when it has none.
    pub device_type: String,
    /// Unix time at which it came first, in ms.
    pub since_ms: u64,
    /// Unix time at which it is forgotten, in ms.
    pub until_ms: u64,
}

/// The number of boards that wait for approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WaitingCountRow {
    /// At most [`WAITING_MAX`].
    pub waiting: u32,
}
