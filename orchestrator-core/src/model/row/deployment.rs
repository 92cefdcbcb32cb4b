//! The stored row of a deployment.

use hoist_protocol::admission::Audience;
use hoist_protocol::id::{DeploymentId, DeviceId, GroupId, Name, ReleaseId, Round, UserId};
use hoist_protocol::spec::Policy;
use serde::{Deserialize, Serialize};

use crate::model::row::{EndReason, Paused};
use crate::model::state::{CompleteWhen, DeploymentState};

/// A deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentRow {
    /// The release to install.
    pub release: ReleaseId,
    /// Its `name@version`, for people.
    pub release_text: String,
    /// The names of its artifacts (S11).
    pub artifacts: Vec<Name>,
    /// To whom.
    pub group: GroupId,
    /// Raised to retry failed devices (S13).
    pub round: Round,
    /// The highest round given to any device.
    pub last_round: Round,
    /// The policy by which devices carry it out.
    pub policy: Policy,
    /// Devices spread their starts over this many seconds.
    pub spread_s: u32,
    /// Unix ms before which it is not listed (S2).
    pub start_ms: Option<u64>,
    /// Unix ms at which it completes (S10).
    pub until_ms: Option<u64>,
    /// Devices that may start at most (S10).
    pub limit: Option<u32>,
    /// Slots given to devices, of a limited deployment; one given is never taken back, but
    /// from a device that proved unable to start.
    pub slots: u32,
    /// Hashes below it are admitted (W3).
    pub line: u32,
    /// When the line, if it is being looked for, is asked for again: ms of connected uptime.
    pub seek_due_ms: Option<u64>,
    /// When it completes by itself.
    pub complete_when: CompleteWhen,
    /// Where it is.
    pub state: DeploymentState,
    /// Its end, once it has ended.
    pub end: Option<End>,
    /// Unix time of creation, in ms.
    pub created_ms: u64,
    /// The group's turn of creation.
    pub turn: u64,
    /// The user who created it.
    pub created_by: UserId,
    /// Unix time at which it was created, began, was tried again or ended last, in ms.
    pub updated_ms: u64,
    /// Slots that its rollout lets be given by now ([`RolloutRow`]); none without a rollout.
    pub allowed: Option<u32>,
    /// The number that sets the order of devices in the place of the deployment's own, so that
    /// several deployments have the same order.
    pub order: Option<u32>,
    /// Since when, by whom and why it is paused.
    pub paused: Option<Paused>,
    /// Items of its history.
    pub history: u32,
    /// The release that is deployed in its place when too many devices fail.
    pub fallback: Option<ReleaseId>,
}

impl DeploymentRow {
    /// Slots that may be given by now; none without a bound.
    #[must_use]
    pub fn bound(&self) -> Option<u32> {
        match (self.limit, self.allowed) {
            (Some(limit), Some(allowed)) => Some(limit.min(allowed)),
            (limit, allowed) => limit.or(allowed),
        }
    }

    /// The number that sets the order of devices.
    #[must_use]
    pub fn order(&self, id: DeploymentId) -> u32 {
        self.order.unwrap_or(id.0)
    }

    /// The devices that may start, as their group's spec says it.
    #[must_use]
    pub fn audience(&self) -> Audience {
        match self.order {
            Some(order) => Audience::Ordered {
                line: self.line,
                order,
            },
            None => Audience::Below(self.line),
        }
    }

    /// True if a device is below the line.
    #[must_use]
    pub fn admits(&self, id: DeploymentId, device: &DeviceId) -> bool {
        self.audience().admits(id, device)
    }
}

/// The end of a deployment (S3), and the numbers that were frozen then (S5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Why.
    pub reason: EndReason,
    /// The user, when a person did it.
    pub by: Option<UserId>,
    /// The text that the person gave.
    pub text: String,
    /// Unix time, in ms.
    pub at_ms: u64,
    /// Members at that moment.
    pub members: u32,
    /// The group's turn of that moment.
    pub turn: u64,
}
