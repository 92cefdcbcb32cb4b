//! The device limit (S10): N devices start, and never one more. What is bounded is slots:
//! the line is drawn below the N-th member that may start, who joins under it takes a slot
//! that is left or is held, and a slot once given is never taken back, because its device
//! may have started already. Drawing the line looks at every member: a [`Search`], which
//! the adapter feeds page by page in the background.

use std::collections::BinaryHeap;

use hoist_protocol::admission::{Audience, hash32};
use hoist_protocol::head::HOLDS_MAX;
use hoist_protocol::id::{DeploymentId, DeviceId, GroupId};
use hoist_protocol::topic::View;

use crate::effect::{Effect, Effects};
use crate::group;
use crate::input::Now;
use crate::key::{DeploymentKey, DeviceKey, GroupCountKey, RowKey};
use crate::reply::DeploymentState;
use crate::row::{DeploymentRow, DeviceRow, MemberRow, RecordRow, RecordState};
use crate::timer::{Timer, TimerKind, clear_timer, set_timer};
use crate::txn::{Txn, Undecided};

/// A line that is not found after this time, in attended ms, is asked for again: the
/// question died with a crash.
const SEEK_AGAIN_MS: u64 = 10_000;

/// A line to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seek {
    /// Of which deployment.
    pub deployment: DeploymentId,
    /// Among whose members.
    pub group: GroupId,
    /// The line so far: who is below it has been dealt with.
    pub above: u32,
    /// How many members more are to be admitted, at least 1.
    pub count: u32,
}

/// A line that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What was asked.
    pub seek: Seek,
    /// The group's turn when its members began to be read: if it is another by now, the
    /// answer is void.
    pub turn: u64,
    /// The line.
    pub line: u32,
    /// How many members it admits that may start.
    pub given: u32,
    /// Those it admits that must not: tied with the last one, or held by an operator.
    pub without: Vec<DeviceId>,
}

/// Where a device stands in the order of a deployment. The highest hash counts as the one
/// below it, so that a line can be drawn under every place.
fn place(deployment: DeploymentId, device: &DeviceId) -> u32 {
    hash32(deployment, device).min(u32::MAX - 1)
}

/// Looks for a line, fed with every member of the group in any order.
#[derive(Debug, Clone)]
pub struct Search {
    seek: Seek,
    turn: u64,
    /// The lowest places so far, at most as many as are sought.
    lowest: BinaryHeap<(u32, DeviceId)>,
    /// Members not among the lowest but at the place of the last of them.
    tied: Vec<DeviceId>,
    held: Vec<(u32, DeviceId)>,
}

impl Search {
    /// A search among the members as they were at this turn of the group.
    #[must_use]
    pub fn new(seek: Seek, turn: u64) -> Self {
        Self {
            seek,
            turn,
            lowest: BinaryHeap::new(),
            tied: Vec::new(),
            held: Vec::new(),
        }
    }

    /// Takes a member in.
    pub fn member(&mut self, device: DeviceId, row: MemberRow) {
        let place = place(self.seek.deployment, &device);
        if place < self.seek.above {
            return;
        }
        if row.held {
            self.held.push((place, device));
            return;
        }
        let member = (place, device);
        let sought = usize::try_from(self.seek.count).unwrap_or(usize::MAX);
        match self.lowest.peek() {
            Some(last) if self.lowest.len() >= sought => {
                if member < *last {
                    self.lowest.push(member);
                    self.put_out_last();
                } else if member.0 == last.0 {
                    self.tied.push(member.1);
                }
            }
            _ => self.lowest.push(member),
        }
    }

    fn put_out_last(&mut self) {
        let (Some(out), Some(last)) = (self.lowest.pop(), self.lowest.peek()) else {
            return;
        };
        if out.0 == last.0 {
            self.tied.push(out.1);
        } else {
            self.tied.clear();
        }
    }

    /// The answer, once every member was taken in.
    #[must_use]
    pub fn found(self) -> Found {
        let given = u32::try_from(self.lowest.len()).unwrap_or(u32::MAX);
        // With fewer members than slots everyone is admitted, joiners too while slots last.
        let line = match self.lowest.peek() {
            Some((last, _)) if given >= self.seek.count => last + 1,
            _ => u32::MAX,
        };
        let under = |(place, _): &(u32, DeviceId)| *place < line;
        let held = self.held.into_iter().filter(under);
        let mut without = self.tied;
        without.extend(held.map(|(_, device)| device));
        Found {
            seek: self.seek,
            turn: self.turn,
            line,
            given,
            without,
        }
    }
}

/// Gives the slots of a deployment that is being listed. Without a limit, or with no more
/// members than slots, everyone is admitted; else nobody is until the line is found.
pub(crate) fn open(
    txn: &mut Txn,
    id: DeploymentId,
    row: &mut DeploymentRow,
    now: Now,
) -> Result<Effects, Undecided> {
    let count = txn
        .read(&GroupCountKey(row.group.clone()))?
        .unwrap_or_default();
    match row.limit {
        None => row.line = u32::MAX,
        Some(limit) if count.members <= limit && count.held == 0 => {
            row.line = u32::MAX;
            row.slots = count.members;
        }
        Some(_) => {
            row.line = 0;
            return seek(txn, id, row, now);
        }
    }
    Ok(Vec::new())
}

/// Asks for a line that gives the slots left. Does not write the row.
fn seek(
    txn: &mut Txn,
    id: DeploymentId,
    row: &mut DeploymentRow,
    now: Now,
) -> Result<Effects, Undecided> {
    let limit = row.limit.unwrap_or_default();
    let count = limit.saturating_sub(row.slots);
    stop_seeking(txn, id, row)?;
    if count == 0 || row.line == u32::MAX {
        return Ok(Vec::new());
    }
    let due_ms = now.attended_ms.saturating_add(SEEK_AGAIN_MS);
    set_timer(txn, due_ms, TimerKind::Seek(id))?;
    row.seek_due_ms = Some(due_ms);
    Ok(vec![Effect::FindLine(Seek {
        deployment: id,
        group: row.group.clone(),
        above: row.line,
        count,
    })])
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

/// A line was not found in time: asked again.
pub(crate) fn seek_due(
    txn: &mut Txn,
    timer: &Timer,
    id: DeploymentId,
    now: Now,
) -> Result<Effects, Undecided> {
    clear_timer(txn, timer.due_ms, timer.kind.clone())?;
    let row = txn.read(&DeploymentKey(id))?;
    let waits = |row: &DeploymentRow| row.seek_due_ms == Some(timer.due_ms);
    let Some(mut row) = row.filter(waits) else {
        return Ok(Vec::new());
    };
    let effects = seek(txn, id, &mut row, now)?;
    txn.put(&DeploymentKey(id), &row);
    Ok(effects)
}

/// Draws the line, unless the members or the slots have changed since they were read.
pub(crate) fn line_found(txn: &mut Txn, found: &Found, now: Now) -> Result<Effects, Undecided> {
    let id = found.seek.deployment;
    let row = txn.read(&DeploymentKey(id))?;
    let Some(mut row) = row.filter(|row| row.seek_due_ms.is_some()) else {
        return Ok(Vec::new());
    };
    let group_row = group::read(txn, &row.group)?.unwrap_or_default();
    let left = row.limit.unwrap_or_default().saturating_sub(row.slots);
    let stands = found.turn == group_row.turn
        && found.seek.above == row.line
        && found.seek.count == left
        && row.state == DeploymentState::Active;
    if !stands {
        let effects = seek(txn, id, &mut row, now)?;
        txn.put(&DeploymentKey(id), &row);
        return Ok(effects);
    }
    let keys = found.without.iter().cloned().map(DeviceKey);
    txn.want(keys.map(|key| key.key()))?;
    let mut effects = Vec::new();
    for device in &found.without {
        let key = DeviceKey(device.clone());
        if let Some(mut device_row) = txn.read(&key)? {
            hold(&mut device_row, id, &group_row.active);
            txn.put(&key, &device_row);
            effects.push(Effect::DeviceHeadChanged(device.clone()));
        }
    }
    stop_seeking(txn, id, &mut row)?;
    row.line = found.line;
    row.slots += found.given;
    txn.put(&DeploymentKey(id), &row);
    effects.extend([
        Effect::GroupHeadChanged(row.group.clone()),
        Effect::ViewChanged(View::Deployment(id)),
    ]);
    Ok(effects)
}

/// Says that a device has no slot; holds of what ended make room.
fn hold(row: &mut DeviceRow, id: DeploymentId, active: &[DeploymentId]) {
    row.holds
        .retain(|hold| active.contains(hold) && *hold != id);
    row.holds.push(id);
    row.holds.sort_unstable();
    debug_assert!(row.holds.len() <= HOLDS_MAX);
}

/// A device joins under the line: it takes a slot, or is held in the very head that makes
/// it a member. A device with a record has had its slot.
pub(crate) fn admit_joiner(
    txn: &mut Txn,
    id: DeploymentId,
    device: &DeviceId,
    row: &mut DeviceRow,
    record: Option<&RecordRow>,
) -> Result<(), Undecided> {
    let Some(mut deployment) = txn.read(&DeploymentKey(id))? else {
        return Ok(());
    };
    let Some(limit) = deployment.limit else {
        return Ok(());
    };
    if !Audience::Below(deployment.line).admits(id, device) {
        return Ok(());
    }
    match record {
        Some(record) if !gave_back(record) => {}
        None if deployment.slots < limit => {
            deployment.slots += 1;
            txn.put(&DeploymentKey(id), &deployment);
        }
        Some(_) | None => {
            let active = group::read(txn, &deployment.group)?
                .unwrap_or_default()
                .active;
            hold(row, id, &active);
        }
    }
    Ok(())
}

/// A device that was let go takes the slots that are left.
pub(crate) fn admit_released(
    txn: &mut Txn,
    device: &DeviceId,
    row: &mut DeviceRow,
) -> Result<(), Undecided> {
    txn.want(row.holds.iter().map(|id| DeploymentKey(*id).key()))?;
    for id in row.holds.clone() {
        let Some(mut deployment) = txn.read(&DeploymentKey(id))? else {
            continue;
        };
        let record = txn.read(&crate::key::RecordKey(id, device.clone()))?;
        let left = deployment
            .limit
            .is_some_and(|limit| deployment.slots < limit);
        // While a line is sought, its slots are spoken for.
        if left && deployment.seek_due_ms.is_none() && record.is_none() {
            deployment.slots += 1;
            row.holds.retain(|hold| *hold != id);
            txn.put(&DeploymentKey(id), &deployment);
        }
    }
    Ok(())
}

/// Whether a record says that its device can never start: it has given its slot back.
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
    let deployment = txn.read(&DeploymentKey(id))?;
    let limited = |deployment: &DeploymentRow| {
        deployment.limit.is_some() && deployment.state == DeploymentState::Active
    };
    let Some(mut deployment) = deployment.filter(limited) else {
        return Ok(Vec::new());
    };
    let mut effects = Vec::new();
    if row.group == deployment.group {
        let active = group::read(txn, &row.group)?.unwrap_or_default().active;
        hold(row, id, &active);
        effects.push(Effect::DeviceHeadChanged(device.clone()));
    }
    deployment.slots = deployment.slots.saturating_sub(1);
    effects.extend(seek(txn, id, &mut deployment, now)?);
    txn.put(&DeploymentKey(id), &deployment);
    Ok(effects)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seek(count: u32) -> Seek {
        Seek {
            deployment: DeploymentId(7),
            group: "eu".parse().unwrap(),
            above: 0,
            count,
        }
    }

    fn names(count: u32) -> Vec<DeviceId> {
        (0..count)
            .map(|n| format!("d{n}").parse().unwrap())
            .collect()
    }

    fn search(count: u32, members: &[DeviceId]) -> Found {
        let mut search = Search::new(seek(count), 1);
        for member in members {
            search.member(member.clone(), MemberRow::default());
        }
        search.found()
    }

    #[test]
    fn the_line_admits_exactly_as_many_as_are_sought() {
        let members = names(500);
        for count in [1, 7, 499, 500] {
            let found = search(count, &members);
            let audience = Audience::Below(found.line);
            let admitted = |device: &&DeviceId| {
                audience.admits(DeploymentId(7), device) && !found.without.contains(device)
            };
            let admitted = u32::try_from(members.iter().filter(admitted).count()).unwrap();
            assert_eq!((admitted, found.given), (count, count));
        }
        let found = search(501, &members);
        assert_eq!((found.line, found.given), (u32::MAX, 500));
    }

    #[test]
    fn members_tied_with_the_last_one_are_named() {
        let members = names(4);
        let mut search = Search::new(seek(2), 1);
        // The order of a hash cannot be chosen: ties are made in its own terms.
        let at = [5, 9, 9, 9];
        for (place, member) in at.into_iter().zip(&members) {
            if search.lowest.len() < 2 {
                search.lowest.push((place, member.clone()));
            } else {
                search.tied.push(member.clone());
            }
        }
        let found = search.found();
        assert_eq!((found.line, found.given), (10, 2));
        assert_eq!(found.without, members[2..]);
    }

    #[test]
    fn a_member_held_by_an_operator_gets_no_slot() {
        let members = names(10);
        let mut search = Search::new(seek(10), 1);
        for (number, member) in members.iter().enumerate() {
            search.member(member.clone(), MemberRow { held: number < 3 });
        }
        let found = search.found();
        assert_eq!((found.line, found.given), (u32::MAX, 7));
        assert_eq!(found.without, members[..3]);
    }
}
