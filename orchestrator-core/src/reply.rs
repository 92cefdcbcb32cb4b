//! The JSON of replies. [`Answer`] is what a changing command ended in and is stored
//! under its request id, so it holds no secret; [`ResultBody`] is what goes out.

use std::collections::BTreeMap;

use hoist_protocol::id::{DeploymentId, DeviceId, GroupId, ReleaseId, RequestId};
use serde::{Deserialize, Serialize};

use crate::error::Rejection;
use crate::view::DeploymentView;

/// The `apiVersion` of every JSON document.
pub const API_VERSION: &str = "hoist/v1";

/// A reply. The server writes `Reply<ResultBody>`, a client reads `Reply<DeployResult>`
/// and so on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reply<R> {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// The request's id.
    pub request: String,
    /// Whether it was done.
    pub ok: bool,
    /// What came of it, when it was done.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub result: Option<R>,
    /// Why not, when it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
}

impl<R> Reply<R> {
    /// The reply to `request`.
    #[must_use]
    pub fn new(request: &RequestId, outcome: Result<R, Rejection>) -> Self {
        let (ok, result, error) = match outcome {
            Ok(result) => (true, Some(result), None),
            Err(rejection) => (false, None, Some(rejection.into())),
        };
        Self {
            api_version: API_VERSION.to_owned(),
            request: request.to_string(),
            ok,
            result,
            error,
        }
    }
}

/// The error of a failed command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Stable code, `E_…`.
    pub code: String,
    /// A few words.
    pub title: String,
    /// One sentence.
    pub detail: String,
    /// What to do.
    pub hint: String,
    /// The field at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl From<Rejection> for ErrorBody {
    fn from(rejection: Rejection) -> Self {
        Self {
            code: rejection.code.as_str().to_owned(),
            title: rejection.code.title().to_owned(),
            detail: rejection.detail,
            hint: rejection
                .hint
                .unwrap_or_else(|| rejection.code.hint().to_owned()),
            field: rejection.field,
        }
    }
}

/// What a changing command ended in; stored, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Refused.
    Refused(Rejection),
    /// `deploy`; one item per group.
    Deployed {
        /// One per group, in the order asked for.
        items: Vec<DeployResult>,
        /// Whether the command named `groups`.
        several: bool,
    },
    /// `abort`
    Aborted(AbortResult),
    /// `release-add`
    ReleaseAdded(ReleaseAddResult),
    /// `device-add`; the token is computed by the adapter for each reply.
    DeviceAdded {
        /// Which device.
        device: DeviceId,
        /// The issue number its token is derived from.
        issue: u32,
    },
    /// `device-remove`
    DeviceRemoved {
        /// Which device.
        device: DeviceId,
    },
    /// `group-create`
    GroupCreated {
        /// Which group.
        group: GroupId,
    },
}

/// What only the adapter knows about a new device: never stored, never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceSecrets {
    /// The device's token.
    pub token: String,
    /// SHA-256 of the root document, in hex.
    pub root_sha256: String,
}

impl Answer {
    /// The body that goes out; `secrets` is asked only for a new device.
    ///
    /// # Errors
    /// The rejection, when that is the answer.
    pub fn into_body(
        self,
        secrets: impl FnOnce(&DeviceId, u32) -> DeviceSecrets,
    ) -> Result<ResultBody, Rejection> {
        Ok(match self {
            Self::Refused(rejection) => return Err(rejection),
            Self::Deployed { mut items, several } => match items.pop() {
                Some(only) if !several => ResultBody::Deployed(only),
                last => {
                    items.extend(last);
                    ResultBody::DeployedSeveral(DeploySeveralResult { deployments: items })
                }
            },
            Self::Aborted(result) => ResultBody::Aborted(result),
            Self::ReleaseAdded(result) => ResultBody::ReleaseAdded(result),
            Self::DeviceAdded { device, issue } => {
                let DeviceSecrets { token, root_sha256 } = secrets(&device, issue);
                ResultBody::DeviceAdded(DeviceAddResult {
                    device: device.to_string(),
                    token,
                    root_sha256,
                })
            }
            Self::DeviceRemoved { device } => ResultBody::Device(DeviceResult {
                device: device.to_string(),
            }),
            Self::GroupCreated { group } => ResultBody::Group(GroupResult {
                group: group.to_string(),
            }),
        })
    }
}

/// Every result there is, serialized as its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ResultBody {
    /// `deploy` to one group.
    Deployed(DeployResult),
    /// `deploy` to several groups.
    DeployedSeveral(DeploySeveralResult),
    /// `abort`
    Aborted(AbortResult),
    /// `release-add`
    ReleaseAdded(ReleaseAddResult),
    /// `device-add`
    DeviceAdded(DeviceAddResult),
    /// `device-remove`
    Device(DeviceResult),
    /// `group-create`
    Group(GroupResult),
    /// `deployment-list`
    Deployments(ListResult<DeploymentView>),
    /// `deployment-show`
    Deployment(Box<DeploymentDetail>),
    /// `device-list`
    Devices(ListResult<DeviceItem>),
    /// `device-show`
    DeviceDetail(Box<DeviceDetail>),
    /// `group-list`
    Groups(ListResult<GroupItem>),
    /// `release-list`
    Releases(ListResult<ReleaseItem>),
    /// `release-show`
    Release(ReleaseItem),
    /// `user-add`, `user-remove`
    User(UserResult),
    /// `user-list`
    Users(ListResult<UserItem>),
}

/// The two states a deployment can be in when it is over, and the two before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DeploymentState {
    /// Not listed yet (S2).
    Scheduled,
    /// Listed: devices may start.
    Active,
    /// Ended by itself, with a reason (S3).
    Completed,
    /// Ended by an operator or a threshold (S3).
    Aborted,
}

/// `deploy`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployResult {
    /// The new deployment, or the equal one that is active already; 0 on a dry run.
    pub deployment: DeploymentId,
    /// Its state.
    pub state: DeploymentState,
    /// Devices in the group now.
    pub members: u32,
    /// Those that may start.
    pub eligible: u32,
    /// Those that may not.
    pub excluded: u32,
}

/// `deploy` to several groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploySeveralResult {
    /// One per group, in the order asked for.
    pub deployments: Vec<DeployResult>,
}

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

/// `release-add`
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
    /// What the device pins.
    pub root_sha256: String,
}

/// `device-remove`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceResult {
    /// Which device.
    pub device: String,
}

/// `group-create`
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
    pub presence: String,
    /// When it was last heard of, RFC 3339.
    pub last_seen: Option<String>,
    /// The deployment the next fields are about.
    pub deployment: Option<DeploymentId>,
    /// Its status there.
    pub status: Option<StatusWord>,
    /// The step, while in progress.
    pub step: Option<String>,
    /// Attempts begun.
    pub attempt: Option<u32>,
    /// Round.
    pub round: Option<u32>,
    /// Why it failed.
    pub reason: Option<String>,
    /// Whether the server inferred the failure (S7).
    pub provisional: bool,
    /// Whether the device proved an inferred failure wrong (S7).
    pub late: bool,
    /// What became of what was begun: `not-needed`, `ok`, `failed`.
    pub rollback: Option<String>,
    /// Installed artifacts: name and version.
    pub installed: BTreeMap<String, String>,
    /// The script at fault.
    pub script: Option<String>,
    /// Its exit code.
    pub exit: Option<i32>,
}

/// `deployment-show`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentDetail {
    /// What `view/deployment/<n>` says.
    #[serde(flatten)]
    pub view: DeploymentView,
    /// Devices that ever waited to try again or needed a second attempt.
    pub retried: u32,
    /// Devices that rolled back.
    pub rolled_back: u32,
    /// Who created it.
    pub created_by: String,
    /// When it started or will start, RFC 3339.
    pub start: Option<String>,
    /// When it ends by itself, RFC 3339.
    pub until: Option<String>,
    /// Who ended it, and why.
    pub ended_by: Option<String>,
    /// What the operator said about ending it.
    pub ended_text: Option<String>,
    /// The first failed devices, in order of their ids.
    pub failed_devices: Vec<FailedDevice>,
}

/// A failed device of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedDevice {
    /// Its id.
    pub device: String,
    /// Why it failed.
    pub reason: String,
    /// The script at fault.
    pub script: Option<String>,
    /// Its exit code; negative: the signal that killed it.
    pub exit: Option<i32>,
    /// What became of what was begun.
    pub rollback: String,
}

/// `device-show`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceDetail {
    /// What `device-list` says.
    #[serde(flatten)]
    pub item: DeviceItem,
    /// Its type.
    #[serde(rename = "type")]
    pub device_type: String,
    /// Version of its agent.
    pub agent: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether a key is pinned.
    pub key_pinned: bool,
    /// Final outcomes it says it reached.
    pub ended: u32,
    /// Tail of the failing script's output, lossy text.
    pub output: Option<String>,
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

/// One user in `user-list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserItem {
    /// The user's name.
    pub user: String,
    /// What the user may do.
    pub role: hoist_protocol::access::Role,
    /// The only groups the user may change; empty means all.
    pub groups: Vec<String>,
}

/// `name@version` as people write it.
#[must_use]
pub fn release_text(name: &hoist_protocol::id::Name, version: &str) -> String {
    format!("{name}@{version}")
}

/// The result of adding a release.
#[must_use]
pub(crate) fn release_added(id: ReleaseId, release: &str) -> Answer {
    Answer::ReleaseAdded(ReleaseAddResult {
        id: id.to_string(),
        release: release.to_owned(),
    })
}
