//! Numbers that were given before this store knew of it: it is an older copy then. Nothing
//! is ever given again at or below what signed specs and devices' reports show (W1, S13), so
//! that one number never means two things to a device.

use hoist_protocol::id::{DeploymentId, DeviceId, Round};
use hoist_protocol::spec::DeploymentSpec;
use hoist_protocol::topic::View;

use crate::model::effect::Effect;
use crate::model::key::{DeploymentKey, MetaKey, OpenedKey, RowKey};
use crate::model::row::{DeploymentRow, MetaRow};
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;

/// Devices are believed numbers so far above the highest known, all of them together: a
/// backup may be behind by a few hundred deployments, and whoever lies must not use all
/// numbers up.
const AHEAD_MAX: u32 = 1_000;

/// A group's spec with our signature was seen: numbers and rounds in it were given.
pub(crate) fn seen_in_spec(ctx: &mut Ctx, entries: &[DeploymentSpec]) -> Result<(), Undecided> {
    let deployments = entries.iter().map(|entry| entry.deployment);
    let keys = deployments.clone().map(|id| DeploymentKey(id).key());
    ctx.txn.want(keys.chain([MetaKey.key()]))?;
    if let Some(highest) = deployments.max() {
        raise(ctx, highest)?;
    }
    for entry in entries {
        let id = entry.deployment;
        let row = ctx.txn.read(&DeploymentKey(id))?;
        let same = |row: &DeploymentRow| row.release == entry.release;
        if let Some(mut row) = row.filter(same).filter(|row| row.round < entry.round) {
            row.round = entry.round;
            row.last_round = row.last_round.max(entry.round);
            ctx.effects
                .push(Effect::GroupSpecChanged(row.group.clone()));
            ctx.effects.push(Effect::ViewChanged(View::Deployment(id)));
            ctx.txn.put(&DeploymentKey(id), &row);
        }
    }
    Ok(())
}

/// A device's spec with our signature was seen: rounds in it were opened for that device.
pub(crate) fn opened_in_spec(
    ctx: &mut Ctx,
    device: &DeviceId,
    rounds: &[(DeploymentId, Round)],
) -> Result<(), Undecided> {
    let keys = rounds.iter().flat_map(|(id, _)| {
        [
            DeploymentKey(*id).key(),
            OpenedKey(*id, device.clone()).key(),
        ]
    });
    ctx.txn.want(keys)?;
    for (id, round) in rounds {
        open(ctx, *id, device, *round)?;
    }
    Ok(())
}

/// Notes that a round was opened for a device, and gives no lower one again.
fn open(ctx: &mut Ctx, id: DeploymentId, device: &DeviceId, round: Round) -> Result<(), Undecided> {
    let key = OpenedKey(id, device.clone());
    let mut opened = ctx.txn.read_or_empty(&key)?;
    let Some(mut row) = ctx.txn.read(&DeploymentKey(id))? else {
        return Ok(());
    };
    if opened.round < round {
        opened.round = round;
        ctx.txn.put(&key, &opened);
    }
    if row.last_round < round {
        row.last_round = round;
        ctx.txn.put(&DeploymentKey(id), &row);
    }
    Ok(())
}

/// A device mentions deployments, up to this one: none of their numbers is given again. Says
/// it when the store has not heard of the highest: then it is older than what it once told
/// the device, or the device lies.
pub(crate) fn seen_in_status(
    ctx: &mut Ctx,
    device: &DeviceId,
    highest: Option<DeploymentId>,
) -> Result<(), Undecided> {
    let Some(highest) = highest else {
        return Ok(());
    };
    let meta = ctx.txn.meta()?;
    let ahead = highest.0.saturating_sub(meta.last_deployment.0);
    let told = meta.told.saturating_add(ahead);
    if ahead == 0 || told > AHEAD_MAX {
        return Ok(());
    }
    let raised = MetaRow {
        last_deployment: highest,
        told,
        ..meta
    };
    ctx.txn.put(&MetaKey, &raised);
    ctx.effects.push(Effect::OlderThanDevice {
        device: device.clone(),
        deployment: highest,
        known: meta.last_deployment,
    });
    Ok(())
}

/// Gives no number up to this one again.
pub(crate) fn raise(ctx: &mut Ctx, id: DeploymentId) -> Result<(), Undecided> {
    let mut meta = ctx.txn.meta()?;
    if meta.last_deployment < id {
        meta.last_deployment = id;
        meta.told = 0;
        ctx.txn.put(&MetaKey, &meta);
    }
    Ok(())
}
