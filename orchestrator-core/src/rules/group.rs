//! Groups: `unassigned` always exists, the others are created by an operator.

use hoist_protocol::id::{DeviceId, GroupId};
use hoist_protocol::topic::View;

use crate::model::effect::Effect;
use crate::model::error::{Code, Rejection};
use crate::model::key::{GroupCountKey, GroupKey, MemberKey, RemovedGroupKey};
use crate::model::row::{
    DeviceRow, GroupCountRow, GroupRow, InstanceRow, MemberRow, RemovedGroupRow, StartsEmpty,
};
use crate::model::txn::{Txn, Undecided};
use crate::rules::ctx::Ctx;
use crate::rules::dynamic;
use crate::rules::stop::Stop;

/// Reads a group; `unassigned` exists before its row does.
pub(crate) fn read(txn: &Txn, group: &GroupId) -> Result<Option<GroupRow>, Undecided> {
    let row = txn.read(&GroupKey(group.clone()))?;
    Ok(row.or_else(|| (*group == GroupId::unassigned()).then(|| GroupRow::new(0))))
}

/// Reads a group that must be there: a device is in it, or a deployment that has not ended.
pub(crate) fn require(txn: &Txn, group: &GroupId) -> Result<GroupRow, Undecided> {
    match read(txn, group)? {
        Some(row) => Ok(row),
        None => txn.require(&GroupKey(group.clone())),
    }
}

/// Counts a group's members; who was online in an earlier run of the broker is not (W8).
pub(crate) fn count(
    txn: &Txn,
    group: &GroupId,
    instance: &InstanceRow,
) -> Result<GroupCountRow, Undecided> {
    let count = txn.read_or_empty(&GroupCountKey(group.clone()))?;
    Ok(count.in_run(instance.broker_run))
}

/// The refusal of a group that does not exist.
pub(crate) fn unknown(group: &GroupId) -> Rejection {
    Rejection::new(Code::Group, format!("there is no group {group}"))
        .field("group")
        .wanted(group.as_str())
}

/// Gives `unassigned` its row.
pub(crate) fn ensure_unassigned(ctx: &mut Ctx) -> Result<(), Undecided> {
    ensure(ctx, &GroupId::unassigned())
}

/// Gives a group its row, unless it has one.
pub(crate) fn ensure(ctx: &mut Ctx, group: &GroupId) -> Result<(), Undecided> {
    if ctx.txn.read(&GroupKey(group.clone()))?.is_some() {
        return Ok(());
    }
    let before = RemovedGroupKey(group.clone());
    let removed = ctx.txn.read(&before)?;
    if removed.is_some() {
        ctx.txn.delete(&before);
    }
    let RemovedGroupRow { resync, turn } = removed.unwrap_or_else(RemovedGroupRow::empty);
    let row = GroupRow {
        resync,
        turn,
        ..GroupRow::new(ctx.now.unix_ms)
    };
    ctx.txn.put(&GroupKey(group.clone()), &row);
    ctx.effects.extend([
        Effect::GroupSpecChanged(group.clone()),
        Effect::ViewChanged(View::Group(group.clone())),
        Effect::ViewChanged(View::Fleet),
    ]);
    Ok(())
}

/// Removes a group that nobody is in and where nothing is active, so that nobody obeys it.
pub(crate) fn remove(ctx: &mut Ctx, group: &GroupId, row: &GroupRow) -> Result<(), Stop> {
    let count = GroupCountKey(group.clone());
    let members = ctx.txn.read_or_empty(&count)?.members;
    if let Some(refusal) = in_use(group, row, members) {
        return Err(refusal.into());
    }
    let removed = RemovedGroupKey(group.clone());
    // Loaded, so that a group removed once more finds the generation of its row.
    ctx.txn.read(&removed)?;
    ctx.txn.put(
        &removed,
        &RemovedGroupRow {
            resync: row.resync,
            turn: row.turn,
        },
    );
    ctx.txn.delete(&GroupKey(group.clone()));
    ctx.txn.delete(&count);
    dynamic::forget(ctx, group)?;
    ctx.effects.extend([
        Effect::GroupSpecChanged(group.clone()),
        Effect::ViewChanged(View::Group(group.clone())),
        Effect::ViewChanged(View::Fleet),
    ]);
    Ok(())
}

/// Why a group cannot be removed, if it cannot.
fn in_use(group: &GroupId, row: &GroupRow, members: u32) -> Option<Rejection> {
    let refused = |why: String| Rejection::new(Code::GroupInUse, why).field("group");
    let listed = row.active.first().or(row.scheduled.first());
    if *group == GroupId::unassigned() {
        let why = format!("{group} is where a device is that is in no other group");
        return Some(refused(why).hint("it stays, also when it is empty"));
    }
    if let Some(id) = listed {
        let why = format!("deployment {id} of group {group} has not ended");
        let hint = format!("wait for it, or end it: hoist deployment abort {id}");
        return Some(refused(why).hint(hint));
    }
    if members > 0 {
        let devices = match members {
            1 => "1 device is".to_owned(),
            several => format!("{several} devices are"),
        };
        let hint = "move them with `hoist device move ID --group G`, or remove them";
        return Some(refused(format!("{devices} in group {group}")).hint(hint));
    }
    // It may obey the group until then.
    (row.leaving > 0).then(|| {
        let why = format!("a device that left group {group} has not been told yet");
        refused(why).hint("try again in a moment")
    })
}

/// Writes what looking for a line has to know of a member; the device's row says it.
pub(crate) fn put_member(
    ctx: &mut Ctx,
    device: &DeviceId,
    row: &DeviceRow,
) -> Result<(), Undecided> {
    let key = MemberKey(row.group.clone(), device.clone());
    ctx.txn.read(&key)?;
    let member = MemberRow {
        held: row.starts_nothing(),
        holds: row.holds.clone(),
        permits: row.permits.iter().map(|(id, _)| *id).collect(),
    };
    ctx.txn.put(&key, &member);
    Ok(())
}
