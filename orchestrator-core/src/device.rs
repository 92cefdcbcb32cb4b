//! Registered devices: adding, removing, what they say they are, and calling their roll.

use hoist_protocol::device::DeviceInfo;
use hoist_protocol::head::{LABELS_MAX, TEXT_BYTES_MAX};
use hoist_protocol::id::{DeviceId, GroupId};
use hoist_protocol::topic::View;

use crate::command::{DeviceAdd, DeviceRef};
use crate::counter;
use crate::decide::Stop;
use crate::deployment::end::complete_when_all_successful;
use crate::effect::{Effect, Effects, Event};
use crate::error::{Code, Rejection};
use crate::group;
use crate::input::{CommandInput, Now};
use crate::key::{DeviceKey, GroupCountKey, MemberKey, RecordKey};
use crate::reply::Answer;
use crate::request::{may_change, parse_name};
use crate::row::{DeviceRow, GroupRow, MemberRow, RecordRow};
use crate::txn::{Txn, Undecided};

/// Unverifiable outcomes call a device's roll at most this often, in attended ms: a device
/// whose key was replaced must not be asked in a loop.
const ASK_PAUSE_MS: u64 = 60_000;

/// Calls the roll of one device (W6); reconcile publishes its head.
pub(crate) fn call_roll(row: &mut DeviceRow, device: &DeviceId, now: Now) -> Effect {
    row.roll_call.0 = row.roll_call.0.wrapping_add(1);
    row.asked_ms = Some(now.attended_ms);
    Effect::DeviceHeadChanged(device.clone())
}

/// Outcomes that do not verify are no outcomes; the device is asked again, not too often.
pub(crate) fn unverified(
    txn: &mut Txn,
    device: &DeviceId,
    mut row: DeviceRow,
    now: Now,
) -> Effects {
    let mut effects = vec![Effect::Rejected {
        code: Code::Signature,
        device: Some(device.clone()),
    }];
    row.unverified = true;
    let again = row
        .asked_ms
        .is_none_or(|asked| asked.saturating_add(ASK_PAUSE_MS) <= now.attended_ms);
    if again {
        effects.push(call_roll(&mut row, device, now));
    }
    txn.put(&DeviceKey(device.clone()), &row);
    effects
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
        return Ok(vec![Effect::Rejected {
            code: Code::Unknown,
            device: Some(device.clone()),
        }]);
    };
    let mut effects = Vec::new();
    match (row.public_key, info.public_key) {
        (None, Some(shown)) => {
            row.public_key = Some(shown);
            effects.push(if std::mem::take(&mut row.unverified) {
                call_roll(&mut row, device, now)
            } else {
                Effect::DeviceHeadChanged(device.clone())
            });
        }
        (Some(pinned), Some(shown)) if pinned != shown => {
            effects.push(Effect::Rejected {
                code: Code::Reenrol,
                device: Some(device.clone()),
            });
            if row.offered_key != Some(shown) {
                row.offered_key = Some(shown);
                let device = device.clone();
                effects.push(Effect::Event(Event::DeviceKeyChanged { device }));
            }
            // Not this device's word: nothing else of it is taken in.
            txn.put(&key, &row);
            return Ok(effects);
        }
        // A device that shows its key or head has no head of ours, or an old one.
        _ if info.public_key.is_some() || info.stored_head.is_some() => {
            effects.push(Effect::DeviceHeadChanged(device.clone()));
        }
        _ => {}
    }
    row.agent.clone_from(&info.agent);
    row.inventory.clone_from(&info.inventory);
    if !info.device_type.is_empty() {
        row.device_type.clone_from(&info.device_type);
    }
    row.last_seen_ms = Some(now.unix_ms);
    txn.put(&key, &row);
    Ok(effects)
}

/// `device-add`; the same device again is the same answer.
pub(crate) fn add(
    txn: &mut Txn,
    input: &CommandInput,
    command: &DeviceAdd,
    now: Now,
) -> Result<(Answer, Effects), Stop> {
    let device: DeviceId = parse_name("device", &command.device)?;
    let unassigned = GroupId::unassigned();
    let group_text = command.group.as_deref().unwrap_or(unassigned.as_str());
    let (group, group_row) = group::named(txn, group_text)?;
    may_change(input, &group)?;
    let labels: Vec<(String, String)> = command.labels.clone().into_iter().collect();
    let device_type = command.device_type.clone().unwrap_or_default();
    check_texts(&labels, &device_type)?;
    let key = DeviceKey(device.clone());
    if let Some(known) = txn.read(&key)? {
        let same_type = device_type.is_empty() || known.device_type == device_type;
        if known.group == group && known.labels == labels && same_type {
            let issue = known.issue;
            return Ok((Answer::DeviceAdded { device, issue }, Vec::new()));
        }
        let why = format!("{device} is registered in group {}", known.group);
        return Err(Rejection::new(Code::DeviceExists, why)
            .field("device")
            .into());
    }
    let row = DeviceRow {
        labels,
        device_type,
        ..DeviceRow::new(group.clone(), now.unix_ms)
    };
    let count_key = GroupCountKey(group.clone());
    let member_key = MemberKey(group.clone(), device.clone());
    txn.read(&member_key)?;
    let mut count = txn.read(&count_key)?.unwrap_or_default();
    count.members += 1;
    txn.put(&count_key, &count);
    txn.put(&member_key, &MemberRow {});
    txn.put(&key, &row);
    mark_records(txn, &device, &group_row, false)?;
    let mut effects = membership_changed(txn, &device, &group)?;
    effects.push(Effect::Event(Event::DeviceAdded {
        device: device.clone(),
        group,
    }));
    let issue = row.issue;
    Ok((Answer::DeviceAdded { device, issue }, effects))
}

/// Marks the records of a device that joins or leaves a group, in its active deployments:
/// Pending counts members without a record (S5).
fn mark_records(
    txn: &mut Txn,
    device: &DeviceId,
    group: &GroupRow,
    outside: bool,
) -> Result<(), Undecided> {
    for id in &group.active {
        let key = RecordKey(*id, device.clone());
        if let Some(old) = txn.read(&key)? {
            let record = RecordRow {
                outside,
                ..old.clone()
            };
            counter::put_record(txn, &key, Some(&old), &record)?;
        }
    }
    Ok(())
}

fn check_texts(labels: &[(String, String)], device_type: &str) -> Result<(), Rejection> {
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

/// `device-remove`: its records stay with their deployments (S14).
pub(crate) fn remove(
    txn: &mut Txn,
    input: &CommandInput,
    command: &DeviceRef,
    now: Now,
) -> Result<(Answer, Effects), Stop> {
    let device: DeviceId = parse_name("device", &command.device)?;
    let key = DeviceKey(device.clone());
    let row = txn.read(&key)?.ok_or_else(|| unknown(&device))?;
    may_change(input, &row.group)?;
    let group_row = group::read(txn, &row.group)?.unwrap_or_default();
    mark_records(txn, &device, &group_row, true)?;
    let count_key = GroupCountKey(row.group.clone());
    let member_key = MemberKey(row.group.clone(), device.clone());
    txn.read(&member_key)?;
    let mut count = txn.read(&count_key)?.unwrap_or_default();
    count.members = count.members.saturating_sub(1);
    if row.online == Some(true) {
        count.online = count.online.saturating_sub(1);
    }
    txn.put(&count_key, &count);
    txn.delete(&member_key);
    txn.delete(&key);
    let mut effects = membership_changed(txn, &device, &row.group)?;
    for id in group_row.active {
        effects.extend(complete_when_all_successful(txn, id, now)?);
    }
    Ok((Answer::DeviceRemoved { device }, effects))
}

/// Everything that shows how many members a group has.
fn membership_changed(txn: &Txn, device: &DeviceId, group: &GroupId) -> Result<Effects, Undecided> {
    let row = group::read(txn, group)?.unwrap_or_default();
    let mut effects = vec![
        Effect::DeviceHeadChanged(device.clone()),
        Effect::ViewChanged(View::Group(group.clone())),
        Effect::ViewChanged(View::Fleet),
    ];
    let views = row.active.into_iter().map(View::Deployment);
    effects.extend(views.map(Effect::ViewChanged));
    Ok(effects)
}
