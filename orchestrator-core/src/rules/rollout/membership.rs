//! Membership in groups. A join and a leave are turns of the group, so that "was it a member then"
//! has an answer whatever the clocks did (S5, S14). Members without a record are Pending: the rows
//! that a move must keep right are written here and nowhere else.

use hoist_protocol::id::{DeviceId, GroupId};
use hoist_protocol::topic::View;

use crate::model::counter;
use crate::model::effect::{Effect, Effects};
use crate::model::key::{
    DeploymentKey, GroupCountKey, GroupKey, Key, MemberKey, OutboxKey, RecordKey, RowKey, SlotKey,
};
use crate::model::row::{DeploymentRow, DeviceRow, End, GroupRow, RecordRow, STAYS_MAX, Stay};
use crate::model::txn::{Txn, Undecided};
use crate::rules::ctx::Ctx;
use crate::rules::group::{self, put_member};
use crate::rules::rollout::limit;
use crate::rules::rollout::outbox::{self, AdmissionChange};

/// True if a device was a member of the deployment's group at any time during the deployment.
pub(crate) fn was_member_during(device: &DeviceRow, deployment: &DeploymentRow) -> bool {
    let end = deployment.end.as_ref().map_or(u64::MAX, |end| end.turn);
    let overlaps = |stay: &Stay| stay.left > deployment.turn && stay.joined < end;
    stays(device, &deployment.group).any(|stay| overlaps(&stay))
}

/// True if a device may have obeyed a deployment's group before the deployment ended: then its
/// statuses about it are taken (S14). One that left before the deployment began counts too,
/// because it obeys the group until it hears that it left.
#[must_use]
pub fn may_have_obeyed(device: &DeviceRow, deployment: &DeploymentRow) -> bool {
    let end = deployment.end.as_ref().map_or(u64::MAX, |end| end.turn);
    stays(device, &deployment.group).any(|stay| stay.joined < end)
}

/// True if a device is among the members that a deployment counts: those of now, or those of the
/// moment at which it ended (S5).
#[must_use]
pub fn is_counted(device: &DeviceRow, deployment: &DeploymentRow) -> bool {
    match &deployment.end {
        None => device.group == deployment.group,
        Some(end) => at_end(stays(device, &deployment.group), end),
    }
}

/// The same of a device in its earlier lives, which ended when it was removed
/// ([`crate::model::row::RevokedRow`]): only a deployment that has ended counts it.
#[must_use]
pub fn was_counted(past: &[Stay], deployment: &DeploymentRow) -> bool {
    let end = deployment.end.as_ref();
    let theirs = past.iter().filter(|stay| stay.group == deployment.group);
    end.is_some_and(|end| at_end(theirs.cloned(), end))
}

/// Of a deployment that was found again when it was over nobody knows the members: it counts none.
fn at_end(mut stays: impl Iterator<Item = Stay>, end: &End) -> bool {
    end.members > 0 && stays.any(|stay| stay.joined < end.turn && end.turn < stay.left)
}

fn stays<'a>(device: &'a DeviceRow, group: &'a GroupId) -> impl Iterator<Item = Stay> + 'a {
    let now = Stay {
        group: device.group.clone(),
        joined: device.joined,
        left: u64::MAX,
    };
    let all = device.past.iter().cloned().chain([now]);
    all.filter(move |stay| stay.group == *group)
}

/// Makes a device a member: it may start what is listed, but for limited deployments whose
/// slots are all given (S10).
pub(crate) fn join(
    ctx: &mut Ctx,
    device: &DeviceId,
    row: &mut DeviceRow,
    group: &GroupId,
) -> Result<(), Undecided> {
    let mut group_row = group::require(ctx.txn, group)?;
    want_rows(ctx.txn, device, group, &group_row)?;
    group_row.turn += 1;
    row.group = group.clone();
    row.joined = group_row.turn;
    count(ctx, row, |count| *count += 1)?;
    outbox::came_back(ctx, device, group, &mut group_row)?;
    ctx.txn.put(&GroupKey(group.clone()), &group_row);
    for id in &group_row.active {
        let record = ctx.txn.read(&RecordKey(*id, device.clone()))?;
        limit::admit_joiner(ctx, *id, device, row, record.as_ref())?;
        // One that was a member before shows what it did.
        row.latest = row.latest.max(record.map(|_| *id));
    }
    put_member(ctx, device, row)?;
    mark_records(ctx, device, &group_row, false)?;
    outbox::changed(ctx, device, AdmissionChange::Loosens)?;
    ctx.effects.extend(shown(group, &group_row));
    Ok(())
}

/// Takes a device out of its group. What it has started it finishes (S14); what it has not
/// started there it never starts, and a slot it was given stays its own: it may have started
/// without our knowing yet (S10).
pub(crate) fn leave(
    ctx: &mut Ctx,
    device: &DeviceId,
    row: &mut DeviceRow,
) -> Result<(), Undecided> {
    let group = row.group.clone();
    let mut group_row = group::require(ctx.txn, &group)?;
    want_rows(ctx.txn, device, &group, &group_row)?;
    group_row.turn += 1;
    count(ctx, row, |count| *count = count.saturating_sub(1))?;
    ctx.txn.delete(&MemberKey(group.clone(), device.clone()));
    outbox::left(ctx, device, &group, &mut group_row)?;
    ctx.txn.put(&GroupKey(group.clone()), &group_row);
    mark_records(ctx, device, &group_row, true)?;
    if row.past.len() == STAYS_MAX {
        row.past.remove(0);
    }
    outbox::changed(ctx, device, AdmissionChange::Tightens)?;
    ctx.effects.extend(shown(&group, &group_row));
    row.past.push(Stay {
        group: group.clone(),
        joined: row.joined,
        left: group_row.turn,
    });
    limit::take_along(ctx, device, row, &group_row.active)?;
    row.holds.clear();
    row.rounds.clear();
    row.permits.clear();
    Ok(())
}

/// Takes a device out of a group that is lost: it is told, and counted there no more.
pub(crate) fn leave_lost(
    ctx: &mut Ctx,
    device: &DeviceId,
    row: &DeviceRow,
) -> Result<(), Undecided> {
    let key = MemberKey(row.group.clone(), device.clone());
    ctx.txn.want([
        GroupCountKey(row.group.clone()).key(),
        OutboxKey(device.clone()).key(),
        key.key(),
    ])?;
    count(ctx, row, |count| *count = count.saturating_sub(1))?;
    ctx.txn.delete(&key);
    outbox::changed(ctx, device, AdmissionChange::Tightens)
}

fn want_rows(
    txn: &Txn,
    device: &DeviceId,
    group: &GroupId,
    group_row: &GroupRow,
) -> Result<(), Undecided> {
    txn.want(rows_of(device, group, group_row))
}

/// Rows that a device's joining or leaving looks at, but for the device's and the group's.
pub(crate) fn rows_of(device: &DeviceId, group: &GroupId, group_row: &GroupRow) -> Vec<Key> {
    let mut keys = vec![
        GroupCountKey(group.clone()).key(),
        MemberKey(group.clone(), device.clone()).key(),
        OutboxKey(device.clone()).key(),
    ];
    for id in &group_row.active {
        keys.push(DeploymentKey(*id).key());
        keys.push(RecordKey(*id, device.clone()).key());
        keys.push(SlotKey(*id, device.clone()).key());
        keys.push(counter::key_of(*id, device));
    }
    keys
}

/// Changes everything that a member of its kind is counted in.
pub(crate) fn count(
    ctx: &mut Ctx,
    row: &DeviceRow,
    change: impl Fn(&mut u32),
) -> Result<(), Undecided> {
    let instance = ctx.txn.instance()?;
    let mut count = group::count(ctx.txn, &row.group, &instance)?;
    change(&mut count.members);
    if row.is_there(&instance) == Some(true) {
        change(&mut count.online);
    }
    if let Some(counted) = count.counting(row) {
        change(counted);
    }
    ctx.txn.put(&GroupCountKey(row.group.clone()), &count);
    Ok(())
}

/// Says of a device's records in what its group has active whether it is a member.
fn mark_records(
    ctx: &mut Ctx,
    device: &DeviceId,
    group: &GroupRow,
    outside: bool,
) -> Result<(), Undecided> {
    for id in &group.active {
        let key = RecordKey(*id, device.clone());
        if let Some(old) = ctx.txn.read(&key)? {
            let record = RecordRow {
                outside,
                again: old.again && !outside,
                ..old.clone()
            };
            counter::put_record(ctx.txn, &key, Some(&old), &record)?;
        }
    }
    Ok(())
}

/// Everything that shows people who is in a group.
pub(crate) fn shown(group: &GroupId, row: &GroupRow) -> Effects {
    let mut effects = vec![
        Effect::ViewChanged(View::Group(group.clone())),
        Effect::ViewChanged(View::Fleet),
    ];
    let views = row.active.iter().copied().map(View::Deployment);
    effects.extend(views.map(Effect::ViewChanged));
    effects
}
