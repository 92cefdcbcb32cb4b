//! `device-import`: many devices by the rule that registers one, all or none. Registering what is
//! registered already changes nothing, so that a file may be sent again.

use std::collections::{BTreeMap, BTreeSet};

use hoist_protocol::access::Role;
use hoist_protocol::id::{DeviceId, GroupId};
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, Names, VerbEffect};
use crate::api::commands::device_add::{Registered, Wish, register};
use crate::api::public_key::{PUBLIC_KEY_IS, parse_public_key};
use crate::model::error::{Code, Rejection};
use crate::model::key::{DeviceKey, GroupKey, RevokedKey, RowKey};
use crate::model::txn::{Txn, Undecided};
use crate::reply::{Answer, ImportFault, ImportResult, Imported, counted};
use crate::rules::rollout::membership;
use crate::rules::stop::Stop;

/// Devices in one command: its answer, with a token for each, stays under 16 KiB.
pub const IMPORT_DEVICES_MAX: usize = 50;
/// Characters of a fault's sentence: fifty of them fit a reply.
const DETAIL_CHARS_MAX: usize = 140;

/// `device-import`: all of the devices or none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceImport {
    /// The devices; 1 to 50.
    #[serde(deserialize_with = "crate::api::object::each")]
    pub devices: Vec<ImportDevice>,
    /// Leaves a device as it is that is registered with other properties, instead of
    /// refusing all; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip_existing: bool,
    /// Says what would happen and what is wrong with which device, changes nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// One device of an import.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImportDevice {
    /// The device's id.
    pub device: String,
    /// Its type, which a release may require.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub device_type: Option<String>,
    /// Its group; `unassigned` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The Ed25519 key to pin, 64 hex digits; without one the first that the device shows
    /// is pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// Facts for selecting devices: at most 16, without control characters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl Body for DeviceImport {
    const WORD: &'static str = "device-import";
    const ROLE: Role = Role::Admin;
    const EFFECT: VerbEffect = VerbEffect::Changes;

    fn is_dry(&self) -> bool {
        self.dry_run
    }

    fn names(&self) -> Names<'_> {
        let devices = self.devices.iter();
        Names {
            more: devices.map(|item| item.device.as_str()).collect(),
            ..Names::default()
        }
    }

    fn execute(&self, ask: &mut Ask) -> Result<Answer, Stop> {
        check_number(self)?;
        load(ask.ctx.txn, self)?;
        let (mut done, mut faults) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for (index, item) in self.devices.iter().enumerate() {
            let one = match seen.insert(item.device.as_str()) {
                true => import_one(ask, item, self.skip_existing),
                false => Err(twice(&item.device).into()),
            };
            match one {
                Ok(imported) => done.push(imported),
                Err(Stop::Rejected(rejection)) => faults.push((index, rejection)),
                Err(Stop::Undecided(undecided)) => return Err(undecided.into()),
            }
        }
        if self.dry_run {
            let states = done.iter().map(|(_, _, state)| *state);
            let result = ImportResult {
                faults: faults.into_iter().map(fault).collect(),
                ..counted(states)
            };
            return Ok(Answer::ImportPlanned(result));
        }
        match refusal(faults) {
            Some(refusal) => Err(refusal.into()),
            None => Ok(Answer::Imported(done)),
        }
    }
}

fn import_one(
    ask: &mut Ask,
    item: &ImportDevice,
    skip_existing: bool,
) -> Result<(DeviceId, u32, Imported), Stop> {
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
    Ok(match register(ask, &wish)? {
        Registered::New { id, row } => (id, row.issue, Imported::Added),
        Registered::Same { id, row } => (id, row.issue, Imported::Unchanged),
        Registered::Other { id, row, .. } if skip_existing => (id, row.issue, Imported::Skipped),
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
        // Whoever names a group that is not there is refused below.
        if let Some(row) = txn.read(&GroupKey(group.clone()))? {
            keys.extend(membership::rows_of(device, group, &row));
        }
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
