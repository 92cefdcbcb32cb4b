//! What must be true once everything is up, connected and quiet: everything is counted
//! afresh, against the devices' own truth.

use std::collections::BTreeSet;

use hoist_orchestrator_core::command::CompleteWhen;
use hoist_orchestrator_core::counter::{Totals, recount};
use hoist_orchestrator_core::desired;
use hoist_orchestrator_core::key::{
    CounterKey, DeploymentKey, DeviceKey, GroupCountKey, GroupKey, MemberKey, MetaKey, RecordKey,
};
use hoist_orchestrator_core::membership::was_member_during;
use hoist_orchestrator_core::presence::known;
use hoist_orchestrator_core::reply::DeploymentState;
use hoist_orchestrator_core::row::{DeploymentRow, DeviceRow, EndReason, RecordRow, RecordState};
use hoist_protocol::admission::Audience;
use hoist_protocol::codec::{decode_prefix, encode};
use hoist_protocol::head::{DeviceHead, GroupHead};
use hoist_protocol::id::{DeploymentId, DeviceId, Shard};

use super::super::device::Device;
use super::super::line::{Line, device_number};
use super::super::truth::Ending;
use super::super::world::World;
use super::Broken;

type Check = fn(&World) -> Result<(), String>;

/// What must come true, by name.
pub const FINALLY: &[(&str, Check)] = &[
    ("counters-equal-a-recount", counters_equal_a_recount),
    ("pending-equals-a-recount", pending_equals_a_recount),
    ("groups-count-their-members", groups_count_their_members),
    (
        "the-retained-set-is-as-desired",
        the_retained_set_is_as_desired,
    ),
    (
        "heads-list-what-is-active-and-nothing-else",
        heads_list_what_is_active,
    ),
    (
        "every-started-device-ends-as-it-says",
        every_started_device_ends_as_it_says,
    ),
    ("nobody-stays-in-progress", nobody_stays_in_progress),
    (
        "an-active-deployment-reaches-every-member",
        an_active_deployment_reaches_every_member,
    ),
    ("a-full-limit-completes", a_full_limit_completes),
    ("an-end-that-has-come-ends-it", an_end_that_has_come_ends_it),
    (
        "presence-is-as-the-devices-are",
        presence_is_as_the_devices_are,
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
    let record =
        |device: &'_ std::sync::Arc<Device>| world.server.row(&RecordKey(id, device.id.clone()));
    let devices = world.devices.iter();
    devices
        .filter_map(|device| Some((&**device, record(device)?)))
        .collect()
}

fn totals(world: &World, id: DeploymentId) -> Totals {
    let mut totals = Totals::default();
    for shard in 0..=u8::MAX {
        if let Some(row) = world.server.row(&CounterKey(id, Shard(shard))) {
            totals.add(&row);
        }
    }
    totals
}

fn counters_equal_a_recount(world: &World) -> Result<(), String> {
    for (id, _) in deployments(world) {
        let records = records(world, id);
        let again = recount(records.iter().map(|(_, record)| record));
        let mut counted = totals(world, id);
        counted.failed.retain(|_, count| *count > 0);
        same(format_args!("deployment {id}"), &counted, &again)?;
    }
    Ok(())
}

fn pending_equals_a_recount(world: &World) -> Result<(), String> {
    for (id, row) in deployments(world).filter(|(_, row)| row.end.is_none()) {
        let members: Vec<DeviceId> = devices(world)
            .filter(|(_, device)| device.group == row.group)
            .map(|(device, _)| device)
            .collect();
        let has_none = |device: &&DeviceId| {
            world
                .server
                .row(&RecordKey(id, (*device).clone()))
                .is_none()
        };
        let pending = members.iter().filter(has_none).count();
        let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
        let counted = totals(world, id).counts(count).pending as usize;
        same(format_args!("pending of {id}"), &counted, &pending)?;
    }
    Ok(())
}

fn groups_count_their_members(world: &World) -> Result<(), String> {
    let meta = world.server.row(&MetaKey).unwrap_or_default();
    for group in world.server.groups() {
        let members = devices(world).filter(|(_, device)| device.group == group);
        let (mut count, mut online) = (0, 0);
        for (device, row) in members {
            count += 1;
            online += u32::from(known(&row, &meta) == Some(true));
            if world
                .server
                .row(&MemberKey(group.clone(), device.clone()))
                .is_none()
            {
                return Err(format!("{device} is not indexed as a member of {group}"));
            }
        }
        let row = world
            .server
            .row(&GroupCountKey(group.clone()))
            .unwrap_or_default();
        same(format_args!("members of {group}"), &row.members, &count)?;
        same(
            format_args!("online in {group}"),
            &row.in_run(meta.broker_run).online,
            &online,
        )?;
    }
    Ok(())
}

fn the_retained_set_is_as_desired(world: &World) -> Result<(), String> {
    let mut known = BTreeSet::new();
    for group in world.server.groups() {
        let Some(line) = Line::group(&group) else {
            continue;
        };
        known.insert(line);
        let retained = head::<GroupHead>(world, line)?;
        let desired = world
            .server
            .group(&group)
            .map(|head| head(retained.generation));
        same(line, &Some(retained), &desired)?;
    }
    for (device, row) in devices(world) {
        let Some(line) = device_number(&device).map(Line::Device) else {
            continue;
        };
        known.insert(line);
        let retained = head::<DeviceHead>(world, line)?;
        same(
            line,
            &retained,
            &desired::device_head(&row, retained.generation),
        )?;
    }
    for (_, row) in deployments(world).filter(|(_, row)| row.state == DeploymentState::Active) {
        let Some(place) = world.catalog.place(row.release) else {
            continue;
        };
        let retained = world.broker.retained(Line::Release(place));
        let sealed = &world.catalog.at(place).verified.sealed;
        if retained.is_none_or(|payload| **payload != **sealed) {
            return Err(format!(
                "the manifest of {} is not retained",
                row.release_text
            ));
        }
    }
    // A crash may come before the head of a removed device is cleared; it is left alone then.
    let kept = |line: &Line| matches!(line, Line::Device(_)) && world.crashed;
    let mut heads = world
        .broker
        .all_retained()
        .map(|(line, _)| line)
        .filter(|line| !kept(line));
    let heads = heads
        .find(|line| matches!(line, Line::Group(_) | Line::Device(_)) && !known.contains(line));
    match heads {
        Some(line) => Err(format!("{line} is retained for nothing")),
        None => Ok(()),
    }
}

fn head<M: hoist_protocol::codec::Message>(world: &World, line: Line) -> Result<M, String> {
    let payload = world
        .broker
        .retained(line)
        .ok_or_else(|| format!("no {line}"))?;
    let (head, _) = decode_prefix(payload).map_err(|error| format!("{line}: {error}"))?;
    Ok(head)
}

/// By the deployments' own state, not by the code that builds heads.
fn heads_list_what_is_active(world: &World) -> Result<(), String> {
    for group in world.server.groups() {
        let Some(line) = Line::group(&group) else {
            continue;
        };
        let listed = head::<GroupHead>(world, line)?.notices;
        let listed: BTreeSet<_> = listed.into_iter().map(|notice| notice.deployment).collect();
        let active = deployments(world)
            .filter(|(_, row)| row.group == group && row.state == DeploymentState::Active);
        let active: BTreeSet<_> = active.map(|(id, _)| id).collect();
        same(line, &listed, &active)?;
        let row = world.server.row(&GroupKey(group)).unwrap_or_default();
        same(line, &row.active.iter().copied().collect(), &active)?;
    }
    Ok(())
}

fn every_started_device_ends_as_it_says(world: &World) -> Result<(), String> {
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
        for id in ids {
            let record = world.server.row(&RecordKey(id, device.clone()));
            let recorded = record.as_ref().and_then(|record| match &record.state {
                RecordState::Successful(_) => Some((record.round, Ending::Successful)),
                RecordState::Failed(_) => Some((record.round, Ending::Failed)),
                RecordState::InProgress(_) | RecordState::TimedOut => None,
            });
            let own = truth.last_end(id);
            // Moved before the deployment began and not told in time: its word is refused (S14).
            let deployment = world.server.row(&DeploymentKey(id));
            let member = deployment.is_some_and(|deployment| was_member_during(&row, &deployment));
            // The roll is called once for what is missed: an answer that a broker loses is lost.
            let told = world.honest && member;
            if recorded != own && (told || record.is_some()) {
                return Err(format!(
                    "{device} ended {id} as {own:?}, recorded is {record:?}"
                ));
            }
        }
    }
    Ok(())
}

fn nobody_stays_in_progress(world: &World) -> Result<(), String> {
    for (id, _) in deployments(world) {
        for (device, record) in records(world, id) {
            if matches!(record.state, RecordState::InProgress(_)) {
                return Err(format!("{} in {id}: {record:?}", device.id));
            }
        }
    }
    Ok(())
}

fn an_active_deployment_reaches_every_member(world: &World) -> Result<(), String> {
    for (id, row) in deployments(world) {
        if row.state != DeploymentState::Active {
            continue;
        }
        let audience = Audience::Below(row.line);
        for (device, member) in devices(world).filter(|(_, member)| member.group == row.group) {
            let Some(number) = world.number_of(&device) else {
                continue;
            };
            let held = member.held || member.holds.contains(&id);
            let waits = held || !audience.admits(id, &device);
            let own = member.rounds.iter().find(|(other, _)| *other == id);
            let wanted = own.map_or(row.round, |(_, round)| row.round.max(*round));
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

/// S10: as many slots are given as the limit says or as there are devices, and one that
/// says its limit was reached has reached it.
fn a_full_limit_completes(world: &World) -> Result<(), String> {
    for (id, row) in deployments(world) {
        let Some(limit) = row.limit else { continue };
        let took_part = |device: &&std::sync::Arc<Device>| device.truth.took_part.contains(&id);
        let count = world.devices.iter().filter(took_part).count();
        // Of a removed device the server may never have heard that it started.
        let heard = |device: &&std::sync::Arc<Device>| !world.removed.contains(&device.number);
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
        let given = row.line == u32::MAX || row.slots == limit;
        if row.state == DeploymentState::Active && !(given && row.seek_due_ms.is_none()) {
            return Err(format!("{} of {limit} slots of {id} are given", row.slots));
        }
    }
    Ok(())
}

/// S1 and S10: an end time, and everybody's success where that was asked for.
fn an_end_that_has_come_ends_it(world: &World) -> Result<(), String> {
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

/// W8, where no message was lost.
fn presence_is_as_the_devices_are(world: &World) -> Result<(), String> {
    let meta = world.server.row(&MetaKey).unwrap_or_default();
    for (device, row) in devices(world).filter(|_| world.honest) {
        let Some(number) = world.number_of(&device) else {
            continue;
        };
        // A death that came late hides the birth from whoever registers the device later,
        // and who was born before it was registered is not known yet.
        let hidden = world.misled.contains(&number) && world.device(number).online;
        if hidden || known(&row, &meta).is_none() {
            continue;
        }
        same(
            format_args!("presence of {device}"),
            &known(&row, &meta),
            &Some(world.device(number).online),
        )?;
    }
    Ok(())
}

/// What an observer sees at rest, for comparing two ends: heads without their generations,
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
            Line::Group(_) => decode_prefix::<GroupHead>(payload).map(|(mut head, _)| {
                head.generation = hoist_protocol::id::Generation(0);
                encode(&head)
            }),
            Line::Device(_) => decode_prefix::<DeviceHead>(payload).map(|(mut head, _)| {
                head.generation = hoist_protocol::id::Generation(0);
                head.roll_call = hoist_protocol::id::RollCall(0);
                // A key shown before its device was registered is read only after a restart.
                head.public_key = None;
                encode(&head)
            }),
            _ => continue,
        };
        essence.push(format!("{line} {text:?}"));
    }
    essence
}
