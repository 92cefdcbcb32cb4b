//! Questions that are answered in the background, and their answers.

use hoist_protocol::id::{DeploymentId, DeviceId, GroupId, Round};
use serde::Serialize;

use crate::model::key::Key;
use crate::model::rollout::{Budget, Only};
use crate::model::row::{DynamicGroupsRow, Pass};
use crate::model::selector::Selector;

/// A line to be found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seek {
    /// Of which deployment.
    pub deployment: DeploymentId,
    /// Among whose members.
    pub group: GroupId,
    /// The number that sets the order of devices.
    pub order: u32,
    /// The line so far: who is below it has been dealt with.
    pub above: u32,
    /// The line at most; a phase reaches so far.
    pub below: u32,
    /// Number of further members to admit, at least 1; [`u32::MAX`] = all of them.
    pub count: u32,
    /// Slots that were given so far.
    pub slots: u32,
    /// The round in which devices are to carry it out.
    pub round: Round,
    /// Of a rollout: those that had no slot so far may get one, a member that was last heard of
    /// before this Unix time in ms takes no slot, and a phase reaches one device at least.
    pub rollout: Option<u64>,
    /// Of a rollout in which devices get permits: which.
    pub choice: Option<Choice>,
}

/// The devices that get permits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// Those that the deployment is for.
    pub only: Only,
    /// Those that the open phase lets in.
    pub selected: Option<Selector>,
    /// The devices of one place that may be disrupted at once.
    pub budget: Option<Budget>,
    /// The broker's run: who was online in another is not known to be there (W8).
    pub run: u32,
}

impl Seek {
    /// True if as many start as there are: no slot is ever missing.
    #[must_use]
    pub fn is_unbounded(&self) -> bool {
        self.count == u32::MAX
    }
}

/// A line that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The question.
    pub seek: Seek,
    /// The group's turn when its members began to be read: if it is another by now, the
    /// answer is void.
    pub turn: u64,
    /// The line.
    pub line: u32,
    /// Number of members that it admits and that may start.
    pub given: u32,
    /// Those it admits that must not: tied with the last one, held by an operator, or told
    /// already that they have no slot.
    pub without: Vec<DeviceId>,
    /// Those that had no slot so far and get one, below the line of before.
    pub released: Vec<DeviceId>,
    /// Those that get a permit, the first of the order.
    pub permits: Vec<DeviceId>,
    /// True if there are more of these.
    pub more: bool,
    /// True if others wait for a permit, for which there is no room now.
    pub left: bool,
}

/// Something that may have been kept for long enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Old {
    /// A deployment that is over.
    Deployment(DeploymentId),
    /// A device that is silent.
    Device(DeviceId),
}

/// Rows that are left of a removed deployment: the answer to
/// [`crate::model::effect::Effect::Sweep`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Of which.
    pub deployment: DeploymentId,
    /// A page of their keys ([`crate::rules::deployment::retention::left_of`]).
    pub keys: Vec<Key>,
    /// True if there may be more.
    pub more: bool,
}

/// The next devices to change in a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassSeek {
    /// Of which pass, and how far it is.
    pub pass: Pass,
    /// The groups whose members follow from labels.
    pub dynamic: DynamicGroupsRow,
}

/// Devices that a pass has to change: the answer to [`crate::model::effect::Effect::Pass`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassPage {
    /// The number of the pass.
    pub pass: u32,
    /// How far it was when this was asked for.
    pub after: Option<DeviceId>,
    /// The devices, as they were when they were read.
    pub devices: Vec<DeviceId>,
    /// With them, devices up to this one are done.
    pub up_to: Option<DeviceId>,
    /// True if there may be more devices behind it.
    pub more: bool,
}
