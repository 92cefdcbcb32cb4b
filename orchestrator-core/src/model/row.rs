//! The stored rows, in the wire's strict encoding: each row has its own version byte, and enums
//! are append-only. A row never holds a secret.

use hoist_protocol::codec::{DecodeError, Message, decode};
use hoist_protocol::id::{
    Attempt, DeploymentId, GroupId, Name, ReleaseId, Resync, Round, Seq, SessionCounter,
};
use hoist_protocol::release::ReleaseManifest;
use hoist_protocol::status::{Failure, Step, Success};
use serde::{Deserialize, Serialize};

mod audit;
mod claim;
mod deployment;
mod device;
mod dynamic;
mod end_reason;
mod event;
mod freeze;
mod group_count;
mod instance;
mod numbers;
mod pass;
mod policy;
mod refused;
mod removed;
mod revoked;
mod rollout;
mod starts_empty;
mod trouble;

pub use audit::{AuditChain, AuditHash, AuditHeadRow, AuditRow, Deed, NotedRootRow};
pub use claim::{
    ClaimRow, WAITING_MAX, WAITING_OF_CLAIM_MAX, WAITING_OF_DEVICE_MAX, WaitingCountRow, WaitingRow,
};
pub use deployment::{DeploymentRow, End};
pub use device::{Access, DeviceRow, FactsRow, PresenceRecord, Revoked, STAYS_MAX, Stay};
pub use dynamic::DynamicGroupsRow;
pub use end_reason::EndReason;
pub(crate) use event::EVENT_DATA_BYTES_MAX;
pub use event::{EventHeadRow, EventRow};
pub use freeze::{FleetFreezeRow, Frozen};
pub use group_count::GroupCountRow;
pub(crate) use instance::GENERATIONS_MS;
pub use instance::InstanceRow;
pub use numbers::NumbersRow;
pub use pass::{Pass, PassWork, PassesRow};
pub use policy::{PolicyRow, PolicyVersionRow};
pub use refused::{REFUSALS_MAX, Refusal, RefusedRow};
pub use removed::{ForgottenRow, RemovedGroupRow};
pub use revoked::{Revocation, RevokedRow};
pub use rollout::{
    Counted, Ended, Given, Happening, HistoryRow, PauseReason, Paused, PhaseIs, RolloutRow,
    Searched,
};
pub use starts_empty::StartsEmpty;
pub use trouble::TroubleRow;

macro_rules! rows {
    ($($row:ident, $bytes:expr;)*) => {
        $(impl Message for $row {
            const VERSION: u8 = 1;
            const BYTES_MAX: usize = $bytes;
            fn check(&self) -> Result<(), &'static str> {
                Ok(())
            }
        })*
    };
}

/// Rows that later versions added fields to, at the end: how many each of them added, from the second
/// version on. A row that was written without them reads as if they were zero.
macro_rules! grown {
    ($($row:ident, $bytes:expr, $added:expr;)*) => {
        $(impl Message for $row {
            const VERSION: u8 = {
                const ADDED: &[u8] = &$added;
                1 + ADDED.len() as u8
            };
            const BYTES_MAX: usize = $bytes;
            fn decode_older(bytes: &[u8]) -> Option<Result<(Self, &[u8]), DecodeError>> {
                shorter(bytes, &$added)
            }
            fn check(&self) -> Result<(), &'static str> {
                Ok(())
            }
        })*
    };
}

fn shorter<'a, M: Message>(
    bytes: &'a [u8],
    added: &[u8],
) -> Option<Result<(M, &'a [u8]), DecodeError>> {
    let (version, fields) = bytes.split_first()?;
    let later = added.get(usize::from(version.checked_sub(1)?)..)?;
    let missing: u8 = later.iter().sum();
    if missing == 0 {
        return None;
    }
    let zeros = vec![0; usize::from(missing)];
    let grown = [&[M::VERSION], fields, &zeros].concat();
    Some(decode(&grown).map(|row| (row, &[][..])))
}

grown! {
    DeploymentRow, 8_192, [1, 5];
    CounterRow, 1_024, [1, 1];
    ClaimRow, 512, [1];
    DeviceRow, 32_768, [1, 1, 1];
    MemberRow, 128, [1];
    GroupCountRow, 32, [1];
    GroupRow, 4_096, [1];
    RolloutRow, 98_304, [1];
}

rows! {
    FleetFreezeRow, 128;
    DynamicGroupsRow, 65_536;
    ReleaseRow, 24_576;
    ReleaseNameRow, 32;
    RecordRow, 1_024;
    FactsRow, 16_384;
    OutboxRow, 1_024;
    OpenedRow, 16;
    RefusedRow, 1_024;
    TroubleRow, 8;
    CloneRow, 32;
    TimerRow, 8;
    SlotRow, 8;
    RemovedGroupRow, 32;
    WaitingRow, 512;
    WaitingCountRow, 16;
    ForgottenRow, 32;
    RecoveryRow, 32;
    NumbersRow, 8;
    HistoryRow, 1_024;
    PassesRow, 65_536;
    PolicyRow, 8;
    PolicyVersionRow, 20_480;
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRow {
    /// Its resync number (W6).
    pub resync: Resync,
    /// Listed deployments, lowest first; at most 8 (S11).
    pub active: Vec<DeploymentId>,
    /// Deployments with a start time to come.
    pub scheduled: Vec<DeploymentId>,
    /// Counts what happens to the group: joins, leaves, deployments that begin and end. It
    /// orders them where clocks cannot (S5, S14).
    pub turn: u64,
    /// Devices that left and are not known to have been told: they may still obey it.
    pub leaving: u32,
    /// Unix time of creation, in ms.
    pub created_ms: u64,
    /// Since when and by whom it is frozen, by itself; everything may be ([`FleetFreezeRow`]).
    pub frozen: Option<Frozen>,
}

impl GroupRow {
    /// A group in which nothing has happened yet.
    #[must_use]
    pub fn new(created_ms: u64) -> Self {
        Self {
            resync: Resync(0),
            active: Vec::new(),
            scheduled: Vec::new(),
            turn: 0,
            leaving: 0,
            created_ms,
            frozen: None,
        }
    }
}

/// A release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRow {
    /// The manifest in its envelope, as it is retained.
    pub sealed: Vec<u8>,
    /// The manifest.
    pub manifest: ReleaseManifest,
    /// Names of its artifacts, in install order.
    pub artifacts: Vec<Name>,
    /// Unix time of adding, in ms.
    pub created_ms: u64,
}

/// Which release a `name@version` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseNameRow {
    /// Its id.
    pub release: ReleaseId,
}

/// One device within one deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordRow {
    /// In which round (S13).
    pub round: Round,
    /// Attempts begun.
    pub attempt: Attempt,
    /// The status that said so.
    pub seq: Seq,
    /// The state of the device in the deployment.
    pub state: RecordState,
    /// True if it ever waited to try again or needed a second attempt.
    pub retried: bool,
    /// True if it proved an inferred failure wrong (S7).
    pub late: bool,
    /// True if the device is no member: not now, or not when the deployment ended (S5).
    pub outside: bool,
    /// True if contact has been lost while it is in progress (S6).
    pub lost: bool,
    /// True if it is to begin again in a round of its own (S13).
    pub again: bool,
    /// When its timeout is due, in ms of connected uptime; set exactly while it is in progress.
    pub due_ms: Option<u64>,
    /// True if the device has been asked since that timeout passed (S7).
    pub asked: bool,
    /// Unix time of its last change, in ms.
    pub updated_ms: u64,
}

/// The state of a device in a deployment. A Pending device has no record (S5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordState {
    /// Started.
    InProgress(Step),
    /// Ended well.
    Successful(Success),
    /// Ended badly, as the device reported.
    Failed(Failure),
    /// Nothing was heard in time: inferred, until the device says otherwise (S7).
    TimedOut,
}

/// The counters of one shard of a deployment; a view sums them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CounterRow {
    /// In progress: downloading, downloaded, installing, rebooting, retrying; without
    /// contact counts as retrying (S6).
    pub steps: [u32; 5],
    /// Successful.
    pub successful: u32,
    /// Failed, by the reason's place in the wire's list, sorted.
    pub failed: Vec<(u8, u32)>,
    /// Failed ones by round, sorted: those of lower rounds are to begin again (S13).
    pub failed_rounds: Vec<(Round, u32)>,
    /// Failed ones that are to begin again in a round of their own.
    pub again: u32,
    /// Records that ever retried.
    pub retried: u32,
    /// Failed records whose rollback ran and succeeded.
    pub rolled_back: u32,
    /// Records of devices that left the group.
    pub outside: u32,
    /// Successful ones among them.
    pub outside_successful: u32,
    /// Unix time of the last change of a record, in ms.
    pub updated_ms: u64,
    /// Failed ones that the server inferred (S7).
    pub provisional: u32,
}

/// Membership, with what looking for a line must know of a member.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MemberRow {
    /// True while the device starts nothing: an operator holds it, or it was revoked.
    pub held: bool,
    /// Deployments in which it has no slot ([`DeviceRow::holds`]).
    pub holds: Vec<DeploymentId>,
    /// Deployments in which it has a permit ([`DeviceRow::permits`]).
    pub permits: Vec<DeploymentId>,
}

/// A change of a device's spec that is not known to be at the broker, in the commit of the
/// change: no crash can forget to tell the device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OutboxRow {
    /// Counts changes: word of an earlier one says nothing about this one.
    pub change: u32,
    /// True if the device may start something because of the change.
    pub permits: bool,
    /// Groups that it left, and obeys until it is told.
    pub left: Vec<GroupId>,
}

/// The highest round that was opened for one device of a deployment alone (S13): it outlives
/// the device's spec, in which only rounds of active deployments of its group are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OpenedRow {
    /// Which.
    pub round: Round,
}

/// The newest recovery of this store ([`crate::rules::recovery`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RecoveryRow {
    /// True while the recovery goes on.
    pub open: bool,
    /// [`InstanceRow::known_ms`] when it began: what was signed above it, the store had forgotten. A recovery that is begun again after a crash goes on with the same.
    pub known_ms: u64,
    /// Tokens of removed devices may have been forgotten too: no device is added with an
    /// issue number ([`DeviceRow::issue`]) up to this one.
    pub issue: u32,
}

/// The number of times that two took turns to speak as one device
/// ([`crate::rules::device::identity`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CloneRow {
    /// The highest session known when they did so last.
    pub session: SessionCounter,
    /// Number of times, up to the number that proves two devices.
    pub turns: u8,
    /// When last, in ms of connected uptime.
    pub at_ms: u64,
}

/// A device left a deployment's group with a slot of its limit, and nothing was heard of its
/// start: nobody else gets the slot, because the device may have started (S10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SlotRow {}

/// A timer; the key says everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TimerRow {}

/// `name@version` as people write it.
#[must_use]
pub fn release_text(name: &hoist_protocol::id::Name, version: &str) -> String {
    format!("{name}@{version}")
}

#[cfg(test)]
#[path = "row_tests.rs"]
mod tests;
