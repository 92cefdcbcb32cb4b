//! Whether a device is who it was: a key in the place of the pinned one, and two devices that
//! speak as one. A copy of a device, with its state and its token, cannot be told from it by
//! what it says once; but the two end each other's sessions and so take turns, and what one
//! device says only rises.

use hoist_protocol::device::{Presence, PresenceState};
use hoist_protocol::envelope::PublicKey;
use hoist_protocol::id::{DeviceId, SessionCounter};

use crate::api::command::DeviceApprove;
use crate::engine::decide::Stop;
use crate::model::effect::{Effect, Effects, Event};
use crate::model::error::{Code, Rejection};
use crate::model::input::{CommandInput, Now};
use crate::model::key::{CloneKey, DeviceKey};
use crate::model::row::{CloneRow, DeviceRow, Heard};
use crate::model::txn::{Txn, Undecided};
use crate::reply::{Answer, Identity};
use crate::rules::device::refusal::rejected;
use crate::rules::device::{call_roll, named};

/// Turns that prove two devices: one may be a message that is delivered again after a lost
/// connection, or a key that was replaced.
const TURNS: u8 = 3;
/// Turns further apart than this, in attended ms, have nothing to do with each other: two
/// devices that are both switched on take turns every minute.
const APART_MS: u64 = 10 * 60 * 1_000;
/// Digits of a fingerprint that are enough to name a key.
const DIGITS_MIN: usize = 8;

/// Whether two devices are proven to speak as this one.
fn is_cloned(row: &CloneRow, now: Now) -> bool {
    row.turns >= TURNS && !is_over(row, now)
}

fn is_over(row: &CloneRow, now: Now) -> bool {
    row.at_ms.saturating_add(APART_MS) <= now.attended_ms
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
    let is_over = |heard: &Heard| presence.session < heard.session || !heard.online;
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
    let mut row = known.unwrap_or_default();
    // The same one that speaks again, of old sessions: a restored backup does so.
    if row.turns > 0 && highest.is_some_and(|highest| highest <= row.session) {
        return Ok(Vec::new());
    }
    let before = row.turns;
    row.turns = TURNS.min(before.saturating_add(1));
    row.session = highest.unwrap_or(row.session);
    row.at_ms = now.attended_ms;
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

/// `device-approve`: pins the key on offer. The device keeps its group and its records; its
/// roll is called, because what it said meanwhile was not believed.
pub(crate) fn approve(
    txn: &mut Txn,
    input: &CommandInput,
    command: &DeviceApprove,
    now: Now,
) -> Result<(Answer, Effects), Stop> {
    let (device, mut row) = named(txn, input, &command.device)?;
    let wanted = command.fingerprint.as_deref();
    let is_wanted = |key: &PublicKey| wanted.is_none_or(|wanted| names(wanted, key));
    let pinned = row
        .public_key
        .filter(|key| wanted.is_some() && is_wanted(key));
    if let (Some(pinned), None) = (pinned, row.offered_key) {
        // Approved before.
        let fingerprint = pinned.fingerprint();
        return Ok((
            Answer::DeviceApproved {
                device,
                fingerprint,
            },
            Vec::new(),
        ));
    }
    let Some(offered) = row.offered_key.filter(is_wanted) else {
        return Err(not_offered(&device, &row, wanted).into());
    };
    row.public_key = Some(offered);
    row.offered_key = None;
    row.unverified = false;
    forget(txn, &device)?;
    let roll = call_roll(txn, &mut row, &device, now)?;
    txn.put(&DeviceKey(device.clone()), &row);
    let fingerprint = offered.fingerprint();
    let told = Effect::Event(Event::DeviceApproved {
        device: device.clone(),
        fingerprint: fingerprint.clone(),
        by: input.user.clone(),
    });
    Ok((
        Answer::DeviceApproved {
            device,
            fingerprint,
        },
        vec![roll, told],
    ))
}

/// Whether what a person typed names a key.
fn names(wanted: &str, key: &PublicKey) -> bool {
    let wanted = wanted.to_ascii_lowercase();
    wanted.len() >= DIGITS_MIN && key.fingerprint().starts_with(&wanted)
}

fn not_offered(device: &DeviceId, row: &DeviceRow, wanted: Option<&str>) -> Rejection {
    let offers = match row.offered_key {
        Some(key) => format!("{device} offers the key {}", key.fingerprint()),
        None => format!("{device} offers no other key than the pinned one"),
    };
    let (detail, field) = match wanted {
        Some(wanted) => (format!("{offers}, not {wanted}"), "fingerprint"),
        None => (offers, "device"),
    };
    Rejection::new(Code::NotOffered, detail)
        .field(field)
        .hint(format!(
            "look at its keys with `hoist device show {device}`"
        ))
}

/// Why it is in doubt who a device is, and what to do about it.
pub(crate) fn doubt(
    device: &DeviceId,
    row: &DeviceRow,
    clone: Option<CloneRow>,
    now: Now,
) -> Option<Identity> {
    if clone.is_some_and(|row| is_cloned(&row, now)) {
        return Some(Identity {
            code: Code::Clone.as_str().to_owned(),
            says: format!(
                "two devices take turns to connect as {device}: one is a copy of the other"
            ),
            next: "find the copy, stop it, empty its state directory and register it under an \
                   id of its own: `hoist device add ID`"
                .to_owned(),
        });
    }
    let (pinned, offered) = (
        row.public_key?.fingerprint(),
        row.offered_key?.fingerprint(),
    );
    Some(Identity {
        code: Code::Reenrol.as_str().to_owned(),
        says: format!(
            "it shows the key {offered} in the place of the pinned {pinned}: what it says that it \
             ended is not believed"
        ),
        next: format!(
            "when its storage was replaced, `hoist device approve {device} --fingerprint {offered}`: \
             its records stay its own. Or begin afresh with `hoist device remove {device}` and \
             `hoist device add {device}`: its records stay with their deployments, and it gets \
             another token"
        ),
    })
}
