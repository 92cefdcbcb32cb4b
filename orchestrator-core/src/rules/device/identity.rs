//! The identity of a device: a key in the place of the pinned one, and two devices that speak as
//! one. A copy of a device, with its state and its token, cannot be told from it by one message.
//! But the two end each other's sessions and so take turns, while the numbers of one device only
//! rise.

use hoist_protocol::device::{Presence, PresenceState};
use hoist_protocol::envelope::PublicKey;
use hoist_protocol::id::{ClaimId, DeviceId, SessionCounter};

use crate::model::effect::{Effect, Event};
use crate::model::error::Code;
use crate::model::key::{ClaimKey, CloneKey, DeviceKey};
use crate::model::now::Now;
use crate::model::row::{CloneRow, DeviceRow, PresenceRecord, StartsEmpty};
use crate::model::txn::{Txn, Undecided};
use crate::rules::ctx::Ctx;
use crate::rules::device::refusal::rejected;

/// Turns that prove two devices: one may be a message that is delivered again after a lost
/// connection, or a key that was replaced.
const TURNS: u8 = 3;
/// Turns further apart than this, in ms of connected uptime, have nothing to do with each other: two
/// devices that are both switched on take turns every minute.
const APART_MS: u64 = 10 * 60 * 1_000;

/// True if two devices are proven to speak as this one.
pub(crate) fn is_cloned(row: &CloneRow, now: Now) -> bool {
    row.turns >= TURNS && !is_over(row, now)
}

fn is_over(row: &CloneRow, now: Now) -> bool {
    row.at_ms.saturating_add(APART_MS) <= now.uptime_ms
}

/// A birth that says nothing new. One of a session that is over already, after a session that
/// was newer than when this happened last, is a turn of a second device.
pub(crate) fn repeated_birth(
    ctx: &mut Ctx,
    device: &DeviceId,
    row: &DeviceRow,
    presence: Presence,
) -> Result<(), Undecided> {
    let is_over = |heard: &PresenceRecord| presence.session < heard.session || !heard.online;
    let heard = row.presence.filter(is_over);
    if let (Some(heard), PresenceState::Online) = (heard, presence.state) {
        take_turn(ctx, device, row, Some(heard.session))?;
    }
    ctx.effects.push(Effect::Duplicate);
    Ok(())
}

/// Counts a turn; people are told once when it is proven.
pub(crate) fn take_turn(
    ctx: &mut Ctx,
    device: &DeviceId,
    of: &DeviceRow,
    highest: Option<SessionCounter>,
) -> Result<(), Undecided> {
    let key = CloneKey(device.clone());
    let known = ctx.txn.read(&key)?.filter(|row| !is_over(row, ctx.now));
    let mut row = known.unwrap_or_else(CloneRow::empty);
    // The same one that speaks again, of old sessions: a restored backup does so.
    if row.turns > 0 && highest.is_some_and(|highest| highest <= row.session) {
        return Ok(());
    }
    let before = row.turns;
    row.turns = TURNS.min(before.saturating_add(1));
    row.session = highest.unwrap_or(row.session);
    row.at_ms = ctx.now.uptime_ms;
    ctx.txn.put(&key, &row);
    if row.turns < TURNS || before == TURNS {
        return Ok(());
    }
    let refused = rejected(Code::Clone, device, Some(of));
    let device = device.clone();
    let suspected = Effect::Event(Event::CloneSuspected { device });
    ctx.effects.extend([refused, suspected]);
    Ok(())
}

/// The other key that a device has on offer: one that came by a claim which is gone is not, any more.
pub(crate) fn offered(txn: &Txn, row: &DeviceRow) -> Result<Option<PublicKey>, Undecided> {
    Ok(match (row.offered_key, row.offered_by.clone()) {
        (Some(key), Some(claim)) => txn.read(&ClaimKey(claim))?.map(|_| key),
        (key, _) => key,
    })
}

/// A device shows another key than the pinned one, maybe by a claim.
pub(crate) fn other_key(
    ctx: &mut Ctx,
    device: &DeviceId,
    mut row: DeviceRow,
    (shown, by): (PublicKey, Option<ClaimId>),
) -> Result<(), Undecided> {
    if row.offered_key.is_none() {
        // Whoever has the pinned key has spoken since, if it was offered before.
        take_turn(ctx, device, &row, None)?;
    }
    let clone = ctx.txn.read(&CloneKey(device.clone()))?;
    let cloned = clone.is_some_and(|row| is_cloned(&row, ctx.now));
    if !cloned {
        ctx.effects
            .push(rejected(Code::Reenrol, device, Some(&row)));
    }
    let is_new = row.offered_key != Some(shown);
    if is_new || row.offered_by != by {
        row.offered_key = Some(shown);
        row.offered_by = by;
        if is_new && !cloned {
            let device = device.clone();
            ctx.effects
                .push(Effect::Event(Event::DeviceKeyChanged { device }));
        }
        ctx.txn.put(&DeviceKey(device.clone()), &row);
    }
    Ok(())
}

/// Nothing of what was noted about a device is about who it is now.
pub(crate) fn forget(ctx: &mut Ctx, device: &DeviceId) -> Result<(), Undecided> {
    let key = CloneKey(device.clone());
    if ctx.txn.read(&key)?.is_some() {
        ctx.txn.delete(&key);
    }
    Ok(())
}
