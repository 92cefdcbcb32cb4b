//! Devices that are let in by name: selected by labels, named one by one, or as their place has
//! room.

use super::*;
use crate::api::command::rollout::Budget;
use crate::reply::Why;

/// Devices `d000`… of which every one is at a site of three.
fn sites(count: u32) -> (World, Vec<String>) {
    let mut world = World::with_devices(&[]);
    let names: Vec<String> = (0..count).map(|n| format!("d{n:03}")).collect();
    for (number, device) in names.iter().enumerate() {
        let site = format!("s{}", number / 3);
        world.order(Command::DeviceAdd(DeviceAdd {
            device: device.clone(),
            group: Some("eu".into()),
            labels: [("site".to_owned(), site)].into(),
            ..DeviceAdd::default()
        }));
        world.heard(device, PresenceState::Online, 1);
    }
    (world, names)
}

fn budget(max_in_progress: u32) -> Deploy {
    Deploy {
        rollout: Some(Rollout {
            budget: Some(Budget {
                label: "site".into(),
                max_in_progress: Some(max_in_progress),
                percent: None,
            }),
            ..Rollout::default()
        }),
        ..deploy("fw@1.0.0")
    }
}

fn place(name: &str) -> u32 {
    name[1..].parse::<u32>().unwrap() / 3
}

/// The devices of one place that may start and have not ended.
fn at_once(world: &World, names: &[String], id: DeploymentId) -> Vec<usize> {
    let places = names.len().div_ceil(3);
    let mut counts = vec![0; places];
    for name in admitted(world, names) {
        let record = world.record(id, &name);
        let over = record.is_some_and(|record| !matches!(record.state, RecordState::InProgress(_)));
        counts[place(&name) as usize] += usize::from(!over);
    }
    counts
}

#[test]
fn only_devices_whose_labels_fit_are_let_in_also_those_that_come_later() {
    let (mut world, names) = sites(9);
    let id = world.deploy_as(Deploy {
        selector: Some("site in (s0,s2)".into()),
        ..deploy("fw@1.0.0")
    });
    world.go_on();
    let expected: Vec<&String> = names.iter().filter(|name| place(name) != 1).collect();
    assert_eq!(
        admitted(&world, &names).iter().collect::<Vec<_>>(),
        expected
    );
    assert_eq!(world.spec("eu").entries[0].audience.line(), 0);
    let why = world.explained("d004", id);
    assert_eq!(why.why, Why::Selector);
    assert!(why.says.contains("site in (s0,s2)"), "{}", why.says);
    world.order(Command::DeviceAdd(DeviceAdd {
        device: "late".into(),
        group: Some("eu".into()),
        labels: [("site".to_owned(), "s2".to_owned())].into(),
        ..DeviceAdd::default()
    }));
    world.pass(60_000);
    world.fire_due();
    world.go_on();
    assert!(world.may_start("late"));
    world.succeed(&names[..3], id);
    assert_eq!(world.view(id).counts.successful, 3);
}

#[test]
fn only_named_devices_are_let_in() {
    let (mut world, names) = sites(9);
    let id = world.deploy_as(Deploy {
        devices: Some(vec!["d003".into(), "d007".into(), "d003".into()]),
        ..deploy("fw@1.0.0")
    });
    world.go_on();
    assert_eq!(admitted(&world, &names), ["d003", "d007"]);
    assert_eq!(world.explained("d004", id).why, Why::NotListedDevice);
}

#[test]
fn no_place_has_more_at_work_than_its_budget_and_everybody_gets_a_turn() {
    let (mut world, names) = sites(9);
    let id = world.deploy_as(budget(1));
    world.go_on();
    let mut done_so_far = 0;
    while done_so_far < 9 {
        assert_eq!(at_once(&world, &names, id), [1, 1, 1], "{done_so_far}");
        let now = admitted(&world, &names);
        let begins = |name: &&String| world.record(id, name).is_none();
        let new: Vec<String> = now.iter().filter(begins).cloned().collect();
        for device in &new {
            world.say(device, working(1, id, Step::Installing));
        }
        world.go_on();
        assert_eq!(at_once(&world, &names, id), [1, 1, 1]);
        for device in &new {
            world.say(device, done(2, id));
        }
        world.go_on();
        done_so_far += new.len();
    }
    assert_eq!(world.view(id).counts.successful, 9);
}

#[test]
fn a_device_out_of_contact_takes_the_room_of_its_place() {
    let (mut world, names) = sites(6);
    world.heard("d000", PresenceState::Offline, 1);
    let id = world.deploy_as(budget(1));
    world.go_on();
    let now = admitted(&world, &names);
    assert_eq!(now.len(), 1);
    assert_eq!(place(&now[0]), 1);
    let why = world.explained("d001", id);
    assert_eq!(why.why, Why::Budget);
    assert!(why.says.contains("one device of site=s0"), "{}", why.says);
    world.heard("d000", PresenceState::Online, 2);
    world.pass(60_000);
    world.fire_due();
    world.go_on();
    assert_eq!(at_once(&world, &names, id), [1, 1]);
}

#[test]
fn who_failed_begins_again_only_as_its_place_has_room() {
    let (mut world, names) = sites(3);
    let id = world.deploy_as(budget(1));
    world.go_on();
    for _ in 0..3 {
        let now = admitted(&world, &names);
        let begins = |name: &&String| world.record(id, name).is_none();
        let new: Vec<String> = now.iter().filter(begins).cloned().collect();
        world.fail(&new, id);
    }
    assert_eq!(world.view(id).counts.failed, 3);
    world.retry(id, None);
    world.go_on();
    assert_eq!(admitted(&world, &names).len(), 1, "in the next round");
}

#[test]
fn a_phase_of_selected_devices_is_followed_by_one_of_everybody() {
    let (mut world, names) = sites(9);
    let canaries = Phase {
        selector: Some("site=s1".into()),
        ..Phase::default()
    };
    let id = world.deploy_as(rollout(vec![canaries, devices(5)]));
    world.go_on();
    let first = admitted(&world, &names);
    assert_eq!(first, ["d003", "d004", "d005"]);
    world.succeed(&first, id);
    assert_eq!(world.phase(id), (2, PhaseState::Open));
    let second = admitted(&world, &names);
    assert_eq!(second.len(), 5, "those of the first phase included");
    let new: Vec<String> = second
        .into_iter()
        .filter(|it| !first.contains(it))
        .collect();
    world.succeed(&new, id);
    assert_eq!(admitted(&world, &names).len(), 9);
    assert_eq!(world.view(id).allowed, None);
}

#[test]
fn a_pace_bounds_permits_too() {
    let (mut world, names) = sites(9);
    let id = world.deploy_as(Deploy {
        selector: Some("site".into()),
        rollout: Some(Rollout {
            max_in_progress: Some(2),
            ..Rollout::default()
        }),
        ..deploy("fw@1.0.0")
    });
    world.go_on();
    let first = admitted(&world, &names);
    assert_eq!(first.len(), 2);
    world.succeed(&first[..1], id);
    assert_eq!(admitted(&world, &names).len(), 3);
}

#[test]
fn who_leaves_with_a_permit_has_it_again_when_it_is_back() {
    let (mut world, names) = sites(6);
    let id = world.deploy_as(Deploy {
        devices: Some(vec!["d001".into()]),
        ..deploy("fw@1.0.0")
    });
    world.go_on();
    world.create_group("us");
    world.move_to("d001", "us");
    assert_eq!(world.device_spec("d001").permits, []);
    world.move_to("d001", "eu");
    world.go_on();
    assert_eq!(admitted(&world, &names), ["d001"]);
    let row = world.rows.read(&DeploymentKey(id)).unwrap().unwrap();
    assert_eq!(row.slots, 1);
}

#[test]
fn a_phase_that_a_pace_fills_by_and_by_is_judged_by_all_of_its_selected_devices() {
    let (mut world, names) = sites(9);
    let canaries = Phase {
        selector: Some("site in (s0,s1)".into()),
        ..Phase::default()
    };
    let mut deploy = rollout(vec![canaries, devices(8)]);
    deploy.rollout.as_mut().unwrap().max_in_progress = Some(2);
    let id = world.deploy_as(deploy);
    world.go_on();
    let first = admitted(&world, &names);
    assert_eq!(first.len(), 2);
    world.succeed(&first, id);
    assert_eq!(world.phase(id).0, 1, "four more are to come");
    let all = admitted(&world, &names);
    let next: Vec<String> = all.into_iter().filter(|it| !first.contains(it)).collect();
    world.succeed(&next, id);
    let last: Vec<String> = admitted(&world, &names)
        .into_iter()
        .filter(|it| !first.contains(it) && !next.contains(it))
        .collect();
    world.succeed(&last, id);
    assert_eq!(world.phase(id).0, 2);
}

#[test]
fn a_phase_that_opens_while_the_pace_is_full_is_not_passed_by_nobody() {
    let (mut world, names) = sites(9);
    let of_site = |site: &str| Phase {
        selector: Some(format!("site={site}")),
        gate: Some(Gate {
            min_ended: Some(1),
            ..Gate::default()
        }),
        ..Phase::default()
    };
    let mut deploy = rollout(vec![of_site("s0"), of_site("s1")]);
    deploy.rollout.as_mut().unwrap().max_in_progress = Some(2);
    let id = world.deploy_as(deploy);
    world.go_on();
    let first = admitted(&world, &names);
    for device in &first {
        world.say(device, working(1, id, Step::Installing));
    }
    world.say(&first[0], done(2, id));
    world.go_on();
    // The one that ended is enough for the gate; the third of its site and the other are at work.
    for device in admitted(&world, &names) {
        if world.record(id, &device).is_none() {
            world.say(&device, working(1, id, Step::Installing));
        }
    }
    world.go_on();
    assert_eq!(world.phase(id), (2, PhaseState::Open));
    assert_eq!(world.view(id).counts.in_progress, 2);
}

#[test]
fn a_deployment_to_some_is_settled_once_these_have_ended() {
    let (mut world, names) = sites(9);
    let named = |devices: &[String]| Deploy {
        devices: Some(devices.to_vec()),
        ..deploy("fw@1.0.0")
    };
    let id = world.deploy_as(named(&names[..2]));
    assert!(!world.view(id).settled, "nobody was let in yet");
    world.go_on();
    assert!(!world.view(id).settled, "two are waited for");
    world.succeed(&names[..1], id);
    assert!(!world.view(id).settled);
    world.succeed(&names[1..2], id);
    let view = world.view(id);
    assert!(view.settled, "{view:?}");
    assert_eq!((view.counts.successful, view.counts.pending), (2, 7));
}

#[test]
fn who_is_back_with_a_permit_waits_where_another_of_its_site_is_at_work() {
    let (mut world, names) = sites(3);
    let id = world.deploy_as(budget(1));
    world.go_on();
    let first = admitted(&world, &names);
    assert_eq!(first.len(), 1);
    world.create_group("us");
    world.move_to(&first[0], "us");
    world.pass(60_000);
    world.go_on();
    let second = admitted(&world, &names);
    assert_eq!(second.len(), 1, "the place is free again");
    world.say(&second[0], working(1, id, Step::Installing));
    world.move_to(&first[0], "eu");
    world.pass(60_000);
    world.go_on();
    assert_eq!(admitted(&world, &names), second);
    world.say(&second[0], done(2, id));
    world.pass(60_000);
    world.go_on();
    assert_eq!(admitted(&world, &names).len(), 2);
}
