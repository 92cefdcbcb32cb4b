//! Devices, by group or as one deployment sees them.

use std::collections::BTreeMap;

use hoist_protocol::id::{DeploymentId, DeviceId};
use hoist_protocol::reason::Reason;
use hoist_protocol::status::{Failure, ScriptExit, Step};

use crate::model::key::{CloneKey, DeploymentKey, DeviceKey, RecordKey, RefusedKey, TroubleKey};
use crate::model::now::Now;
use crate::model::row::{DeploymentRow, DeviceRow, RecordRow, RecordState};
use crate::model::time::format_time;
use crate::query::placed::placed;
use crate::query::{Need, Queried, Reader, freeze_of, identity, name};
use crate::reply::{
    DeviceDetail, DeviceItem, PresenceWord, RefusedItem, RevokedItem, ScriptEnd, StatusWord,
    StepWord,
};
use crate::rules::device::contact::is_lost;
use crate::rules::rollout::admission::{Case, first_blocker};

mod listing;

pub(crate) use listing::device_list;

/// One device with its record, as this deployment or its own newest sees it; `None` when nothing is
/// known of it. Of a device that was removed a deployment may know no more than its name.
fn item(
    reader: &Reader,
    device: &DeviceId,
    deployment: Option<DeploymentId>,
    now: Now,
) -> Result<Option<(DeviceItem, Option<RecordRow>)>, Need> {
    let row = reader.read(&DeviceKey(device.clone()))?;
    let shown = deployment.or_else(|| row.as_ref().and_then(|row| row.latest));
    let record = match shown {
        Some(id) => reader.read(&RecordKey(id, device.clone()))?,
        None => None,
    };
    if row.is_none() && record.is_none() && deployment.is_none() {
        return Ok(None);
    }
    let mut item = match (&record, shown) {
        (Some(record), _) => of_record(record),
        // Without a record in its newest one: that was removed, and what it came to with it.
        (None, Some(_)) => DeviceItem {
            status: deployment.map(|_| StatusWord::Pending),
            ..DeviceItem::default()
        },
        (None, None) => DeviceItem::default(),
    };
    item.device = device.to_string();
    item.deployment = shown;
    if let Some(row) = row {
        let instance = reader.instance()?;
        let waits =
            is_lost(&row, &instance, now) && waits_for(reader, device, &row, shown, &record)?;
        item.retrying |= waits;
        item.held = row.held;
        item.revoked = RevokedItem::of(&row);
        let refused = reader.read(&RefusedKey(device.clone()))?;
        item.refused = RefusedItem::last(refused.as_ref());
        let trouble = reader.read(&TroubleKey(device.clone()))?;
        item.trouble = trouble.map(|row| row.trouble.into());
        item.group = row.group.to_string();
        item.presence = PresenceWord::from(row.is_there(&instance)).into();
        item.last_seen = row.last_seen_ms.map(format_time);
        item.installed = row
            .inventory
            .iter()
            .map(|installed| (installed.name.to_string(), installed.version.clone()))
            .collect();
    }
    Ok(Some((item, record)))
}

/// True if something of a device is waited for: the device works, or it may start (S6).
fn waits_for(
    reader: &Reader,
    device: &DeviceId,
    row: &DeviceRow,
    shown: Option<DeploymentId>,
    record: &Option<RecordRow>,
) -> Result<bool, Need> {
    let Some(id) = shown else { return Ok(false) };
    match record.as_ref().map(|record| &record.state) {
        Some(RecordState::InProgress(step)) => Ok(*step != Step::Rebooting),
        _ => {
            let deployment = reader.read(&DeploymentKey(id))?;
            let group = deployment.as_ref().map(|deployment| &deployment.group);
            let freeze = match group {
                Some(group) => freeze_of(reader, group)?,
                None => None,
            };
            let may_start = |deployment: DeploymentRow| {
                let case = Case {
                    id,
                    deployment: &deployment,
                    rollout: None,
                    device,
                    row,
                    freeze: freeze.as_ref(),
                    record: record.as_ref(),
                };
                first_blocker(&case).is_none()
            };
            Ok(deployment.is_some_and(may_start))
        }
    }
}

/// The fields of an item that come from a record.
pub(crate) fn of_record(record: &RecordRow) -> DeviceItem {
    let mut item = DeviceItem {
        attempt: Some(record.attempt.0),
        round: Some(record.round.0),
        late: record.late,
        ..DeviceItem::default()
    };
    match &record.state {
        RecordState::InProgress(step) => {
            item.status = Some(StatusWord::InProgress);
            item.retrying = record.lost || step.is_retrying();
            item.step = Some(StepWord::from(*step).into());
            item.progress_percent = match step {
                Step::Downloading(percent) => Some(*percent),
                _ => None,
            };
            if let Step::RetryingAfter(cause) = step {
                item.retry_cause = Some(cause.to_string());
            }
        }
        RecordState::Successful(_) => item.status = Some(StatusWord::Successful),
        RecordState::Failed(failure) => failed(&mut item, failure),
        RecordState::TimedOut => {
            item.status = Some(StatusWord::Failed);
            item.reason = Some(Reason::TimedOut.into());
            item.provisional = true;
        }
    }
    item
}

fn failed(item: &mut DeviceItem, failure: &Failure) {
    item.status = Some(StatusWord::Failed);
    item.reason = Some(failure.reason.into());
    item.rollback = Some(failure.rollback.into());
    if let Some(script) = failure.script {
        item.script = Some(script.kind.into());
        item.script_end = Some(ScriptEnd::from(script.exit).into());
        item.exit = match script.exit {
            ScriptExit::Code(code) => Some(i32::from(code)),
            ScriptExit::Signal(signal) => Some(-i32::from(signal)),
            ScriptExit::Timeout | ScriptExit::NotStarted | ScriptExit::Interrupted => None,
        };
    }
}

/// `device-show`
pub(crate) fn device_show(reader: &Reader, text: &str, now: Now) -> Queried<DeviceDetail> {
    let device: DeviceId = match name("device", text) {
        Ok(device) => device,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let unknown = || crate::rules::device::unknown(&device);
    let Some(row) = reader.read(&DeviceKey(device.clone()))? else {
        return Ok(Err(unknown()));
    };
    let row = identity::current(reader, row)?;
    let Some((item, record)) = item(reader, &device, None, now)? else {
        return Ok(Err(unknown()));
    };
    let clone = reader.read(&CloneKey(device.clone()))?;
    let identity = identity::doubt(&device, &row, clone, now);
    let output = match record.map(|record| record.state) {
        Some(RecordState::Failed(failure)) if !failure.output.is_empty() => {
            Some(String::from_utf8_lossy(&failure.output).into_owned())
        }
        _ => None,
    };
    let placed = placed(reader, &device, &row)?;
    Ok(Ok(DeviceDetail {
        item,
        placed,
        old_token_until: DeviceDetail::old_token_until(&row),
        device_type: row.device_type,
        agent: row.agent,
        labels: row.labels.into_iter().collect::<BTreeMap<_, _>>(),
        key_pinned: row.public_key.is_some(),
        fingerprint: row.public_key.map(|key| key.fingerprint()),
        offered_fingerprint: row.offered_key.map(|key| key.fingerprint()),
        identity,
        ended: row.ended,
        output,
    }))
}
