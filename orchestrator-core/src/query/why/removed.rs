//! A device that was removed: its row is gone, its records stay with their deployments (S14).

use hoist_protocol::id::{DeploymentId, DeviceId};

use crate::model::row::{InstanceRow, RecordRow, RecordState, Stay};
use crate::model::time::format_time;
use crate::query::why::{Rows, read_rows, recent};
use crate::query::{Need, Reader};
use crate::reply::{DeviceWhy, Nothing, PresenceWord, Why};
use crate::rules::rollout::membership::was_counted;

/// The explanation of a device without a row that has a record in this deployment, or in one of
/// the recent ones, or that one of them counts as never started; `None` when nothing shows that
/// there ever was such a device.
pub(super) fn removed(
    reader: &Reader,
    (device, lives): (&DeviceId, &[Stay]),
    wanted: Option<DeploymentId>,
    instance: &InstanceRow,
) -> Result<Option<DeviceWhy>, Need> {
    let ids = match wanted {
        Some(id) => vec![id],
        None => recent(instance).collect(),
    };
    let rows = read_rows(reader, device, ids)?;
    let took_part =
        |(deployment, record): &Rows| record.is_some() || was_counted(lives, deployment);
    let newest = rows.into_iter().rev().find(|(_, rows)| took_part(rows));
    Ok(newest.map(|(id, (deployment, record))| DeviceWhy {
        device: device.to_string(),
        placed: None,
        // A server of before did not note which group it obeyed.
        group: match lives.last() {
            Some(last) => last.group.to_string(),
            None => deployment.group.to_string(),
        },
        presence: PresenceWord::Unknown.into(),
        last_seen: record.as_ref().map(|record| format_time(record.updated_ms)),
        held: false,
        revoked: None,
        refused: None,
        identity: None,
        trouble: None,
        nothing: Some(Nothing {
            why: Why::Removed,
            says: format!(
                "the device was removed; in deployment {id} it {}",
                record.as_ref().map_or_else(never_started, ended)
            ),
            next: format!("obeys again once it is registered: hoist device add {device}"),
        }),
        deployments: Vec::new(),
        omitted: 0,
    }))
}

fn never_started() -> String {
    "had not started when that ended".to_owned()
}

fn ended(record: &RecordRow) -> String {
    match &record.state {
        RecordState::InProgress(_) => "was at work".to_owned(),
        RecordState::Successful(_) => "was successful".to_owned(),
        RecordState::Failed(failure) => format!("failed: {}", failure.reason.word()),
        RecordState::TimedOut => "did not answer and counts as failed".to_owned(),
    }
}
