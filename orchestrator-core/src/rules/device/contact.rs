//! Contact with devices at work. Lost contact is shown as Retrying after `grace` (S6). A
//! device that is silent beyond its deployment's timeout is asked, and only when no answer
//! comes is it Failed, provisionally: its own word wins whenever it comes (S7). All of it
//! is in connected uptime, and none of it soon after a connect.

use hoist_protocol::id::{DeploymentId, DeviceId};
use hoist_protocol::status::Step;
use hoist_protocol::topic::View;

use crate::model::counter::{self, put_record};
use crate::model::effect::Effect;
use crate::model::key::{DeviceKey, RecordKey, RowKey};
use crate::model::now::Now;
use crate::model::row::{DeviceRow, InstanceRow, RecordRow, RecordState};
use crate::model::timer::{Timer, TimerKind, clear_timer, set_timer};
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;
use crate::rules::device::record::{ended, move_timer};
use crate::rules::device::resync::ask_resync;
use crate::rules::rollout::look;

/// Since when nothing is known of a device, in ms of connected uptime; `None` while it is there.
#[must_use]
pub(crate) fn lost_since_ms(row: &DeviceRow, instance: &InstanceRow) -> Option<u64> {
    match (row.is_there(instance), row.presence) {
        (Some(true), _) => None,
        (Some(false), Some(heard)) => Some(heard.since_ms),
        // The broker forgot; since the connect after that we listen in vain.
        _ => Some(instance.connected_at_ms),
    }
}

/// True if contact with a device counts as lost (S6).
#[must_use]
pub(crate) fn is_lost(row: &DeviceRow, instance: &InstanceRow, now: Now) -> bool {
    let long = |since: u64| since.saturating_add(now.patience.grace_ms) <= now.uptime_ms;
    lost_since_ms(row, instance).is_some_and(long) && is_settled(instance, now)
}

/// True if devices have had time to report since the last connect (S7).
fn is_settled(instance: &InstanceRow, now: Now) -> bool {
    settled_ms(instance, now) <= now.uptime_ms
}

/// Until when nothing is concluded from silence, in ms of connected uptime.
pub(crate) fn settled_ms(instance: &InstanceRow, now: Now) -> u64 {
    instance
        .connected_at_ms
        .saturating_add(now.patience.settle_ms)
}

/// Keeps watch over a device that is offline while it works, and over no other. The caller
/// writes the device's row.
pub(crate) fn watch(
    ctx: &mut Ctx,
    device: &DeviceId,
    row: &mut DeviceRow,
) -> Result<(), Undecided> {
    let Some(id) = row.running else {
        return unwatch(ctx, device, row);
    };
    let key = RecordKey(id, device.clone());
    ctx.txn.want([key.key(), counter::key_of(id, device)])?;
    let instance = ctx.txn.instance()?;
    let record = ctx.txn.read(&key)?;
    let Some(record) = record.filter(|r| matches!(r.state, RecordState::InProgress(_))) else {
        return unwatch(ctx, device, row);
    };
    match row.is_there(&instance) {
        Some(false) if !record.lost && row.contact_due_ms.is_none() => {
            let due_ms = ctx.now.uptime_ms.saturating_add(ctx.now.patience.grace_ms);
            set_timer(ctx.txn, due_ms, TimerKind::Contact(device.clone()))?;
            row.contact_due_ms = Some(due_ms);
        }
        Some(true) => {
            unwatch(ctx, device, row)?;
            if record.lost {
                return set_lost(ctx, &key, &record, false);
            }
        }
        _ => {}
    }
    Ok(())
}

fn unwatch(ctx: &mut Ctx, device: &DeviceId, row: &mut DeviceRow) -> Result<(), Undecided> {
    match row.contact_due_ms.take() {
        Some(due_ms) => clear_timer(ctx.txn, due_ms, TimerKind::Contact(device.clone())),
        None => Ok(()),
    }
}

fn set_lost(
    ctx: &mut Ctx,
    key: &RecordKey,
    record: &RecordRow,
    lost: bool,
) -> Result<(), Undecided> {
    let new = RecordRow {
        lost,
        ..record.clone()
    };
    put_record(ctx.txn, key, Some(record), &new)?;
    ctx.effects
        .push(Effect::ViewChanged(View::Deployment(key.0)));
    Ok(())
}

/// A device at work has been offline for `grace`: shown as Retrying, unless it is expected
/// to be away because it reboots (S6).
pub(crate) fn contact_due(
    ctx: &mut Ctx,
    timer: &Timer,
    device: &DeviceId,
) -> Result<(), Undecided> {
    clear_timer(ctx.txn, timer.due_ms, timer.kind.clone())?;
    let key = DeviceKey(device.clone());
    let row = ctx.txn.read(&key)?;
    let Some(mut row) = row.filter(|row| row.contact_due_ms == Some(timer.due_ms)) else {
        return Ok(());
    };
    row.contact_due_ms = None;
    let instance = ctx.txn.instance()?;
    if let Some(id) = row.running
        && let Some(record) = ctx.txn.read(&RecordKey(id, device.clone()))?
        && let RecordState::InProgress(step) = record.state
    {
        let expected_ms = match step {
            Step::Rebooting if !record.asked => record.due_ms.unwrap_or_default(),
            Step::Rebooting => 0,
            Step::Downloading(_)
            | Step::Downloaded
            | Step::Installing
            | Step::Retrying
            | Step::RetryingAfter(_) => 0,
        };
        let look_ms = settled_ms(&instance, ctx.now).max(expected_ms);
        if look_ms > ctx.now.uptime_ms {
            set_timer(ctx.txn, look_ms, timer.kind.clone())?;
            row.contact_due_ms = Some(look_ms);
        } else if !record.lost {
            let record_key = RecordKey(id, device.clone());
            set_lost(ctx, &record_key, &record, true)?;
        }
    }
    ctx.txn.put(&key, &row);
    Ok(())
}

/// A device's time is over: it is asked first, and only after `grace` without an answer is
/// it Failed, provisionally (S7).
pub(crate) fn timeout_due(
    ctx: &mut Ctx,
    timer: &Timer,
    id: DeploymentId,
    device: &DeviceId,
) -> Result<(), Undecided> {
    let key = RecordKey(id, device.clone());
    let record = ctx.txn.read(&key)?;
    let Some(old) = record.filter(|record| record.due_ms == Some(timer.due_ms)) else {
        clear_timer(ctx.txn, timer.due_ms, timer.kind.clone())?;
        return Ok(());
    };
    let instance = ctx.txn.instance()?;
    let mut new = old.clone();
    if !is_settled(&instance, ctx.now) {
        new.due_ms = Some(settled_ms(&instance, ctx.now));
    } else if let Some(mut row) = ctx
        .txn
        .read(&DeviceKey(device.clone()))?
        .filter(|_| !old.asked)
    {
        ctx.effects.push(Effect::ReadStatus(device.clone()));
        ask_resync(ctx, &mut row, device)?;
        ctx.txn.put(&DeviceKey(device.clone()), &row);
        new.asked = true;
        new.due_ms = Some(ctx.now.uptime_ms.saturating_add(ctx.now.patience.grace_ms));
    } else {
        new.state = RecordState::TimedOut;
        new.lost = false;
        new.due_ms = None;
        new.updated_ms = ctx.now.unix_ms;
        ctx.effects
            .extend(ended(id, device, &new).map(Effect::Event));
        ctx.effects.push(Effect::ViewChanged(View::Deployment(id)));
        let deployment = ctx.txn.read_unless_removed(id);
        if let Some(deployment) = ctx.unless_damaged(deployment)?.flatten() {
            look::soon(ctx, id, &deployment)?;
        }
    }
    put_record(ctx.txn, &key, Some(&old), &new)?;
    move_timer(ctx, id, device, old.due_ms, new.due_ms)
}
