//! The course of a rollout, for people.

use hoist_orchestrator_core::reply::{PlannedPhase, Schedule};

use crate::commands::plan::duration;
use crate::output::plural::count;
use crate::output::text::wrapped;

/// Its phases, its pace, what it costs, and what would have stopped it: a line each.
pub(super) fn told(schedule: &Schedule) -> String {
    let line = |title: &str, said: &str| wrapped(&format!("  {title:<10}  "), said);
    let phases = schedule.phases.iter();
    let mut text: String = phases
        .filter(|_| schedule.phases.len() > 1)
        .map(|phase| line(&format!("phase {}", phase.index), &said(phase)))
        .collect();
    for bound in &schedule.bounds {
        text += &line("pace", bound);
    }
    if let Some(publishes) = schedule.publishes {
        let said = format!("{} at least", count(publishes, "message"));
        text += &line("publishes", &said);
    }
    for stop in &schedule.would_stop {
        text += &line("before", stop);
    }
    text
}

fn said(phase: &PlannedPhase) -> String {
    let devices = match phase.devices {
        Some(devices) => count(devices, "device"),
        None => "devices by their labels".to_owned(),
    };
    let name = match phase.name.as_str() {
        "" => String::new(),
        name => format!("{name}: "),
    };
    let opens = match u32::try_from(phase.earliest_secs) {
        Ok(0) => String::new(),
        Ok(secs) => format!(", {} after the start at the earliest", duration(secs)),
        Err(_) => ", after years".to_owned(),
    };
    let approvals = match phase.approvals {
        0 => String::new(),
        1 => ", when a person has approved it".to_owned(),
        people => format!(", when {people} people have approved it"),
    };
    let gate = phase.gate.as_ref().map(|gate| format!("; then {gate}"));
    format!(
        "{name}{devices}{opens}{approvals}{}",
        gate.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_person_reads_phases_pace_and_cost_in_80_columns() {
        let schedule: Schedule = serde_json::from_value(json!({
            "phases": [
                {"index": 1, "name": "canary", "devices": 1, "approvals": 0, "earliestSecs": 0,
                 "gate": "1 of 1 ended and 95 % of those successful, for 600 s"},
                {"index": 2, "name": "", "devices": 400, "gate": null, "approvals": 2,
                 "earliestSecs": 600},
            ],
            "publishes": 2,
            "bounds": ["200 at work at once at most"],
            "wouldStop": ["deployment 16: 90.9 % of 44 succeeded, and the gate of phase 1 asks for 95 %"],
        }))
        .unwrap();
        let told = told(&schedule);
        assert!(
            told.lines().all(|line| line.chars().count() <= 80),
            "{told}"
        );
        for line in [
            "  phase 1     canary: 1 device; then 1 of 1 ended and 95 % of those successful,",
            "  phase 2     400 devices, 10m after the start at the earliest, when 2 people",
            "  pace        200 at work at once at most",
            "  publishes   2 messages at least",
            "  before      deployment 16: 90.9 % of 44 succeeded",
        ] {
            assert!(told.contains(line), "{line}\n{told}");
        }
    }
}
