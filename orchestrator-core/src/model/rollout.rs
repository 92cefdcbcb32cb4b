//! The manner in which a deployment spreads over its group (S16), as it is stored: phases with
//! gates, a pace, and a threshold of failures. Commands are checked before they become one of these.

use serde::{Deserialize, Serialize};

use hoist_protocol::id::{DeploymentId, DeviceId};
use hoist_protocol::reason::Reason;

use crate::model::selector::Selector;
use crate::model::state::{GiveUp, Then};
use crate::model::window::Windows;

/// Most phases of a rollout.
pub const PHASES_MAX: usize = 16;
/// All members, in hundredths of a percent.
pub const EVERYONE: u32 = 10_000;

/// The manner in which a deployment spreads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rollout {
    /// The slices of the group, each larger than the one before; after the last one everyone may
    /// start. At most [`PHASES_MAX`].
    pub phases: Vec<Phase>,
    /// Devices that may be at work at once.
    pub max_in_progress: Option<u32>,
    /// Devices that are let in each minute.
    pub starts_per_minute: Option<u32>,
    /// The growth of the two numbers above.
    pub growth: Option<Growth>,
    /// The failures that stop the rollout.
    pub failure: Option<FailureThreshold>,
    /// The devices that it is for.
    pub only: Only,
    /// The devices of one place that may be at work at once.
    pub budget: Option<Budget>,
    /// When devices may begin to install, in local time.
    pub windows: Option<Windows>,
    /// The policy that it is of, with its version.
    pub policy: Option<String>,
}

impl Rollout {
    /// True if its devices cannot be told by a place in an order: each gets a permit of its own.
    #[must_use]
    pub fn is_by_permits(&self) -> bool {
        self.only != Only::Everyone || self.budget.is_some()
    }
}

/// The devices of a group that a deployment is for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Only {
    /// All of them.
    #[default]
    Everyone,
    /// Those whose labels fit.
    Selected(Selector),
    /// Those that were named, sorted.
    Named(Vec<DeviceId>),
    /// Those that have started this deployment.
    Began(DeploymentId),
}

impl Only {
    /// True if a device with these labels is one of them.
    #[must_use]
    pub fn has(&self, device: &DeviceId, labels: &[(String, String)]) -> bool {
        match self {
            Self::Everyone => true,
            Self::Selected(selector) => selector.matches(labels),
            Self::Named(devices) => devices.binary_search(device).is_ok(),
            // A record says it.
            Self::Began(_) => false,
        }
    }
}

/// A bound on the devices that are disrupted at once among those with the same value of a label: at
/// work, or out of contact. Those without the label are a place together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// The label.
    pub label: String,
    /// The bound.
    pub most: Most,
}

/// A number of devices of one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Most {
    /// So many.
    Devices(u32),
    /// This share of the place's devices, in percent; one at least.
    Percent(u8),
}

impl Budget {
    /// The devices that may be disrupted at once in a place of so many.
    #[must_use]
    pub fn of(&self, members: u32) -> u32 {
        match self.most {
            Most::Devices(devices) => devices,
            Most::Percent(percent) => {
                let share = u64::from(members) * u64::from(percent) / 100;
                u32::try_from(share).unwrap_or(u32::MAX).max(1)
            }
        }
    }
}

/// One slice of the group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// Its name, for people; empty when it has none.
    pub name: String,
    /// The devices that it reaches, those of the phases before it included.
    pub part: Part,
    /// The condition under which the next phase opens.
    pub gate: Gate,
    /// Users who have to approve before the phase opens: 0 to 2.
    pub approvals: u8,
}

/// The part of a group that a phase reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// Hundredths of a percent of the order of all devices, 1 to [`EVERYONE`].
    Percent(u32),
    /// So many devices; those that are away for long take no place of it.
    Devices(u32),
    /// The devices whose labels fit, besides those of the phases before.
    Selected(Selector),
}

/// The condition under which the phase after this one opens, about the devices that ended since
/// its own opened and said so themselves (S7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Successful ones among those that ended, in percent, at least.
    pub success_percent: u8,
    /// Devices that have to end first; none = four fifths of those that were let in.
    pub min_ended: Option<u32>,
    /// Failed devices at most.
    pub max_failed: Option<u32>,
    /// Seconds for which all this has to hold, in connected uptime.
    pub soak_s: u32,
    /// Seconds after which nobody is waited for any more, in connected uptime.
    pub give_up_s: u32,
    /// The consequence of giving up.
    pub give_up: GiveUp,
}

impl Gate {
    /// Successful devices in percent, where nothing else is asked for.
    pub const SUCCESS_PERCENT: u8 = 95;
    /// Seconds to the end of patience, where nothing else is asked for: a day.
    pub const GIVE_UP_S: u32 = 86_400;
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            success_percent: Self::SUCCESS_PERCENT,
            min_ended: None,
            max_failed: None,
            soak_s: 0,
            give_up_s: Self::GIVE_UP_S,
            give_up: GiveUp::default(),
        }
    }
}

/// The growth of the pace with success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Growth {
    /// The pace is multiplied by this, at least 2.
    pub factor: u32,
    /// Each time that so many more devices were successful.
    pub every: u32,
    /// The pace at most.
    pub up_to: u32,
}

impl Growth {
    /// A pace after so many devices were successful.
    #[must_use]
    pub fn of(self, base: u32, successful: u32) -> u32 {
        let times = successful / self.every.max(1);
        let grown = base.saturating_mul(self.factor.saturating_pow(times));
        grown.min(self.up_to.max(base))
    }
}

/// The failures that stop a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureThreshold {
    /// The failures that are too many.
    pub at: TooMany,
    /// Devices that have to end before a share of them says anything.
    pub min_ended: u32,
    /// Only these reasons count; empty = all but those that are nobody's failure (S12).
    pub reasons: Vec<Reason>,
    /// The consequence.
    pub then: Then,
}

/// The number of failures that is too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TooMany {
    /// This share of the devices that ended, in percent, and more.
    Percent(u8),
    /// So many devices, and more.
    Devices(u32),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_grows_with_success_up_to_its_bound_and_never_falls() {
        let growth = Growth {
            factor: 2,
            every: 100,
            up_to: 1_000,
        };
        let paces = [0, 99, 100, 399, 400, u32::MAX].map(|ended| growth.of(50, ended));
        assert_eq!(paces, [50, 50, 100, 400, 800, 1_000]);
        assert_eq!(
            Growth {
                up_to: 10,
                ..growth
            }
            .of(50, 500),
            50
        );
    }
}
