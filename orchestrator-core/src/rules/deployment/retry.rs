//! Trying again (S13): failed devices of lower rounds begin again. For all of them the
//! deployment's round is raised, which is one publish; for named ones a round of their own
//! is in their heads, which reaches nobody else.

use hoist_protocol::id::{DeploymentId, DeviceId, Round};
use hoist_protocol::topic::View;

use crate::api::command::Retry;
use crate::api::request::{may_change, parse_name};
use crate::engine::decide::Stop;
use crate::model::counter;
use crate::model::effect::{Effect, Effects};
use crate::model::error::{Code, Rejection};
use crate::model::input::{CommandInput, Now};
use crate::model::key::{DeploymentKey, DeviceKey, OpenedKey, OutboxKey, RecordKey, RowKey};
use crate::model::row::{DeploymentRow, DeviceRow, OpenedRow, RecordRow, RecordState};
use crate::model::txn::Txn;
use crate::reply::{Answer, DeploymentState, RetryResult};
use crate::rules::deployment::retention;
use crate::rules::group;
use crate::rules::rollout::outbox::{self, Means};

/// Devices named in one command: each costs a few rows in one decision.
const DEVICES_MAX: usize = 256;

/// `retry`
pub(crate) fn retry(
    txn: &mut Txn,
    input: &CommandInput,
    command: &Retry,
    now: Now,
) -> Result<(Answer, Effects), Stop> {
    let id = DeploymentId(command.deployment);
    let Some(mut row) = txn.read(&DeploymentKey(id))? else {
        return Err(retention::missing(txn, id)?.into());
    };
    may_change(input, &row.group)?;
    if row.state != DeploymentState::Active {
        let why = format!("deployment {id} is not active: nobody can begin");
        return Err(Rejection::new(Code::Ended, why).field("deployment").into());
    }
    let round = Round(row.last_round.0.saturating_add(1));
    let (devices, mut effects) = match &command.devices {
        None => all(txn, id, &mut row, round)?,
        Some(names) => some(txn, id, &row, round, names)?,
    };
    if devices > 0 {
        row.last_round = round;
        row.updated_ms = now.unix_ms;
        txn.put(&DeploymentKey(id), &row);
        effects.push(Effect::ViewChanged(View::Deployment(id)));
    }
    let result = RetryResult {
        deployment: id,
        round: row.last_round.0,
        devices,
    };
    Ok((Answer::Retried(result), effects))
}

fn all(
    txn: &Txn,
    id: DeploymentId,
    row: &mut DeploymentRow,
    round: Round,
) -> Result<(u32, Effects), Stop> {
    let failed = counter::totals(txn, id)?.all_failed();
    if failed == 0 {
        return Ok((0, Vec::new()));
    }
    row.round = round;
    Ok((failed, vec![Effect::GroupHeadChanged(row.group.clone())]))
}

fn some(
    txn: &mut Txn,
    id: DeploymentId,
    deployment: &DeploymentRow,
    round: Round,
    names: &[String],
) -> Result<(u32, Effects), Stop> {
    if names.is_empty() || names.len() > DEVICES_MAX {
        let why = format!("name 1 to {DEVICES_MAX} devices, or none at all for every failed one");
        return Err(Rejection::new(Code::Command, why).field("devices").into());
    }
    let devices: Result<Vec<DeviceId>, Rejection> = names
        .iter()
        .map(|name| parse_name("devices", name))
        .collect();
    let mut devices = devices?;
    devices.sort_unstable();
    devices.dedup();
    txn.want(devices.iter().flat_map(|device| {
        [
            DeviceKey(device.clone()).key(),
            RecordKey(id, device.clone()).key(),
            counter::key_of(id, device),
            OutboxKey(device.clone()).key(),
            OpenedKey(id, device.clone()).key(),
        ]
    }))?;
    let active = group::read(txn, &deployment.group)?
        .unwrap_or_default()
        .active;
    let mut effects = Vec::new();
    for device in &devices {
        let key = DeviceKey(device.clone());
        let row = txn.read(&key)?;
        let mut row = row.ok_or_else(|| crate::rules::device::unknown(device).field("devices"))?;
        let record_key = RecordKey(id, device.clone());
        let old = to_try_again(id, deployment, device, &row, txn.read(&record_key)?)?;
        row.rounds
            .retain(|(other, _)| *other != id && active.contains(other));
        row.rounds.push((id, round));
        row.rounds.sort_unstable();
        txn.put(&key, &row);
        txn.put(&OpenedKey(id, device.clone()), &OpenedRow { round });
        let new = RecordRow {
            again: true,
            ..old.clone()
        };
        counter::put_record(txn, &record_key, Some(&old), &new)?;
        effects.push(outbox::changed(txn, device, Means::Permits)?);
    }
    let count = u32::try_from(devices.len()).unwrap_or(u32::MAX);
    Ok((count, effects))
}

/// The failed record of a device that can begin again, or why it cannot.
fn to_try_again(
    id: DeploymentId,
    deployment: &DeploymentRow,
    device: &DeviceId,
    row: &DeviceRow,
    record: Option<RecordRow>,
) -> Result<RecordRow, Rejection> {
    let no = |why: String| Rejection::new(Code::NotFailed, why).field("devices");
    if row.group != deployment.group {
        return Err(no(format!("{device} obeys group {}", row.group)));
    }
    if row.holds.contains(&id) {
        return Err(no(format!("{device} has no slot in deployment {id}")));
    }
    let failed =
        |record: &RecordRow| matches!(record.state, RecordState::Failed(_) | RecordState::TimedOut);
    let record = record.filter(failed);
    record.ok_or_else(|| no(format!("{device} has not failed in deployment {id}")))
}
