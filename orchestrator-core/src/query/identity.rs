//! Doubt about who a device is, for people.

use hoist_protocol::id::DeviceId;

use crate::model::error::Code;
use crate::model::now::Now;
use crate::model::row::{CloneRow, DeviceRow};
use crate::query::{Need, Reader};
use crate::reply::Identity;
use crate::rules::device::identity::{is_cloned, offered};

/// The row of a device without the key that it has on offer no longer.
pub(crate) fn current(reader: &Reader, row: DeviceRow) -> Result<DeviceRow, Need> {
    let offered_key = offered(reader.rows(), &row)?;
    Ok(DeviceRow { offered_key, ..row })
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
    if let (Some(_), Some(offered)) = (row.revoked(), row.offered_key) {
        let offered = offered.fingerprint();
        return Some(Identity {
            code: Code::Revoked.as_str().to_owned(),
            says: format!("it was revoked, and asks with the key {offered} to come in again"),
            next: format!("if it may: `hoist device approve {device} --fingerprint {offered}`"),
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
