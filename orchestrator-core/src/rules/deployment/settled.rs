//! When a deployment is over for every device.

use hoist_protocol::id::DeploymentId;

use crate::model::counter::{self, Totals};
use crate::model::row::DeploymentRow;
use crate::model::txn::{Txn, Undecided};

/// Whether a deployment has ended and, by its counters, no device is at work on it any more.
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
