//! Events: what people are told of one change, once.

use hoist_protocol::access::Role;
use hoist_protocol::id::{DeploymentId, DeviceId, GroupId, UserId};
use hoist_protocol::reason::Reason;
use hoist_protocol::status::Rollback;
use serde::Serialize;

use crate::model::row::{EndReason, PauseReason};
use crate::model::word::Word;

/// Something worth telling. The adapter wraps it as a CloudEvent of type [`Event::kind`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum Event {
    /// A deployment was created.
    DeploymentCreated {
        /// Which.
        deployment: DeploymentId,
        /// `name@version`.
        release: String,
        /// To whom.
        group: GroupId,
        /// By whom.
        by: UserId,
    },
    /// A deployment started after its start time.
    DeploymentStarted {
        /// Which.
        deployment: DeploymentId,
    },
    /// A deployment completed or was aborted.
    DeploymentEnded {
        /// Which.
        deployment: DeploymentId,
        /// Of which group.
        group: GroupId,
        /// Why, a kebab-case word.
        reason: Word<EndReason>,
        /// By whom, when a person did it.
        by: Option<UserId>,
    },
    /// A deployment was paused: nobody starts, and who started finishes.
    DeploymentPaused {
        /// Which.
        deployment: DeploymentId,
        /// Of which group.
        group: GroupId,
        /// Why, a kebab-case word.
        reason: Word<PauseReason>,
        /// By whom, when a person did it.
        by: Option<UserId>,
    },
    /// A paused deployment goes on.
    DeploymentResumed {
        /// Which.
        deployment: DeploymentId,
        /// Of which group.
        group: GroupId,
        /// By whom.
        by: UserId,
    },
    /// A phase of a rollout opened.
    PhaseOpened {
        /// Of which deployment.
        deployment: DeploymentId,
        /// Of which group.
        group: GroupId,
        /// The place of the phase, from 1.
        phase: u32,
        /// The number of phases.
        of: u32,
    },
    /// The gate of a phase cannot be passed any more: the deployment is paused.
    GateFailed {
        /// Of which deployment.
        deployment: DeploymentId,
        /// Of which group.
        group: GroupId,
        /// The place of the phase, from 1.
        phase: u32,
    },
    /// A phase does not open before people approve it.
    ApprovalWanted {
        /// Of which deployment.
        deployment: DeploymentId,
        /// Of which group.
        group: GroupId,
        /// The place of the phase, from 1.
        phase: u32,
        /// The number of people.
        approvals: u32,
    },
    /// A deployment that had been over for as long as they are kept was removed.
    DeploymentRemoved {
        /// Which.
        deployment: DeploymentId,
        /// `name@version`.
        release: String,
        /// Of which group.
        group: GroupId,
    },
    /// A device failed, or counts as failed provisionally. Successes are in the views: an
    /// event for each would cost a message per device.
    DeviceFailed {
        /// In which deployment.
        deployment: DeploymentId,
        /// Which device.
        device: DeviceId,
        /// In which round.
        round: u32,
        /// Why, a kebab-case word.
        reason: Word<Reason>,
        /// True if the server inferred the failure (S7).
        provisional: bool,
        /// The result of the rollback, as the device reports it; null when the server inferred the failure.
        rollback: Option<Word<Rollback>>,
    },
    /// A device was registered.
    DeviceAdded {
        /// Which.
        device: DeviceId,
        /// In which group.
        group: GroupId,
    },
    /// Reports of a device are refused: at most one a minute for each device and code.
    DeviceRefused {
        /// Which device.
        device: DeviceId,
        /// Why, a code.
        code: String,
        /// Number of refusals since the last event of this device and code.
        count: u64,
    },
    /// Nobody starts anything any more, in a group or anywhere; who has started finishes.
    Frozen {
        /// Which group; none is everything.
        group: Option<GroupId>,
        /// By whom.
        by: UserId,
    },
    /// A freeze was lifted.
    Unfrozen {
        /// Of which group; none is everything.
        group: Option<GroupId>,
        /// By whom.
        by: UserId,
    },
    /// A change of all devices that a selector names is done.
    DevicesChanged {
        /// The number of the pass.
        pass: u32,
        /// Devices that were changed.
        changed: u32,
        /// Devices that could not be changed.
        refused: u32,
        /// Who asked for it.
        by: UserId,
    },
    /// A device was removed.
    DeviceRemoved {
        /// Which.
        device: DeviceId,
        /// From which group.
        group: GroupId,
        /// By whom; `retention` when it was silent for as long as such devices are kept.
        by: UserId,
    },
    /// A device was revoked: it stays registered, and comes in no more with what it has.
    DeviceRevoked {
        /// Which.
        device: DeviceId,
        /// In which group.
        group: GroupId,
        /// By whom.
        by: UserId,
        /// The text that the person gave.
        reason: String,
    },
    /// A device has another token, and comes in again if it was revoked.
    DeviceTokenRotated {
        /// Which.
        device: DeviceId,
        /// By whom.
        by: UserId,
        /// True if it was revoked before.
        was_revoked: bool,
    },
    /// Two devices speak as one: one is a copy of the other.
    CloneSuspected {
        /// Which.
        device: DeviceId,
    },
    /// An operator pinned another key of a device.
    DeviceApproved {
        /// Which.
        device: DeviceId,
        /// Its key, as people compare it.
        fingerprint: String,
        /// By whom.
        by: UserId,
    },
    /// A device that is not registered, or was revoked, waits for approval.
    DeviceWaits {
        /// Which.
        device: DeviceId,
        /// Its key, as people compare it.
        fingerprint: String,
    },
    /// There is a new user.
    UserAdded {
        /// Its name.
        user: String,
        /// The user's role.
        role: Role,
        /// By whom.
        by: UserId,
    },
    /// A user may do something else now.
    UserChanged {
        /// Its name.
        user: String,
        /// The user's new role.
        role: Role,
        /// By whom.
        by: UserId,
    },
    /// A user was removed.
    UserRemoved {
        /// Its name.
        user: String,
        /// By whom.
        by: UserId,
    },
    /// A device showed another key than the pinned one.
    DeviceKeyChanged {
        /// Which.
        device: DeviceId,
    },
    /// The server has started, and hears its broker.
    ServerStarted {
        /// Its version.
        version: String,
    },
    /// Something is wrong with the server, or not any more.
    ServerDegraded {
        /// The subject of the problem: `store`, `users.toml`, `artifact <id>`.
        about: String,
        /// The kind of the failure.
        code: String,
        /// One sentence with the particulars.
        detail: String,
        /// True once the problem is over.
        over: bool,
    },
}

impl Event {
    /// The group that it names.
    #[must_use]
    pub fn group(&self) -> Option<&GroupId> {
        match self {
            Self::DeploymentCreated { group, .. }
            | Self::DeploymentEnded { group, .. }
            | Self::DeploymentPaused { group, .. }
            | Self::DeploymentResumed { group, .. }
            | Self::PhaseOpened { group, .. }
            | Self::GateFailed { group, .. }
            | Self::ApprovalWanted { group, .. }
            | Self::DeploymentRemoved { group, .. }
            | Self::DeviceAdded { group, .. }
            | Self::DeviceRemoved { group, .. }
            | Self::DeviceRevoked { group, .. } => Some(group),
            Self::Frozen { group, .. } | Self::Unfrozen { group, .. } => group.as_ref(),
            Self::DeploymentStarted { .. }
            | Self::DeviceFailed { .. }
            | Self::DeviceRefused { .. }
            | Self::DevicesChanged { .. }
            | Self::DeviceTokenRotated { .. }
            | Self::CloneSuspected { .. }
            | Self::DeviceApproved { .. }
            | Self::DeviceWaits { .. }
            | Self::UserAdded { .. }
            | Self::UserChanged { .. }
            | Self::UserRemoved { .. }
            | Self::DeviceKeyChanged { .. }
            | Self::ServerStarted { .. }
            | Self::ServerDegraded { .. } => None,
        }
    }

    /// The deployment by which its group is known, when it names no group.
    #[must_use]
    pub fn deployment(&self) -> Option<DeploymentId> {
        match self {
            Self::DeploymentStarted { deployment } | Self::DeviceFailed { deployment, .. } => {
                Some(*deployment)
            }
            _ => None,
        }
    }

    /// The device by which its group is known, when it names neither a group nor a deployment.
    #[must_use]
    pub fn device(&self) -> Option<&DeviceId> {
        match self {
            Self::DeviceRefused { device, .. }
            | Self::DeviceTokenRotated { device, .. }
            | Self::CloneSuspected { device }
            | Self::DeviceApproved { device, .. }
            | Self::DeviceWaits { device, .. }
            | Self::DeviceKeyChanged { device } => Some(device),
            _ => None,
        }
    }

    /// The last level of its topic and its CloudEvents type.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::DeploymentCreated { .. } => "deployment-created",
            Self::DeploymentStarted { .. } => "deployment-started",
            Self::DeploymentEnded { .. } => "deployment-ended",
            Self::DeploymentPaused { .. } => "deployment-paused",
            Self::DeploymentResumed { .. } => "deployment-resumed",
            Self::PhaseOpened { .. } => "phase-opened",
            Self::GateFailed { .. } => "gate-failed",
            Self::ApprovalWanted { .. } => "approval-wanted",
            Self::DeploymentRemoved { .. } => "deployment-removed",
            Self::DeviceFailed { .. } => "device-failed",
            Self::DeviceAdded { .. } => "device-added",
            Self::DeviceRefused { .. } => "device-refused",
            Self::Frozen { .. } => "frozen",
            Self::Unfrozen { .. } => "unfrozen",
            Self::DevicesChanged { .. } => "devices-changed",
            Self::DeviceRemoved { .. } => "device-removed",
            Self::DeviceRevoked { .. } => "device-revoked",
            Self::DeviceTokenRotated { .. } => "device-token-rotated",
            Self::CloneSuspected { .. } => "clone-suspected",
            Self::DeviceApproved { .. } => "device-approved",
            Self::DeviceWaits { .. } => "device-waits",
            Self::UserAdded { .. } => "user-added",
            Self::UserChanged { .. } => "user-changed",
            Self::UserRemoved { .. } => "user-removed",
            Self::DeviceKeyChanged { .. } => "device-key-changed",
            Self::ServerStarted { .. } => "server-started",
            Self::ServerDegraded { .. } => "server-degraded",
        }
    }
}
