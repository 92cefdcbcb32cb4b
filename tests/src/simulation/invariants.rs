//! What must be true after every step, by name, and what must come true in the end.

use std::collections::{BTreeMap, BTreeSet};

use hoist_orchestrator_core::key::{CounterKey, DeploymentKey, RecordKey};
use hoist_orchestrator_core::reply::DeploymentState;
use hoist_orchestrator_core::row::{CounterRow, RecordRow, RecordState};
use hoist_orchestrator_core::timer::{Timer, TimerKind};
use hoist_protocol::codec::decode_prefix;
use hoist_protocol::head::GroupHead;
use hoist_protocol::id::{DeploymentId, DeviceId, Generation, Round, Shard};

use super::server::generation_of;
use super::world::World;

/// What earlier steps have shown, to compare with.
#[derive(Default)]
pub struct Memory {
    generations: BTreeMap<String, Generation>,
    finals: BTreeMap<(DeploymentId, DeviceId), (Round, bool)>,
}

type Check = fn(&World, &mut Memory) -> Result<(), String>;

/// Checked after every step.
pub const ALWAYS: &[(&str, Check)] = &[
    ("generations-never-fall", generations_never_fall),
    ("counters-equal-a-recount", counters_equal_a_recount),
    (
        "a-record-in-progress-has-its-timer",
        a_record_in_progress_has_its_timer,
    ),
    (
        "a-final-outcome-never-regresses",
        a_final_outcome_never_regresses,
    ),
    (
        "an-aborted-deployment-starts-nobody",
        an_aborted_deployment_starts_nobody,
    ),
    (
        "an-install-runs-once-per-attempt",
        an_install_runs_once_per_attempt,
    ),
];

/// Checked when everything is up, connected and quiet.
pub const FINALLY: &[(&str, Check)] = &[
    (
        "the-retained-set-is-as-desired",
        the_retained_set_is_as_desired,
    ),
    (
        "heads-list-what-is-active-and-nothing-else",
        heads_list_what_is_active_and_nothing_else,
    ),
    (
        "every-started-device-ends-as-it-says",
        every_started_device_ends_as_it_says,
    ),
    (
        "an-active-deployment-reaches-every-member",
        an_active_deployment_reaches_every_member,
    ),
];

fn generations_never_fall(world: &World, memory: &mut Memory) -> Result<(), String> {
    for (topic, payload) in world.broker.retained_matching("hoist/#") {
        let Some(generation) = generation_of(topic, payload) else {
            continue;
        };
        let before = memory.generations.insert(topic.to_owned(), generation);
        if before.is_some_and(|before| generation < before) {
            return Err(format!("{topic} fell from {before:?} to {generation:?}"));
        }
    }
    let fallen = world
        .devices
        .iter()
        .find(|device| device.fallen_generations > 0);
    fallen.map_or(Ok(()), |device| {
        Err(format!("{} saw a lower generation", device.id))
    })
}

/// Every record of a deployment.
fn records(world: &World, id: DeploymentId) -> Vec<(DeviceId, RecordRow)> {
    let record = |device: &super::device::Device| {
        Some((
            device.id.clone(),
            world.server.row(&RecordKey(id, device.id.clone()))?,
        ))
    };
    world.devices.iter().filter_map(record).collect()
}

fn counters_equal_a_recount(world: &World, _: &mut Memory) -> Result<(), String> {
    for id in world.server.deployments() {
        let (mut steps, mut successful, mut failed) = (0, 0, 0);
        let shards: BTreeSet<Shard> = world.devices.iter().map(|d| Shard::of(&d.id)).collect();
        for shard in shards {
            let row: Option<CounterRow> = world.server.row(&CounterKey(id, shard));
            if let Some(row) = row {
                steps += row.steps.iter().sum::<u32>();
                successful += row.successful;
                failed += row.failed.iter().map(|(_, count)| count).sum::<u32>();
            }
        }
        let mut recount = (0, 0, 0);
        for (_, record) in records(world, id) {
            match record.state {
                RecordState::InProgress(_) => recount.0 += 1,
                RecordState::Successful(_) => recount.1 += 1,
                RecordState::Failed(_) | RecordState::TimedOut => recount.2 += 1,
            }
        }
        if recount != (steps, successful, failed) {
            return Err(format!(
                "{id}: counted {:?}, there are {recount:?}",
                (steps, successful, failed)
            ));
        }
    }
    Ok(())
}

fn a_record_in_progress_has_its_timer(world: &World, _: &mut Memory) -> Result<(), String> {
    for id in world.server.deployments() {
        for (device, record) in records(world, id) {
            let in_progress = matches!(record.state, RecordState::InProgress(_));
            if in_progress != record.due_ms.is_some() {
                return Err(format!("{device} in {id}: {record:?}"));
            }
            let Some(due_ms) = record.due_ms else {
                continue;
            };
            let timer = Timer {
                due_ms,
                kind: TimerKind::Device(id, device.clone()),
            };
            if world.server.row(&timer).is_none() {
                return Err(format!("{device} in {id} has no timer at {due_ms}"));
            }
        }
    }
    Ok(())
}

fn a_final_outcome_never_regresses(world: &World, memory: &mut Memory) -> Result<(), String> {
    for id in world.server.deployments() {
        for (device, record) in records(world, id) {
            let success = match record.state {
                RecordState::Successful(_) => Some(true),
                RecordState::Failed(_) => Some(false),
                RecordState::InProgress(_) | RecordState::TimedOut => None,
            };
            let key = (id, device.clone());
            if let Some((round, before)) = memory.finals.get(&key)
                && record.round <= *round
                && success != Some(*before)
            {
                return Err(format!(
                    "{device} in {id} was final and is {:?}",
                    record.state
                ));
            }
            if let Some(success) = success {
                memory.finals.insert(key, (record.round, success));
            }
        }
    }
    Ok(())
}

fn an_aborted_deployment_starts_nobody(world: &World, _: &mut Memory) -> Result<(), String> {
    for start in &world.starts {
        if let Some(unlisted) = world.unlisted.get(&start.deployment)
            && start.connected_at > *unlisted
        {
            return Err(format!(
                "{} started {} after it was aborted",
                start.device, start.deployment
            ));
        }
    }
    Ok(())
}

fn an_install_runs_once_per_attempt(world: &World, _: &mut Memory) -> Result<(), String> {
    for device in &world.devices {
        for (id, installs) in &device.started {
            let mut sorted = installs.clone();
            sorted.sort_unstable();
            sorted.dedup();
            if sorted.len() != installs.len() {
                return Err(format!("{} installed {id} twice in one attempt", device.id));
            }
        }
    }
    Ok(())
}

fn the_retained_set_is_as_desired(world: &World, _: &mut Memory) -> Result<(), String> {
    let wrong = world.server.undesired(&world.broker, world.unix_ms);
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("not as desired: {wrong:?}"))
    }
}

/// By the deployments' own state, not by the code that builds heads.
fn heads_list_what_is_active_and_nothing_else(world: &World, _: &mut Memory) -> Result<(), String> {
    let mut active: BTreeMap<String, BTreeSet<DeploymentId>> = BTreeMap::new();
    for id in world.server.deployments() {
        let Some(row) = world.server.row(&DeploymentKey(id)) else {
            continue;
        };
        if row.state == DeploymentState::Active {
            active
                .entry(format!("hoist/g/{}", row.group))
                .or_default()
                .insert(id);
        }
    }
    for (topic, payload) in world.broker.retained_matching("hoist/g/+") {
        let head = decode_prefix::<GroupHead>(payload)
            .map_err(|error| error.to_string())?
            .0;
        let listed: BTreeSet<_> = head
            .notices
            .iter()
            .map(|notice| notice.deployment)
            .collect();
        let expected = active.remove(topic).unwrap_or_default();
        if listed != expected {
            return Err(format!("{topic} lists {listed:?}, active are {expected:?}"));
        }
    }
    if active.is_empty() {
        Ok(())
    } else {
        Err(format!("without a head: {active:?}"))
    }
}

fn every_started_device_ends_as_it_says(world: &World, _: &mut Memory) -> Result<(), String> {
    for device in &world.devices {
        for id in device.started.keys() {
            let Some((_, success)) = device.finals.get(id) else {
                return Err(format!("{} never ended {id}", device.id));
            };
            let record: Option<RecordRow> = world.server.row(&RecordKey(*id, device.id.clone()));
            let agrees = match record.as_ref().map(|record| &record.state) {
                Some(RecordState::Successful(_)) => *success,
                Some(RecordState::Failed(_)) => !*success,
                _ => false,
            };
            if !agrees {
                return Err(format!(
                    "{} says {success} of {id}, recorded is {record:?}",
                    device.id
                ));
            }
        }
    }
    Ok(())
}

fn an_active_deployment_reaches_every_member(world: &World, _: &mut Memory) -> Result<(), String> {
    for id in world.server.deployments() {
        let Some(row) = world.server.row(&DeploymentKey(id)) else {
            continue;
        };
        if row.state != DeploymentState::Active {
            continue;
        }
        for device in world.members(&row.group) {
            if !device.finals.contains_key(&id) {
                return Err(format!("{} never got {id}", device.id));
            }
        }
    }
    Ok(())
}
