//! The device limit (S10): N devices start, and never one more. What is bounded is slots:
//! the line is drawn below the N-th member that may start, who joins under it takes a slot
//! that is left or is held, and a slot once given is never taken back, because its device
//! may have started already. Drawing the line looks at every member: a [`Search`], which
//! the adapter feeds page by page in the background.

use hoist_protocol::admission::Audience;
use hoist_protocol::id::{DeploymentId, DeviceId};
use hoist_protocol::spec::HOLDS_MAX;
use hoist_protocol::topic::View;

use crate::model::effect::{Effect, Effects};
use crate::model::key::{
    DeploymentKey, DeviceKey, GroupCountKey, MemberKey, OutboxKey, RecordKey, RowKey, SlotKey,
};
use crate::model::now::Now;
use crate::model::row::{
    DeploymentRow, DeviceRow, GroupCountRow, GroupRow, RecordRow, RecordState, SlotRow,
};
use crate::model::search::{Found, Seek};
use crate::model::state::{DeploymentState, LineWord};
use crate::model::timer::{Timer, TimerKind, clear_timer, set_timer};
use crate::model::txn::{Txn, Undecided};
use crate::rules::group::{self, put_member};
use crate::rules::rollout::outbox::{self, AdmissionChange};

mod search;

pub use search::Search;
pub(crate) use search::place;

/// A line that is not found after this time, in ms of connected uptime, is asked for again: the
/// question died with a crash.
const SEEK_AGAIN_MS: u64 = 10_000;
/// A line that is void when it is found is asked for again after this time, in ms of connected uptime:
/// a group that many devices join meanwhile is not read without a pause.
pub(crate) const SEEK_PAUSE_MS: u64 = 500;

/// Gives the slots of a deployment that is being listed. Without a limit, or with no more
/// members than slots, everyone is admitted; else nobody is until the line is found.
/// `leaving` = devices that left the group and may not have heard it.
pub(crate) fn open(
    txn: &mut Txn,
    id: DeploymentId,
    row: &mut DeploymentRow,
    leaving: u32,
    now: Now,
) -> Result<Effects, Undecided> {
    let count = txn.read_or_empty(&GroupCountKey(row.group.clone()))?;
    match reach(row, count).line {
        LineWord::Everyone if row.limit.is_none() || leaving == 0 => {
            row.line = u32::MAX;
            row.slots = row.limit.map_or(0, |_| count.members);
            Ok(Vec::new())
        }
        LineWord::Everyone | LineWord::Sought => {
            row.line = 0;
            seek(txn, id, row, now)
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
    let free = count.members.saturating_sub(count.held);
    let eligible = row.limit.map_or(free, |limit| limit.min(free));
    let fits = |limit| count.members <= limit && count.held == 0;
    Reach {
        eligible,
        beyond: free - eligible,
        line: if row.limit.is_none_or(fits) {
            LineWord::Everyone
        } else {
            LineWord::Sought
        },
    }
}

/// Slots that a line is to give; without a limit there are none to give.
fn slots_left(row: &DeploymentRow) -> u32 {
    row.limit.map_or(0, |limit| limit.saturating_sub(row.slots))
}

/// Asks for a line that gives the slots left. Does not write the row.
fn seek(
    txn: &mut Txn,
    id: DeploymentId,
    row: &mut DeploymentRow,
    now: Now,
) -> Result<Effects, Undecided> {
    let count = slots_left(row);
    if count == 0 || row.line == u32::MAX {
        stop_seeking(txn, id, row)?;
        return Ok(Vec::new());
    }
    seek_after(txn, id, row, now.uptime_ms.saturating_add(SEEK_AGAIN_MS))?;
    Ok(vec![Effect::FindLine(Seek {
        deployment: id,
        group: row.group.clone(),
        above: row.line,
        count,
    })])
}

/// Asks (again) at a later time, in ms of connected uptime. Does not write the row.
fn seek_after(
    txn: &mut Txn,
    id: DeploymentId,
    row: &mut DeploymentRow,
    due_ms: u64,
) -> Result<(), Undecided> {
    stop_seeking(txn, id, row)?;
    set_timer(txn, due_ms, TimerKind::Seek(id))?;
    row.seek_due_ms = Some(due_ms);
    Ok(())
}

/// Forgets a question for a line.
pub(crate) fn stop_seeking(
    txn: &mut Txn,
    id: DeploymentId,
    row: &mut DeploymentRow,
) -> Result<(), Undecided> {
    match row.seek_due_ms.take() {
        Some(due_ms) => clear_timer(txn, due_ms, TimerKind::Seek(id)),
        None => Ok(()),
    }
}

/// A line was not found in time, or is to be sought anew.
pub(crate) fn seek_due(
    txn: &mut Txn,
    timer: &Timer,
    id: DeploymentId,
    now: Now,
) -> Result<Effects, Undecided> {
    clear_timer(txn, timer.due_ms, timer.kind.clone())?;
    let row = txn.read_unless_removed(id)?;
    let waits = |row: &DeploymentRow| row.seek_due_ms == Some(timer.due_ms);
    let Some(mut row) = row.filter(waits) else {
        return Ok(Vec::new());
    };
    let effects = seek(txn, id, &mut row, now)?;
    txn.put(&DeploymentKey(id), &row);
    Ok(effects)
}

/// Draws the line, unless the members or the slots have changed since they were read. Before
/// that, those under it that must not start are told, and only when the broker was seen to
/// hold that is it drawn: who reads the line has read that it has no slot.
pub(crate) fn line_found(txn: &mut Txn, found: &Found, now: Now) -> Result<Effects, Undecided> {
    let id = found.seek.deployment;
    let row = txn.read_unless_removed(id)?;
    let Some(mut row) = row.filter(|row| row.seek_due_ms.is_some()) else {
        return Ok(Vec::new());
    };
    let group_row = group::require(txn, &row.group)?;
    let left = slots_left(&row);
    let stands = found.turn == group_row.turn
        && found.seek.above == row.line
        && found.seek.count == left
        && row.state == DeploymentState::Active;
    let (told, effects) = match stands {
        true => tell_without(txn, found, &group_row)?,
        false => (false, Vec::new()),
    };
    if !told || group_row.leaving > 0 {
        let due_ms = now.uptime_ms.saturating_add(SEEK_PAUSE_MS);
        seek_after(txn, id, &mut row, due_ms)?;
        txn.put(&DeploymentKey(id), &row);
        return Ok(effects);
    }
    stop_seeking(txn, id, &mut row)?;
    row.line = found.line;
    row.slots += found.given;
    txn.put(&DeploymentKey(id), &row);
    Ok(vec![
        Effect::GroupSpecChanged(row.group.clone()),
        Effect::ViewChanged(View::Deployment(id)),
    ])
}

/// Tells those under a line that have no slot. Whether all of them are known to be told.
fn tell_without(
    txn: &mut Txn,
    found: &Found,
    group_row: &GroupRow,
) -> Result<(bool, Effects), Undecided> {
    txn.want(found.without.iter().flat_map(|device| {
        let member = MemberKey(found.seek.group.clone(), device.clone());
        let device = device.clone();
        [
            DeviceKey(device.clone()).key(),
            OutboxKey(device).key(),
            member.key(),
        ]
    }))?;
    let (mut told, mut effects) = (true, Vec::new());
    for device in &found.without {
        let key = DeviceKey(device.clone());
        let Some(mut row) = txn.read(&key)? else {
            continue;
        };
        if row.holds.contains(&found.seek.deployment) {
            told &= txn.read(&OutboxKey(device.clone()))?.is_none();
            continue;
        }
        told = false;
        let id = found.seek.deployment;
        effects.push(hold(txn, device, &mut row, id, &group_row.active)?);
        txn.put(&key, &row);
    }
    Ok((told, effects))
}

/// Says in a member's spec that it has no slot. Holds of what ended go, and with them the
/// word that it must not start what its group's spec may still list.
fn hold(
    txn: &mut Txn,
    device: &DeviceId,
    row: &mut DeviceRow,
    id: DeploymentId,
    active: &[DeploymentId],
) -> Result<Effect, Undecided> {
    let means = match hold_in(row, id, active) {
        0 => AdmissionChange::Tightens,
        _ => AdmissionChange::Loosens,
    };
    put_member(txn, device, row)?;
    outbox::changed(txn, device, means)
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

/// A device leaves: the slots it was given go with it, because it may have started already.
/// They are noted, so that people are told, and it has them again when it is back.
pub(crate) fn take_along(
    txn: &mut Txn,
    device: &DeviceId,
    row: &DeviceRow,
    active: &[DeploymentId],
) -> Result<(), Undecided> {
    for id in active {
        let key = SlotKey(*id, device.clone());
        let deployment = txn.require(&DeploymentKey(*id))?;
        let record = txn.read(&RecordKey(*id, device.clone()))?;
        let admits = Audience::Below(deployment.line).admits(*id, device);
        let given = deployment.limit.is_some() && admits && !row.holds.contains(id);
        if given && record.is_none() {
            txn.read(&key)?;
            txn.put(&key, &SlotRow {});
        }
    }
    Ok(())
}

/// A device joins under the line: it takes a slot, or is held in the very spec that makes
/// it a member. A device with a record has had its slot, and one that took its slot along has
/// it still.
pub(crate) fn admit_joiner(
    txn: &mut Txn,
    id: DeploymentId,
    device: &DeviceId,
    row: &mut DeviceRow,
    record: Option<&RecordRow>,
) -> Result<(), Undecided> {
    let mut deployment = txn.require(&DeploymentKey(id))?;
    let Some(limit) = deployment.limit else {
        return Ok(());
    };
    if !Audience::Below(deployment.line).admits(id, device) {
        return Ok(());
    }
    let kept = SlotKey(id, device.clone());
    match record {
        Some(record) if !gave_back(record) => {}
        None if txn.read(&kept)?.is_some() => txn.delete(&kept),
        None if deployment.slots < limit => {
            deployment.slots += 1;
            txn.put(&DeploymentKey(id), &deployment);
        }
        Some(_) | None => {
            let active = group::require(txn, &deployment.group)?.active;
            hold_in(row, id, &active);
        }
    }
    Ok(())
}

/// A device that was let go takes the slots that are left; while a line is sought, what lies
/// above the last one is for the search.
pub(crate) fn admit_released(
    txn: &mut Txn,
    device: &DeviceId,
    row: &mut DeviceRow,
) -> Result<(), Undecided> {
    txn.want(row.holds.iter().map(|id| DeploymentKey(*id).key()))?;
    for id in row.holds.clone() {
        let Some(mut deployment) = txn.read_unless_removed(id)? else {
            continue;
        };
        let record = txn.read(&RecordKey(id, device.clone()))?;
        let left = deployment
            .limit
            .is_some_and(|limit| deployment.slots < limit);
        if deployment.seek_due_ms.is_some() {
            if !Audience::Below(deployment.line).admits(id, device) {
                row.holds.retain(|hold| *hold != id);
            }
        } else if left && record.is_none() {
            deployment.slots += 1;
            row.holds.retain(|hold| *hold != id);
            txn.put(&DeploymentKey(id), &deployment);
        }
    }
    Ok(())
}

/// True if a record says that its device can never start: it has given its slot back.
pub(crate) fn gave_back(record: &RecordRow) -> bool {
    let reason = hoist_protocol::reason::Reason::Incompatible;
    matches!(&record.state, RecordState::Failed(failure) if failure.reason == reason)
}

/// A device proved incompatible: nothing ran, and nothing ever will, since it is held.
/// Its slot goes to the next.
pub(crate) fn give_back(
    txn: &mut Txn,
    id: DeploymentId,
    device: &DeviceId,
    row: &mut DeviceRow,
    now: Now,
) -> Result<Effects, Undecided> {
    let mut deployment = txn.require(&DeploymentKey(id))?;
    if deployment.limit.is_none() || deployment.state != DeploymentState::Active {
        return Ok(Vec::new());
    }
    let mut effects = Vec::new();
    if row.group == deployment.group {
        let active = group::require(txn, &row.group)?.active;
        effects.push(hold(txn, device, row, id, &active)?);
    }
    deployment.slots = deployment.slots.saturating_sub(1);
    effects.extend(seek(txn, id, &mut deployment, now)?);
    txn.put(&DeploymentKey(id), &deployment);
    Ok(effects)
}
