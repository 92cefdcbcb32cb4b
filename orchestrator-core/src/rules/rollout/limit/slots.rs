//! Slots as devices come and go: who leaves takes its slot along, who joins takes one that is left.

use hoist_protocol::id::{DeploymentId, DeviceId, Round};

use super::permit::permit;
use super::{hold, hold_in, seek};
use crate::model::key::{DeploymentKey, RecordKey, RolloutKey, RowKey, SlotKey};
use crate::model::row::{DeploymentRow, DeviceRow, RecordRow, RecordState, SlotRow};
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;
use crate::rules::group;
use crate::rules::rollout::look;

/// A device leaves: the slots it was given go with it, because it may have started already.
/// They are noted, so that people are told, and it has them again when it is back. A deployment
/// that is lost lets nobody start and has no slots (bad-inputs row 62).
pub(crate) fn take_along(
    ctx: &mut Ctx,
    device: &DeviceId,
    row: &DeviceRow,
    active: &[DeploymentId],
) -> Result<(), Undecided> {
    for id in active {
        let key = SlotKey(*id, device.clone());
        let deployment = ctx.txn.require(&DeploymentKey(*id));
        let Some(deployment) = ctx.unless_damaged(deployment)? else {
            continue;
        };
        let record = ctx.txn.read(&RecordKey(*id, device.clone()))?;
        let admits = deployment.admits(*id, device);
        let let_in = admits || row.is_permitted(*id, Round(0));
        let given = deployment.bound().is_some() && let_in && !row.holds.contains(id);
        if given && record.is_none() {
            ctx.txn.read(&key)?;
            ctx.txn.put(&key, &SlotRow {});
        }
    }
    Ok(())
}

/// A device joins under the line: it takes a slot, or is held in the very spec that makes
/// it a member. A device with a record has had its slot, and one that took its slot along has
/// it still. A deployment that is lost lets nobody start.
pub(crate) fn admit_joiner(
    ctx: &mut Ctx,
    id: DeploymentId,
    device: &DeviceId,
    row: &mut DeviceRow,
    record: Option<&RecordRow>,
) -> Result<(), Undecided> {
    let deployment = ctx.txn.require(&DeploymentKey(id));
    let Some(mut deployment) = ctx.unless_damaged(deployment)? else {
        return Ok(());
    };
    let Some(limit) = deployment.bound() else {
        return Ok(());
    };
    let kept = SlotKey(id, device.clone());
    if !deployment.admits(id, device) {
        // Who took a permit along has it again.
        if deployment.allowed.is_some() && ctx.txn.read(&kept)?.is_some() {
            ctx.txn.delete(&kept);
            return permit_again(ctx, (id, &mut deployment), row);
        }
        return Ok(());
    }
    match record {
        Some(record) if !gave_back(record) => {}
        None if ctx.txn.read(&kept)?.is_some() => ctx.txn.delete(&kept),
        None if deployment.slots < limit => {
            deployment.slots += 1;
            ctx.txn.put(&DeploymentKey(id), &deployment);
        }
        Some(_) | None => {
            let active = group::require(ctx.txn, &deployment.group)?.active;
            hold_in(row, id, &active);
            if deployment.allowed.is_some() && deployment.state.is_active() {
                look::with_more(ctx, id)?;
            }
        }
    }
    Ok(())
}

/// A device is back with its permit. Where sites have a budget, its place may be another's by now,
/// so that it waits like the others (S16).
fn permit_again(
    ctx: &mut Ctx,
    (id, deployment): (DeploymentId, &mut DeploymentRow),
    row: &mut DeviceRow,
) -> Result<(), Undecided> {
    let state = ctx.txn.read(&RolloutKey(id))?;
    if state.is_some_and(|state| state.rollout.budget.is_some()) {
        deployment.slots = deployment.slots.saturating_sub(1);
        ctx.txn.put(&DeploymentKey(id), deployment);
        return look::soon(ctx, id, deployment);
    }
    let active = group::require(ctx.txn, &deployment.group)?.active;
    permit(row, (id, deployment.round), &active);
    Ok(())
}

/// A device that was let go takes the slots that are left; while a line is sought, what lies
/// above the last one is for the search.
pub(crate) fn admit_released(
    ctx: &mut Ctx,
    device: &DeviceId,
    row: &mut DeviceRow,
) -> Result<(), Undecided> {
    ctx.txn
        .want(row.holds.iter().map(|id| DeploymentKey(*id).key()))?;
    for id in row.holds.clone() {
        let deployment = ctx.txn.read_unless_removed(id);
        let Some(mut deployment) = ctx.unless_damaged(deployment)?.flatten() else {
            continue;
        };
        let record = ctx.txn.read(&RecordKey(id, device.clone()))?;
        let left = deployment
            .bound()
            .is_some_and(|bound| deployment.slots < bound);
        if deployment.seek_due_ms.is_some() {
            if !deployment.admits(id, device) {
                row.holds.retain(|hold| *hold != id);
            }
        } else if left && record.is_none() {
            deployment.slots += 1;
            row.holds.retain(|hold| *hold != id);
            ctx.txn.put(&DeploymentKey(id), &deployment);
        }
    }
    Ok(())
}

/// True if a record says that its device can never start: it has given its slot back.
pub(crate) fn gave_back(record: &RecordRow) -> bool {
    let reason = hoist_protocol::reason::Reason::Incompatible;
    matches!(&record.state, RecordState::Failed(failure) if failure.reason == reason)
}

/// A device proved incompatible: nothing ran, and nothing ever will, since it is held, or else
/// nobody counts it. Its slot goes to the next.
pub(crate) fn give_back(
    ctx: &mut Ctx,
    id: DeploymentId,
    device: &DeviceId,
    row: &mut DeviceRow,
) -> Result<(), Undecided> {
    let mut deployment = ctx.txn.require(&DeploymentKey(id))?;
    if deployment.bound().is_none() || !deployment.state.is_active() {
        return Ok(());
    }
    if row.group == deployment.group && deployment.allowed.is_none() {
        let active = group::require(ctx.txn, &row.group)?.active;
        hold(ctx, device, row, id, &active)?;
    }
    deployment.slots = deployment.slots.saturating_sub(1);
    seek(ctx, id, &mut deployment)?;
    ctx.txn.put(&DeploymentKey(id), &deployment);
    Ok(())
}
