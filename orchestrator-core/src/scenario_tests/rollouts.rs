//! Rollouts: phases and their gates, pace, thresholds of failures, pause and resume (S16).

use super::*;
use crate::api::command::rollout::{Failure as Failures, Gate, Growth, Percent, Phase, Rollout};
use crate::api::command::{Approve, DeploymentHistory, Resume};
use crate::model::row::PauseReason;
use crate::model::state::{GiveUp, Then};
use crate::reply::{HistoryItem, PhaseState};

mod examples;
mod failures;
mod pace;
mod people;
mod permits;
mod policies;
mod refused;
mod windows;

fn rollout(phases: Vec<Phase>) -> Deploy {
    Deploy {
        rollout: Some(Rollout {
            phases,
            ..Rollout::default()
        }),
        ..deploy("fw@1.0.0")
    }
}

fn devices(devices: u32) -> Phase {
    Phase {
        devices: Some(devices),
        ..Phase::default()
    }
}

fn percent(hundredths: u32) -> Phase {
    Phase {
        percent: Some(Percent(hundredths)),
        ..Phase::default()
    }
}

fn gated(phase: Phase, gate: Gate) -> Phase {
    Phase {
        gate: Some(gate),
        ..phase
    }
}

fn world(count: u32) -> (World, Vec<String>) {
    let names: Vec<String> = (0..count).map(|n| format!("d{n:03}")).collect();
    let devices: Vec<&str> = names.iter().map(String::as_str).collect();
    (World::with_devices(&devices), names)
}

fn admitted(world: &World, names: &[String]) -> Vec<String> {
    let names = names.iter().filter(|name| world.may_start(name));
    names.cloned().collect()
}

impl World {
    /// Lets what is due be decided, and lines be found, until nothing is.
    fn go_on(&mut self) {
        for _ in 0..8 {
            self.find_lines();
            self.pass(250);
            self.fire_due();
        }
    }

    fn succeed(&mut self, devices: &[String], id: DeploymentId) {
        for device in devices {
            self.say(device, done(1, id));
        }
        self.go_on();
    }

    fn fail(&mut self, devices: &[String], id: DeploymentId) {
        for device in devices {
            self.say(device, failed(1, id));
        }
        self.go_on();
    }

    fn phase(&self, id: DeploymentId) -> (u32, PhaseState) {
        let phase = self.view(id).phase.unwrap();
        (phase.index, phase.state)
    }

    fn resume(&mut self, id: DeploymentId) -> Answer {
        self.order(Command::Resume(Resume {
            deployment: id.0,
            dry_run: false,
        }))
    }

    fn history(&self, id: DeploymentId) -> Vec<HistoryItem> {
        let history = Command::DeploymentHistory(DeploymentHistory {
            deployment: id.0,
            limit: None,
            after: None,
        });
        match self.answer(&history) {
            ResultBody::History(list) => list.items,
            other => panic!("{other:?}"),
        }
    }

    fn kinds(&self, id: DeploymentId) -> Vec<String> {
        self.history(id).into_iter().map(|item| item.kind).collect()
    }
}

#[test]
fn phases_open_one_after_another_when_the_devices_before_have_ended_well() {
    // S16
    let (mut world, names) = world(40);
    let id = world.deploy_as(rollout(vec![devices(4), devices(12)]));
    assert!(admitted(&world, &names).is_empty(), "no line, no start");
    world.go_on();
    let first = admitted(&world, &names);
    assert_eq!(first.len(), 4);
    assert_eq!(world.phase(id), (1, PhaseState::Open));
    assert_eq!(world.view(id).allowed, Some(4));
    world.succeed(&first[..3], id);
    assert_eq!(world.phase(id).0, 1, "three of the four have ended");
    assert_eq!(admitted(&world, &names).len(), 4);
    world.succeed(&first[3..], id);
    assert_eq!(world.phase(id).0, 2);
    let second = admitted(&world, &names);
    assert_eq!(second.len(), 12);
    assert!(first.iter().all(|device| second.contains(device)));
    let new: Vec<String> = second
        .into_iter()
        .filter(|it| !first.contains(it))
        .collect();
    world.succeed(&new, id);
    assert_eq!(world.phase(id), (2, PhaseState::Done));
    assert_eq!(admitted(&world, &names).len(), 40);
    assert_eq!(world.view(id).allowed, None);
    let kinds = world.kinds(id);
    let expected = [
        "created",
        "phase-opened",
        "gate-passed",
        "phase-opened",
        "gate-passed",
    ];
    assert_eq!(kinds, expected);
    let passed = &world.history(id)[4];
    assert_eq!(
        passed.text,
        "the gate of phase 2 was passed: 100.0 % of 8 succeeded"
    );
    assert_eq!(passed.numbers["given"], 8);
}

#[test]
fn a_phase_of_a_share_is_a_line_that_needs_no_counting_and_reaches_one_device_at_least() {
    let (mut world, names) = world(200);
    let id = world.deploy_as(rollout(vec![percent(1), percent(5_000), percent(10_000)]));
    world.go_on();
    let first = admitted(&world, &names);
    assert_eq!(first.len(), 1, "of 0.01 % of 200");
    world.succeed(&first, id);
    let line = world.spec("eu").entries[0].audience.line();
    assert_eq!(line, 1 << 31, "half of all hashes");
    let half = admitted(&world, &names);
    assert!((70..130).contains(&half.len()), "{}", half.len());
    // Who joins below the line starts, and is counted.
    let given = world.view(id).allowed.unwrap();
    let joiner = (0..)
        .map(|n| format!("e{n}"))
        .find(|name| crate::rules::rollout::limit::place(id.0, &name.parse().unwrap()) < line)
        .unwrap();
    world.add_device(&joiner);
    assert!(world.may_start(&joiner));
    assert_eq!(world.view(id).allowed, Some(given + 1));
}

#[test]
fn a_gate_soaks_and_a_failure_during_that_begins_it_anew() {
    let (mut world, names) = world(40);
    let gate = Gate {
        success_percent: Some(80),
        min_ended: Some(4),
        soak_secs: Some(600),
        ..Gate::default()
    };
    let id = world.deploy_as(rollout(vec![gated(devices(10), gate)]));
    world.go_on();
    let first = admitted(&world, &names);
    world.succeed(&first[..4], id);
    assert_eq!(world.phase(id), (1, PhaseState::Soaking));
    world.pass(580_000);
    world.go_on();
    // 4 of 6: below the gate, and six more can still save it.
    world.fail(&first[4..6], id);
    assert_eq!(world.phase(id), (1, PhaseState::Open));
    world.pass(10_000);
    world.succeed(&first[6..], id);
    assert_eq!(world.phase(id), (1, PhaseState::Soaking));
    world.pass(580_000);
    world.go_on();
    assert_eq!(world.phase(id), (1, PhaseState::Soaking));
    world.pass(20_000);
    world.go_on();
    assert_eq!(world.phase(id), (1, PhaseState::Done));
}

#[test]
fn a_gate_that_cannot_be_passed_pauses_and_only_a_person_goes_past_it() {
    let (mut world, names) = world(40);
    let id = world.deploy_as(rollout(vec![devices(10), devices(20)]));
    world.go_on();
    let first = admitted(&world, &names);
    world.fail(&first[..1], id);
    assert_eq!(world.view(id).state, DeploymentState::Paused);
    assert_eq!(world.phase(id), (1, PhaseState::GateFailed));
    let paused = world.view(id).paused.unwrap();
    assert_eq!(paused.reason, PauseReason::Gate);
    assert_eq!(paused.text, "1 of the 1 devices that ended failed");
    assert_eq!(world.spec("eu").entries, [], "nobody starts");
    // Who has started finishes, and that changes nothing.
    world.succeed(&first[1..], id);
    assert_eq!(world.view(id).counts.successful, 9);
    assert_eq!(world.view(id).state, DeploymentState::Paused);
    world.resume(id);
    world.go_on();
    assert_eq!(world.view(id).state, DeploymentState::Active);
    assert_eq!(world.phase(id), (2, PhaseState::Open));
    assert_eq!(admitted(&world, &names).len(), 20);
    let kinds = world.kinds(id);
    let last = [
        "gate-failed",
        "paused",
        "resumed",
        "gate-passed",
        "phase-opened",
    ];
    assert_eq!(kinds[kinds.len() - 5..], last);
}

#[test]
fn silence_holds_a_phase_no_longer_than_it_may() {
    for (give_up, expected) in [
        (GiveUp::Pause, (1, PhaseState::GateFailed)),
        (GiveUp::Continue, (2, PhaseState::Open)),
    ] {
        let (mut world, names) = world(40);
        let gate = Gate {
            give_up_secs: Some(3_600),
            give_up: Some(give_up),
            ..Gate::default()
        };
        let id = world.deploy_as(rollout(vec![gated(devices(10), gate), devices(20)]));
        world.go_on();
        let first = admitted(&world, &names);
        world.succeed(&first[..2], id);
        world.pass(3_500_000);
        world.go_on();
        assert_eq!(world.phase(id), (1, PhaseState::Open));
        world.pass(100_000);
        world.go_on();
        assert_eq!(world.phase(id), expected);
    }
}

#[test]
fn a_member_that_is_away_for_long_takes_no_place_of_a_phase_and_starts_when_it_is_back() {
    let (mut world, names) = world(10);
    let away = &names[..5];
    for device in &names {
        world.heard(device, PresenceState::Online, 1);
    }
    for device in away {
        world.heard(device, PresenceState::Offline, 1);
    }
    world.pass(25 * 3_600_000);
    let id = world.deploy_as(rollout(vec![devices(5)]));
    world.go_on();
    let there = admitted(&world, &names);
    let waited_for = there.iter().filter(|name| !away.contains(name)).count();
    assert_eq!(waited_for, 5);
    assert_eq!(world.view(id).allowed, Some(5));
}

#[test]
fn a_stable_order_lets_the_same_devices_be_first() {
    let (mut world, names) = world(40);
    world.add_release("other", "1", &["other"]);
    let mut stable = rollout(vec![devices(5)]);
    stable.rollout.as_mut().unwrap().order = Some(crate::api::command::rollout::Order::Stable);
    let first = world.deploy_as(stable.clone());
    world.go_on();
    let before = admitted(&world, &names);
    world.abort(first);
    world.deploy_as(Deploy {
        release: "other@1".into(),
        ..stable
    });
    world.go_on();
    assert_eq!(admitted(&world, &names), before);
}

#[test]
fn a_rollout_survives_a_crash_between_any_two_of_its_steps() {
    let (mut world, names) = world(30);
    let id = world.deploy_as(rollout(vec![devices(3), devices(9)]));
    // The question for a line dies with the crash.
    world.seeks.clear();
    world.pass(10_000);
    world.fire_due();
    world.go_on();
    let first = admitted(&world, &names);
    assert_eq!(first.len(), 3);
    for device in &first {
        world.say(device, done(1, id));
    }
    world.pass(250);
    world.fire_due();
    world.seeks.clear();
    world.pass(10_000);
    world.fire_due();
    world.go_on();
    assert_eq!(admitted(&world, &names).len(), 9);
}
