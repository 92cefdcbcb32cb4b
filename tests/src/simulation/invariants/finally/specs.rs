//! The retained messages, against the rows that say what ought to be retained.

use std::collections::BTreeSet;

use hoist_orchestrator_core::engine::desired;
use hoist_orchestrator_core::model::key::GroupKey;
use hoist_orchestrator_core::model::state::DeploymentState;
use hoist_protocol::codec::{Message, decode_prefix};
use hoist_protocol::spec::{DeviceSpec, GroupSpec};

use super::{deployments, devices, same};
use crate::simulation::line::{Line, device_number};
use crate::simulation::world::World;

pub(super) fn the_retained_set_is_as_desired(world: &World) -> Result<(), String> {
    let mut known = BTreeSet::new();
    for group in world.server.groups() {
        let Some(line) = Line::group(&group) else {
            continue;
        };
        known.insert(line);
        let retained = spec::<GroupSpec>(world, line)?;
        let desired = world
            .server
            .group(&group)
            .map(|spec| spec(retained.generation));
        same(line, &Some(retained), &desired)?;
    }
    for (device, row) in devices(world) {
        let Some(line) = device_number(&device).map(Line::Device) else {
            continue;
        };
        known.insert(line);
        let retained = spec::<DeviceSpec>(world, line)?;
        same(
            line,
            &retained,
            &desired::device_spec(&row, retained.generation),
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
    // An attacker may bring back the spec of a removed device, which cannot connect.
    let removed =
        |line: &Line| matches!(line, Line::Device(number) if world.revoked.contains(number));
    let brought_back = |line: &Line| !world.honest && removed(line);
    let lines = world.broker.all_retained().map(|(line, _)| line);
    let mut specs = lines.filter(|line| !brought_back(line));
    let specs = specs
        .find(|line| matches!(line, Line::Group(_) | Line::Device(_)) && !known.contains(line));
    match specs {
        Some(line) => Err(format!("{line} is retained for nothing")),
        None => Ok(()),
    }
}

fn spec<M: Message>(world: &World, line: Line) -> Result<M, String> {
    let payload = world
        .broker
        .retained(line)
        .ok_or_else(|| format!("no {line}"))?;
    let (spec, _) = decode_prefix(payload).map_err(|error| format!("{line}: {error}"))?;
    Ok(spec)
}

/// By the deployments' own state, not by the code that builds specs.
pub(super) fn specs_list_what_is_active(world: &World) -> Result<(), String> {
    for group in world.server.groups() {
        let Some(line) = Line::group(&group) else {
            continue;
        };
        let listed = spec::<GroupSpec>(world, line)?.entries;
        let listed: BTreeSet<_> = listed.into_iter().map(|entry| entry.deployment).collect();
        let of_group = |wanted: fn(DeploymentState) -> bool| -> BTreeSet<_> {
            let rows = deployments(world).filter(|(_, row)| row.group == group);
            let rows = rows.filter(|(_, row)| wanted(row.state));
            rows.map(|(id, _)| id).collect()
        };
        let active = of_group(|state| state == DeploymentState::Active);
        same(line, &listed, &active)?;
        // What is paused goes on in its place.
        let active = of_group(DeploymentState::is_active);
        let row = world.server.row(&GroupKey(group));
        let row = row.ok_or_else(|| format!("no row for {line}"))?;
        same(line, &row.active.iter().copied().collect(), &active)?;
    }
    Ok(())
}
