//! The conditions that must be true once everything is up, connected and quiet: everything is
//! counted afresh, against the devices' own truth.

use std::sync::Arc;

use hoist_orchestrator_core::model::key::{DeploymentKey, DeviceKey, InstanceKey, RecordKey};
use hoist_orchestrator_core::model::row::{DeploymentRow, DeviceRow, RecordRow};
use hoist_protocol::codec::{decode_prefix, encode};
use hoist_protocol::id::{DeploymentId, DeviceId};
use hoist_protocol::spec::{DeviceSpec, GroupSpec};

use super::super::device::Device;
use super::super::line::Line;
use super::super::world::World;
use super::Broken;

mod audit;
mod counts;
mod events;
mod lists;
mod outcomes;
mod specs;

type Check = fn(&World) -> Result<(), String>;

/// The conditions that must come true, by name.
pub const FINALLY: &[(&str, Check)] = &[
    ("counters-equal-a-recount", counts::counters_equal_a_recount),
    ("pending-equals-a-recount", counts::pending_equals_a_recount),
    (
        "lists-counts-and-reasons-agree",
        lists::lists_counts_and_reasons_agree,
    ),
    (
        "groups-count-their-members",
        counts::groups_count_their_members,
    ),
    (
        "the-retained-set-is-as-desired",
        specs::the_retained_set_is_as_desired,
    ),
    (
        "specs-list-what-is-active-and-nothing-else",
        specs::specs_list_what_is_active,
    ),
    (
        "every-started-device-ends-as-it-says",
        outcomes::every_started_device_ends_as_it_says,
    ),
    (
        "nobody-stays-in-progress",
        outcomes::nobody_stays_in_progress,
    ),
    (
        "an-active-deployment-reaches-every-member",
        outcomes::an_active_deployment_reaches_every_member,
    ),
    (
        "too-many-failures-stop-a-rollout",
        outcomes::too_many_failures_stop,
    ),
    (
        "a-rollout-behind-its-phases-reaches-everyone",
        outcomes::a_rollout_behind_its_phases_reaches_everyone,
    ),
    ("a-full-limit-completes", outcomes::a_full_limit_completes),
    (
        "an-end-that-has-come-ends-it",
        outcomes::an_end_that_has_come_ends_it,
    ),
    (
        "a-removed-device-is-turned-out",
        a_removed_device_is_turned_out,
    ),
    (
        "nothing-is-left-of-what-was-removed",
        counts::nothing_is_left_of_what_was_removed,
    ),
    (
        "presence-is-as-the-devices-are",
        presence_is_as_the_devices_are,
    ),
    (
        "the-audit-trail-tells-each-command-once",
        audit::the_trail_tells_each_command_once,
    ),
    (
        "the-history-of-events-is-whole",
        events::the_history_is_whole,
    ),
];

/// Checks everything.
///
/// # Errors
/// The first that is broken.
pub fn check(world: &World) -> Result<(), Broken> {
    for (invariant, check) in FINALLY {
        check(world).map_err(|what| Broken { invariant, what })?;
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(
    what: impl std::fmt::Display,
    a: &T,
    b: &T,
) -> Result<(), String> {
    if a == b {
        Ok(())
    } else {
        Err(format!("{what}: {a:?} is not {b:?}"))
    }
}

fn deployments(world: &World) -> impl Iterator<Item = (DeploymentId, DeploymentRow)> {
    let ids = world.server.deployments();
    ids.filter_map(|id| Some((id, world.server.row(&DeploymentKey(id))?)))
}

fn devices(world: &World) -> impl Iterator<Item = (DeviceId, DeviceRow)> {
    let ids = world.server.devices();
    ids.filter_map(|id| Some((id.clone(), world.server.row(&DeviceKey(id))?)))
}

/// Every record of a deployment, of removed devices too.
fn records(world: &World, id: DeploymentId) -> Vec<(&Device, RecordRow)> {
    let record = |device: &'_ Arc<Device>| world.server.row(&RecordKey(id, device.id.clone()));
    let devices = world.devices.iter();
    devices
        .filter_map(|device| Some((&**device, record(device)?)))
        .collect()
}

/// A removed device has no session, and does not get one.
fn a_removed_device_is_turned_out(world: &World) -> Result<(), String> {
    let removed = world.removed.iter().map(|number| world.device(*number));
    let mut unknown = removed.filter(|device| {
        let row = world.server.row(&DeviceKey(device.id.clone()));
        row.is_none() && device.online
    });
    match unknown.next() {
        Some(device) => Err(format!("{} is connected and not registered", device.id)),
        None => Ok(()),
    }
}

/// W8, where no message was lost.
fn presence_is_as_the_devices_are(world: &World) -> Result<(), String> {
    let instance = world.server.row(&InstanceKey::MAIN).unwrap_or_default();
    for (device, row) in devices(world).filter(|_| world.honest) {
        let Some(number) = world.number_of(&device) else {
            continue;
        };
        // A death that came late hides the birth from whoever registers the device later.
        let online = world.device(number).online;
        if world.misled.contains(&number) && online {
            continue;
        }
        // Of a device that was never switched on nothing is known.
        let known = row.is_there(&instance) == Some(true);
        same(format_args!("presence of {device}"), &known, &online)?;
    }
    Ok(())
}

/// The view of an observer at rest, for comparing two ends: specs without their generations,
/// records and deployments without times and numbers of statuses.
#[must_use]
pub fn essence(world: &World) -> Vec<String> {
    let mut essence = Vec::new();
    for (id, row) in deployments(world) {
        essence.push(format!("{id} {:?} round {}", row.state, row.round.0));
        for (device, record) in records(world, id) {
            let RecordRow {
                round,
                attempt,
                state,
                late,
                outside,
                ..
            } = record;
            let text = format!(
                "{} {id} {round:?} {attempt:?} {state:?} {late} {outside}",
                device.id
            );
            essence.push(text);
        }
    }
    for (line, payload) in world.broker.all_retained() {
        let text = match line {
            Line::Group(_) => decode_prefix::<GroupSpec>(payload).map(|(mut spec, _)| {
                spec.generation = hoist_protocol::id::Generation(0);
                encode(&spec)
            }),
            Line::Device(_) => decode_prefix::<DeviceSpec>(payload).map(|(mut spec, _)| {
                spec.generation = hoist_protocol::id::Generation(0);
                spec.resync = hoist_protocol::id::Resync(0);
                encode(&spec)
            }),
            _ => continue,
        };
        essence.push(format!("{line} {text:?}"));
    }
    essence
}
