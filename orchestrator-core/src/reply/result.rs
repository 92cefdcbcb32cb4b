//! The result of a command, when that is no list and no detail.

use std::collections::BTreeMap;

use hoist_protocol::id::{DeploymentId, DeviceId};
use serde::{Deserialize, Serialize};

use crate::model::state::DeploymentState;
use crate::reply::DeviceSecrets;

/// `abort` (S4)
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AbortResult {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// Its state now.
    pub state: DeploymentState,
    /// Devices that will never start.
    pub never_start: u32,
    /// Devices in progress: they finish or roll back.
    pub finishing: u32,
    /// Devices that had ended before.
    pub unaffected: u32,
}

/// `retry` (S13)
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryResult {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// The round in which they begin again.
    pub round: u32,
    /// Number of devices that begin again.
    pub devices: u32,
}

/// `device-move`, and `device-add` and `device-token-rotate` with `dryRun`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceInGroupResult {
    /// Which device.
    pub device: String,
    /// The group it obeys now, or would obey.
    pub group: String,
}

/// `device-label` of one device
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceLabelResult {
    /// Which device.
    pub device: String,
    /// Its labels now.
    pub labels: BTreeMap<String, String>,
}

/// `device-label` and `device-move` of all that a selector names: they are changed in the background.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassResult {
    /// The number under which `pass-list` tells how far it is; null after a dry run.
    pub pass: Option<u32>,
}

/// `device-hold`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceHoldResult {
    /// Which device.
    pub device: String,
    /// True if the device is held now.
    pub held: bool,
}

/// `release-add`, `release-remove`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseAddResult {
    /// The release's id in hex.
    pub id: String,
    /// `name@version`.
    pub release: String,
}

/// `device-add`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceAddResult {
    /// Which device.
    pub device: String,
    /// Its token, shown once.
    pub token: String,
    /// SHA-256 of the root document, in hex, which the device pins.
    pub root_sha256: String,
    /// The number of that document.
    pub root_number: u32,
}

impl DeviceAddResult {
    /// A device with what the adapter knows of it.
    pub(crate) fn new(device: &DeviceId, secrets: DeviceSecrets) -> Self {
        Self {
            device: device.to_string(),
            token: secrets.token,
            root_sha256: secrets.root_sha256,
            root_number: secrets.root_number,
        }
    }
}

/// `device-token-rotate`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceTokenResult {
    /// The fields of `device-add`, with another token.
    #[serde(flatten)]
    pub new: DeviceAddResult,
    /// Until when the token before is good too, RFC 3339; null when it is good no longer.
    pub old_token_until: Option<String>,
}

/// `device-approve`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceApproveResult {
    /// Which device.
    pub device: String,
    /// The fingerprint of the key that is pinned now.
    pub fingerprint: String,
}

/// `device-remove`, `device-revoke`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceResult {
    /// Which device.
    pub device: String,
}

/// `group-create`, `group-remove`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupResult {
    /// Which group.
    pub group: String,
}

/// `user-add`, `user-remove`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserResult {
    /// Which user.
    pub user: String,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListResult<T> {
    /// The items.
    pub items: Vec<T>,
    /// The `after` of the next page; null at the end.
    pub next: Option<String>,
}

/// `enroll-create`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnrollCreateResult {
    /// The claim.
    pub claim: String,
    /// Its secret in hex, shown once.
    pub secret: String,
    /// SHA-256 of the root document, in hex, which devices pin.
    pub root_sha256: String,
    /// Its number.
    pub root_number: u32,
    /// The group of the devices that come by it.
    pub group: String,
    /// Number of devices that may register.
    pub uses: u32,
    /// From then on it is good for nothing.
    pub expires_at: String,
}

/// `enroll-revoke`, and `enroll-create` with `dryRun`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimResult {
    /// The claim.
    pub claim: String,
}
