//! Why a device does not start a deployment: the rules of admission, each by its name, in
//! the order in which they are looked at. Who asks why gets the very rule that decides.

use hoist_protocol::admission::Audience;
use hoist_protocol::id::{DeploymentId, DeviceId, GroupId, Round};

use crate::reply::DeploymentState;
use crate::row::{DeploymentRow, DeviceRow, EndReason, RecordRow, RecordState};

/// What keeps a device from starting a deployment now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bar {
    /// It has started already, or has ended it in the round at hand (S13).
    Begun,
    /// It obeys another group (S14).
    NotMember {
        /// Which.
        group: GroupId,
    },
    /// Its start time has not come (S2).
    Scheduled {
        /// Unix ms.
        start_ms: u64,
    },
    /// It is over (S3).
    Ended {
        /// Why.
        reason: EndReason,
    },
    /// An operator holds the device.
    Held,
    /// Every slot of the limit is given to another device (S10).
    NoSlot,
    /// The line is still being drawn (S10).
    LineSought,
    /// The device's place in the order is above the line (S10, W3).
    AboveLine,
}

/// The first rule that keeps a device from starting a deployment, or `None` when it may.
#[must_use]
pub fn bar(
    id: DeploymentId,
    deployment: &DeploymentRow,
    device: &DeviceId,
    row: &DeviceRow,
    record: Option<&RecordRow>,
) -> Option<Bar> {
    has_begun(id, deployment, row, record)
        .or_else(|| is_elsewhere(deployment, row))
        .or_else(|| is_unlisted(deployment))
        .or_else(|| row.held.then_some(Bar::Held))
        .or_else(|| row.holds.contains(&id).then_some(Bar::NoSlot))
        .or_else(|| is_above_line(id, deployment, device))
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

fn has_begun(
    id: DeploymentId,
    deployment: &DeploymentRow,
    row: &DeviceRow,
    record: Option<&RecordRow>,
) -> Option<Bar> {
    let record = record?;
    let again = match record.state {
        RecordState::Failed(_) | RecordState::TimedOut => {
            record.round < round_of(id, deployment, row)
        }
        RecordState::InProgress(_) | RecordState::Successful(_) => false,
    };
    (!again).then_some(Bar::Begun)
}

fn is_elsewhere(deployment: &DeploymentRow, row: &DeviceRow) -> Option<Bar> {
    let group = row.group.clone();
    (row.group != deployment.group).then_some(Bar::NotMember { group })
}

fn is_unlisted(deployment: &DeploymentRow) -> Option<Bar> {
    match (deployment.state, &deployment.end) {
        (DeploymentState::Active, _) => None,
        (DeploymentState::Scheduled, _) => Some(Bar::Scheduled {
            start_ms: deployment.start_ms.unwrap_or_default(),
        }),
        (DeploymentState::Completed | DeploymentState::Aborted, end) => {
            let reason = end.as_ref().map_or(EndReason::Operator, |end| end.reason);
            Some(Bar::Ended { reason })
        }
    }
}

fn is_above_line(id: DeploymentId, deployment: &DeploymentRow, device: &DeviceId) -> Option<Bar> {
    if Audience::Below(deployment.line).admits(id, device) {
        None
    } else if deployment.seek_due_ms.is_some() {
        Some(Bar::LineSought)
    } else {
        Some(Bar::AboveLine)
    }
}
