//! The course of a rollout before it begins: arithmetic from the number of a group's members, and the
//! counts of its newest deployment. Nothing here decides anything.

use hoist_protocol::id::DeploymentId;

use crate::model::counter::Totals;
use crate::model::rollout::{Budget, EVERYONE, Gate, Most, Part, Rollout};
use crate::model::row::Ended;
use crate::reply::{PlannedPhase, Schedule};
use crate::rules::rollout::gate::ended_needed;
use crate::rules::rollout::threshold;

/// Seconds for which a pace is told.
const MINUTE_S: u64 = 60;

/// The newest deployment of a group, and its counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Past {
    /// Which.
    pub(super) deployment: DeploymentId,
    /// Its counts.
    pub(super) totals: Totals,
}

/// The course of a rollout in a group of so many members.
pub(super) fn schedule(rollout: &Rollout, members: u32, past: Option<&Past>) -> Schedule {
    let phases = phases(rollout, members);
    Schedule {
        publishes: Some(publishes(rollout, members, &phases)),
        bounds: bounds(rollout),
        would_stop: past.map_or_else(Vec::new, |past| would_stop(rollout, past)),
        phases,
    }
}

fn phases(rollout: &Rollout, members: u32) -> Vec<PlannedPhase> {
    let (mut phases, mut earliest_secs, mut before) = (Vec::new(), 0, 0);
    let mut index = 0;
    for phase in &rollout.phases {
        index += 1;
        let devices = match &phase.part {
            Part::Percent(share) => Some(share_of(members, *share)),
            Part::Devices(devices) => Some(*devices.min(&members)),
            Part::Selected(_) => None,
        };
        let new = devices.map_or(0, |devices| devices.saturating_sub(before));
        phases.push(PlannedPhase {
            index,
            name: phase.name.clone(),
            devices,
            gate: Some(gate(&phase.gate, devices.map(|_| new))),
            approvals: phase.approvals,
            earliest_secs,
        });
        let starts = devices.map_or(0, |_| ended_needed(&phase.gate, new).min(new));
        earliest_secs += minutes(rollout, starts) * MINUTE_S + u64::from(phase.gate.soak_s);
        before = devices.map_or(before, |devices| devices.max(before));
    }
    let last = rollout.phases.last().map(|phase| &phase.part);
    if last != Some(&Part::Percent(EVERYONE)) {
        phases.push(PlannedPhase {
            index: index + 1,
            name: String::new(),
            devices: Some(members),
            gate: None,
            approvals: 0,
            earliest_secs,
        });
    }
    phases
}

/// A share of the members, in hundredths of a percent: one device at least.
fn share_of(members: u32, share: u32) -> u32 {
    let devices = (u64::from(members) * u64::from(share)).div_ceil(u64::from(EVERYONE));
    u32::try_from(devices).unwrap_or(members).min(members)
}

/// Minutes that have to pass before so many devices can have started.
fn minutes(rollout: &Rollout, starts: u32) -> u64 {
    let Some(pace) = rollout.starts_per_minute else {
        return 0;
    };
    // A pace that grows is at its highest at once, at the earliest.
    let pace = rollout.growth.map_or(pace, |growth| growth.up_to.max(pace));
    u64::from(starts.div_ceil(pace.max(1)).saturating_sub(1))
}

fn gate(gate: &Gate, new: Option<u32>) -> String {
    let needed = match (gate.min_ended, new) {
        (_, Some(new)) => format!("{} of {new}", ended_needed(gate, new).min(new)),
        (Some(needed), None) => format!("{needed}"),
        (None, None) => "four fifths of them".to_owned(),
    };
    let failed = gate
        .max_failed
        .map(|most| format!(", {most} failed at most"));
    let soak = (gate.soak_s > 0).then(|| format!(", for {} s", gate.soak_s));
    format!(
        "{needed} ended and {} % of those successful{}{}",
        gate.success_percent,
        failed.unwrap_or_default(),
        soak.unwrap_or_default()
    )
}

/// Messages that it costs: one for each line that is drawn, or one for each device and its permit.
fn publishes(rollout: &Rollout, members: u32, phases: &[PlannedPhase]) -> u32 {
    if rollout.is_by_permits() {
        return members.saturating_add(1);
    }
    let mut before = 0;
    let lines = phases.iter().map(|phase| {
        let devices = phase.devices.unwrap_or(before).max(before);
        let paced = rollout.starts_per_minute.map_or(1, |pace| {
            let pace = rollout.growth.map_or(pace, |growth| growth.up_to.max(pace));
            (devices - before).div_ceil(pace.max(1)).max(1)
        });
        before = devices;
        paced
    });
    lines.fold(0, u32::saturating_add)
}

fn bounds(rollout: &Rollout) -> Vec<String> {
    let at_once = rollout.max_in_progress;
    let growth = rollout.growth.map(|growth| {
        format!(
            "the pace grows by a factor of {} each time that {} more are successful, up to {}",
            growth.factor, growth.every, growth.up_to
        )
    });
    let budget = rollout.budget.as_ref().map(|Budget { label, most }| {
        let most = match most {
            Most::Devices(devices) => format!("{devices}"),
            Most::Percent(percent) => format!("{percent} %"),
        };
        format!("{most} of each {label} at work or out of contact at most")
    });
    let windows = rollout.windows.as_ref();
    let all = [
        at_once.map(|most| format!("{most} at work at once at most")),
        rollout
            .starts_per_minute
            .map(|pace| format!("{pace} more each minute")),
        growth,
        budget,
        windows.map(|_| "devices begin in their windows only".to_owned()),
    ];
    all.into_iter().flatten().collect()
}

fn would_stop(rollout: &Rollout, past: &Past) -> Vec<String> {
    let Ended { successful, failed } = past.totals.ended();
    let ended = successful.saturating_add(failed);
    if ended == 0 {
        return Vec::new();
    }
    let id = past.deployment;
    let tenths = u64::from(successful) * 1_000 / u64::from(ended);
    let (whole, tenth) = (tenths / 10, tenths % 10);
    let share = format!("deployment {id}: {whole}.{tenth} % of {ended} succeeded");
    let numbered = (1..).zip(&rollout.phases);
    let gates = numbered.filter(|(_, phase)| {
        let wanted = u64::from(phase.gate.success_percent) * u64::from(ended);
        u64::from(successful) * 100 < wanted
    });
    let gates = gates.map(|(number, phase)| {
        let percent = phase.gate.success_percent;
        format!("{share}, and the gate of phase {number} asks for {percent} %")
    });
    let threshold = rollout.failure.as_ref();
    let too_many = threshold.and_then(|it| threshold::reached(it, &past.totals, Ended::default()));
    let too_many = too_many.map(|it| format!("{share}, and {} failures are too many", it.failed));
    gates.chain(too_many).collect()
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
