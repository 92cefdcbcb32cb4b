//! `device-hold`: an operator keeps a device from starting anything.

use hoist_protocol::id::DeviceId;

use crate::model::key::{DeviceKey, GroupCountKey, GroupKey, MemberKey, OutboxKey, RowKey};
use crate::model::row::DeviceRow;
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
    let group = row.group.clone();
    let mut group_row = group::require(ctx.txn, &group)?;
    ctx.txn.want([
        MemberKey(group.clone(), device.clone()).key(),
        OutboxKey(device.clone()).key(),
        GroupCountKey(group.clone()).key(),
    ])?;
    // Whoever looks for a line must see it (S10).
    group_row.turn += 1;
    ctx.txn.put(&GroupKey(group.clone()), &group_row);
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
    ctx.effects.extend(membership::shown(&group, &group_row));
    Ok(())
}
