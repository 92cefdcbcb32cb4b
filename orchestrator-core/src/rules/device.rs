//! Registered devices: adding, moving, holding and removing them, what they say they are,
//! and asking them for a resync.

use hoist_protocol::device::DeviceInfo;
use hoist_protocol::id::{DeviceId, GroupId, UserId};

use crate::model::effect::{Effect, Event};
use crate::model::error::{Code, Rejection};
use crate::model::key::{
    DeviceKey, FactsKey, Key, RecoveryKey, RefusedKey, RevokedKey, RowKey, TroubleKey,
};
use crate::model::row::{DeviceRow, RevokedRow, STAYS_MAX};
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;
use crate::rules::deployment::end::{Change, complete_if_due};
use crate::rules::device::refusal::rejected;
use crate::rules::device::resync::ask_resync;
use crate::rules::rollout::membership;
use crate::rules::rollout::outbox::{self, AdmissionChange};
use crate::rules::waiting;
use crate::rules::{dynamic, group};

pub(crate) mod access;
pub(crate) mod contact;
pub(crate) mod doubt;
mod facts;
pub(crate) mod hold;
pub(crate) mod identity;
pub(crate) mod label;
pub(crate) mod name;
pub mod presence;
pub(crate) mod record;
pub(crate) mod refusal;
pub(crate) mod resync;
pub(crate) mod status;
pub(crate) mod trouble;

/// Rows that a device's info surely touches.
pub(crate) fn info_hint(device: &DeviceId) -> Vec<Key> {
    vec![
        DeviceKey(device.clone()).key(),
        FactsKey(device.clone()).key(),
        TroubleKey(device.clone()).key(),
    ]
}

/// Takes a device's info in; the first key it shows is pinned, another is refused.
pub(crate) fn merge_info(
    ctx: &mut Ctx,
    device: &DeviceId,
    info: &DeviceInfo,
) -> Result<(), Undecided> {
    let key = DeviceKey(device.clone());
    let Some(mut row) = ctx.txn.read(&key)? else {
        ctx.effects.push(rejected(Code::Unknown, device, None));
        return Ok(());
    };
    if row.revoked().is_some() {
        // bad-inputs row 24
        ctx.effects
            .push(rejected(Code::Revoked, device, Some(&row)));
        return Ok(());
    }
    match (row.public_key, info.public_key) {
        (None, Some(shown)) => {
            row.public_key = Some(shown);
            if std::mem::take(&mut row.unverified) {
                ask_resync(ctx, &mut row, device)?;
            } else {
                outbox::changed(ctx, device, AdmissionChange::Tightens)?;
            }
        }
        (Some(pinned), Some(shown)) if pinned != shown => {
            // Not this device's word: nothing else of it is taken in.
            return identity::other_key(ctx, device, row, (shown, None));
        }
        // A device that shows its key or spec has no spec of ours, or an old one.
        _ if info.public_key.is_some() || info.stored_spec.is_some() => {
            ctx.effects.push(Effect::DeviceSpecChanged(device.clone()));
        }
        _ => {}
    }
    // Whoever speaks has the pinned key: another one is not on offer (any more).
    if row.take_offer().is_some() {
        waiting::take(ctx.txn, device)?;
    }
    row.agent.clone_from(&info.agent);
    row.inventory.clone_from(&info.inventory);
    if !info.device_type.is_empty() {
        row.device_type.clone_from(&info.device_type);
    }
    row.last_seen_ms = Some(ctx.now.unix_ms);
    facts::note(ctx, device, Some(info))?;
    ctx.txn.put(&key, &row);
    trouble::note(ctx, device, info.trouble)
}

/// The refusal of a device that does not exist.
pub(crate) fn unknown(device: &DeviceId) -> Rejection {
    Rejection::new(Code::Device, format!("there is no device {device}"))
        .field("device")
        .wanted(device.as_str())
}

/// Removes a device: by whom is told.
pub(crate) fn take_out(
    ctx: &mut Ctx,
    device: &DeviceId,
    mut row: DeviceRow,
    by: UserId,
) -> Result<(), Undecided> {
    let group = row.group.clone();
    identity::forget(ctx, device)?;
    // Before its spec goes out: whoever is turned away leaves nothing behind.
    access::end_all(ctx, device, &mut row)?;
    row.running = None;
    contact::watch(ctx, device, &mut row)?;
    let there = group::require(ctx.txn, &row.group);
    match ctx.unless_damaged(there)? {
        Some(_) => leave(ctx, device, &mut row)?,
        // It may be a stolen one: whatever is lost, it is removed.
        None => membership::leave_lost(ctx, device, &row)?,
    }
    waiting::take(ctx.txn, device)?;
    ctx.txn.delete(&DeviceKey(device.clone()));
    ctx.txn.read(&RefusedKey(device.clone()))?;
    ctx.txn.delete(&RefusedKey(device.clone()));
    trouble::note(ctx, device, None)?;
    facts::note(ctx, device, None)?;
    let key = RevokedKey(device.clone());
    let revoked = ctx.txn.read_or_empty(&key)?;
    let past = [&revoked.past[..], &row.past].concat();
    let past = past[past.len().saturating_sub(STAYS_MAX)..].to_vec();
    ctx.txn.put(&key, &RevokedRow { past, ..revoked });
    ctx.effects.push(Effect::Event(Event::DeviceRemoved {
        device: device.clone(),
        group,
        by,
    }));
    Ok(())
}

/// Leaves the group; what waits for all of its members may be complete then (S1). A deployment that
/// is lost is told, and keeps no device in: it may be a stolen one that is removed.
fn leave(ctx: &mut Ctx, device: &DeviceId, row: &mut DeviceRow) -> Result<(), Undecided> {
    let group = group::require(ctx.txn, &row.group)?;
    membership::leave(ctx, device, row)?;
    for id in group.active {
        let completed = complete_if_due(ctx, id, Change::LEFT);
        ctx.unless_damaged(completed)?;
    }
    Ok(())
}

/// Registers a device that is not there, in a group. Beside those of joining, the effects ask
/// for what it has retained.
pub(crate) fn register(
    ctx: &mut Ctx,
    device: &DeviceId,
    mut row: DeviceRow,
    group: &GroupId,
) -> Result<DeviceRow, Undecided> {
    waiting::take(ctx.txn, device)?;
    // The tokens of an earlier life stay worth nothing.
    let revoked = ctx.txn.read_or_empty(&RevokedKey(device.clone()))?;
    let forgotten = ctx.txn.read_or_empty(&RecoveryKey)?;
    row.issue = revoked.issue.max(forgotten.issue).saturating_add(1);
    let group = dynamic::all(ctx.txn)?.home(group, &row.labels);
    membership::join(ctx, device, &mut row, &group)?;
    ctx.txn.put(&DeviceKey(device.clone()), &row);
    ctx.effects.push(Effect::ReadReports(device.clone()));
    ctx.effects.push(Effect::Event(Event::DeviceAdded {
        device: device.clone(),
        group,
    }));
    Ok(row)
}

/// Moves a device to another group (S14): what runs goes on, and from then on it obeys its new
/// group.
pub(crate) fn move_to(
    ctx: &mut Ctx,
    device: &DeviceId,
    row: &mut DeviceRow,
    group: &GroupId,
) -> Result<(), Undecided> {
    if row.group == *group {
        return Ok(());
    }
    leave(ctx, device, row)?;
    membership::join(ctx, device, row, group)?;
    ctx.txn.put(&DeviceKey(device.clone()), row);
    Ok(())
}

/// Puts a device where its labels say, unless an operator put it elsewhere. Its row is written too.
pub(crate) fn settle(
    ctx: &mut Ctx,
    device: &DeviceId,
    row: &mut DeviceRow,
) -> Result<(), Undecided> {
    let home = dynamic::all(ctx.txn)?.home(&row.group, &row.labels);
    move_to(ctx, device, row, &home)
}
