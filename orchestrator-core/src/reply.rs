//! The JSON of replies. [`Answer`] is what a changing command ended in and is stored
//! under its request id, so it holds no secret; [`ResultBody`] is what goes out.

use hoist_protocol::id::{ClaimId, DeploymentId, DeviceId, GroupId};
use serde::{Deserialize, Serialize};

use crate::model::error::Rejection;
use crate::model::time::format_time;
use crate::reply::view::DeploymentView;
use crate::rules::deployment::Created;

mod audit;
mod bounded;
mod deploy;
mod envelope;
mod event;
mod freeze;
mod import;
mod item;
mod pass;
mod policy;
mod result;
mod rollout;
mod schedule;
mod shown;
pub mod view;
mod why;
mod window;
mod word;

pub use audit::AuditItem;
pub use bounded::bounded;
pub use deploy::{DeployResult, DeploySeveralResult};
pub use envelope::{ErrorBody, Reply};
pub use event::EventItem;
pub use freeze::{FreezeResult, FrozenItem};
pub(crate) use import::counted;
pub use import::{ImportFault, ImportResult, Imported, ImportedDevice};
pub use item::{
    ClaimItem, DamagedArtifact, DeploymentDetail, DeviceDetail, DeviceItem, FailedDevice,
    GroupItem, Identity, RefusedItem, ReleaseDetail, ReleaseItem, RevokedItem, StatusWord,
    UserItem, WaitingItem,
};
pub use pass::{PassItem, PassKind};
pub use policy::{PolicyDetail, PolicyItem, PolicyResult};
pub use result::{
    AbortResult, ClaimResult, DeviceAddResult, DeviceApproveResult, DeviceHoldResult,
    DeviceInGroupResult, DeviceLabelResult, DeviceResult, DeviceTokenResult, EnrollCreateResult,
    GroupResult, ListResult, PassResult, ReleaseAddResult, RetryResult, UserResult,
};
pub use rollout::{HistoryItem, PausedView, PhaseState, PhaseView, RolloutResult};
pub use schedule::{PlannedPhase, Schedule};
pub use why::{
    Counted, DeviceWhy, Excluded, Explanation, Nothing, OtherDeployment, Plan, PlanResult,
    RuleItem, RuleWord, Wait, Why,
};
pub(crate) use window::confirm_secs;
pub use window::{OpenView, WindowsView};
pub use word::{PresenceWord, RollbackWord, ScriptEnd, StepWord};

/// The `apiVersion` of every JSON document.
pub const API_VERSION: &str = "hoist/v1";

/// The answer to a changing command; stored, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Refused.
    Refused(Rejection),
    /// `deploy`; one item per group.
    Deployed {
        /// One per group, in the order asked for.
        items: Vec<Created>,
        /// True if the command named `groups`.
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
    /// `retry`
    Retried(RetryResult),
    /// `device-move`
    DeviceMoved {
        /// Which device.
        device: DeviceId,
        /// Where it is now.
        group: GroupId,
    },
    /// `device-hold`
    DeviceHeld {
        /// Which device.
        device: DeviceId,
        /// True if the device is held now.
        held: bool,
    },
    /// `deploy` with `dryRun`; never stored.
    Planned(PlanResult),
    /// `device-add` and `device-token-rotate` with `dryRun`, which gives no token out; never stored.
    DevicePlanned {
        /// Which device.
        device: DeviceId,
        /// Where it would be.
        group: GroupId,
    },
    /// `device-import`: which devices, the issue number of each token, what became of it.
    Imported(Vec<(DeviceId, u32, Imported)>),
    /// `device-import` with `dryRun`; never stored.
    ImportPlanned(ImportResult),
    /// `device-approve`
    DeviceApproved {
        /// Which device.
        device: DeviceId,
        /// The fingerprint of the key that is pinned now.
        fingerprint: String,
    },
    /// `deploy`, where some were there already.
    DeployedBeside {
        /// One per group, in the order asked for.
        items: Vec<Created>,
        /// True if the command named `groups`.
        several: bool,
        /// Those that were there.
        existing: Vec<DeploymentId>,
    },
    /// `group-remove`
    GroupRemoved {
        /// Which group.
        group: GroupId,
    },
    /// `release-remove`
    ReleaseRemoved(ReleaseAddResult),
    /// `user-add`, `user-remove`
    UserManaged(UserResult),
    /// `enroll-create`; its secret is computed by the adapter for each reply.
    ClaimCreated {
        /// Which claim.
        claim: ClaimId,
        /// The group of the devices that come by it.
        group: GroupId,
        /// Number of devices that may register.
        uses: u32,
        /// Unix time from which on it is good for nothing, in ms.
        expires_ms: u64,
    },
    /// `enroll-revoke`, and `enroll-create` with `dryRun`.
    ClaimNamed {
        /// Which claim.
        claim: ClaimId,
    },
    /// `device-revoke`
    DeviceRevoked {
        /// Which device.
        device: DeviceId,
    },
    /// `device-token-rotate`; the token is computed by the adapter for each reply.
    TokenRotated {
        /// Which device.
        device: DeviceId,
        /// The issue number its token is derived from.
        issue: u32,
        /// Unix time until which the token before is good too, in ms.
        until_ms: Option<u64>,
    },
    /// `pause`, `resume`, `approve`
    WentOn(RolloutResult),
    /// `device-label` of one device
    DeviceLabeled(DeviceLabelResult),
    /// `device-label` and `device-move` of all that a selector names
    PassBegun(PassResult),
    /// `freeze`, `unfreeze`
    Frozen(FreezeResult),
    /// `policy-put`
    PolicyPut(PolicyResult),
}

/// The values of a new device that only the adapter knows: never stored, never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceSecrets {
    /// The device's token.
    pub token: String,
    /// SHA-256 of the root document, in hex.
    pub root_sha256: String,
    /// Its number.
    pub root_number: u32,
}

impl Answer {
    /// The body that goes out; `secrets` is asked only for registered devices.
    ///
    /// # Errors
    /// The rejection, when that is the answer.
    pub fn into_body(
        self,
        secrets: impl Fn(&DeviceId, u32) -> DeviceSecrets,
    ) -> Result<ResultBody, Rejection> {
        Ok(match self {
            Self::Refused(rejection) => return Err(rejection),
            Self::Deployed { items, several } => deploy::result(&items, &[], several),
            Self::DeployedBeside {
                items,
                several,
                existing,
            } => deploy::result(&items, &existing, several),
            Self::Aborted(result) => ResultBody::Aborted(result),
            Self::ReleaseAdded(result) | Self::ReleaseRemoved(result) => {
                ResultBody::ReleaseAdded(result)
            }
            Self::DeviceAdded { device, issue } => {
                let secrets = secrets(&device, issue);
                ResultBody::DeviceAdded(DeviceAddResult::new(&device, secrets))
            }
            Self::TokenRotated {
                device,
                issue,
                until_ms,
            } => {
                let secrets = secrets(&device, issue);
                ResultBody::TokenRotated(DeviceTokenResult {
                    new: DeviceAddResult::new(&device, secrets),
                    old_token_until: until_ms.map(format_time),
                })
            }
            Self::DeviceRemoved { device } | Self::DeviceRevoked { device } => {
                ResultBody::Device(DeviceResult {
                    device: device.to_string(),
                })
            }
            Self::GroupCreated { group } | Self::GroupRemoved { group } => {
                ResultBody::Group(GroupResult {
                    group: group.to_string(),
                })
            }
            Self::Retried(result) => ResultBody::Retried(result),
            Self::WentOn(result) => ResultBody::WentOn(result),
            Self::PolicyPut(result) => ResultBody::PolicyPut(result),
            Self::DeviceMoved { device, group } | Self::DevicePlanned { device, group } => {
                ResultBody::DeviceInGroup(DeviceInGroupResult {
                    device: device.to_string(),
                    group: group.to_string(),
                })
            }
            Self::DeviceHeld { device, held } => ResultBody::DeviceHeld(DeviceHoldResult {
                device: device.to_string(),
                held,
            }),
            Self::DeviceApproved {
                device,
                fingerprint,
            } => ResultBody::DeviceApproved(DeviceApproveResult {
                device: device.to_string(),
                fingerprint,
            }),
            Self::Planned(result) => ResultBody::Planned(result),
            Self::Imported(devices) => ResultBody::Imported(import::result(devices, secrets)),
            Self::UserManaged(result) => ResultBody::User(result),
            // The adapter adds the secret of one that was created.
            Self::ClaimCreated { claim, .. } | Self::ClaimNamed { claim } => {
                ResultBody::Claim(ClaimResult {
                    claim: claim.to_string(),
                })
            }
            Self::ImportPlanned(result) => ResultBody::Imported(result),
            Self::DeviceLabeled(result) => ResultBody::DeviceLabeled(result),
            Self::PassBegun(result) => ResultBody::PassBegun(result),
            Self::Frozen(result) => ResultBody::Frozen(result),
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
    /// `retry`
    Retried(RetryResult),
    /// `release-add`, `release-remove`
    ReleaseAdded(ReleaseAddResult),
    /// `device-add`
    DeviceAdded(DeviceAddResult),
    /// `device-token-rotate`
    TokenRotated(DeviceTokenResult),
    /// `device-import`
    Imported(ImportResult),
    /// `device-move`, and `device-add` and `device-token-rotate` with `dryRun`.
    DeviceInGroup(DeviceInGroupResult),
    /// `device-label` of one device
    DeviceLabeled(DeviceLabelResult),
    /// `device-label` and `device-move` of all that a selector names
    PassBegun(PassResult),
    /// `freeze`, `unfreeze`
    Frozen(FreezeResult),
    /// `pass-list`
    Passes(ListResult<PassItem>),
    /// `device-hold`
    DeviceHeld(DeviceHoldResult),
    /// `device-approve`
    DeviceApproved(DeviceApproveResult),
    /// `device-remove`, `device-revoke`
    Device(DeviceResult),
    /// `group-create`, `group-remove`
    Group(GroupResult),
    /// `deployment-list`
    Deployments(ListResult<DeploymentView>),
    /// `deployment-show`
    Deployment(Box<DeploymentDetail>),
    /// `device-list`
    Devices(ListResult<DeviceItem>),
    /// `device-show`
    DeviceDetail(Box<DeviceDetail>),
    /// `device-why`
    DeviceWhy(Box<DeviceWhy>),
    /// `plan`, and `deploy` with `dryRun`
    Planned(PlanResult),
    /// `group-list`
    Groups(ListResult<GroupItem>),
    /// `release-list`
    Releases(ListResult<ReleaseItem>),
    /// `release-show`
    Release(ReleaseDetail),
    /// `user-add`, `user-remove`
    User(UserResult),
    /// `user-list`
    Users(ListResult<UserItem>),
    /// `enroll-create`
    ClaimCreated(EnrollCreateResult),
    /// `enroll-revoke`, and `enroll-create` with `dryRun`
    Claim(ClaimResult),
    /// `enroll-list`
    Claims(ListResult<ClaimItem>),
    /// `enroll-waiting`
    Waiting(ListResult<WaitingItem>),
    /// `audit-list`
    Audit(ListResult<AuditItem>),
    /// `pause`, `resume`, `approve`
    WentOn(RolloutResult),
    /// `policy-put`
    PolicyPut(PolicyResult),
    /// `policy-list`
    Policies(ListResult<PolicyItem>),
    /// `policy-show`
    Policy(Box<PolicyDetail>),
    /// `deployment-history`
    History(ListResult<HistoryItem>),
    /// `event-list`
    Events(ListResult<EventItem>),
}
