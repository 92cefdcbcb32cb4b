//! The identity of a device: a key in the place of the pinned one, and two devices that speak as
//! one. A copy of a device, with its state and its token, cannot be told from it by one message.
//! But the two end each other's sessions and so take turns, while the numbers of one device only
//! rise.

use hoist_protocol::device::{Presence, PresenceState};
use hoist_protocol::envelope::PublicKey;
use hoist_protocol::id::{DeviceId, SessionCounter};

use crate::model::effect::{Effect, Effects, Event};
use crate::model::error::Code;
use crate::model::key::{CloneKey, DeviceKey};
use crate::model::now::Now;
use crate::model::row::{CloneRow, DeviceRow, PresenceRecord, StartsEmpty};
use crate::model::txn::{Txn, Undecided};
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
    txn: &mut Txn,
    device: &DeviceId,
    row: &DeviceRow,
    presence: Presence,
    now: Now,
) -> Result<Effects, Undecided> {
    let is_over = |heard: &PresenceRecord| presence.session < heard.session || !heard.online;
    let heard = row.presence.filter(is_over);
    match (heard, presence.state) {
        (Some(heard), PresenceState::Online) => {
            let mut effects = take_turn(txn, device, row, Some(heard.session), now)?;
            effects.push(Effect::Duplicate);
            Ok(effects)
        }
        _ => Ok(vec![Effect::Duplicate]),
    }
}

/// Counts a turn; people are told once when it is proven.
pub(crate) fn take_turn(
    txn: &mut Txn,
    device: &DeviceId,
    of: &DeviceRow,
    highest: Option<SessionCounter>,
    now: Now,
) -> Result<Effects, Undecided> {
    let key = CloneKey(device.clone());
    let known = txn.read(&key)?.filter(|row| !is_over(row, now));
    let mut row = known.unwrap_or_else(CloneRow::empty);
    // The same one that speaks again, of old sessions: a restored backup does so.
    if row.turns > 0 && highest.is_some_and(|highest| highest <= row.session) {
        return Ok(Vec::new());
    }
    let before = row.turns;
    row.turns = TURNS.min(before.saturating_add(1));
    row.session = highest.unwrap_or(row.session);
    row.at_ms = now.uptime_ms;
    txn.put(&key, &row);
    if row.turns < TURNS || before == TURNS {
        return Ok(Vec::new());
    }
    let refused = rejected(Code::Clone, device, Some(of));
    let device = device.clone();
    Ok(vec![
        refused,
        Effect::Event(Event::CloneSuspected { device }),
    ])
}

/// A device shows another key than the pinned one.
pub(crate) fn other_key(
    txn: &mut Txn,
    device: &DeviceId,
    mut row: DeviceRow,
    shown: PublicKey,
    now: Now,
) -> Result<Effects, Undecided> {
    let mut effects = Vec::new();
    if row.offered_key.is_none() {
        // Whoever has the pinned key has spoken since, if it was offered before.
        effects.extend(take_turn(txn, device, &row, None, now)?);
    }
    let clone = txn.read(&CloneKey(device.clone()))?;
    let cloned = clone.is_some_and(|row| is_cloned(&row, now));
    if !cloned {
        effects.push(rejected(Code::Reenrol, device, Some(&row)));
    }
    if row.offered_key != Some(shown) {
        row.offered_key = Some(shown);
        if !cloned {
            let device = device.clone();
            effects.push(Effect::Event(Event::DeviceKeyChanged { device }));
        }
        txn.put(&DeviceKey(device.clone()), &row);
    }
    Ok(effects)
}

/// Nothing of what was noted about a device is about who it is now.
pub(crate) fn forget(txn: &mut Txn, device: &DeviceId) -> Result<(), Undecided> {
    let key = CloneKey(device.clone());
    if txn.read(&key)?.is_some() {
        txn.delete(&key);
    }
    Ok(())
}
