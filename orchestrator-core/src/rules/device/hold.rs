//! `device-hold`: an operator keeps a device from starting anything.

use hoist_protocol::id::DeviceId;

use crate::model::key::{DeviceKey, GroupCountKey, GroupKey, MemberKey, OutboxKey, RowKey};
use crate::model::row::{DeviceRow, GroupRow};
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;
use crate::rules::group;
use crate::rules::rollout::outbox::{self, AdmissionChange};
use crate::rules::rollout::{limit, membership};

/// Holds a device, or lifts that; it is not so yet. Its row is written too.
pub(crate) fn set(
    ctx: &mut Ctx,
    device: &DeviceId,
    row: &mut DeviceRow,
    held: bool,
) -> Result<(), Undecided> {
    change(ctx, device, row, |row| row.held = held)
}

/// Changes what keeps a device from starting anything: a hold, or that it was revoked. Its row is
/// written too.
pub(crate) fn change(
    ctx: &mut Ctx,
    device: &DeviceId,
    row: &mut DeviceRow,
    change: impl FnOnce(&mut DeviceRow),
) -> Result<(), Undecided> {
    let group_row = group::require(ctx.txn, &row.group)?;
    changed(ctx, (device, Some(group_row)), row, change)
}

/// The same for a device that was revoked: it may be a stolen one, so that it is out whatever became of
/// its group's row. Who looks for a line there finds that row lost too.
pub(crate) fn shut_out(
    ctx: &mut Ctx,
    device: &DeviceId,
    row: &mut DeviceRow,
    change: impl FnOnce(&mut DeviceRow),
) -> Result<(), Undecided> {
    let there = group::require(ctx.txn, &row.group);
    let group_row = ctx.unless_damaged(there)?;
    changed(ctx, (device, group_row), row, change)
}

fn changed(
    ctx: &mut Ctx,
    (device, group_row): (&DeviceId, Option<GroupRow>),
    row: &mut DeviceRow,
    change: impl FnOnce(&mut DeviceRow),
) -> Result<(), Undecided> {
    let group = row.group.clone();
    ctx.txn.want([
        MemberKey(group.clone(), device.clone()).key(),
        OutboxKey(device.clone()).key(),
        GroupCountKey(group.clone()).key(),
    ])?;
    // Whoever looks for a line must see it (S10).
    let group_row = group_row.map(|row| GroupRow {
        turn: row.turn + 1,
        ..row
    });
    if let Some(group_row) = &group_row {
        ctx.txn.put(&GroupKey(group.clone()), group_row);
    }
    let instance = ctx.txn.instance()?;
    let mut count = group::count(ctx.txn, &group, &instance)?;
    if let Some(before) = count.counting(row) {
        *before = before.saturating_sub(1);
    }
    change(row);
    if let Some(now) = count.counting(row) {
        *now += 1;
    }
    ctx.txn.put(&GroupCountKey(group.clone()), &count);
    if !row.starts_nothing() {
        limit::admit_released(ctx, device, row)?;
    }
    group::put_member(ctx, device, row)?;
    ctx.txn.put(&DeviceKey(device.clone()), row);
    let means = match row.starts_nothing() {
        true => AdmissionChange::Tightens,
        false => AdmissionChange::Loosens,
    };
    outbox::changed(ctx, device, means)?;
    if let Some(group_row) = &group_row {
        ctx.effects.extend(membership::shown(&group, group_row));
    }
    Ok(())
}
