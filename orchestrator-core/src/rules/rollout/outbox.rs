//! Which devices have to be told something: a row for each, written with the change and
//! deleted when the broker was seen to hold the spec that says it. A crash in between leaves
//! the row, and the next run of the server tells the device.
//!
//! What is known to be out is also what limits rest on (S10): a line is drawn only when
//! nobody who must not start can still read a spec that lets it.

use hoist_protocol::id::{DeviceId, GroupId};

use crate::model::effect::Effect;
use crate::model::key::{GroupKey, OutboxKey, RowKey};
use crate::model::row::GroupRow;
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;
use crate::rules::group;

/// Groups that a device left and may still obey, at most: moved so often without having
/// been told once, it is taken as told about the first.
const LEFT_MAX: usize = 8;

/// The meaning of a changed spec for its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AdmissionChange {
    /// Nothing it could not start before: it goes out at once.
    Tightens,
    /// It may start something: its group's spec goes first, so that it never reads an older
    /// one that lists what is over (S4, S10).
    Loosens,
}

/// A device's spec has changed.
pub(crate) fn changed(
    ctx: &mut Ctx,
    device: &DeviceId,
    change: AdmissionChange,
) -> Result<(), Undecided> {
    let key = OutboxKey(device.clone());
    let mut row = ctx.txn.read_or_empty(&key)?;
    row.change = row.change.wrapping_add(1);
    row.permits |= change == AdmissionChange::Loosens;
    ctx.txn.put(&key, &row);
    ctx.effects.push(Effect::DeviceSpecChanged(device.clone()));
    Ok(())
}

/// A device leaves a group, which it obeys until its changed spec is out.
pub(crate) fn left(
    ctx: &mut Ctx,
    device: &DeviceId,
    group: &GroupId,
    group_row: &mut GroupRow,
) -> Result<(), Undecided> {
    let key = OutboxKey(device.clone());
    let mut row = ctx.txn.read_or_empty(&key)?;
    if row.left.contains(group) {
        return Ok(());
    }
    if row.left.len() == LEFT_MAX {
        let first = row.left.remove(0);
        told(ctx, &first)?;
    }
    row.left.push(group.clone());
    group_row.leaving += 1;
    ctx.txn.put(&key, &row);
    Ok(())
}

/// A device comes back to a group that it may never have heard it left.
pub(crate) fn came_back(
    ctx: &mut Ctx,
    device: &DeviceId,
    group: &GroupId,
    group_row: &mut GroupRow,
) -> Result<(), Undecided> {
    let key = OutboxKey(device.clone());
    let row = ctx.txn.read(&key)?;
    let Some(mut row) = row.filter(|row| row.left.contains(group)) else {
        return Ok(());
    };
    row.left.retain(|left| left != group);
    group_row.leaving = group_row.leaving.saturating_sub(1);
    ctx.txn.put(&key, &row);
    Ok(())
}

/// The broker was seen to hold what the spec says since that change.
pub(crate) fn spec_out(ctx: &mut Ctx, device: &DeviceId, change: u32) -> Result<(), Undecided> {
    let key = OutboxKey(device.clone());
    let row = ctx.txn.read(&key)?;
    let Some(row) = row.filter(|row| row.change == change) else {
        return Ok(());
    };
    ctx.txn
        .want(row.left.iter().map(|left| GroupKey(left.clone()).key()))?;
    for group in &row.left {
        told(ctx, group)?;
    }
    ctx.txn.delete(&key);
    Ok(())
}

fn told(ctx: &mut Ctx, group: &GroupId) -> Result<(), Undecided> {
    // A group that somebody may still obey is not removed; one that is lost counts nobody.
    let row = group::require(ctx.txn, group);
    let Some(mut row) = ctx.unless_damaged(row)? else {
        return Ok(());
    };
    row.leaving = row.leaving.saturating_sub(1);
    ctx.txn.put(&GroupKey(group.clone()), &row);
    Ok(())
}
