//! A device that was removed: its row is gone, its records stay with their deployments (S14).

use hoist_protocol::id::{DeploymentId, DeviceId};

use crate::model::row::{MetaRow, RecordRow, RecordState};
use crate::model::time::format_time;
use crate::query::device::presence;
use crate::query::why::{read_rows, recent};
use crate::query::{Need, Reader};
use crate::reply::{DeviceWhy, Nothing, Why};

/// The explanation of a device without a row that has a record in this deployment, or in one of
/// the recent ones; `None` when no record shows that there ever was such a device.
pub(super) fn removed(
    reader: &Reader,
    device: &DeviceId,
    wanted: Option<DeploymentId>,
    meta: &MetaRow,
) -> Result<Option<DeviceWhy>, Need> {
    let ids = match wanted {
        Some(id) => vec![id],
        None => recent(meta).collect(),
    };
    let rows = read_rows(reader, device, ids)?;
    let mut newest = rows.into_iter().rev();
    let newest = newest.find_map(|(id, (deployment, record))| Some((id, deployment, record?)));
    Ok(newest.map(|(id, deployment, record)| DeviceWhy {
        device: device.to_string(),
        group: deployment.group.to_string(),
        presence: presence(None).to_owned(),
        last_seen: Some(format_time(record.updated_ms)),
        held: false,
        refused: None,
        identity: None,
        trouble: None,
        nothing: Some(Nothing {
            why: Why::Removed,
            says: format!(
                "the device was removed; in deployment {id} it {}",
                ended(&record)
            ),
            next: format!("obeys again once it is registered: hoist device add {device}"),
        }),
        deployments: Vec::new(),
        omitted: 0,
    }))
}

fn ended(record: &RecordRow) -> String {
    match &record.state {
        RecordState::InProgress(_) => "was at work".to_owned(),
        RecordState::Successful(_) => "was successful".to_owned(),
        RecordState::Failed(failure) => format!("failed: {}", failure.reason.word()),
        RecordState::TimedOut => "did not answer and counts as failed".to_owned(),
    }
}
