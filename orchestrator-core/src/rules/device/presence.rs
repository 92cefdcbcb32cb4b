//! Presence by session counter: a late death never beats a newer birth, and what was heard
//! before the broker forgot us is unknown (W8).

use hoist_protocol::device::{Presence, PresenceState};
use hoist_protocol::id::{DeviceId, GroupId};
use hoist_protocol::topic::View;

use crate::model::effect::Effect;
use crate::model::error::Code;
use crate::model::evidence::Delivered;
use crate::model::key::{DeviceKey, GroupCountKey, GroupKey};
use crate::model::now::Mode;
use crate::model::row::{DeviceRow, GroupRow, PresenceRecord};
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;
use crate::rules::device::refusal::rejected;
use crate::rules::device::resync::ask_resync;
use crate::rules::device::{contact, doubt, identity};
use crate::rules::group;

/// True if a message says nothing new: it is of an older session, or of the same one and known
/// already. Within a session death is the last word: births are sent first. A run of the broker in
/// which nothing was heard yet makes everything new.
fn is_known(before: Option<PresenceRecord>, presence: Presence, run: u32) -> bool {
    let Some(before) = before else { return false };
    let online = presence.state == PresenceState::Online;
    let repeated = before.run == run || (online && !before.online);
    presence.session < before.session
        || (presence.session == before.session && repeated && (online || !before.online))
}

/// True if a birth of a lower session is that of a device that begins its numbers again (a
/// restored backup, storage that was replaced, bad-inputs row 85): nobody else is there in its
/// name, and the broker keeps no later word.
fn counts_again(before: PresenceRecord, presence: Presence, run: u32) -> bool {
    let gone = !before.online || before.run != run;
    presence.state == PresenceState::Online && presence.session < before.session && gone
}

/// Takes a birth or a death in.
pub(crate) fn merge(
    ctx: &mut Ctx,
    device: &DeviceId,
    (presence, delivered): (Presence, Delivered),
) -> Result<(), Undecided> {
    let key = DeviceKey(device.clone());
    let Some(mut row) = ctx.txn.read(&key)? else {
        ctx.effects.push(rejected(Code::Unknown, device, None));
        return Ok(());
    };
    if row.revoked().is_some() {
        // bad-inputs row 24
        ctx.effects.push(match presence.state {
            PresenceState::Online => rejected(Code::Revoked, device, Some(&row)),
            PresenceState::Offline => Effect::Duplicate,
        });
        return Ok(());
    }
    let instance = ctx.txn.instance()?;
    let online = presence.state == PresenceState::Online;
    let begins = |heard: &PresenceRecord| counts_again(*heard, presence, instance.broker_run);
    let again = row.presence.filter(begins);
    let believed = again.is_some() && delivered == Delivered::Kept;
    if !believed && is_known(row.presence, presence, instance.broker_run) {
        identity::repeated_birth(ctx, device, &row, presence)?;
        // What the broker keeps says whether it is late.
        ctx.effects
            .extend(again.map(|_| Effect::ReadReports(device.clone())));
        return Ok(());
    }
    if let Some(heard) = again {
        identity::take_turn(ctx, device, &row, Some(heard.session))?;
    }
    let mut count = group::count(ctx.txn, &row.group, &instance)?;
    match (row.is_there(&instance) == Some(true), online) {
        (false, true) => count.online += 1,
        (true, false) => count.online = count.online.saturating_sub(1),
        _ => {}
    }
    ctx.txn.put(&GroupCountKey(row.group.clone()), &count);
    let before = row.presence.replace(PresenceRecord {
        online,
        session: presence.session,
        run: instance.broker_run,
        since_ms: ctx.now.uptime_ms,
    });
    row.last_seen_ms = Some(ctx.now.unix_ms);
    ctx.effects.extend([
        Effect::ViewChanged(View::Group(row.group.clone())),
        Effect::ViewChanged(View::Fleet),
    ]);
    if online {
        ctx.effects.push(Effect::DeviceSpecChanged(device.clone()));
    }
    if before.is_some_and(|heard| heard.run != instance.broker_run) {
        doubt::broker_is_new(&mut row);
    }
    if online && doubt::lasts(ctx, device, &mut row)? {
        ask_resync(ctx, &mut row, device)?;
    }
    contact::watch(ctx, device, &mut row)?;
    ctx.txn.put(&key, &row);
    Ok(())
}

/// A device that is turned out is not there any more: its will may never be heard. The caller
/// writes its row.
pub(crate) fn turned_out(ctx: &mut Ctx, row: &mut DeviceRow) -> Result<(), Undecided> {
    let instance = ctx.txn.instance()?;
    let mut count = group::count(ctx.txn, &row.group, &instance)?;
    if row.is_there(&instance) != Some(true) {
        return Ok(());
    }
    count.online = count.online.saturating_sub(1);
    ctx.txn.put(&GroupCountKey(row.group.clone()), &count);
    row.presence = row.presence.map(|heard| PresenceRecord {
        online: false,
        since_ms: ctx.now.uptime_ms,
        ..heard
    });
    Ok(())
}

/// The broker has forgotten us, and with that who is connected (W8).
pub(crate) fn broker_forgot(ctx: &mut Ctx) -> Result<(), Undecided> {
    let mut instance = ctx.txn.instance()?;
    instance.broker_run = instance.broker_run.wrapping_add(1);
    ctx.txn.put_instance(&instance);
    ctx.effects.push(Effect::ViewChanged(View::Fleet));
    Ok(())
}

/// Every group was asked for a resync since the broker forgot last (W6).
pub(crate) fn resync_asked(ctx: &mut Ctx) -> Result<(), Undecided> {
    let mut instance = ctx.txn.instance()?;
    if instance.is_doubtful() {
        instance.asked_run = instance.broker_run;
        ctx.txn.put_instance(&instance);
    }
    Ok(())
}

/// Asks every device of a group to report everything, when there is something to report
/// about, as there always is in a recovery (W6).
pub(crate) fn doubt(ctx: &mut Ctx, group: &GroupId) -> Result<(), Undecided> {
    let recovers = ctx.now.mode == Mode::Recovering;
    let asks = |row: &GroupRow| recovers || !row.active.is_empty();
    let row = group::read(ctx.txn, group)?.filter(asks);
    let Some(mut row) = row else {
        return Ok(());
    };
    row.resync.0 = row.resync.0.wrapping_add(1);
    ctx.txn.put(&GroupKey(group.clone()), &row);
    ctx.effects.push(Effect::GroupSpecChanged(group.clone()));
    Ok(())
}
