//! Retention of things that are over (settings): deployments that are over, and devices that
//! nobody heard for long. The adapter looks for both now and then. The rules here decide about
//! each, one after the other, by the rows of now. With the decision a deployment is gone for
//! everybody; the rows that it leaves behind are swept after that, page by page. Its number stays
//! known: the number is never given again, and a device that still reports the deployment commits
//! no offence.

use hoist_protocol::id::{DeploymentId, DeviceId, Shard, UserId};
use hoist_protocol::topic::View;

use crate::model::counter::{self, Totals};
use crate::model::effect::{Effect, Event};
use crate::model::error::{Code, Rejection};
use crate::model::key::{
    CounterKey, DeploymentKey, DeviceKey, ForgottenKey, Key, Prefix, RecordKey, RowKey,
};
use crate::model::now::{Mode, Now};
use crate::model::row::{DeploymentRow, DeviceRow, ForgottenRow, InstanceRow, RecordState};
use crate::model::search::{Left, Old};
use crate::model::timer::{Timer, TimerKind, clear_timer, set_timer};
use crate::model::txn::{Txn, Undecided};
use crate::rules::ctx::Ctx;
use crate::rules::deployment::numbers;
use crate::rules::deployment::settled::is_over;
use crate::rules::device::contact::is_lost;
use crate::rules::{device, group};

/// Rows of a removed deployment that are swept with one decision.
pub const PAGE: usize = 256;
/// A page that is not found after this time, in ms of connected uptime, is asked for again: the question
/// died with a crash.
const SWEEP_AGAIN_MS: u64 = 10_000;

/// Where everything lies that belongs to a deployment beside its own row.
#[must_use]
pub fn left_of(id: DeploymentId) -> [Prefix; 6] {
    [
        Prefix::Records(id),
        Prefix::Counters(id),
        Prefix::Opened(id),
        Prefix::Slots(id),
        Prefix::Rollout(id),
        Prefix::History(id),
    ]
}

/// True if a deployment has been over on every device for as long as it is kept. `changed_ms` is
/// when one of its records changed last, Unix time in ms.
#[must_use]
pub fn is_old(row: &DeploymentRow, totals: &Totals, changed_ms: u64, now: Now) -> bool {
    let (Some(keep_ms), Some(end)) = (now.keep.ended_deployments_ms, &row.end) else {
        return false;
    };
    let over_ms = end.at_ms.max(changed_ms);
    is_over(row, totals) && over_ms.saturating_add(keep_ms) <= now.unix_ms
}

/// True if a deployment ended so long ago that [`is_old`] is worth asking.
#[must_use]
pub fn may_be_old(row: &DeploymentRow, now: Now) -> bool {
    let ended = row.end.as_ref().map(|end| end.at_ms);
    let old = |keep_ms: u64| {
        ended.is_some_and(|ended_ms| ended_ms.saturating_add(keep_ms) <= now.unix_ms)
    };
    now.keep.ended_deployments_ms.is_some_and(old)
}

/// True if a device has been away for as long as silent ones are kept, by the clock and by the
/// time in which it could have been heard. A device that never came waits for its first
/// connection, one that is held is meant to be there, and one that was revoked stays to be seen.
#[must_use]
pub fn is_silent(row: &DeviceRow, instance: &InstanceRow, now: Now) -> bool {
    let keep_ms = now.keep.silent_devices_ms;
    let (Some(keep_ms), Some(seen_ms)) = (keep_ms, row.last_seen_ms) else {
        return false;
    };
    let since_ms = match row.presence {
        Some(heard) if !heard.online => heard.since_ms,
        // It was there when the broker restarted: since then it could have come back.
        Some(_) if row.is_there(instance).is_none() => instance.connected_at_ms,
        _ => return false,
    };
    !row.starts_nothing()
        && is_lost(row, instance, now)
        && seen_ms.saturating_add(keep_ms) <= now.unix_ms
        && since_ms.saturating_add(keep_ms) <= now.uptime_ms
}

/// Removes what was found to be old, if it still is.
pub(crate) fn old(ctx: &mut Ctx, old: &Old) -> Result<(), Undecided> {
    match old {
        _ if ctx.now.mode == Mode::Recovering => Ok(()),
        Old::Deployment(id) => deployment(ctx, *id),
        Old::Device(id) => silent(ctx, id),
    }
}

fn deployment(ctx: &mut Ctx, id: DeploymentId) -> Result<(), Undecided> {
    let key = DeploymentKey(id);
    let forgotten = ForgottenKey(id);
    ctx.txn.want([key.key(), forgotten.key()])?;
    let Some(row) = ctx.txn.read(&key)?.filter(|row| may_be_old(row, ctx.now)) else {
        return Ok(());
    };
    let totals = counter::totals(ctx.txn, id)?;
    let mut changed_ms = 0;
    for shard in 0..=u8::MAX {
        let counted = ctx.txn.read(&CounterKey(id, Shard(shard)))?;
        changed_ms = changed_ms.max(counted.map_or(0, |row| row.updated_ms));
    }
    if !is_old(&row, &totals, changed_ms, ctx.now) {
        return Ok(());
    }
    numbers::raise(ctx, id)?;
    ctx.txn.delete(&key);
    let mut row_left = ForgottenRow {
        at_ms: ctx.now.unix_ms,
        sweep_due_ms: None,
    };
    ctx.effects.extend([
        Effect::Event(Event::DeploymentRemoved {
            deployment: id,
            release: row.release_text,
            group: row.group,
        }),
        Effect::ViewChanged(View::Deployment(id)),
    ]);
    sweep_after(ctx, id, &mut row_left)
}

/// Asks for a page of what is left, and again when no answer comes.
fn sweep_after(ctx: &mut Ctx, id: DeploymentId, row: &mut ForgottenRow) -> Result<(), Undecided> {
    stop_sweeping(ctx, id, row)?;
    let due_ms = ctx.now.uptime_ms.saturating_add(SWEEP_AGAIN_MS);
    set_timer(ctx.txn, due_ms, TimerKind::Sweep(id))?;
    row.sweep_due_ms = Some(due_ms);
    ctx.txn.put(&ForgottenKey(id), row);
    ctx.effects.push(Effect::Sweep(id));
    Ok(())
}

fn stop_sweeping(ctx: &mut Ctx, id: DeploymentId, row: &mut ForgottenRow) -> Result<(), Undecided> {
    match row.sweep_due_ms.take() {
        Some(due_ms) => clear_timer(ctx.txn, due_ms, TimerKind::Sweep(id)),
        None => Ok(()),
    }
}

/// A page was not found in time.
pub(crate) fn sweep_due(ctx: &mut Ctx, timer: &Timer, id: DeploymentId) -> Result<(), Undecided> {
    clear_timer(ctx.txn, timer.due_ms, timer.kind.clone())?;
    let row = ctx.txn.read(&ForgottenKey(id))?;
    let waits = |row: &ForgottenRow| row.sweep_due_ms == Some(timer.due_ms);
    match row.filter(waits) {
        Some(mut row) => sweep_after(ctx, id, &mut row),
        None => Ok(()),
    }
}

/// A page of what is left of a removed deployment: it goes, and the next is asked for.
pub(crate) fn sweep(ctx: &mut Ctx, left: &Left) -> Result<(), Undecided> {
    let id = left.deployment;
    let row = ctx.txn.read(&ForgottenKey(id))?;
    let Some(mut row) = row.filter(|row| row.sweep_due_ms.is_some()) else {
        return Ok(());
    };
    let ranges = left_of(id).map(|prefix| prefix.bytes());
    let is_left = |key: &&Key| ranges.iter().any(|range| key.0.starts_with(&range.0));
    let keys: Vec<&Key> = left.keys.iter().filter(is_left).collect();
    ctx.txn.want(keys.iter().copied().cloned())?;
    for key in keys {
        ctx.txn.delete_key(key);
    }
    if left.more {
        return sweep_after(ctx, id, &mut row);
    }
    stop_sweeping(ctx, id, &mut row)?;
    ctx.txn.put(&ForgottenKey(id), &row);
    // Once more: a crash may have come before it was cleared.
    ctx.effects.push(Effect::ViewChanged(View::Deployment(id)));
    Ok(())
}

fn silent(ctx: &mut Ctx, id: &DeviceId) -> Result<(), Undecided> {
    let instance = ctx.txn.instance()?;
    let row = ctx.txn.read(&DeviceKey(id.clone()))?;
    let Some(row) = row.filter(|row| is_silent(row, &instance, ctx.now)) else {
        return Ok(());
    };
    if is_at_work(ctx.txn, id, &row)? {
        return Ok(());
    }
    device::take_out(ctx, id, row, UserId::retention())
}

/// True if a device is in progress in the deployment that it works on, worked on last, or is to
/// obey: until its time there is over it is waited for (S7).
fn is_at_work(txn: &Txn, id: &DeviceId, row: &DeviceRow) -> Result<bool, Undecided> {
    let active = group::require(txn, &row.group)?.active;
    let ids = row.running.into_iter().chain(row.latest).chain(active);
    let keys: Vec<RecordKey> = ids.map(|of| RecordKey(of, id.clone())).collect();
    txn.want(keys.iter().map(RowKey::key))?;
    for key in keys {
        let record = txn.read(&key)?;
        if record.is_some_and(|record| matches!(record.state, RecordState::InProgress(_))) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The refusal of a deployment that is not there: it never was, or it was removed.
pub(crate) fn no_deployment(id: DeploymentId, forgotten: Option<ForgottenRow>) -> Rejection {
    let rejection = |why: String| Rejection::new(Code::Deployment, why).field("deployment");
    match forgotten {
        None => rejection(format!("there is no deployment {id}")),
        Some(row) => {
            let at = crate::model::time::format_time(row.at_ms);
            let why = format!("deployment {id} was removed at {at}, long after it was over");
            rejection(why).hint(
                "the setting `keep_ended_deployments` of the server says how long they are kept",
            )
        }
    }
}

/// The same, as the rows of now say.
pub(crate) fn missing(txn: &Txn, id: DeploymentId) -> Result<Rejection, Undecided> {
    Ok(no_deployment(id, txn.read(&ForgottenKey(id))?))
}
