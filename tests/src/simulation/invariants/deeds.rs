//! The deeds that devices may do: S4, S10, S11, S13, W2, and once per attempt.

use hoist_protocol::id::{DeploymentId, Round};

use super::super::device::Device;
use super::super::truth::{Deed, Ending};
use super::{Broken, Watch, hold, rollout};

pub(super) fn check(
    watch: &mut Watch,
    device: &Device,
    deed: Deed,
    told: bool,
    time: (u64, u64),
) -> Result<(), Broken> {
    match deed {
        Deed::Started(id, round) => {
            started(watch, device, id, round, time.0)?;
            took_part(watch, device, id, told)?;
            rollout::started(watch, device, id, told, time)
        }
        Deed::Installed { install, again } => {
            let id = install.deployment;
            let is_first = watch
                .past(device.number)
                .installed
                .insert((id, install.round));
            rollout::installed(watch, device, id, is_first, time.0)?;
            hold(!again, "an-install-runs-once-per-attempt", || {
                format!("{} runs {install:?} again", device.id)
            })
        }
        Deed::Ended {
            deployment: id,
            round,
            ending,
            left,
            unable,
        } => {
            let past = watch.past(device.number);
            past.working = None;
            let before = past.ends.insert((id, round), ending);
            hold(before.is_none(), "a-round-ends-once", || {
                format!("{} ended {id} as {before:?}, then as {ending:?}", device.id)
            })?;
            hold(left == 0, "what-failed-is-rolled-back", || {
                format!(
                    "{} ended {id} with {left} artifacts half installed",
                    device.id
                )
            })?;
            match unable {
                true => Ok(()),
                false => took_part(watch, device, id, told),
            }
        }
    }
}

fn started(
    watch: &mut Watch,
    device: &Device,
    id: DeploymentId,
    round: Round,
    unix_ms: u64,
) -> Result<(), Broken> {
    let name = &device.id;
    hold(
        !device.truth.over.contains(&id),
        "an-aborted-deployment-starts-nobody",
        || format!("{name} started {id}, which was aborted before it connected"),
    )?;
    hold(
        !device.truth.removed,
        "a-removed-device-starts-nothing",
        || format!("{name} started {id} after it heard that it was removed"),
    )?;
    let spec = device.truth.spec.as_ref();
    let entries = spec.iter().flat_map(|spec| &spec.entries);
    let entry = entries.into_iter().find(|entry| entry.deployment == id);
    let listed = entry.is_some_and(|entry| {
        let own = device
            .own_spec()
            .map_or(entry.round, |own| own.round(entry));
        let admits = match device.own_spec() {
            Some(own) => own.admits(entry, &device.id),
            None => entry.audience.admits(id, &device.id),
        };
        own == round && admits
    });
    hold(listed, "a-device-starts-what-its-spec-lists", || {
        format!(
            "{name} started {id} in round {}, its spec says {spec:?}",
            round.0
        )
    })?;
    let valid = spec.is_some_and(|spec| {
        let lifetime_ms = u64::from(spec.valid_for_s) * 1000;
        device.clock_ms(unix_ms) <= spec.generation.0 + lifetime_ms
    });
    hold(valid, "a-device-starts-what-its-spec-lists", || {
        format!("{name} started {id} by a spec that is too old")
    })?;
    let held = device.own_spec().is_some_and(|own| own.holds(id));
    hold(!held, "a-held-device-does-not-start", || {
        format!("{name} started {id}")
    })?;
    let before = watch.past(device.number).working.replace(id);
    hold(before.is_none(), "one-deployment-at-a-time", || {
        format!("{name} started {id} while it worked on {before:?}")
    })?;
    let earlier = device
        .truth
        .ends
        .iter()
        .filter(|((other, _), _)| *other == id);
    let mut over =
        earlier.filter(|((_, ended), ending)| **ending == Ending::Successful || *ended >= round);
    let over = over.next();
    hold(over.is_none(), "what-is-over-is-not-begun-again", || {
        format!("{name} started {id} in round {}, but {over:?}", round.0)
    })
}

/// Counts a device against its deployment's limit (S10).
fn took_part(
    watch: &mut Watch,
    device: &Device,
    id: DeploymentId,
    told: bool,
) -> Result<(), Broken> {
    let row = watch.rows.mirror.deployments.get(&id);
    let limit = row.and_then(|row| row.limit);
    let past = watch.past(device.number);
    if !told && !past.started.contains(&id) {
        // Moved away: the word of it was at the broker before the line was, and a network
        // that delivers the line first has turned them round.
        return Ok(());
    }
    past.started.insert(id);
    let Some(limit) = limit else { return Ok(()) };
    let starters = watch.pasts.iter().filter(|past| past.started.contains(&id));
    let starters = starters.count();
    hold(starters <= limit as usize, "limits-are-exact", || {
        format!("{starters} devices started {id}, whose limit is {limit}")
    })
}
