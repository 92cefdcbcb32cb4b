//! Registered devices: adding, moving, holding and removing them, what they say they are,
//! and calling their roll.

use std::collections::BTreeMap;

use hoist_protocol::device::DeviceInfo;
use hoist_protocol::envelope::PublicKey;
use hoist_protocol::head::{LABELS_MAX, TEXT_BYTES_MAX};
use hoist_protocol::id::{DeviceId, GroupId, UserId};

use crate::api::command::{DeviceAdd, DeviceMove, DeviceRemove};
use crate::api::request::{may_change, one_line, parse_name};
use crate::engine::decide::Stop;
use crate::model::effect::{Effect, Effects, Event};
use crate::model::error::{Code, Rejection};
use crate::model::input::{CommandInput, Now};
use crate::model::key::{
    DeviceKey, FactsKey, Key, RecoveryKey, RefusedKey, RevokedKey, RowKey, TroubleKey,
};
use crate::model::row::{DeviceRow, RevokedRow};
use crate::model::txn::{Txn, Undecided};
use crate::reply::Answer;
use crate::rules::deployment::end::{Change, complete_if_due};
use crate::rules::device::refusal::rejected;
use crate::rules::group;
use crate::rules::rollout::membership;
use crate::rules::rollout::outbox::{self, Means};

pub(crate) mod contact;
pub(crate) mod doubt;
mod facts;
pub(crate) mod hold;
pub(crate) mod identity;
mod import;
pub mod presence;
pub(crate) mod refusal;
pub(crate) mod status;
pub(crate) mod trouble;

pub(crate) use hold::hold;
pub(crate) use import::import;

/// Calls the roll of one device (W6); reconcile publishes its head.
pub(crate) fn call_roll(
    txn: &mut Txn,
    row: &mut DeviceRow,
    device: &DeviceId,
    now: Now,
) -> Result<Effect, Undecided> {
    row.roll_call.0 = row.roll_call.0.wrapping_add(1);
    row.asked_ms = Some(now.attended_ms);
    outbox::changed(txn, device, Means::Restricts)
}

/// Rows that a device's info surely touches.
pub(crate) fn info_hint(device: &DeviceId) -> Vec<Key> {
    vec![
        DeviceKey(device.clone()).key(),
        FactsKey(device.clone()).key(),
        TroubleKey(device.clone()).key(),
    ]
}

/// Takes a device's info in; the first key it shows is pinned, another is refused.
pub(crate) fn merge_info(
    txn: &mut Txn,
    device: &DeviceId,
    info: &DeviceInfo,
    now: Now,
) -> Result<Effects, Undecided> {
    let key = DeviceKey(device.clone());
    let Some(mut row) = txn.read(&key)? else {
        return Ok(vec![rejected(Code::Unknown, device, None)]);
    };
    let mut effects = Vec::new();
    match (row.public_key, info.public_key) {
        (None, Some(shown)) => {
            row.public_key = Some(shown);
            effects.push(if std::mem::take(&mut row.unverified) {
                call_roll(txn, &mut row, device, now)?
            } else {
                outbox::changed(txn, device, Means::Restricts)?
            });
        }
        (Some(pinned), Some(shown)) if pinned != shown => {
            // Not this device's word: nothing else of it is taken in.
            return identity::other_key(txn, device, row, shown, now);
        }
        // A device that shows its key or head has no head of ours, or an old one.
        _ if info.public_key.is_some() || info.stored_head.is_some() => {
            effects.push(Effect::DeviceHeadChanged(device.clone()));
        }
        _ => {}
    }
    // Whoever speaks has the pinned key: another one is not on offer (any more).
    row.offered_key = None;
    row.agent.clone_from(&info.agent);
    row.inventory.clone_from(&info.inventory);
    if !info.device_type.is_empty() {
        row.device_type.clone_from(&info.device_type);
    }
    row.last_seen_ms = Some(now.unix_ms);
    facts::note(txn, device, Some(info))?;
    txn.put(&key, &row);
    trouble::note(txn, device, info.trouble)?;
    Ok(effects)
}

/// A device as it is to be registered.
struct Wish<'a> {
    device: &'a str,
    device_type: Option<&'a str>,
    group: Option<&'a str>,
    labels: &'a BTreeMap<String, String>,
    /// The key to pin; without one the first that it shows.
    public_key: Option<PublicKey>,
}

/// What became of a wish.
enum Registered {
    /// It is registered now.
    New {
        id: DeviceId,
        row: Box<DeviceRow>,
        effects: Effects,
    },
    /// It was registered before, just so.
    Same {
        id: DeviceId,
        row: Box<DeviceRow>,
        effects: Effects,
    },
    /// It was registered before, otherwise.
    Other {
        id: DeviceId,
        row: Box<DeviceRow>,
        refusal: Rejection,
    },
}

/// `device-add`; the same device again is the same answer.
pub(crate) fn add(
    txn: &mut Txn,
    input: &CommandInput,
    command: &DeviceAdd,
    now: Now,
) -> Result<(Answer, Effects), Stop> {
    let wish = Wish {
        device: &command.device,
        device_type: command.device_type.as_deref(),
        group: command.group.as_deref(),
        labels: &command.labels,
        public_key: None,
    };
    match register(txn, input, &wish, now)? {
        Registered::New { id, row, effects } | Registered::Same { id, row, effects } => {
            Ok((added(command, id, row.group.clone(), row.issue), effects))
        }
        Registered::Other { refusal, .. } => Err(refusal.into()),
    }
}

/// Registers a device. What one that was not heard yet has retained is read: it may be
/// waiting to be registered, and speaks only once.
fn register(
    txn: &mut Txn,
    input: &CommandInput,
    wish: &Wish,
    now: Now,
) -> Result<Registered, Stop> {
    let id: DeviceId = parse_name("device", wish.device)?;
    let unassigned = GroupId::unassigned();
    let group_text = wish.group.unwrap_or(unassigned.as_str());
    let (group, _) = group::named(txn, group_text)?;
    may_change(input, &group)?;
    let labels: Vec<(String, String)> = wish.labels.clone().into_iter().collect();
    let device_type = wish.device_type.unwrap_or_default().to_owned();
    check_texts(&labels, &device_type)?;
    let key = DeviceKey(id.clone());
    if let Some(known) = txn.read(&key)? {
        let row = Box::new(known);
        let key_differs = wish.public_key.is_some() && row.public_key != wish.public_key;
        if key_differs {
            let how = match row.public_key {
                Some(_) => "with another key",
                None => "without a key",
            };
            let refusal = exists(&id, how, "publicKey");
            return Ok(Registered::Other { id, row, refusal });
        }
        let same_type = device_type.is_empty() || row.device_type == device_type;
        if row.group == group && row.labels == labels && same_type {
            let unheard = row.last_seen_ms.is_none();
            let read = unheard.then(|| Effect::ReadReports(id.clone()));
            let effects = read.into_iter().collect();
            return Ok(Registered::Same { id, row, effects });
        }
        let how = match (row.group == group, same_type) {
            (false, _) => format!("in group {}", row.group),
            (true, false) if row.device_type.is_empty() => "without a type".to_owned(),
            (true, false) => format!("with the type {}", row.device_type),
            (true, true) => "with other labels".to_owned(),
        };
        let refusal = exists(&id, &how, "device");
        return Ok(Registered::Other { id, row, refusal });
    }
    // The tokens of an earlier life stay worth nothing.
    let revoked = txn.read(&RevokedKey(id.clone()))?.unwrap_or_default();
    let forgotten = txn.read(&RecoveryKey)?.unwrap_or_default();
    let mut row = DeviceRow {
        labels,
        device_type,
        public_key: wish.public_key,
        issue: revoked.issue.max(forgotten.issue).saturating_add(1),
        ..DeviceRow::new(now.unix_ms)
    };
    let mut effects = membership::join(txn, &id, &mut row, &group)?;
    txn.put(&key, &row);
    effects.push(Effect::ReadReports(id.clone()));
    effects.push(Effect::Event(Event::DeviceAdded {
        device: id.clone(),
        group,
    }));
    let row = Box::new(row);
    Ok(Registered::New { id, row, effects })
}

fn exists(device: &DeviceId, how: &str, field: &str) -> Rejection {
    let why = format!("{device} is registered {how}");
    Rejection::new(Code::DeviceExists, why).field(field)
}

/// A dry run gives nothing that a token could be made of.
fn added(command: &DeviceAdd, device: DeviceId, group: GroupId, issue: u32) -> Answer {
    if command.dry_run {
        Answer::DevicePlanned { device, group }
    } else {
        Answer::DeviceAdded { device, issue }
    }
}

fn check_texts(labels: &[(String, String)], device_type: &str) -> Result<(), Rejection> {
    for (name, value) in labels {
        one_line(name, "labels")?;
        one_line(value, "labels")?;
    }
    one_line(device_type, "type")?;
    let long = |text: &str| text.len() > TEXT_BYTES_MAX;
    if labels.len() > LABELS_MAX || labels.iter().any(|(k, v)| long(k) || long(v)) {
        let why = "a device has at most 16 labels of 128 bytes each";
        return Err(Rejection::new(Code::Size, why).field("labels"));
    }
    if device_type.len() > hoist_protocol::device::TEXT_BYTES_MAX {
        let why = "a device type has at most 64 bytes";
        return Err(Rejection::new(Code::Size, why).field("type"));
    }
    Ok(())
}

/// The refusal of a device that does not exist.
pub(crate) fn unknown(device: &DeviceId) -> Rejection {
    Rejection::new(Code::Device, format!("there is no device {device}"))
        .field("device")
        .wanted(device.as_str())
}

/// A device that a command names, and that its user may change.
pub(crate) fn named(
    txn: &Txn,
    input: &CommandInput,
    text: &str,
) -> Result<(DeviceId, DeviceRow), Stop> {
    let device: DeviceId = parse_name("device", text)?;
    let row = txn.read(&DeviceKey(device.clone()))?;
    let row = row.ok_or_else(|| unknown(&device))?;
    may_change(input, &row.group)?;
    Ok((device, row))
}

/// `device-remove`: its records stay with their deployments (S14), its token is worth nothing
/// from then on, and its head, which is cleared, tells it that it belongs nowhere (W4).
pub(crate) fn remove(
    txn: &mut Txn,
    input: &CommandInput,
    command: &DeviceRemove,
    now: Now,
) -> Result<(Answer, Effects), Stop> {
    let (device, row) = named(txn, input, &command.device)?;
    let effects = take_out(txn, &device, row, input.user.clone(), now)?;
    Ok((Answer::DeviceRemoved { device }, effects))
}

/// Removes a device: by whom is told.
pub(crate) fn take_out(
    txn: &mut Txn,
    device: &DeviceId,
    mut row: DeviceRow,
    by: UserId,
    now: Now,
) -> Result<Effects, Undecided> {
    let (group, issue) = (row.group.clone(), row.issue);
    let revoked = RevokedKey(device.clone());
    // Loaded, so that a device removed once more finds the generation of its row.
    txn.read(&revoked)?;
    identity::forget(txn, device)?;
    row.running = None;
    let mut effects = contact::watch(txn, device, &mut row, now)?;
    effects.extend(leave(txn, device, &mut row, now)?);
    txn.delete(&DeviceKey(device.clone()));
    txn.read(&RefusedKey(device.clone()))?;
    txn.delete(&RefusedKey(device.clone()));
    trouble::note(txn, device, None)?;
    facts::note(txn, device, None)?;
    txn.put(&revoked, &RevokedRow { issue });
    // Before its head goes out: whoever is turned away leaves nothing behind.
    effects.insert(
        0,
        Effect::DeviceRevoked {
            device: device.clone(),
            issue,
        },
    );
    effects.push(Effect::Event(Event::DeviceRemoved {
        device: device.clone(),
        group,
        by,
    }));
    Ok(effects)
}

/// `device-move` (S14): what runs goes on, and from then on it obeys its new group.
pub(crate) fn move_to(
    txn: &mut Txn,
    input: &CommandInput,
    command: &DeviceMove,
    now: Now,
) -> Result<(Answer, Effects), Stop> {
    let (device, mut row) = named(txn, input, &command.device)?;
    let (group, _) = group::named(txn, &command.group)?;
    may_change(input, &group)?;
    let mut effects = Vec::new();
    if row.group != group {
        effects.extend(leave(txn, &device, &mut row, now)?);
        effects.extend(membership::join(txn, &device, &mut row, &group)?);
        txn.put(&DeviceKey(device.clone()), &row);
    }
    Ok((Answer::DeviceMoved { device, group }, effects))
}

/// Leaves the group; what waits for all of its members may be complete then (S1).
fn leave(
    txn: &mut Txn,
    device: &DeviceId,
    row: &mut DeviceRow,
    now: Now,
) -> Result<Effects, Undecided> {
    let group = group::read(txn, &row.group)?.unwrap_or_default();
    let mut effects = membership::leave(txn, device, row)?;
    for id in group.active {
        effects.extend(complete_if_due(txn, id, Change::LEFT, now)?);
    }
    Ok(effects)
}
