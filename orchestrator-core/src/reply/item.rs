//! The items of lists and the details of one thing.

use std::collections::BTreeMap;

use hoist_protocol::device::Trouble;
use hoist_protocol::id::DeploymentId;
use hoist_protocol::reason::Reason;
use hoist_protocol::status::{Rollback, ScriptKind};
use serde::{Deserialize, Serialize};

use crate::model::row::{Access, DeviceRow, RefusedRow};
use crate::model::time::format_time;
use crate::model::word::Word;
use crate::reply::view::DeploymentView;
use crate::reply::{FrozenItem, PresenceWord, RollbackWord, ScriptEnd, StepWord};

/// The outer status of a device deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StatusWord {
    /// Created, not started on the device (S5).
    Pending,
    /// Started.
    InProgress,
    /// Ended well.
    Successful,
    /// Ended badly.
    Failed,
}

/// One device in `device-list`; what does not apply is null.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceItem {
    /// Its id.
    pub device: String,
    /// Its group.
    pub group: String,
    /// `online`, `offline` or `unknown`.
    pub presence: Word<PresenceWord>,
    /// When it was last heard of, RFC 3339.
    pub last_seen: Option<String>,
    /// The deployment the next fields are about.
    pub deployment: Option<DeploymentId>,
    /// Its status there; null when there is no deployment, or when that one was removed.
    pub status: Option<StatusWord>,
    /// The step, while in progress.
    pub step: Option<Word<StepWord>>,
    /// Part of the download that is there, 0 to 100 percent; null while nothing is downloaded.
    pub progress_percent: Option<u8>,
    /// True if it waits to try again, or is waited for: at work or expected to start, and out of
    /// contact for long (S6).
    pub retrying: bool,
    /// The cause for which the device waits before it tries again, as a sentence.
    pub retry_cause: Option<String>,
    /// True while an operator holds the device.
    pub held: bool,
    /// When, by whom and why it was revoked; null when it is not.
    #[serde(default)]
    pub revoked: Option<RevokedItem>,
    /// Attempts begun.
    pub attempt: Option<u32>,
    /// Round.
    pub round: Option<u32>,
    /// Why it failed.
    pub reason: Option<Word<Reason>>,
    /// True if the server inferred the failure (S7).
    pub provisional: bool,
    /// True if the device proved an inferred failure wrong (S7).
    pub late: bool,
    /// The rollback of what was begun: `not-needed`, `ok`, `failed`.
    pub rollback: Option<Word<Rollback>>,
    /// Installed artifacts: name and version.
    pub installed: BTreeMap<String, String>,
    /// The script at fault.
    pub script: Option<Word<ScriptKind>>,
    /// The end of the script: `exit`, `signal`, `timeout`, `not-started`, `interrupted`.
    pub script_end: Option<Word<ScriptEnd>>,
    /// Its exit code; negative: the signal that killed it.
    pub exit: Option<i32>,
    /// The last refusal of its reports; null when nothing ever was refused.
    #[serde(default)]
    pub refused: Option<RefusedItem>,
    /// The trouble that the device reports of itself: `root-not-trusted`, `signer-not-trusted`,
    /// `key-not-accepted`, `cannot-execute` or `held`.
    #[serde(default)]
    pub trouble: Option<Word<Trouble>>,
}

/// The end of everything that a device came in with: `device-revoke`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedItem {
    /// When, RFC 3339.
    pub at: String,
    /// By whom.
    pub by: String,
    /// The operator's text about it; empty when there is none.
    pub reason: String,
}

impl RevokedItem {
    /// That of a device's row, as people see it.
    #[must_use]
    pub fn of(row: &DeviceRow) -> Option<Self> {
        row.revoked().map(|revoked| Self {
            at: format_time(revoked.at_ms),
            by: revoked.by.to_string(),
            reason: revoked.reason.clone(),
        })
    }
}

/// The last report of a device that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedItem {
    /// With which code.
    pub code: String,
    /// When, RFC 3339.
    pub at: String,
    /// Number of its reports that were refused with this code.
    pub count: u64,
}

impl RefusedItem {
    /// The last refusal of a device's row of refusals, as people see it.
    #[must_use]
    pub fn last(row: Option<&RefusedRow>) -> Option<Self> {
        row?.last().map(|refusal| Self {
            code: refusal.code.as_str().to_owned(),
            at: format_time(refusal.at_ms),
            count: refusal.count,
        })
    }
}

/// `deployment-show`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentDetail {
    /// The fields of `view/deployment/<n>`.
    #[serde(flatten)]
    pub view: DeploymentView,
    /// Devices that ever waited to try again or needed a second attempt.
    pub retried: u32,
    /// Devices that rolled back.
    pub rolled_back: u32,
    /// The user who created it.
    pub created_by: String,
    /// When it started or will start, RFC 3339.
    pub start: Option<String>,
    /// When it ends by itself, RFC 3339.
    pub until: Option<String>,
    /// The user who ended it, and the reason.
    pub ended_by: Option<String>,
    /// The operator's text about ending it.
    pub ended_text: Option<String>,
    /// The first failed devices, in order of their ids.
    pub failed_devices: Vec<FailedDevice>,
}

/// A failed device of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedDevice {
    /// Its id.
    pub device: String,
    /// Why it failed.
    pub reason: Word<Reason>,
    /// The script at fault.
    pub script: Option<Word<ScriptKind>>,
    /// The end of the script: `exit`, `signal`, `timeout`, `not-started`, `interrupted`.
    pub script_end: Option<Word<ScriptEnd>>,
    /// Its exit code; negative: the signal that killed it.
    pub exit: Option<i32>,
    /// The rollback of what was begun: `not-needed`, `ok`, `failed`; `unknown` of a failure that
    /// the server inferred.
    pub rollback: Word<RollbackWord>,
}

/// `device-show`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceDetail {
    /// The fields of `device-list`.
    #[serde(flatten)]
    pub item: DeviceItem,
    /// Its type.
    #[serde(rename = "type")]
    pub device_type: String,
    /// Version of its agent.
    pub agent: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Why it is in its group, when labels have to do with it.
    #[serde(default)]
    pub placed: Option<String>,
    /// True if a key is pinned.
    pub key_pinned: bool,
    /// The fingerprint of the pinned key.
    pub fingerprint: Option<String>,
    /// The fingerprint of the key that it shows instead, which is not believed.
    pub offered_fingerprint: Option<String>,
    /// Why it is in doubt who it is, when it is.
    pub identity: Option<Identity>,
    /// Until when the token before its newest is good too, RFC 3339; null when it is not.
    #[serde(default)]
    pub old_token_until: Option<String>,
    /// Final outcomes it says it reached.
    pub ended: u32,
    /// Tail of the failing script's output, lossy text.
    pub output: Option<String>,
}

impl DeviceDetail {
    /// The end of the time in which two tokens of a device are good.
    pub(crate) fn old_token_until(row: &DeviceRow) -> Option<String> {
        match row.access {
            Access::Overlap { until_ms } => Some(format_time(until_ms)),
            Access::Current | Access::Revoked(_) => None,
        }
    }
}

/// Why it is in doubt who a device is, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `E_REENROL` or `E_CLONE`.
    pub code: String,
    /// One sentence.
    pub says: String,
    /// The advice for an operator.
    pub next: String,
}

/// One group in `group-list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupItem {
    /// Its id.
    pub group: String,
    /// Devices in it.
    pub members: u32,
    /// Those online.
    pub online: u32,
    /// Since when and by whom nobody in it starts anything; null when it is not frozen.
    #[serde(default)]
    pub frozen: Option<FrozenItem>,
    /// The labels of its members, when they follow from labels.
    #[serde(default)]
    pub selector: Option<String>,
    /// Active deployments.
    pub deployments: Vec<DeploymentId>,
}

/// One release in `release-list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseItem {
    /// `name@version`.
    pub release: String,
    /// Its id in hex.
    pub id: String,
    /// Its counter (anti-rollback).
    pub counter: u64,
    /// Its artifacts' names, in install order.
    pub artifacts: Vec<String>,
    /// Bytes of all its artifacts.
    pub size_bytes: u64,
    /// When it was added, RFC 3339.
    pub created_at: String,
}

/// `release-show`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseDetail {
    /// The fields of `release-list`.
    #[serde(flatten)]
    pub item: ReleaseItem,
    /// Its artifacts that no device could fetch; while there are any it is neither planned nor
    /// deployed.
    #[serde(default)]
    pub damaged: Vec<DamagedArtifact>,
    /// The advice about the damaged artifacts; null when there are none.
    #[serde(default)]
    pub next: Option<String>,
}

/// An artifact of a release whose file is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedArtifact {
    /// Its name.
    pub artifact: String,
    /// Its id in hex.
    pub id: String,
    /// `damaged` or `missing`.
    pub found: String,
}

/// One user in `user-list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserItem {
    /// The user's name.
    pub user: String,
    /// The user's role.
    pub role: hoist_protocol::access::Role,
    /// The only groups the user may change; empty means all.
    pub groups: Vec<String>,
}

/// An item of `enroll-list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimItem {
    /// Its name.
    pub claim: String,
    /// The group of the devices that come by it.
    pub group: String,
    /// The ids that it is for.
    pub ids: String,
    /// Number of devices that may register.
    pub uses: u32,
    /// Number of devices that have.
    pub used: u32,
    /// True if each waits until an operator approves it.
    pub approval: bool,
    /// From then on it is good for nothing.
    pub expires_at: String,
    /// When it was created.
    pub created_at: String,
    /// By whom.
    pub by: String,
}

/// An item of `enroll-waiting`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingItem {
    /// Which device.
    pub device: String,
    /// The group that it would be in.
    pub group: String,
    /// Its type; empty when it has none.
    #[serde(rename = "type")]
    pub device_type: String,
    /// The claim by which it came.
    pub claim: String,
    /// Its key, as people compare it.
    pub fingerprint: String,
    /// When it came first.
    pub since: String,
    /// True if it is a registered device, with another key than its own; also one that was revoked.
    /// `device-remove` would take it out of the fleet, unless it says `waitingOnly`.
    pub registered: bool,
}
