//! Counters and counts, added up afresh.

use hoist_orchestrator_core::model::counter::{Totals, recount};
use hoist_orchestrator_core::model::key::{
    ForgottenKey, GroupCountKey, InstanceKey, MemberKey, Prefix, RecordKey,
};
use hoist_orchestrator_core::model::row::CounterRow;
use hoist_orchestrator_core::rules::deployment::retention::left_of;
use hoist_protocol::codec::decode;
use hoist_protocol::id::{DeploymentId, DeviceId};

use super::{deployments, devices, records, same};
use crate::simulation::world::World;

fn totals(world: &World, id: DeploymentId) -> Totals {
    let mut totals = Totals::default();
    for (_, bytes) in world.server.rows.scan(&Prefix::Counters(id).bytes()) {
        let row: CounterRow = decode(bytes).expect("a readable row");
        totals.add(&row);
    }
    totals
}

pub(super) fn counters_equal_a_recount(world: &World) -> Result<(), String> {
    for (id, _) in deployments(world) {
        let records = records(world, id);
        let again = recount(records.iter().map(|(_, record)| record));
        let mut counted = totals(world, id);
        counted.failed.retain(|_, count| *count > 0);
        same(format_args!("deployment {id}"), &counted, &again)?;
    }
    Ok(())
}

pub(super) fn pending_equals_a_recount(world: &World) -> Result<(), String> {
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

pub(super) fn groups_count_their_members(world: &World) -> Result<(), String> {
    let instance = world.server.row(&InstanceKey::MAIN).unwrap_or_default();
    for group in world.server.groups() {
        let members = devices(world).filter(|(_, device)| device.group == group);
        let (mut count, mut online) = (0, 0);
        for (device, row) in members {
            count += 1;
            online += u32::from(row.is_there(&instance) == Some(true));
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
            &row.in_run(instance.broker_run).online,
            &online,
        )?;
    }
    Ok(())
}

pub(super) fn nothing_is_left_of_what_was_removed(world: &World) -> Result<(), String> {
    for number in 1..=world
        .server
        .row(&InstanceKey::MAIN)
        .unwrap_or_default()
        .last_deployment
        .0
    {
        let id = DeploymentId(number);
        if world.server.row(&ForgottenKey(id)).is_none() {
            continue;
        }
        let ranges = left_of(id).map(|prefix| prefix.bytes());
        let rows: usize = ranges
            .iter()
            .map(|range| world.server.rows.scan(range).count())
            .sum();
        same(format_args!("rows left of {id}"), &rows, &0)?;
    }
    Ok(())
}
