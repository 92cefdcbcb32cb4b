use proptest::prelude::*;

use super::*;
use crate::rules::rollout::admission::{Blocker, Case, first_blocker};

fn limited(devices: u32) -> Deploy {
    Deploy {
        limit: Some(Limit {
            devices: Some(devices),
            until: None,
        }),
        ..deploy("fw@1.0.0")
    }
}

fn names(count: u32) -> Vec<String> {
    (0..count).map(|n| format!("d{n:02}")).collect()
}

fn world(count: u32) -> (World, Vec<String>) {
    let names = names(count);
    let devices: Vec<&str> = names.iter().map(String::as_str).collect();
    (World::with_devices(&devices), names)
}

fn incompatible(seq: u64, id: DeploymentId) -> DeviceStatus {
    let failure = Failure {
        reason: Reason::Incompatible,
        artifact: None,
        script: None,
        rollback: Rollback::NotNeeded,
        output: Vec::new(),
    };
    ended(seq, id, FinalResult::Failed(failure))
}

fn may_start<'a>(world: &World, names: &'a [String]) -> Vec<&'a str> {
    let names = names.iter().map(String::as_str);
    names.filter(|name| world.may_start(name)).collect()
}

#[test]
fn a_limit_admits_exactly_so_many_and_completes_when_they_have_started() {
    // S10, bad-inputs row 38
    let (mut world, names) = world(40);
    let id = world.deploy_as(limited(10));
    assert!(may_start(&world, &names).is_empty(), "no line, no start");
    world.find_lines();
    let admitted = may_start(&world, &names);
    assert_eq!(admitted.len(), 10);
    for device in &admitted[..9] {
        world.say(device, working(1, id, Step::Downloading(0)));
        world.say(device, done(2, id));
    }
    let view = world.view(id);
    assert_eq!(view.state, DeploymentState::Active);
    let limit = view.limit.unwrap();
    assert_eq!((limit.devices, limit.given, limit.started), (10, 10, 9));
    world.say(admitted[9], working(1, id, Step::Downloading(0)));
    let view = world.view(id);
    assert_eq!(view.state, DeploymentState::Completed);
    assert_eq!(view.reason, Some(EndReason::DeviceLimit.into()));
    assert_eq!(world.spec("eu").entries, []);
    world.say(admitted[9], done(2, id));
    let counts = world.view(id).counts;
    assert_eq!((counts.successful, counts.pending), (10, 30));
    assert!(world.view(id).settled);
}

#[test]
fn joiners_take_the_slots_that_are_left_and_then_are_held_in_their_first_spec() {
    // S10
    let (mut world, _) = world(2);
    let id = world.deploy_as(limited(3));
    world.add_device("d10");
    assert!(world.may_start("d10"));
    world.add_device("d11");
    assert_eq!(world.device_spec("d11").holds, [id]);
    assert_eq!(world.view(id).limit.unwrap().given, 3);
    let row = world.rows.read(&DeploymentKey(id)).unwrap().unwrap();
    let why = |device: &str| {
        let row_of = world.device_row(device);
        first_blocker(&Case {
            id,
            deployment: &row,
            rollout: None,
            device: &device.parse().unwrap(),
            row: &row_of,
            freeze: None,
            record: None,
        })
    };
    assert_eq!((why("d10"), why("d11")), (None, Some(Blocker::NoSlot)));
}

#[test]
fn whoever_joins_while_the_line_is_sought_is_counted_too() {
    let (mut world, mut names) = world(20);
    world.deploy_as(limited(5));
    let seek = world.seeks.remove(0);
    let stale = world.rows.find_line(&seek).unwrap();
    for name in ["e1", "e2", "e3"] {
        world.add_device(name);
        names.push(name.into());
    }
    world.tell(stale);
    assert!(may_start(&world, &names).is_empty(), "that answer is void");
    world.pass(500);
    world.fire_due();
    world.find_lines();
    assert_eq!(may_start(&world, &names).len(), 5);
}

#[test]
fn a_question_for_a_line_survives_a_crash() {
    let (mut world, names) = world(20);
    world.deploy_as(limited(5));
    world.seeks.clear();
    world.pass(10_000);
    world.fire_due();
    world.find_lines();
    assert_eq!(may_start(&world, &names).len(), 5);
    world.pass(10_000);
    world.fire_due();
    assert!(world.seeks.is_empty(), "it is answered");
}

#[test]
fn a_slot_goes_on_from_a_device_that_cannot_start() {
    // S10, S12
    let (mut world, names) = world(20);
    let id = world.deploy_as(limited(5));
    world.find_lines();
    let first: Vec<String> = may_start(&world, &names)
        .into_iter()
        .map(Into::into)
        .collect();
    world.say(&first[0], incompatible(1, id));
    world.find_lines();
    assert!(!world.may_start(&first[0]), "it is held");
    let now = may_start(&world, &names);
    assert_eq!(now.len(), 5);
    assert!(first[1..].iter().all(|name| now.contains(&name.as_str())));
    assert_eq!(world.view(id).limit.unwrap().started, 0);
}

#[test]
fn a_device_held_by_an_operator_gets_no_slot_of_a_limit() {
    let (mut world, names) = world(6);
    world.hold("d00", true);
    let id = world.deploy_as(limited(6));
    world.find_lines();
    assert_eq!(may_start(&world, &names).len(), 5);
    assert_eq!(world.view(id).limit.unwrap().given, 5);
    world.hold("d00", false);
    assert!(world.may_start("d00"), "one slot is left");
    assert_eq!(world.view(id).limit.unwrap().given, 6);
}

#[test]
fn a_limit_of_none_is_refused_and_no_limit_needs_no_line() {
    let (mut world, names) = world(3);
    let answer = world.order(Command::Deploy(limited(0)));
    assert_eq!(refusal(&answer), Some(Code::Command));
    world.deploy("fw@1.0.0");
    assert!(world.seeks.is_empty());
    assert_eq!(may_start(&world, &names).len(), 3);
}

#[test]
fn a_scheduled_limit_looks_for_its_line_when_it_starts() {
    // S2, S10
    let (mut world, names) = world(9);
    world.deploy_as(Deploy {
        start: Some(crate::model::time::format_time(world.now.unix_ms + 60_000)),
        ..limited(4)
    });
    assert!(world.seeks.is_empty());
    world.pass(60_000);
    world.fire_due();
    world.find_lines();
    assert_eq!(may_start(&world, &names).len(), 4);
}

/// A device as adversarial as the wire allows: each of its two specs may be an old one, it
/// starts when it likes, and it reports late.
#[derive(Default)]
struct Physical {
    own: Option<DeviceSpec>,
    group: Option<GroupSpec>,
    started: bool,
    seq: u64,
    over: Option<bool>,
}

impl Physical {
    fn see_own(&mut self, spec: DeviceSpec) {
        if self.own.as_ref().is_none_or(|own| own.group != spec.group) {
            self.group = None;
        }
        self.own = Some(spec);
    }

    fn try_to_start(&mut self, name: &str, id: DeploymentId) {
        let device = name.parse().unwrap();
        let (Some(own), Some(spec)) = (&self.own, &self.group) else {
            return;
        };
        let listed = spec.entries.iter().find(|entry| entry.deployment == id);
        self.started |=
            listed.is_some_and(|entry| entry.audience.admits(id, &device) && !own.holds(id));
    }
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Add,
    Remove,
    MoveAway,
    MoveBack,
    Hold,
    LetGo,
    SeeOwn,
    SeeGroup,
    TryToStart,
    Report,
    Succeed,
    ProveIncompatible,
    FindLines,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => Just(Act::Add),
        1 => Just(Act::Remove),
        2 => Just(Act::MoveAway),
        2 => Just(Act::MoveBack),
        1 => Just(Act::Hold),
        1 => Just(Act::LetGo),
        6 => Just(Act::SeeOwn),
        6 => Just(Act::SeeGroup),
        6 => Just(Act::TryToStart),
        4 => Just(Act::Report),
        2 => Just(Act::Succeed),
        1 => Just(Act::ProveIncompatible),
        3 => Just(Act::FindLines),
    ]
}

fn carry_out(world: &mut World, device: &mut Physical, name: &str, id: DeploymentId, act: Act) {
    let registered = world.rows.read(&DeviceKey(name.parse().unwrap())).unwrap();
    if registered.is_none() {
        if matches!(act, Act::Add) {
            world.add_device(name);
        }
        return;
    }
    let report = |device: &mut Physical, world: &mut World, status: fn(u64, _) -> _| {
        if device.started && device.over.is_none() {
            device.seq += 1;
            world.say(name, status(device.seq, id));
            true
        } else {
            false
        }
    };
    match act {
        Act::Add => {}
        Act::Remove => drop(world.remove(name)),
        Act::MoveAway => drop(world.move_to(name, "us")),
        Act::MoveBack => drop(world.move_to(name, "eu")),
        Act::Hold => drop(world.hold(name, true)),
        Act::LetGo => drop(world.hold(name, false)),
        Act::SeeOwn => device.see_own(world.device_spec(name)),
        Act::SeeGroup => {
            let own = device.own.as_ref().map(|own| own.group.to_string());
            device.group = own.map(|group| world.spec(&group));
        }
        Act::TryToStart => device.try_to_start(name, id),
        Act::Report => {
            report(device, world, |seq, id| working(seq, id, Step::Installing));
        }
        Act::Succeed => {
            if report(device, world, done) {
                device.over = Some(true);
            }
        }
        Act::ProveIncompatible => {
            if report(device, world, incompatible) {
                device.over = Some(false);
            }
        }
        Act::FindLines => {
            world.pass(500);
            world.fire_due();
            world.find_lines();
        }
    }
}

fn pending_by_recount(world: &World, id: DeploymentId, names: &[String]) -> u32 {
    let waits = |name: &&String| {
        let row = world.rows.read(&DeviceKey(name.parse().unwrap())).unwrap();
        row.is_some_and(|row| row.group.as_str() == "eu") && world.record(id, name).is_none()
    };
    u32::try_from(names.iter().filter(waits).count()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn never_more_than_the_limit_start_whatever_the_devices_have_seen(
        limit in 1u32..5,
        there in 0u32..10,
        acts in proptest::collection::vec((0usize..12, act()), 0..120),
    ) {
        let names = names(12);
        let there = usize::try_from(there).unwrap();
        let devices: Vec<&str> = names[..there].iter().map(String::as_str).collect();
        let mut world = World::with_devices(&devices);
        world.create_group("us");
        let id = world.deploy_as(limited(limit));
        let mut physical: Vec<Physical> = names.iter().map(|_| Physical::default()).collect();
        for (number, act) in acts {
            let name = &names[number];
            carry_out(&mut world, &mut physical[number], name, id, act);
            let able = |device: &&Physical| device.started && device.over != Some(false);
            let started = physical.iter().filter(able).count();
            prop_assert!(started <= usize::try_from(limit).unwrap());
            let view = world.view(id);
            if view.state == DeploymentState::Active {
                prop_assert_eq!(view.counts.pending, pending_by_recount(&world, id, &names));
            }
        }
    }
}

#[test]
fn a_line_is_drawn_only_when_those_without_a_slot_are_known_to_be_told() {
    // S10: who reads the line has read that it has no slot.
    let (mut world, names) = world(10);
    world.slow = true;
    world.hold("d00", true);
    let id = world.deploy_as(limited(9));
    world.find_lines();
    assert!(may_start(&world, &names).is_empty());
    assert_eq!(world.device_row("d00").holds, [id], "it is told first");
    let line = |world: &World| world.rows.read(&DeploymentKey(id)).unwrap().unwrap().line;
    assert_eq!(line(&world), 0);
    world.spec_out(&"d00".parse().unwrap());
    world.find_lines();
    assert_eq!(may_start(&world, &names).len(), 9);
}

#[test]
fn who_is_let_go_while_a_line_is_sought_is_counted_in_it() {
    // S10
    let (mut world, names) = world(6);
    world.hold("d00", true);
    world.slow = true;
    let id = world.deploy_as(limited(6));
    let seek = world.seeks.remove(0);
    let found = world.rows.find_line(&seek).unwrap();
    world.tell(found);
    assert_eq!(world.device_row("d00").holds, [id]);
    world.slow = false;
    world.hold("d00", false);
    world.find_lines();
    assert_eq!(may_start(&world, &names).len(), 6);
}

#[test]
fn no_slot_is_given_while_a_device_may_not_have_heard_that_it_left() {
    // S10, S14: it could start one more.
    let (mut world, names) = world(5);
    world.slow = true;
    world.remove("d04");
    let id = world.deploy_as(limited(4));
    world.find_lines();
    assert!(may_start(&world, &names[..4]).is_empty());
    world.spec_out(&"d04".parse().unwrap());
    world.find_lines();
    assert_eq!(may_start(&world, &names[..4]).len(), 4);
    assert_eq!(world.view(id).limit.unwrap().given, 4);
}
