//! The ends of devices and deployments, against the deeds of the devices.

use std::collections::BTreeSet;
use std::sync::Arc;

use hoist_orchestrator_core::model::key::{DeploymentKey, ForgottenKey, RecordKey, RolloutKey};
use hoist_orchestrator_core::model::row::{EndReason, RecordRow, RecordState};
use hoist_orchestrator_core::model::state::CompleteWhen;
use hoist_orchestrator_core::model::state::DeploymentState;
use hoist_orchestrator_core::rules::rollout::membership::may_have_obeyed;
use hoist_protocol::id::DeploymentId;

use super::{deployments, devices, records};
use crate::simulation::device::Device;
use crate::simulation::truth::Ending;
use crate::simulation::world::World;

pub(super) fn every_started_device_ends_as_it_says(world: &World) -> Result<(), String> {
    for (device, row) in devices(world) {
        let Some(number) = world.number_of(&device) else {
            continue;
        };
        if world.removed.contains(&number) {
            continue;
        }
        let truth = &world.device(number).truth;
        for (id, round) in &truth.starts {
            if !truth.ends.contains_key(&(*id, *round)) {
                return Err(format!("{device} never ended {id} in round {}", round.0));
            }
        }
        let ids: BTreeSet<DeploymentId> = truth.ends.keys().map(|(id, _)| *id).collect();
        let kept = |id: &DeploymentId| world.server.row(&ForgottenKey(*id)).is_none();
        for id in ids.into_iter().filter(kept) {
            let record = world.server.row(&RecordKey(id, device.clone()));
            let recorded = record.as_ref().and_then(|record| match &record.state {
                RecordState::Successful(_) => Some((record.round, Ending::Successful)),
                RecordState::Failed(_) => Some((record.round, Ending::Failed)),
                RecordState::InProgress(_) | RecordState::TimedOut => None,
            });
            let own = truth.last_end(id);
            // Who came after the end can only have started it by a spec that an attacker
            // brought back: its word is refused (bad-inputs row 32).
            let deployment = world.server.row(&DeploymentKey(id));
            let obeyed = |deployment| may_have_obeyed(&row, &deployment);
            let believed = world.honest || deployment.is_some_and(obeyed);
            // What was lost on the way without a word is told again while the device has it.
            let told = world.honest || world.device(number).still_tells(id);
            if recorded != own && told && (believed || record.is_some()) {
                return Err(format!(
                    "{device} ended {id} as {own:?}, recorded is {record:?}"
                ));
            }
        }
    }
    Ok(())
}

pub(super) fn nobody_stays_in_progress(world: &World) -> Result<(), String> {
    for (id, _) in deployments(world) {
        for (device, record) in records(world, id) {
            if matches!(record.state, RecordState::InProgress(_)) {
                return Err(format!("{} in {id}: {record:?}", device.id));
            }
        }
    }
    Ok(())
}

pub(super) fn an_active_deployment_reaches_every_member(world: &World) -> Result<(), String> {
    for (id, row) in deployments(world) {
        if row.state != DeploymentState::Active {
            continue;
        }
        for (device, member) in devices(world).filter(|(_, member)| member.group == row.group) {
            let Some(number) = world.number_of(&device) else {
                continue;
            };
            let held = member.held || member.holds.contains(&id);
            let own = member.rounds.iter().find(|(other, _)| *other == id);
            let wanted = own.map_or(row.round, |(_, round)| row.round.max(*round));
            let permitted = member.is_permitted(id, wanted);
            let waits = held || !(row.admits(id, &device) || permitted);
            let last = world.device(number).truth.last_end(id);
            let reached =
                last.is_some_and(|(round, ending)| ending == Ending::Successful || round >= wanted);
            if !waits && !reached {
                return Err(format!(
                    "{device} never got {id}, only {last:?} of {wanted:?}"
                ));
            }
        }
    }
    Ok(())
}

/// S16: where too many devices said that they failed, nobody else starts.
pub(super) fn too_many_failures_stop(world: &World) -> Result<(), String> {
    world.watch.not_stopped().map_or(Ok(()), Err)
}

/// S16: a rollout that holds nobody back lets everybody start in the end.
pub(super) fn a_rollout_behind_its_phases_reaches_everyone(world: &World) -> Result<(), String> {
    for (id, row) in deployments(world) {
        let Some(course) = world.server.row(&RolloutKey(id)) else {
            continue;
        };
        let holds_back = course.current().is_some() || course.choice(0).is_some();
        let active = row.state == DeploymentState::Active && row.limit.is_none();
        if active && !holds_back && row.line != u32::MAX {
            return Err(format!("{id} has its line at {}, {course:?}", row.line));
        }
    }
    Ok(())
}

/// S10: as many slots are given as the limit says or as there are devices, and one that
/// says its limit was reached has reached it.
pub(super) fn a_full_limit_completes(world: &World) -> Result<(), String> {
    for (id, row) in deployments(world) {
        let Some(limit) = row.limit else { continue };
        let took_part = |device: &&Arc<Device>| device.truth.took_part.contains(&id);
        let count = world.devices.iter().filter(took_part).count();
        // Of a removed device the server may never have heard that it started.
        let heard = |device: &&Arc<Device>| !world.removed.contains(&device.number);
        let known = world.devices.iter().filter(heard).filter(took_part).count();
        let reached = count >= limit as usize;
        if row.state == DeploymentState::Active && known >= limit as usize {
            return Err(format!(
                "{known} started {id}, its limit is {limit}, it is active"
            ));
        }
        let full = row
            .end
            .as_ref()
            .is_some_and(|end| end.reason == EndReason::DeviceLimit);
        if full && !reached {
            return Err(format!(
                "{id} ended at its limit of {limit}, {count} started"
            ));
        }
        // A rollout gives them by and by.
        let given = row.line == u32::MAX || row.slots == limit || row.allowed.is_some();
        if row.state == DeploymentState::Active && !(given && row.seek_due_ms.is_none()) {
            return Err(format!("{} of {limit} slots of {id} are given", row.slots));
        }
    }
    Ok(())
}

/// S1 and S10: an end time, and everybody's success where that was asked for.
pub(super) fn an_end_that_has_come_ends_it(world: &World) -> Result<(), String> {
    let now_ms = world.server.now(world.unix_ms).unix_ms;
    for (id, row) in deployments(world).filter(|(_, row)| row.end.is_none()) {
        if row.until_ms.is_some_and(|until_ms| until_ms <= now_ms) {
            return Err(format!("{id} is {:?} after its end time", row.state));
        }
        if row.start_ms.is_some_and(|start_ms| start_ms <= now_ms)
            && row.state == DeploymentState::Scheduled
        {
            return Err(format!("{id} is scheduled after its start time"));
        }
        let mut members = devices(world)
            .filter(|(_, member)| member.group == row.group)
            .peekable();
        let some = members.peek().is_some();
        let mut records = members.map(|(device, _)| world.server.row(&RecordKey(id, device)));
        let successful = |record: Option<RecordRow>| {
            record.is_some_and(|record| matches!(record.state, RecordState::Successful(_)))
        };
        let all = some && records.all(successful);
        if row.complete_when == CompleteWhen::AllSuccessful && all {
            return Err(format!(
                "{id} is {:?} with every member successful",
                row.state
            ));
        }
    }
    Ok(())
}
