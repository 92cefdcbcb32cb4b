//! Rules of admission, which let a device start a deployment: one list of rules, each by its name.
//! The first that fails decides; a person who asks why is shown all of them, by the very same
//! code. The rules let start exactly those that the specs let start ([`crate::engine::desired`]).

use hoist_protocol::id::{DeploymentId, DeviceId, GroupId, Round};
use serde::{Deserialize, Serialize};

use crate::model::explained;
use crate::model::rollout::{EVERYONE, Only, Part};
use crate::model::row::{
    DeploymentRow, DeviceRow, EndReason, Paused, RecordRow, RecordState, Revoked, RolloutRow,
};
use crate::model::state::DeploymentState;
use crate::rules::freeze::Freeze;
use crate::rules::rollout::limit::place;

/// One device and one deployment, with everything the rules look at.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// Which deployment.
    pub id: DeploymentId,
    /// Its row.
    pub deployment: &'a DeploymentRow,
    /// Its rollout, when it has one.
    pub rollout: Option<&'a RolloutRow>,
    /// Which device.
    pub device: &'a DeviceId,
    /// Its row.
    pub row: &'a DeviceRow,
    /// The freeze that the deployment's group is under.
    pub freeze: Option<&'a Freeze>,
    /// The device's record in the deployment.
    pub record: Option<&'a RecordRow>,
}

explained! {
    /// Something that must hold for a device to start a deployment, a kebab-case word in JSON.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Rule {
        /// It has not started it, nor ended it in the round at hand (S13).
        NotBegun,
        /// It obeys the deployment's group (S14).
        Member,
        /// The deployment is listed (S2, S3).
        Listed,
        /// Neither its group nor everything is frozen.
        NotFrozen,
        /// It was not revoked.
        NotRevoked,
        /// No operator holds the device.
        NotHeld,
        /// It is not without a slot of the limit (S10).
        Slot,
        /// Its place in the order is below the line (S10, W3).
        BelowLine,
    }
}

/// The reason that keeps a device from starting a deployment now: a rule that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocker {
    /// It has started already, or has ended it in the round at hand (S13).
    Begun,
    /// It obeys another group (S14).
    NotMember {
        /// Which.
        group: GroupId,
    },
    /// Its start time has not come (S2).
    Scheduled {
        /// When it comes, Unix ms; none if that is not known.
        start_ms: Option<u64>,
    },
    /// It is paused (S16).
    Paused(Option<Paused>),
    /// The phase that lets the device in has not opened (S16).
    Phase,
    /// The pace of the rollout lets nobody more in now (S16).
    Pace,
    /// Its labels do not fit what the deployment is for (S16).
    NotSelected,
    /// It is not among the devices that were named (S16).
    NotNamed,
    /// As many devices of its place are disrupted as may be (S16).
    Budget {
        /// The label that says the place.
        label: String,
        /// The place; none of a device without the label.
        value: Option<String>,
    },
    /// It is over (S3).
    Ended {
        /// Why; none if that is not known.
        reason: Option<EndReason>,
    },
    /// Its group or everything is frozen.
    Frozen(Freeze),
    /// It was revoked: it comes in no more.
    Revoked(Revoked),
    /// An operator holds the device.
    Held,
    /// Every slot of the limit is given to another device (S10).
    NoSlot,
    /// The line is still being drawn (S10).
    LineSought {
        /// When it is asked for again, ms of connected uptime.
        again_ms: u64,
    },
    /// The device's place in the order is above the line (S10, W3).
    AboveLine,
}

impl Rule {
    /// The reason for which this rule keeps the device from starting, or `None` when it holds.
    #[must_use]
    pub fn blocker(self, case: &Case) -> Option<Blocker> {
        let Case {
            deployment, row, ..
        } = case;
        match self {
            Self::NotBegun => has_begun(case).then_some(Blocker::Begun),
            Self::Member => (row.group != deployment.group).then(|| Blocker::NotMember {
                group: row.group.clone(),
            }),
            Self::Listed => unlisted(deployment),
            Self::NotFrozen => case.freeze.cloned().map(Blocker::Frozen),
            Self::NotRevoked => row.revoked().cloned().map(Blocker::Revoked),
            Self::NotHeld => row.held.then_some(Blocker::Held),
            Self::Slot => row.holds.contains(&case.id).then(|| match case.rollout {
                Some(_) if deployment.limit.is_none() => Blocker::Pace,
                _ => Blocker::NoSlot,
            }),
            Self::BelowLine => above_line(case),
        }
    }
}

/// The reason of the first failing rule, or `None` when the device may start.
#[must_use]
pub fn first_blocker(case: &Case) -> Option<Blocker> {
    Rule::ALL.iter().find_map(|rule| rule.blocker(case))
}

/// The round in which a device is to carry out a deployment (S13).
#[must_use]
pub fn round_of(id: DeploymentId, deployment: &DeploymentRow, row: &DeviceRow) -> Round {
    own_round(row, id).map_or(deployment.round, |own| own.max(deployment.round))
}

/// The round of its own that a device has in a deployment.
pub(crate) fn own_round(row: &DeviceRow, id: DeploymentId) -> Option<Round> {
    let own = row.rounds.iter().find(|(deployment, _)| *deployment == id);
    own.map(|(_, round)| *round)
}

fn has_begun(case: &Case) -> bool {
    let Some(record) = case.record else {
        return false;
    };
    match record.state {
        RecordState::Failed(_) | RecordState::TimedOut => {
            record.round >= round_of(case.id, case.deployment, case.row)
        }
        RecordState::InProgress(_) | RecordState::Successful(_) => true,
    }
}

fn unlisted(deployment: &DeploymentRow) -> Option<Blocker> {
    match (deployment.state, &deployment.end) {
        (DeploymentState::Active, _) => None,
        (DeploymentState::Scheduled, _) => Some(Blocker::Scheduled {
            start_ms: deployment.start_ms,
        }),
        (DeploymentState::Paused, _) => Some(Blocker::Paused(deployment.paused.clone())),
        (DeploymentState::Completed | DeploymentState::Aborted, end) => {
            let reason = end.as_ref().map(|end| end.reason);
            Some(Blocker::Ended { reason })
        }
    }
}

fn above_line(case: &Case) -> Option<Blocker> {
    let Case { id, deployment, .. } = case;
    let limit_is_full = deployment
        .limit
        .is_some_and(|limit| deployment.slots >= limit);
    let round = round_of(*id, deployment, case.row);
    if deployment.admits(*id, case.device) || case.row.is_permitted(*id, round) {
        None
    } else if let Some(state) = case.rollout.filter(|_| !limit_is_full) {
        Some(held_back(case, state))
    } else if let Some(again_ms) = deployment.seek_due_ms {
        Some(Blocker::LineSought { again_ms })
    } else {
        Some(Blocker::AboveLine)
    }
}

/// A device above what the open phase reaches waits for another one, everybody else for the pace.
fn held_back(case: &Case, state: &RolloutRow) -> Blocker {
    let place = place(case.deployment.order(case.id), case.device);
    let labels = &case.row.labels;
    if !state.rollout.only.has(case.device, labels) {
        return match &state.rollout.only {
            Only::Named(_) | Only::Began(_) => Blocker::NotNamed,
            Only::Selected(_) | Only::Everyone => Blocker::NotSelected,
        };
    }
    let part = state.current().map(|phase| &phase.part);
    let is_full = match part {
        Some(_) if !state.is_open => true,
        Some(Part::Devices(devices)) => case.deployment.slots >= *devices,
        Some(Part::Selected(selector)) => !selector.matches(labels),
        Some(Part::Percent(share)) => *share < EVERYONE && place >= state.reaches(),
        None => false,
    };
    if is_full {
        return Blocker::Phase;
    }
    if let Some(budget) = &state.rollout.budget {
        let own = labels.iter().find(|(label, _)| *label == budget.label);
        return Blocker::Budget {
            label: budget.label.clone(),
            value: own.map(|(_, value)| value.clone()),
        };
    }
    match case.deployment.seek_due_ms {
        Some(again_ms) => Blocker::LineSought { again_ms },
        None => Blocker::Pace,
    }
}
