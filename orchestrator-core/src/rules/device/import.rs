//! `device-import`: many devices by the rule that registers one, all or none.

use std::collections::BTreeSet;

use hoist_protocol::id::{DeviceId, GroupId};

use super::{Registered, Wish, register};
use crate::api::command::{
    DeviceImport, IMPORT_DEVICES_MAX, ImportDevice, PUBLIC_KEY_IS, parse_public_key,
};
use crate::engine::decide::Stop;
use crate::model::effect::Effects;
use crate::model::error::{Code, Rejection};
use crate::model::input::{CommandInput, Now};
use crate::model::key::{DeviceKey, GroupKey, RevokedKey, RowKey};
use crate::model::txn::{Txn, Undecided};
use crate::reply::{Answer, ImportFault, ImportResult, Imported, counted};
use crate::rules::rollout::membership;

/// Characters of a fault's sentence: fifty of them fit a reply.
const DETAIL_CHARS_MAX: usize = 140;

/// `device-import`. Registering what is registered already changes nothing, so that a file
/// may be sent again; whatever is wrong with one device refuses all.
pub(crate) fn import(
    txn: &mut Txn,
    input: &CommandInput,
    command: &DeviceImport,
    now: Now,
) -> Result<(Answer, Effects), Stop> {
    check_number(command)?;
    load(txn, command)?;
    let (mut done, mut faults, mut effects) = (Vec::new(), Vec::new(), Effects::new());
    let mut seen = BTreeSet::new();
    for (index, item) in command.devices.iter().enumerate() {
        let one = match seen.insert(item.device.as_str()) {
            true => import_one(txn, input, item, command.skip_existing, now),
            false => Err(twice(&item.device).into()),
        };
        match one {
            Ok((device, issue, state, caused)) => {
                done.push((device, issue, state));
                effects.extend(caused);
            }
            Err(Stop::Rejected(rejection)) => faults.push((index, rejection)),
            Err(Stop::Undecided(undecided)) => return Err(undecided.into()),
        }
    }
    if command.dry_run {
        let states = done.iter().map(|(_, _, state)| *state);
        let result = ImportResult {
            faults: faults.into_iter().map(fault).collect(),
            ..counted(states)
        };
        return Ok((Answer::ImportPlanned(result), Effects::new()));
    }
    match refusal(faults) {
        Some(refusal) => Err(refusal.into()),
        None => Ok((Answer::Imported(done), effects)),
    }
}

fn import_one(
    txn: &mut Txn,
    input: &CommandInput,
    item: &ImportDevice,
    skip_existing: bool,
    now: Now,
) -> Result<(DeviceId, u32, Imported, Effects), Stop> {
    let public_key = item.public_key.as_deref().map(|text| {
        parse_public_key(text).ok_or_else(|| {
            let why = format!("it is not {PUBLIC_KEY_IS}");
            Rejection::new(Code::Command, why).field("publicKey")
        })
    });
    let wish = Wish {
        device: &item.device,
        device_type: item.device_type.as_deref(),
        group: item.group.as_deref(),
        labels: &item.labels,
        public_key: public_key.transpose()?,
    };
    Ok(match register(txn, input, &wish, now)? {
        Registered::New { id, row, effects } => (id, row.issue, Imported::Added, effects),
        Registered::Same { id, row, effects } => (id, row.issue, Imported::Unchanged, effects),
        Registered::Other { id, row, .. } if skip_existing => {
            (id, row.issue, Imported::Skipped, Effects::new())
        }
        Registered::Other { refusal, .. } => return Err(refusal.into()),
    })
}

fn check_number(command: &DeviceImport) -> Result<(), Rejection> {
    let why = match command.devices.len() {
        0 => "no device is named".to_owned(),
        1..=IMPORT_DEVICES_MAX => return Ok(()),
        more => format!("one command names at most {IMPORT_DEVICES_MAX} devices, this {more}"),
    };
    Err(Rejection::new(Code::Command, why)
        .field("devices")
        .hint("send the devices in several commands, as `hoist device import FILE.csv` does"))
}

/// Asks for the rows of all devices at once: one by one would be one read after another.
fn load(txn: &Txn, command: &DeviceImport) -> Result<(), Undecided> {
    let unassigned = GroupId::unassigned();
    let parsed = |item: &ImportDevice| -> Option<(DeviceId, GroupId)> {
        let group = item.group.as_deref().unwrap_or(unassigned.as_str());
        Some((item.device.parse().ok()?, group.parse().ok()?))
    };
    let named: Vec<(DeviceId, GroupId)> = command.devices.iter().filter_map(parsed).collect();
    let rows = |(device, group): &(DeviceId, GroupId)| {
        [
            DeviceKey(device.clone()).key(),
            RevokedKey(device.clone()).key(),
            GroupKey(group.clone()).key(),
        ]
    };
    txn.want(named.iter().flat_map(rows))?;
    let mut keys = Vec::new();
    for (device, group) in &named {
        let group_row = txn.read(&GroupKey(group.clone()))?.unwrap_or_default();
        keys.extend(membership::rows_of(device, group, &group_row));
    }
    txn.want(keys)
}

fn twice(device: &str) -> Rejection {
    let device: String = device.chars().take(DETAIL_CHARS_MAX / 2).collect();
    Rejection::new(Code::Command, format!("{device} is named twice")).field("device")
}

fn fault((index, rejection): (usize, Rejection)) -> ImportFault {
    ImportFault {
        index: u32::try_from(index).unwrap_or(u32::MAX),
        code: rejection.code.as_str().to_owned(),
        detail: rejection.detail.chars().take(DETAIL_CHARS_MAX).collect(),
        field: rejection.field,
    }
}

/// The first fault, with the path of its field and the number of the others.
fn refusal(faults: Vec<(usize, Rejection)>) -> Option<Rejection> {
    let others = faults.len().saturating_sub(1);
    let (index, mut first) = faults.into_iter().next()?;
    if others > 0 {
        first.detail = format!("{}, and {others} more of the devices", first.detail);
    }
    let field = first.field.as_deref().unwrap_or("device");
    first.field = Some(format!("devices[{index}].{field}"));
    Some(first)
}
