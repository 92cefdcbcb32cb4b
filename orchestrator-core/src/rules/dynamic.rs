//! Dynamic groups: their members follow from labels. A device in `unassigned` or in a dynamic group
//! is in the first group by name whose selector fits its labels, and in `unassigned` when none does;
//! one that an operator put into an ordinary group stays there. So every device is in exactly one
//! group, and who reads its labels knows which.

use hoist_protocol::id::GroupId;

use crate::model::error::{Code, Rejection};
use crate::model::key::DynamicGroupsKey;
use crate::model::row::DynamicGroupsRow;
use crate::model::selector::Selector;
use crate::model::txn::{Txn, Undecided};
use crate::rules::ctx::Ctx;
use crate::rules::stop::Stop;

/// Most dynamic groups: each device that is labeled is looked at by all of them.
const DYNAMIC_MAX: usize = 32;

/// The dynamic groups.
pub(crate) fn all(txn: &Txn) -> Result<DynamicGroupsRow, Undecided> {
    txn.read_or_empty(&DynamicGroupsKey)
}

/// Gives a group a selector, unless it has that; true if it had not. A group that is there and has none
/// is refused: operators put its members into it.
pub(crate) fn select(
    ctx: &mut Ctx,
    group: &GroupId,
    selector: Selector,
    is_there: bool,
) -> Result<bool, Stop> {
    let mut row = all(ctx.txn)?;
    match row.selector(group) {
        Some(before) if *before == selector => return Ok(false),
        None if is_there => {
            let why = format!("group {group} is there, and operators put its members into it");
            return Err(refusal(why).hint("choose another name").into());
        }
        _ => {}
    }
    row.groups.retain(|(dynamic, _)| dynamic != group);
    if row.groups.len() == DYNAMIC_MAX {
        let why = format!("there are {DYNAMIC_MAX} dynamic groups, and no more may be");
        let refusal = refusal(why).hint("remove one with `hoist group remove GROUP`");
        return Err(refusal.into());
    }
    row.groups.push((group.clone(), selector));
    row.groups.sort_by(|(a, _), (b, _)| a.cmp(b));
    ctx.txn.put(&DynamicGroupsKey, &row);
    Ok(true)
}

/// Forgets the selector of a group that is removed.
pub(crate) fn forget(ctx: &mut Ctx, group: &GroupId) -> Result<(), Undecided> {
    let mut row = all(ctx.txn)?;
    if row.selector(group).is_some() {
        row.groups.retain(|(dynamic, _)| dynamic != group);
        ctx.txn.put(&DynamicGroupsKey, &row);
    }
    Ok(())
}

/// The refusal to put devices into a group by hand whose members follow from labels, or to take
/// them out.
pub(crate) fn by_hand(row: &DynamicGroupsRow, group: &GroupId) -> Result<(), Rejection> {
    let Some(selector) = row.selector(group) else {
        return Ok(());
    };
    let why = format!("the members of group {group} follow from labels: {selector}");
    Err(refusal(why))
}

fn refusal(why: String) -> Rejection {
    Rejection::new(Code::Dynamic, why).field("group")
}
