//! Schedules by hand.

use hoist_protocol::reason::Reason;

use super::*;
use crate::model::rollout::{FailureThreshold, Phase, TooMany};
use crate::model::state::Then;

fn phase(part: Part, soak_s: u32) -> Phase {
    Phase {
        name: String::new(),
        part,
        gate: Gate {
            soak_s,
            ..Gate::default()
        },
        approvals: 0,
    }
}

fn careful() -> Rollout {
    Rollout {
        phases: vec![
            phase(Part::Devices(50), 600),
            phase(Part::Percent(1_000), 3_600),
            phase(Part::Percent(EVERYONE), 0),
        ],
        ..Rollout::default()
    }
}

#[test]
fn phases_open_no_earlier_than_soaks_and_the_pace_allow() {
    let told = schedule(&careful(), 100_000, None);
    let of = |told: &Schedule| -> Vec<(Option<u32>, u64)> {
        let phases = told.phases.iter();
        phases.map(|it| (it.devices, it.earliest_secs)).collect()
    };
    let expected = [(Some(50), 0), (Some(10_000), 600), (Some(100_000), 4_200)];
    assert_eq!(of(&told), expected);
    assert_eq!(told.publishes, Some(3), "one for each phase");
    let gate = told.phases[1].gate.as_deref().unwrap();
    assert_eq!(
        gate,
        "7960 of 9950 ended and 95 % of those successful, for 3600 s"
    );
    let paced = Rollout {
        starts_per_minute: Some(1_000),
        ..careful()
    };
    let told = schedule(&paced, 100_000, None);
    // 7960 devices take eight minutes, the first of which begins at once.
    assert_eq!(told.phases[2].earliest_secs, 4_200 + 7 * 60);
    assert_eq!(told.publishes, Some(1 + 10 + 90));
    assert_eq!(told.bounds, ["1000 more each minute"]);
}

#[test]
fn everybody_comes_after_the_last_phase_also_in_an_empty_group() {
    let rollout = Rollout {
        phases: vec![phase(Part::Percent(100), 0)],
        ..Rollout::default()
    };
    let told = schedule(&rollout, 0, None);
    let devices: Vec<_> = told.phases.iter().map(|it| it.devices).collect();
    assert_eq!(devices, [Some(0), Some(0)]);
    assert_eq!(schedule(&rollout, 5, None).phases[0].devices, Some(1));
}

#[test]
fn what_the_deployment_before_would_not_have_passed_is_said_with_its_numbers() {
    let past = Past {
        deployment: DeploymentId(16),
        totals: Totals {
            successful: 40,
            failed: [(Reason::ScriptFailed as u8, 4)].into(),
            ..Totals::default()
        },
    };
    let rollout = Rollout {
        failure: Some(FailureThreshold {
            at: TooMany::Percent(5),
            min_ended: 20,
            reasons: Vec::new(),
            then: Then::Abort,
        }),
        ..careful()
    };
    let told = schedule(&rollout, 1_000, Some(&past)).would_stop;
    let share = "deployment 16: 90.9 % of 44 succeeded";
    assert_eq!(told.len(), 4);
    assert_eq!(
        told[0],
        format!("{share}, and the gate of phase 1 asks for 95 %")
    );
    assert_eq!(told[3], format!("{share}, and 4 failures are too many"));
    let well = Past {
        totals: Totals {
            successful: 44,
            ..Totals::default()
        },
        ..past
    };
    assert!(schedule(&rollout, 1_000, Some(&well)).would_stop.is_empty());
}
