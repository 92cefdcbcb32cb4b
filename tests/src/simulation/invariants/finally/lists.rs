//! What people are shown of a deployment says the same everywhere: its counts, the list of its
//! devices, the list of each status, and why each device does or does not carry it out.

use std::collections::BTreeMap;

use hoist_orchestrator_core::api::command::{Command, DeploymentShow, DeviceList, DeviceWhy};
use hoist_orchestrator_core::reply::{ResultBody, StatusWord};
use hoist_protocol::id::{DeploymentId, DeviceId, UserId};

use super::{deployments, devices, same};
use crate::simulation::world::World;

/// Items of a page: few, so that lists have several.
const ITEMS: u32 = 2;

const STATUSES: [StatusWord; 4] = [
    StatusWord::Pending,
    StatusWord::InProgress,
    StatusWord::Successful,
    StatusWord::Failed,
];

type Listed = BTreeMap<String, StatusWord>;

fn ask(world: &World, command: &Command) -> Result<ResultBody, String> {
    let user: UserId = "alice".parse().map_err(|_| "alice is no user")?;
    let now = world.server.now(world.unix_ms);
    let read = |reader: &mut _| command.answer(reader, &user, now);
    let answered = world.server.rows.query(read);
    let answered = answered.map_err(|undecided| format!("{undecided:?}"))?;
    answered.map_err(|rejection| rejection.detail)
}

fn listed(world: &World, id: DeploymentId, status: Option<StatusWord>) -> Result<Listed, String> {
    let (mut all, mut after) = (Listed::new(), None);
    loop {
        let list = DeviceList {
            deployment: Some(id.0),
            status,
            limit: Some(ITEMS),
            after,
            ..DeviceList::default()
        };
        let ResultBody::Devices(page) = ask(world, &Command::DeviceList(list))? else {
            return Err("another answer than asked for".to_owned());
        };
        for item in page.items {
            let Some(shown) = item.status else {
                return Err(format!(
                    "{} is listed in {id} without a status",
                    item.device
                ));
            };
            if all.insert(item.device.clone(), shown).is_some() {
                return Err(format!("{} is listed in {id} twice", item.device));
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

fn explained(
    world: &World,
    id: DeploymentId,
    device: &DeviceId,
) -> Result<Option<StatusWord>, String> {
    let why = Command::DeviceWhy(DeviceWhy {
        device: device.to_string(),
        deployment: Some(id.0),
    });
    let ResultBody::DeviceWhy(why) = ask(world, &why)? else {
        return Err("another answer than asked for".to_owned());
    };
    Ok(why.deployments.first().and_then(|it| it.status))
}

pub(super) fn lists_counts_and_reasons_agree(world: &World) -> Result<(), String> {
    for (id, _) in deployments(world) {
        let show = Command::DeploymentShow(DeploymentShow { deployment: id.0 });
        let ResultBody::Deployment(shown) = ask(world, &show)? else {
            return Err("another answer than asked for".to_owned());
        };
        let counts = shown.view.counts;
        let all = listed(world, id, None)?;
        let counted = [
            counts.pending,
            counts.in_progress,
            counts.successful,
            counts.failed,
        ];
        for (status, count) in STATUSES.into_iter().zip(counted) {
            let mut of_all = all.clone();
            of_all.retain(|_, shown| *shown == status);
            let there = u32::try_from(of_all.len()).unwrap_or(u32::MAX);
            same(
                format_args!("{id}: {status:?} counted and listed"),
                &count,
                &there,
            )?;
            let only = listed(world, id, Some(status))?;
            same(format_args!("{id}: the list of {status:?}"), &only, &of_all)?;
        }
        for (device, _) in devices(world) {
            let why = explained(world, id, &device)?;
            let list = all.get(device.as_str()).copied();
            same(
                format_args!("{id}: {device} explained and listed"),
                &why,
                &list,
            )?;
        }
    }
    Ok(())
}
