//! Numbers that were given before this store knew of it: it is an older copy then. Nothing
//! is ever given again at or below what signed specs and devices' reports show (W1, S13), so
//! that one number never means two things to a device.

use hoist_protocol::id::{DeploymentId, DeviceId, Round};
use hoist_protocol::spec::DeploymentSpec;
use hoist_protocol::topic::View;

use crate::model::effect::Effect;
use crate::model::error::{Code, Rejection};
use crate::model::key::{DeploymentKey, NumbersKey, OpenedKey, RowKey};
use crate::model::row::{DeploymentRow, InstanceRow, NumbersRow};
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;
use crate::rules::stop::Stop;

/// Numbers that an orchestrator reserves at once: so many are given for one write of a row that all
/// of them share, and no more are lost with it.
const BLOCK: u32 = 16;
/// Devices are believed numbers so far above the highest known, all of them together: a
/// backup may be behind by a few hundred deployments, and whoever lies must not use all
/// numbers up.
const AHEAD_MAX: u32 = 1_000;

/// A group's spec with our signature was seen: numbers and rounds in it were given.
pub(crate) fn seen_in_spec(ctx: &mut Ctx, entries: &[DeploymentSpec]) -> Result<(), Undecided> {
    let deployments = entries.iter().map(|entry| entry.deployment);
    let keys = deployments.clone().map(|id| DeploymentKey(id).key());
    ctx.txn.want(keys)?;
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
    let mut instance = ctx.txn.instance()?;
    let ahead = highest.0.saturating_sub(instance.last_deployment.0);
    let told = instance.told.saturating_add(ahead);
    if ahead == 0 || told > AHEAD_MAX || !is_ours(ctx, &mut instance, highest)? {
        return Ok(());
    }
    let known = instance.last_deployment;
    instance.last_deployment = highest;
    instance.told = told;
    ctx.txn.put_instance(&instance);
    ctx.effects.push(Effect::OlderThanDevice {
        device: device.clone(),
        deployment: highest,
        known,
    });
    Ok(())
}

/// Gives no number up to this one again.
pub(crate) fn raise(ctx: &mut Ctx, id: DeploymentId) -> Result<(), Undecided> {
    let mut instance = ctx.txn.instance()?;
    if instance.last_deployment < id && is_ours(ctx, &mut instance, id)? {
        instance.last_deployment = id;
        instance.told = 0;
        ctx.txn.put_instance(&instance);
    }
    Ok(())
}

/// Gives a number that was never given.
pub(crate) fn next(ctx: &mut Ctx) -> Result<DeploymentId, Stop> {
    let mut instance = ctx.txn.instance()?;
    if instance.last_deployment >= instance.numbers_end {
        let numbers = ctx.txn.read_or_empty(&NumbersKey)?;
        let before = numbers.reserved.max(instance.last_deployment);
        let reserved = DeploymentId(before.0.saturating_add(BLOCK));
        ctx.txn.put(&NumbersKey, &NumbersRow { reserved });
        instance.last_deployment = before;
        instance.numbers_end = reserved;
    }
    let Some(next) = instance.last_deployment.0.checked_add(1) else {
        let why = "every number of a deployment has been given";
        return Err(Rejection::new(Code::Internal, why).into());
    };
    instance.last_deployment = DeploymentId(next);
    instance.told = 0;
    ctx.txn.put_instance(&instance);
    Ok(instance.last_deployment)
}

/// True if a number above the highest known is for this orchestrator to note: it is among those
/// reserved for it, or above all that are reserved, and is reserved then. Another one gives the
/// others.
fn is_ours(ctx: &mut Ctx, instance: &mut InstanceRow, id: DeploymentId) -> Result<bool, Undecided> {
    if id <= instance.numbers_end {
        return Ok(true);
    }
    if id <= ctx.txn.read_or_empty(&NumbersKey)?.reserved {
        return Ok(false);
    }
    instance.numbers_end = id;
    ctx.txn.put(&NumbersKey, &NumbersRow { reserved: id });
    Ok(true)
}
