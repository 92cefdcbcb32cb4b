//! The history of a deployment: an item in the commit of each decision about it, with the numbers
//! that the decision rests on.

use hoist_protocol::id::{DeploymentId, UserId};

use crate::model::key::HistoryKey;
use crate::model::row::{DeploymentRow, Happening, HistoryRow};
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;

/// Items of one deployment at most: a rollout makes a few for each phase, and people some.
const ITEMS_MAX: u32 = 1_024;

/// Adds an item. Does not write the deployment's row.
pub(crate) fn note(
    ctx: &mut Ctx,
    id: DeploymentId,
    row: &mut DeploymentRow,
    (what, by): (Happening, Option<UserId>),
) -> Result<(), Undecided> {
    if row.history >= ITEMS_MAX {
        return Ok(());
    }
    let key = HistoryKey(id, row.history);
    ctx.txn.read(&key)?;
    let at_ms = ctx.now.unix_ms;
    ctx.txn.put(&key, &HistoryRow { at_ms, by, what });
    row.history += 1;
    Ok(())
}
