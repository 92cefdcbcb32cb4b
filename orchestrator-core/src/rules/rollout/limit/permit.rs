//! Permits that were found for a rollout: each is in its device's own spec, up to a round (S16).

use hoist_protocol::id::{DeploymentId, DeviceId, Round};
use hoist_protocol::topic::View;

use super::{SEEK_PAUSE_MS, seek_after, slots_left, stop_seeking};
use crate::model::effect::Effect;
use crate::model::key::{
    DeploymentKey, DeviceKey, MemberKey, OutboxKey, RecordKey, RolloutKey, RowKey,
};
use crate::model::row::{DeploymentRow, DeviceRow, GroupRow};
use crate::model::search::Found;
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;
use crate::rules::group::put_member;
use crate::rules::rollout::look;
use crate::rules::rollout::outbox::{self, AdmissionChange};

/// Gives them, unless the members or the slots have changed since they were read: a place must not
/// get more than it has room for.
pub(super) fn found(
    ctx: &mut Ctx,
    found: &Found,
    row: &mut DeploymentRow,
    group_row: &GroupRow,
) -> Result<(), Undecided> {
    let id = found.seek.deployment;
    let stands = found.turn == group_row.turn
        && found.seek.slots == row.slots
        && found.seek.round == row.last_round
        && found.seek.count <= slots_left(row)
        && row.state.is_active();
    if stands {
        for device in &found.permits {
            give(ctx, (id, row), device, group_row)?;
        }
    }
    if !stands || found.more {
        let due_ms = ctx.now.uptime_ms.saturating_add(SEEK_PAUSE_MS);
        seek_after(ctx, id, row, due_ms)?;
    } else {
        let key = RolloutKey(id);
        let mut state = ctx.txn.require(&key)?;
        state.searched.left = found.left;
        ctx.txn.put(&key, &state);
        stop_seeking(ctx, id, row)?;
        look::soon(ctx, id, row)?;
    }
    ctx.txn.put(&DeploymentKey(id), row);
    ctx.effects.push(Effect::ViewChanged(View::Deployment(id)));
    Ok(())
}

fn give(
    ctx: &mut Ctx,
    (id, row): (DeploymentId, &mut DeploymentRow),
    device: &DeviceId,
    group_row: &GroupRow,
) -> Result<(), Undecided> {
    let key = DeviceKey(device.clone());
    let record = RecordKey(id, device.clone());
    ctx.txn.want([
        key.key(),
        record.key(),
        OutboxKey(device.clone()).key(),
        MemberKey(row.group.clone(), device.clone()).key(),
    ])?;
    let of = ctx.txn.read(&key)?;
    let Some(mut of) = of.filter(|of| of.group == row.group && !of.starts_nothing()) else {
        return Ok(());
    };
    // One that begins again has its slot.
    if ctx.txn.read(&record)?.is_none() && !of.is_permitted(id, Round(0)) {
        row.slots += 1;
    }
    permit(&mut of, (id, row.last_round), &group_row.active);
    put_member(ctx, device, &of)?;
    ctx.txn.put(&key, &of);
    outbox::changed(ctx, device, AdmissionChange::Loosens)
}

/// Puts a permit into a device's row. Those of ended deployments go.
pub(super) fn permit(
    of: &mut DeviceRow,
    (id, round): (DeploymentId, Round),
    active: &[DeploymentId],
) {
    of.permits
        .retain(|(other, _)| *other != id && active.contains(other));
    of.permits.push((id, round));
    of.permits.sort_unstable();
}
