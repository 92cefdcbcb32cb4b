//! The device limit (S10), and what a rollout lets start by now (S16): N devices start, and never
//! one more. What is bounded is slots:
//! the line is drawn below the N-th member that may start, who joins under it takes a slot
//! that is left or is held, and a slot once given is never taken back, because its device
//! may have started already. Drawing the line looks at every member: a [`Search`], which
//! the adapter feeds page by page in the background.

use hoist_protocol::id::{DeploymentId, DeviceId};
use hoist_protocol::spec::HOLDS_MAX;
use hoist_protocol::topic::View;

use crate::model::effect::Effect;
use crate::model::key::{
    DeploymentKey, DeviceKey, GroupCountKey, MemberKey, OutboxKey, RolloutKey, RowKey,
};
use crate::model::row::{DeploymentRow, DeviceRow, GroupCountRow, GroupRow};
use crate::model::search::{Found, Seek};
use crate::model::state::LineWord;
use crate::model::timer::{Timer, TimerKind, clear_timer, set_timer};
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;
use crate::rules::group::{self, put_member};
use crate::rules::rollout::look;
use crate::rules::rollout::outbox::{self, AdmissionChange};

mod permit;
mod permits;
mod search;
mod slots;

pub use permits::Known;
pub(crate) use search::place;
pub use search::{Needs, Search};
pub(crate) use slots::{admit_joiner, admit_released, gave_back, give_back, take_along};

/// A line that is not found after this time, in ms of connected uptime, is asked for again: the
/// question died with a crash.
const SEEK_AGAIN_MS: u64 = 10_000;
/// A member of a rollout that was not heard of for so long takes no slot, in ms: nobody waits for it.
const AWAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// A line that is void when it is found is asked for again after this time, in ms of connected uptime:
/// a group that many devices join meanwhile is not read without a pause.
pub(crate) const SEEK_PAUSE_MS: u64 = 500;

/// Gives the slots of a deployment that is being listed. Without a limit, or with no more
/// members than slots, everyone is admitted; else nobody is until the line is found.
/// `leaving` = devices that left the group and may not have heard it.
pub(crate) fn open(
    ctx: &mut Ctx,
    id: DeploymentId,
    row: &mut DeploymentRow,
    leaving: u32,
) -> Result<(), Undecided> {
    let count = ctx.txn.read_or_empty(&GroupCountKey(row.group.clone()))?;
    match reach(row, count).line {
        LineWord::Everyone if row.limit.is_none() || leaving == 0 => {
            row.line = u32::MAX;
            row.slots = row.limit.map_or(0, |_| count.members);
            Ok(())
        }
        LineWord::Everyone | LineWord::Sought => {
            row.line = 0;
            seek(ctx, id, row)
        }
    }
}

/// The reach of a deployment when it is listed (S10).
pub(crate) struct Reach {
    /// Members that start.
    pub(crate) eligible: u32,
    /// Members left out because of the limit alone.
    pub(crate) beyond: u32,
    /// The members that are admitted at first.
    pub(crate) line: LineWord,
}

/// The reach of a deployment in a group of so many.
pub(crate) fn reach(row: &DeploymentRow, count: GroupCountRow) -> Reach {
    let free = count.members.saturating_sub(count.starting_nothing());
    let eligible = row.limit.map_or(free, |limit| limit.min(free));
    let fits = |limit| count.members <= limit && count.starting_nothing() == 0;
    Reach {
        eligible,
        beyond: free - eligible,
        line: if row.limit.is_none_or(fits) && row.allowed.is_none() {
            LineWord::Everyone
        } else {
            LineWord::Sought
        },
    }
}

/// Slots that a line is to give; without a bound there are none to give.
fn slots_left(row: &DeploymentRow) -> u32 {
    match row.bound() {
        None => 0,
        Some(u32::MAX) => u32::MAX,
        Some(bound) => bound.saturating_sub(row.slots),
    }
}

/// Asks for a line that gives the slots left. Does not write the row.
pub(crate) fn seek(
    ctx: &mut Ctx,
    id: DeploymentId,
    row: &mut DeploymentRow,
) -> Result<(), Undecided> {
    let count = slots_left(row);
    if row.allowed.is_some() {
        ctx.txn.want([RolloutKey(id).key()])?;
    }
    let (below, choice) = match row.allowed {
        Some(_) => {
            let state = ctx.txn.require(&RolloutKey(id))?;
            let run = ctx.txn.instance()?.broker_run;
            (state.reaches(), state.choice(run))
        }
        None => (u32::MAX, None),
    };
    // A line that is drawn as far as it may be leaves nobody to be found but those of a rollout
    // that had no slot when they joined.
    if count == 0 || (row.line == u32::MAX && row.allowed.is_none()) {
        if row.allowed.is_some() {
            look::with_more(ctx, id)?;
        }
        return stop_seeking(ctx, id, row);
    }
    seek_after(
        ctx,
        id,
        row,
        ctx.now.uptime_ms.saturating_add(SEEK_AGAIN_MS),
    )?;
    ctx.effects.push(Effect::FindLine(Seek {
        deployment: id,
        group: row.group.clone(),
        order: row.order(id),
        above: row.line,
        below,
        count,
        slots: row.slots,
        round: row.last_round,
        choice,
        rollout: row.allowed.map(|_| ctx.now.unix_ms.saturating_sub(AWAY_MS)),
    }));
    Ok(())
}

/// Asks (again) at a later time, in ms of connected uptime. Does not write the row.
fn seek_after(
    ctx: &mut Ctx,
    id: DeploymentId,
    row: &mut DeploymentRow,
    due_ms: u64,
) -> Result<(), Undecided> {
    stop_seeking(ctx, id, row)?;
    set_timer(ctx.txn, due_ms, TimerKind::Seek(id))?;
    row.seek_due_ms = Some(due_ms);
    Ok(())
}

/// Forgets a question for a line.
pub(crate) fn stop_seeking(
    ctx: &mut Ctx,
    id: DeploymentId,
    row: &mut DeploymentRow,
) -> Result<(), Undecided> {
    match row.seek_due_ms.take() {
        Some(due_ms) => clear_timer(ctx.txn, due_ms, TimerKind::Seek(id)),
        None => Ok(()),
    }
}

/// A line was not found in time, or is to be sought anew.
pub(crate) fn seek_due(ctx: &mut Ctx, timer: &Timer, id: DeploymentId) -> Result<(), Undecided> {
    clear_timer(ctx.txn, timer.due_ms, timer.kind.clone())?;
    let row = ctx.txn.read_unless_removed(id)?;
    let waits = |row: &DeploymentRow| row.seek_due_ms == Some(timer.due_ms);
    let Some(mut row) = row.filter(waits) else {
        return Ok(());
    };
    seek(ctx, id, &mut row)?;
    ctx.txn.put(&DeploymentKey(id), &row);
    Ok(())
}

/// Draws the line, unless the members or the slots have changed since they were read. Before
/// that, those under it that must not start are told, and only when the broker was seen to
/// hold that is it drawn: who reads the line has read that it has no slot.
pub(crate) fn line_found(ctx: &mut Ctx, found: &Found) -> Result<(), Undecided> {
    let id = found.seek.deployment;
    let row = ctx.txn.read_unless_removed(id)?;
    let Some(mut row) = row.filter(|row| row.seek_due_ms.is_some()) else {
        return Ok(());
    };
    let group_row = group::require(ctx.txn, &row.group)?;
    if found.seek.choice.is_some() {
        return permit::found(ctx, found, &mut row, &group_row);
    }
    let left = slots_left(&row);
    // A rollout lets more start all the time, and is looked at again when the line is drawn.
    let fits = match row.allowed {
        Some(_) => found.seek.count <= left,
        None => found.seek.count == left,
    };
    let stands = found.turn == group_row.turn
        && found.seek.above == row.line
        && fits
        && row.state.is_active();
    let told = stands && tell_without(ctx, found, &group_row)?;
    let released = match stands {
        true => release(ctx, found)?,
        false => 0,
    };
    row.slots += released;
    if !told || found.more || group_row.leaving > 0 {
        let due_ms = ctx.now.uptime_ms.saturating_add(SEEK_PAUSE_MS);
        seek_after(ctx, id, &mut row, due_ms)?;
        ctx.txn.put(&DeploymentKey(id), &row);
        return Ok(());
    }
    stop_seeking(ctx, id, &mut row)?;
    row.line = found.line;
    row.slots += found.given;
    ctx.txn.put(&DeploymentKey(id), &row);
    look::soon(ctx, id, &row)?;
    ctx.effects.extend([
        Effect::GroupSpecChanged(row.group.clone()),
        Effect::ViewChanged(View::Deployment(id)),
    ]);
    Ok(())
}

/// Gives slots to members that had none when they came under the line; how many got one.
fn release(ctx: &mut Ctx, found: &Found) -> Result<u32, Undecided> {
    ctx.txn.want(found.released.iter().flat_map(|device| {
        let member = MemberKey(found.seek.group.clone(), device.clone());
        let device = device.clone();
        [
            DeviceKey(device.clone()).key(),
            OutboxKey(device).key(),
            member.key(),
        ]
    }))?;
    let mut released = 0;
    for device in &found.released {
        let key = DeviceKey(device.clone());
        let id = found.seek.deployment;
        let row = ctx.txn.read(&key)?;
        let Some(mut row) = row.filter(|row| row.holds.contains(&id)) else {
            continue;
        };
        row.holds.retain(|hold| *hold != id);
        put_member(ctx, device, &row)?;
        ctx.txn.put(&key, &row);
        outbox::changed(ctx, device, AdmissionChange::Loosens)?;
        released += 1;
    }
    Ok(released)
}

/// Tells those under a line that have no slot. Whether all of them are known to be told.
fn tell_without(ctx: &mut Ctx, found: &Found, group_row: &GroupRow) -> Result<bool, Undecided> {
    ctx.txn.want(found.without.iter().flat_map(|device| {
        let member = MemberKey(found.seek.group.clone(), device.clone());
        let device = device.clone();
        [
            DeviceKey(device.clone()).key(),
            OutboxKey(device).key(),
            member.key(),
        ]
    }))?;
    let mut told = true;
    for device in &found.without {
        let key = DeviceKey(device.clone());
        let Some(mut row) = ctx.txn.read(&key)? else {
            continue;
        };
        if row.holds.contains(&found.seek.deployment) {
            told &= ctx.txn.read(&OutboxKey(device.clone()))?.is_none();
            continue;
        }
        told = false;
        let id = found.seek.deployment;
        hold(ctx, device, &mut row, id, &group_row.active)?;
        ctx.txn.put(&key, &row);
    }
    Ok(told)
}

/// Says in a member's spec that it has no slot. Holds of what ended go, and with them the
/// word that it must not start what its group's spec may still list.
fn hold(
    ctx: &mut Ctx,
    device: &DeviceId,
    row: &mut DeviceRow,
    id: DeploymentId,
    active: &[DeploymentId],
) -> Result<(), Undecided> {
    let means = match hold_in(row, id, active) {
        0 => AdmissionChange::Tightens,
        _ => AdmissionChange::Loosens,
    };
    put_member(ctx, device, row)?;
    outbox::changed(ctx, device, means)
}

/// Puts a hold into a device's row; returns how many of ended deployments made room.
fn hold_in(row: &mut DeviceRow, id: DeploymentId, active: &[DeploymentId]) -> usize {
    let before = row.holds.len();
    row.holds.retain(|hold| active.contains(hold));
    let gone = before - row.holds.len();
    if !row.holds.contains(&id) {
        row.holds.push(id);
        row.holds.sort_unstable();
    }
    debug_assert!(row.holds.len() <= HOLDS_MAX);
    gone
}
