//! Slots of limits that devices took along when they left (S10).

use std::collections::BTreeMap;

use hoist_protocol::id::{DeploymentId, DeviceId};

use crate::model::key::{DeviceKey, Prefix, RecordKey, RowKey};
use crate::query::explain::Taken;
use crate::query::{Need, Reader};

/// Devices that are looked at: of whom nothing was heard is among the first, or is one of many.
const LOOKED_AT: usize = 32;

/// The devices that took a slot of these deployments along and were not heard of since.
pub(super) fn taken(
    reader: &Reader,
    ids: impl Iterator<Item = DeploymentId>,
) -> Result<BTreeMap<DeploymentId, Taken>, Need> {
    let mut taken = BTreeMap::new();
    for id in ids {
        let prefix = Prefix::Slots(id);
        let page = reader.scan(&prefix, None, LOOKED_AT)?;
        let named = page
            .iter()
            .filter_map(|(key, _)| prefix.rest(key)?.parse().ok());
        let devices: Vec<DeviceId> = named.collect();
        reader.want(devices.iter().flat_map(|device| {
            [
                RecordKey(id, device.clone()).key(),
                DeviceKey(device.clone()).key(),
            ]
        }))?;
        let mut unheard = Vec::new();
        for device in devices {
            if reader.read(&RecordKey(id, device.clone()))?.is_none() {
                unheard.push(device);
            }
        }
        let more = unheard.len() > 1;
        if let Some(by) = unheard.into_iter().next() {
            let group = reader.read(&DeviceKey(by.clone()))?.map(|row| row.group);
            taken.insert(id, Taken { by, group, more });
        }
    }
    Ok(taken)
}
