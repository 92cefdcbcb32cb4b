//! When a deployment is over for every device.

use hoist_protocol::id::DeploymentId;

use crate::model::counter::{self, Totals};
use crate::model::row::DeploymentRow;
use crate::model::state::DeploymentState;
use crate::model::txn::{Txn, Undecided};

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
pub(crate) fn waits_for_nobody(row: &DeploymentRow, totals: &Totals, members: u32) -> bool {
    let members = row.end.as_ref().map_or(members, |end| end.members);
    let counts = totals.counts(members);
    let may_start = counts.pending + totals.to_begin_again(row.round) > 0;
    row.state != DeploymentState::Scheduled
        && (row.end.is_some() || !may_start)
        && counts.in_progress == 0
}
