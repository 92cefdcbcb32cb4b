//! Keys of rows: a prefix byte, then parts that sort as people expect (numbers
//! big-endian, text ended by a zero byte). A new kind of row gets a new prefix; a prefix
//! is never used again.

use std::fmt;

use hoist_protocol::codec::Message;
use hoist_protocol::id::{
    ClaimId, DeploymentId, DeviceId, GroupId, Name, ReleaseId, RequestId, Shard, UserId,
};

use crate::model::instance::InstanceId;
use crate::model::row;

mod prefix;

pub use prefix::Prefix;

/// A row's key as the store sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub Vec<u8>);

/// The kind of each prefix byte, for people.
const KINDS: [&str; 40] = [
    "row",
    "instance",
    "group",
    "device",
    "release",
    "release name",
    "deployment",
    "record",
    "counter",
    "member",
    "request",
    "timer",
    "group count",
    "outbox",
    "revoked",
    "clone",
    "opened round",
    "refused",
    "trouble",
    "facts",
    "slot",
    "removed group",
    "removed deployment",
    "recovery",
    "numbers",
    "claim",
    "waiting device",
    "waiting devices",
    "audit head",
    "audit item",
    "rollout",
    "history item",
    "passes",
    "freeze",
    "dynamic groups",
    "noted root document",
    "policy",
    "policy version",
    "events",
    "event",
];

/// The subject of the key's row, for people: `group eu`, `record 7 d1`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, mut rest) = self.0.split_first().unwrap_or((&0, &[]));
        f.write_str(KINDS.get(usize::from(*kind)).unwrap_or(&KINDS[0]))?;
        if let (6..=8 | 16 | 20 | 22 | 30 | 31, Some((number, after))) =
            (*kind, rest.split_first_chunk())
        {
            write!(f, " {}", u32::from_be_bytes(*number))?;
            rest = after;
        }
        if let (29 | 39, Some((number, after))) = (*kind, rest.split_first_chunk()) {
            write!(f, " {}", u64::from_be_bytes(*number))?;
            rest = after;
        }
        let parts = rest
            .split(|byte| *byte == 0)
            .filter(|part| !part.is_empty());
        parts
            .into_iter()
            .try_for_each(|part| write!(f, " {}", part.escape_ascii()))
    }
}

/// A typed key: which row lies under it, and its bytes.
pub trait RowKey {
    /// The row under this key.
    type Row: Message;

    /// The key's bytes.
    fn key(&self) -> Key;
}

/// One of the orchestrators that work on the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstanceKey(pub InstanceId);

impl InstanceKey {
    /// The only one, where there is one.
    pub const MAIN: Self = Self(InstanceId::MAIN);
}

/// The numbers of deployments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumbersKey;
/// The groups whose members follow from labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DynamicGroupsKey;
/// The freeze of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetFreezeKey;
/// The passes over all devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassesKey;
/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupKey(pub GroupId);
/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceKey(pub DeviceId);
/// A release by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseKey(pub ReleaseId);
/// A release by its `name@version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseNameKey(pub String);
/// A deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeploymentKey(pub DeploymentId);
/// One device within one deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordKey(pub DeploymentId, pub DeviceId);
/// The counters of one shard of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterKey(pub DeploymentId, pub Shard);
/// A device as member of a group: an index to page over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberKey(pub GroupId, pub DeviceId);
/// The number of a group's members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupCountKey(pub GroupId);
/// A device whose spec is not known to be out as it is desired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxKey(pub DeviceId);
/// The highest round that was opened for one device of a deployment alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedKey(pub DeploymentId, pub DeviceId);
/// The refused reports of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedKey(pub DeviceId);
/// The trouble that a device reports of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TroubleKey(pub DeviceId);
/// A device that was removed: which of its tokens are worth nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedKey(pub DeviceId);
/// A device that two seem to be: what shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloneKey(pub DeviceId);
/// The newest recovery of this store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoveryKey;
/// A slot of a limit that a device took along when it left the deployment's group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotKey(pub DeploymentId, pub DeviceId);
/// A deployment that was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForgottenKey(pub DeploymentId);
/// A group that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedGroupKey(pub GroupId);
/// A claim, by which devices enroll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimKey(pub ClaimId);
/// A board that waits under the id of a device until an operator approves it, by its place among
/// those that do ([`row::WAITING_OF_DEVICE_MAX`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingKey(pub DeviceId, pub u8);
/// The number of devices that do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingCountKey;
/// An executed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey(pub UserId, pub RequestId);

/// The end of the audit trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHeadKey;
/// The root document of which the audit trail told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotedRootKey;
/// An item of the audit trail, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditKey(pub u64);

/// Both ends of the history of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventHeadKey;
/// An event that is kept, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventKey(pub u64);

/// The rollout of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RolloutKey(pub DeploymentId);
/// An item of a deployment's history, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryKey(pub DeploymentId, pub u32);

/// A policy, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyKey(pub Name);
/// A version of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyVersionKey(pub Name, pub u32);

/// The facts that a device reports of itself besides those in its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactsKey(pub DeviceId);

pub(crate) const TIMER: u8 = 11;

pub(crate) fn text(prefix: u8, parts: &[&str]) -> Key {
    let mut bytes = vec![prefix];
    for part in parts {
        if bytes.len() > 1 {
            bytes.push(0);
        }
        bytes.extend_from_slice(part.as_bytes());
    }
    Key(bytes)
}

fn number(prefix: u8, number: DeploymentId, rest: &[u8]) -> Key {
    let mut bytes = vec![prefix];
    bytes.extend_from_slice(&number.0.to_be_bytes());
    bytes.extend_from_slice(rest);
    Key(bytes)
}

/// The first one had a row before there could be others.
fn instance(id: InstanceId) -> Key {
    match id {
        InstanceId::MAIN => Key(vec![1]),
        InstanceId(number) => Key([&[1][..], &number.to_be_bytes()].concat()),
    }
}

/// The first one had a row before there could be others. No id holds a slash.
fn waiting(device: &DeviceId, place: u8) -> Key {
    match place {
        0 => text(26, &[device.as_str()]),
        place => text(26, &[&format!("{device}/{place}")]),
    }
}

macro_rules! keys {
    ($($key:ident => $row:ident, |$this:ident| $bytes:expr;)*) => {
        $(impl RowKey for $key {
            type Row = row::$row;
            fn key(&self) -> Key {
                let $this = self;
                $bytes
            }
        })*
    };
}

// 10 is taken by requests, whose row has an answer in it (`api/remembered.rs`), 11 by timers.
keys! {
    InstanceKey => InstanceRow, |key| instance(key.0);
    NumbersKey => NumbersRow, |_key| Key(vec![24]);
    GroupKey => GroupRow, |key| text(2, &[key.0.as_str()]);
    DeviceKey => DeviceRow, |key| text(3, &[key.0.as_str()]);
    ReleaseKey => ReleaseRow, |key| Key([&[4], &key.0.0[..]].concat());
    ReleaseNameKey => ReleaseNameRow, |key| text(5, &[&key.0]);
    DeploymentKey => DeploymentRow, |key| number(6, key.0, &[]);
    RecordKey => RecordRow, |key| number(7, key.0, key.1.as_str().as_bytes());
    CounterKey => CounterRow, |key| number(8, key.0, &[key.1.0]);
    MemberKey => MemberRow, |key| text(9, &[key.0.as_str(), key.1.as_str()]);
    GroupCountKey => GroupCountRow, |key| text(12, &[key.0.as_str()]);
    OutboxKey => OutboxRow, |key| text(13, &[key.0.as_str()]);
    OpenedKey => OpenedRow, |key| number(16, key.0, key.1.as_str().as_bytes());
    RefusedKey => RefusedRow, |key| text(17, &[key.0.as_str()]);
    TroubleKey => TroubleRow, |key| text(18, &[key.0.as_str()]);
    RevokedKey => RevokedRow, |key| text(14, &[key.0.as_str()]);
    CloneKey => CloneRow, |key| text(15, &[key.0.as_str()]);
    SlotKey => SlotRow, |key| number(20, key.0, key.1.as_str().as_bytes());
    RecoveryKey => RecoveryRow, |_key| Key(vec![23]);
    FactsKey => FactsRow, |key| text(19, &[key.0.as_str()]);
    RemovedGroupKey => RemovedGroupRow, |key| text(21, &[key.0.as_str()]);
    ForgottenKey => ForgottenRow, |key| number(22, key.0, &[]);
    ClaimKey => ClaimRow, |key| text(25, &[key.0.as_str()]);
    WaitingKey => WaitingRow, |key| waiting(&key.0, key.1);
    WaitingCountKey => WaitingCountRow, |_key| Key(vec![27]);
    AuditHeadKey => AuditHeadRow, |_key| Key(vec![28]);
    RolloutKey => RolloutRow, |key| number(30, key.0, &[]);
    HistoryKey => HistoryRow, |key| number(31, key.0, &key.1.to_be_bytes());
    PassesKey => PassesRow, |_key| Key(vec![32]);
    FleetFreezeKey => FleetFreezeRow, |_key| Key(vec![33]);
    PolicyKey => PolicyRow, |key| text(36, &[key.0.as_str()]);
    PolicyVersionKey => PolicyVersionRow, |key| text(37, &[key.0.as_str(), &key.1.to_string()]);
    DynamicGroupsKey => DynamicGroupsRow, |_key| Key(vec![34]);
    AuditKey => AuditRow, |key| Key([&[29], &key.0.to_be_bytes()[..]].concat());
    NotedRootKey => NotedRootRow, |_key| Key(vec![35]);
    EventHeadKey => EventHeadRow, |_key| Key(vec![38]);
    EventKey => EventRow, |key| Key([&[39], &key.0.to_be_bytes()[..]].concat());
}
