//! A group that has as many deployments as it may have: which of them is to go.

use hoist_protocol::id::{DeploymentId, GroupId};

use super::SCHEDULED_MAX;
use crate::model::counter;
use crate::model::error::{Code, Rejection};
use crate::model::key::{RolloutKey, RowKey};
use crate::model::row::{DeploymentRow, GroupCountRow};
use crate::model::txn::{Txn, Undecided};
use crate::rules::deployment::settled::waits_for_nobody;

/// The refusal of one more that waits for its start time.
pub(super) fn scheduled(group: &GroupId, there: &[DeploymentId]) -> Rejection {
    let why = format!("group {group} has {SCHEDULED_MAX} scheduled deployments");
    let refusal = Rejection::new(Code::GroupFull, why).field("group");
    match there.iter().min() {
        Some(oldest) => refusal.hint(format!(
            "abort one that is not wanted, such as the oldest: `hoist deployment abort {oldest}`"
        )),
        None => refusal,
    }
}

/// Says which of the active deployments may best be aborted, where their number is why a
/// deployment is refused: the oldest that is settled, because nobody waits for it, or else
/// the oldest.
pub(super) fn named(
    txn: &Txn,
    refusal: Rejection,
    there: &[(DeploymentId, DeploymentRow)],
    count: GroupCountRow,
) -> Result<Rejection, Undecided> {
    if refusal.code != Code::GroupFull {
        return Ok(refusal);
    }
    txn.want(there.iter().flat_map(|(id, _)| counter::keys(*id)))?;
    txn.want(there.iter().map(|(id, _)| RolloutKey(*id).key()))?;
    let mut settled = Vec::new();
    for (id, row) in there {
        let totals = counter::totals(txn, *id)?;
        let rollout = txn.read(&RolloutKey(*id))?;
        if waits_for_nobody((row, rollout.as_ref()), &totals, count.members) {
            settled.push((*id, row));
        }
    }
    let text = |(id, row): &(DeploymentId, &DeploymentRow)| format!("{id} ({})", row.release_text);
    let oldest = there
        .iter()
        .map(|(id, row)| (*id, row))
        .min_by_key(|(id, _)| *id);
    let hint = match (settled.iter().min_by_key(|(id, _)| *id), oldest) {
        (Some(first), _) => {
            let all: Vec<String> = settled.iter().map(text).collect();
            let (id, _) = first;
            format!(
                "abort one that is settled, the oldest first: `hoist deployment abort {id}`; \
                 settled: {}",
                all.join(", ")
            )
        }
        (None, Some(oldest)) => format!(
            "none of them is settled; the oldest is {}: `hoist deployment abort {}`, or wait \
             until one completes",
            text(&oldest),
            oldest.0
        ),
        (None, None) => return Ok(refusal),
    };
    Ok(refusal.hint(hint))
}
