//! The JSON of what `device-import` did, or would do.

use hoist_protocol::id::DeviceId;
use serde::{Deserialize, Serialize};

use super::DeviceSecrets;

/// The result for one device of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Imported {
    /// It was registered.
    Added,
    /// It was registered before, with the same properties.
    Unchanged,
    /// It was registered before with other properties, and stays as it is.
    Skipped,
}

/// `device-import`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportResult {
    /// Devices that were registered, or would be.
    pub added: u32,
    /// Devices that were registered before with the same properties.
    pub unchanged: u32,
    /// Devices that are registered with other properties and were left as they are.
    pub skipped: u32,
    /// The added and the unchanged ones with their tokens, in the order of the command;
    /// empty on a dry run.
    pub devices: Vec<ImportedDevice>,
    /// SHA-256 of the root document, in hex, which the devices pin; null on a dry run.
    pub root_sha256: Option<String>,
    /// The number of that document; null on a dry run.
    pub root_number: Option<u32>,
    /// The faults of the devices; always empty but on a dry run, because any fault refuses the
    /// command.
    pub faults: Vec<ImportFault>,
}

/// A device of an import, with its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedDevice {
    /// Which device.
    pub device: String,
    /// Its token.
    pub token: String,
    /// The result for the device: new or registered before.
    pub state: Imported,
}

/// Why one device of an import is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportFault {
    /// Its place in the command's `devices`, from 0.
    pub index: u32,
    /// The stable code.
    pub code: String,
    /// One sentence with the particulars.
    pub detail: String,
    /// The field of the device at fault.
    pub field: Option<String>,
}

/// The counts of what became of devices.
pub(crate) fn counted(states: impl Iterator<Item = Imported>) -> ImportResult {
    let mut result = ImportResult::default();
    for state in states {
        match state {
            Imported::Added => result.added += 1,
            Imported::Unchanged => result.unchanged += 1,
            Imported::Skipped => result.skipped += 1,
        }
    }
    result
}

/// The result of a finished import as it goes out: whoever may register a device may have its
/// token.
pub(super) fn result(
    devices: Vec<(DeviceId, u32, Imported)>,
    secrets: impl Fn(&DeviceId, u32) -> DeviceSecrets,
) -> ImportResult {
    let mut result = counted(devices.iter().map(|(_, _, state)| *state));
    for (device, issue, state) in devices {
        if state == Imported::Skipped {
            continue;
        }
        let secrets = secrets(&device, issue);
        result.root_sha256 = Some(secrets.root_sha256);
        result.root_number = Some(secrets.root_number);
        result.devices.push(ImportedDevice {
            device: device.to_string(),
            token: secrets.token,
            state,
        });
    }
    result
}
