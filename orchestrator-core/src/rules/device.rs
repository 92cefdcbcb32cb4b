//! Registered devices: adding, moving, holding and removing them, what they say they are,
//! and asking them for a resync.

use hoist_protocol::device::DeviceInfo;
use hoist_protocol::id::{DeviceId, GroupId, UserId};

use crate::model::effect::{Effect, Effects, Event};
use crate::model::error::{Code, Rejection};
use crate::model::key::{
    DeviceKey, FactsKey, Key, RecoveryKey, RefusedKey, RevokedKey, RowKey, TroubleKey,
};
use crate::model::now::Now;
use crate::model::row::{DeviceRow, RevokedRow, STAYS_MAX};
use crate::model::txn::{Txn, Undecided};
use crate::rules::deployment::end::{Change, complete_if_due};
use crate::rules::device::refusal::rejected;
use crate::rules::device::resync::ask_resync;
use crate::rules::group;
use crate::rules::rollout::membership;
use crate::rules::rollout::outbox::{self, AdmissionChange};

pub(crate) mod contact;
pub(crate) mod doubt;
mod facts;
pub(crate) mod hold;
pub(crate) mod identity;
pub mod presence;
pub(crate) mod record;
pub(crate) mod refusal;
pub(crate) mod resync;
pub(crate) mod status;
pub(crate) mod trouble;

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
                ask_resync(txn, &mut row, device, now)?
            } else {
                outbox::changed(txn, device, AdmissionChange::Tightens)?
            });
        }
        (Some(pinned), Some(shown)) if pinned != shown => {
            // Not this device's word: nothing else of it is taken in.
            return identity::other_key(txn, device, row, shown, now);
        }
        // A device that shows its key or spec has no spec of ours, or an old one.
        _ if info.public_key.is_some() || info.stored_spec.is_some() => {
            effects.push(Effect::DeviceSpecChanged(device.clone()));
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

/// The refusal of a device that does not exist.
pub(crate) fn unknown(device: &DeviceId) -> Rejection {
    Rejection::new(Code::Device, format!("there is no device {device}"))
        .field("device")
        .wanted(device.as_str())
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
    let before = txn.read_or_empty(&revoked)?;
    identity::forget(txn, device)?;
    row.running = None;
    let mut effects = contact::watch(txn, device, &mut row, now)?;
    effects.extend(leave(txn, device, &mut row, now)?);
    txn.delete(&DeviceKey(device.clone()));
    txn.read(&RefusedKey(device.clone()))?;
    txn.delete(&RefusedKey(device.clone()));
    trouble::note(txn, device, None)?;
    facts::note(txn, device, None)?;
    let past = [before.past, row.past].concat();
    let past = past[past.len().saturating_sub(STAYS_MAX)..].to_vec();
    txn.put(&revoked, &RevokedRow { issue, past });
    // Before its spec goes out: whoever is turned away leaves nothing behind.
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

/// Leaves the group; what waits for all of its members may be complete then (S1).
fn leave(
    txn: &mut Txn,
    device: &DeviceId,
    row: &mut DeviceRow,
    now: Now,
) -> Result<Effects, Undecided> {
    let group = group::require(txn, &row.group)?;
    let mut effects = membership::leave(txn, device, row)?;
    for id in group.active {
        effects.extend(complete_if_due(txn, id, Change::LEFT, now)?);
    }
    Ok(effects)
}

/// Registers a device that is not there, in a group. Beside those of joining, the effects ask
/// for what it has retained.
pub(crate) fn register(
    txn: &mut Txn,
    device: &DeviceId,
    mut row: DeviceRow,
    group: GroupId,
) -> Result<(DeviceRow, Effects), Undecided> {
    // The tokens of an earlier life stay worth nothing.
    let revoked = txn.read_or_empty(&RevokedKey(device.clone()))?;
    let forgotten = txn.read_or_empty(&RecoveryKey)?;
    row.issue = revoked.issue.max(forgotten.issue).saturating_add(1);
    let mut effects = membership::join(txn, device, &mut row, &group)?;
    txn.put(&DeviceKey(device.clone()), &row);
    effects.push(Effect::ReadReports(device.clone()));
    effects.push(Effect::Event(Event::DeviceAdded {
        device: device.clone(),
        group,
    }));
    Ok((row, effects))
}

/// Moves a device to another group (S14): what runs goes on, and from then on it obeys its new
/// group.
pub(crate) fn move_to(
    txn: &mut Txn,
    device: &DeviceId,
    row: &mut DeviceRow,
    group: &GroupId,
    now: Now,
) -> Result<Effects, Undecided> {
    if row.group == *group {
        return Ok(Vec::new());
    }
    let mut effects = leave(txn, device, row, now)?;
    effects.extend(membership::join(txn, device, row, group)?);
    txn.put(&DeviceKey(device.clone()), row);
    Ok(effects)
}
