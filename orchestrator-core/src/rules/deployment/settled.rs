//! When a deployment is over for every device.

use hoist_protocol::id::DeploymentId;

use crate::model::counter::{self, Totals};
use crate::model::rollout::Only;
use crate::model::row::{DeploymentRow, RolloutRow};
use crate::model::state::DeploymentState;
use crate::model::txn::{Txn, Undecided};

/// True if a deployment is for some of its group only, and all of them were let in (S16): the other
/// members are Pending, and nobody waits for them.
fn is_all_chosen(row: &DeploymentRow, rollout: &RolloutRow) -> bool {
    let is_for_some = rollout.rollout.only != Only::Everyone;
    let is_last = rollout.current().is_none();
    let is_found = row.slots > 0 && row.seek_due_ms.is_none() && !rollout.searched.left;
    is_for_some && is_last && is_found
}

/// True if a deployment has ended and, by its counters, no device is at work on it any more.
#[must_use]
pub fn is_over(row: &DeploymentRow, totals: &Totals) -> bool {
    row.end.is_some() && totals.steps.iter().all(|count| *count == 0)
}

/// The same as the rows of now say.
pub(crate) fn has_settled(
    txn: &Txn,
    id: DeploymentId,
    row: &DeploymentRow,
) -> Result<bool, Undecided> {
    Ok(row.end.is_some() && is_over(row, &counter::totals(txn, id)?))
}

/// True if a deployment waits for no member: each has ended, or never starts. Once the deployment
/// has ended, Pending means "never started" (S5).
pub(crate) fn waits_for_nobody(
    (row, rollout): (&DeploymentRow, Option<&RolloutRow>),
    totals: &Totals,
    members: u32,
) -> bool {
    let members = row.end.as_ref().map_or(members, |end| end.members);
    let counts = totals.counts(members);
    let pending = match rollout.filter(|rollout| is_all_chosen(row, rollout)) {
        Some(_) => row.slots.saturating_sub(counts.members - counts.pending),
        None => counts.pending,
    };
    let may_start = pending + totals.to_begin_again(row.round) > 0;
    row.state != DeploymentState::Scheduled
        && (row.end.is_some() || !may_start)
        && counts.in_progress == 0
}
