//! Trying again (S13): failed devices of lower rounds begin again. For all of them the
//! deployment's round is raised, which is one publish; for named ones a round of their own
//! is in their specs, which reaches nobody else.

use hoist_protocol::id::{DeploymentId, DeviceId, Round};

use crate::model::counter;
use crate::model::effect::Effect;
use crate::model::error::{Code, Rejection};
use crate::model::key::{DeviceKey, OpenedKey, OutboxKey, RecordKey, RowKey};
use crate::model::row::{DeploymentRow, DeviceRow, OpenedRow, RecordRow, RecordState};
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;
use crate::rules::group;
use crate::rules::rollout::outbox::{self, AdmissionChange};
use crate::rules::stop::Stop;

/// Opens a round for every device that failed; how many there are.
pub(crate) fn all(
    ctx: &mut Ctx,
    id: DeploymentId,
    row: &mut DeploymentRow,
    round: Round,
) -> Result<u32, Undecided> {
    let failed = counter::totals(ctx.txn, id)?.all_failed();
    if failed > 0 {
        row.round = round;
        ctx.effects
            .push(Effect::GroupSpecChanged(row.group.clone()));
    }
    Ok(failed)
}

/// Opens a round for named devices alone, each of which must have failed.
pub(crate) fn some(
    ctx: &mut Ctx,
    id: DeploymentId,
    deployment: &DeploymentRow,
    round: Round,
    devices: &[DeviceId],
) -> Result<u32, Stop> {
    ctx.txn.want(devices.iter().flat_map(|device| {
        [
            DeviceKey(device.clone()).key(),
            RecordKey(id, device.clone()).key(),
            counter::key_of(id, device),
            OutboxKey(device.clone()).key(),
            OpenedKey(id, device.clone()).key(),
        ]
    }))?;
    let active = group::require(ctx.txn, &deployment.group)?.active;
    for device in devices {
        let key = DeviceKey(device.clone());
        let row = ctx.txn.read(&key)?;
        let mut row = row.ok_or_else(|| crate::rules::device::unknown(device).field("devices"))?;
        let record_key = RecordKey(id, device.clone());
        let old = to_try_again(id, deployment, device, &row, ctx.txn.read(&record_key)?)?;
        row.rounds
            .retain(|(other, _)| *other != id && active.contains(other));
        row.rounds.push((id, round));
        row.rounds.sort_unstable();
        ctx.txn.put(&key, &row);
        ctx.txn
            .put(&OpenedKey(id, device.clone()), &OpenedRow { round });
        let new = RecordRow {
            again: true,
            ..old.clone()
        };
        counter::put_record(ctx.txn, &record_key, Some(&old), &new)?;
        outbox::changed(ctx, device, AdmissionChange::Loosens)?;
    }
    Ok(u32::try_from(devices.len()).unwrap_or(u32::MAX))
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
