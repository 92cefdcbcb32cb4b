use super::*;
use crate::api::command::{Freeze, Unfreeze};

fn paced(rollout: Rollout) -> Deploy {
    Deploy {
        rollout: Some(rollout),
        ..deploy("fw@1.0.0")
    }
}

#[test]
fn at_most_so_many_are_at_work_at_once() {
    let (mut world, names) = world(20);
    let id = world.deploy_as(paced(Rollout {
        max_in_progress: Some(4),
        ..Rollout::default()
    }));
    world.go_on();
    let mut all: Vec<String> = Vec::new();
    while all.len() < 20 {
        let now = admitted(&world, &names);
        let new: Vec<String> = now.into_iter().filter(|it| !all.contains(it)).collect();
        assert_eq!(new.len(), 4, "of those before all have ended");
        for device in &new {
            world.say(device, working(1, id, Step::Installing));
        }
        world.go_on();
        assert_eq!(world.view(id).counts.in_progress, 4);
        for device in &new {
            world.say(device, done(2, id));
        }
        world.go_on();
        all.extend(new);
    }
    assert_eq!(world.view(id).counts.successful, 20);
}

#[test]
fn each_end_makes_room_for_one() {
    let (mut world, names) = world(20);
    let id = world.deploy_as(paced(Rollout {
        max_in_progress: Some(4),
        ..Rollout::default()
    }));
    world.go_on();
    let first = admitted(&world, &names);
    world.say(&first[0], done(1, id));
    world.go_on();
    assert_eq!(admitted(&world, &names).len(), 5);
    world.say(&first[1], failed(1, id));
    world.go_on();
    assert_eq!(admitted(&world, &names).len(), 6);
}

#[test]
fn devices_that_have_their_slot_for_long_and_say_nothing_hold_nobody_up() {
    let (mut world, names) = world(20);
    world.deploy_as(paced(Rollout {
        max_in_progress: Some(4),
        ..Rollout::default()
    }));
    world.go_on();
    assert_eq!(admitted(&world, &names).len(), 4);
    world.pass(14 * 60_000);
    world.go_on();
    assert_eq!(admitted(&world, &names).len(), 4);
    world.pass(60_000);
    world.go_on();
    assert_eq!(admitted(&world, &names).len(), 8);
}

#[test]
fn so_many_are_let_in_each_minute_and_none_are_saved_up() {
    let (mut world, names) = world(60);
    let id = world.deploy_as(paced(Rollout {
        starts_per_minute: Some(5),
        ..Rollout::default()
    }));
    world.go_on();
    assert_eq!(admitted(&world, &names).len(), 5);
    assert_eq!(world.spec("eu").spread_s, 60, "they begin over the minute");
    world.pass(30_000);
    world.go_on();
    assert_eq!(admitted(&world, &names).len(), 5);
    world.pass(60_000);
    world.go_on();
    assert_eq!(admitted(&world, &names).len(), 10);
    world.pause(id);
    world.pass(600_000);
    world.go_on();
    world.resume(id);
    world.go_on();
    assert_eq!(admitted(&world, &names).len(), 15);
}

#[test]
fn a_pace_grows_with_success() {
    let (mut world, names) = world(100);
    let id = world.deploy_as(paced(Rollout {
        starts_per_minute: Some(5),
        growth: Some(Growth {
            factor: 2,
            every_ended: 5,
            up_to: 15,
        }),
        ..Rollout::default()
    }));
    world.go_on();
    let mut known = Vec::new();
    let mut steps = Vec::new();
    for _ in 0..4 {
        let now = admitted(&world, &names);
        let new: Vec<String> = now.into_iter().filter(|it| !known.contains(it)).collect();
        steps.push(new.len());
        world.succeed(&new, id);
        known.extend(new);
        world.pass(60_000);
        world.go_on();
    }
    assert_eq!(steps, [5, 10, 15, 15]);
}

#[test]
fn a_joiner_under_the_line_waits_for_its_slot_and_gets_it() {
    let (mut world, names) = world(20);
    let id = world.deploy_as(paced(Rollout {
        max_in_progress: Some(4),
        ..Rollout::default()
    }));
    world.go_on();
    let first = admitted(&world, &names);
    let line = world.spec("eu").entries[0].audience;
    let joiner = (0..)
        .map(|n| format!("e{n}"))
        .find(|name| line.admits(id, &name.parse().unwrap()))
        .unwrap();
    world.add_device(&joiner);
    assert!(!world.may_start(&joiner));
    let why = world.explained(&joiner, id);
    assert_eq!(why.why, crate::reply::Why::Pace);
    world.succeed(&first[..1], id);
    assert!(world.may_start(&joiner), "it was waiting, and comes first");
    assert_eq!(admitted(&world, &names).len(), 4);
}

#[test]
fn a_limit_bounds_a_rollout_too() {
    let (mut world, names) = world(30);
    let id = world.deploy_as(Deploy {
        limit: Some(Limit {
            devices: Some(6),
            until: None,
        }),
        ..rollout(vec![devices(4), devices(20)])
    });
    world.go_on();
    let first = admitted(&world, &names);
    assert_eq!(first.len(), 4);
    world.succeed(&first, id);
    let all = admitted(&world, &names);
    assert_eq!(all.len(), 6);
    world.succeed(&all, id);
    assert_eq!(world.view(id).reason, Some(EndReason::DeviceLimit.into()));
}

#[test]
fn a_phase_that_a_pace_fills_opens_no_other_before_enough_of_all_its_devices_have_ended() {
    let (mut world, names) = world(40);
    let mut wish = rollout(vec![devices(10), devices(20)]);
    wish.rollout.as_mut().unwrap().max_in_progress = Some(3);
    let id = world.deploy_as(wish);
    world.go_on();
    let mut ended = Vec::new();
    // Four fifths of the ten have to end, and only three are let in at once.
    while ended.len() < 8 {
        assert_eq!(world.phase(id).0, 1, "{} ended", ended.len());
        let next = admitted(&world, &names);
        let next = next.into_iter().find(|name| !ended.contains(name)).unwrap();
        world.succeed(std::slice::from_ref(&next), id);
        ended.push(next);
    }
    assert_eq!(world.phase(id), (2, PhaseState::Open));
}

#[test]
fn a_share_that_a_pace_fills_is_judged_once_all_of_it_is_let_in() {
    let (mut world, names) = world(40);
    let mut wish = rollout(vec![percent(5_000), percent(8_000)]);
    wish.rollout.as_mut().unwrap().max_in_progress = Some(2);
    let id = world.deploy_as(wish);
    world.go_on();
    let place = |name: &String| {
        crate::rules::rollout::limit::place(id.0, &name.parse::<DeviceId>().unwrap())
    };
    let half = names.iter().filter(|name| place(name) < 1 << 31).count();
    let mut ended = Vec::new();
    while world.phase(id).0 == 1 {
        let next = admitted(&world, &names);
        let next = next.into_iter().find(|name| !ended.contains(name)).unwrap();
        assert!(place(&next) < 1 << 31);
        world.succeed(std::slice::from_ref(&next), id);
        ended.push(next);
    }
    assert!(ended.len() * 5 >= half * 4, "{} of {half}", ended.len());
}

#[test]
fn joiners_get_the_slots_of_the_next_minute_when_everyone_before_has_ended() {
    let (mut world, names) = world(2);
    let id = world.deploy_as(paced(Rollout {
        starts_per_minute: Some(2),
        ..Rollout::default()
    }));
    world.go_on();
    world.succeed(&names, id);
    // The line lets in everybody by now, and nothing but time goes on.
    world.pass(60_000);
    world.go_on();
    let joiners = ["e1", "e2", "e3", "e4", "e5"];
    for device in joiners {
        world.add_device(device);
    }
    let started = |world: &World| joiners.iter().filter(|name| world.may_start(name)).count();
    for _ in 0..4 {
        world.pass(60_000);
        world.go_on();
    }
    assert_eq!(started(&world), 5);
}

#[test]
fn a_rollout_that_waits_for_people_is_not_looked_at_each_minute() {
    let (mut world, _) = world(5);
    let id = world.deploy_as(paced(Rollout {
        phases: vec![Phase {
            approvals: 1,
            ..devices(3)
        }],
        starts_per_minute: Some(2),
        ..Rollout::default()
    }));
    world.go_on();
    assert_eq!(world.phase(id), (1, PhaseState::WaitingApproval));
    let state = world.rows.read(&crate::model::key::RolloutKey(id)).unwrap();
    let state = state.unwrap();
    assert_eq!(state.look_due_ms, None);
}

#[test]
fn a_freeze_lets_no_slots_pile_up() {
    let (mut world, names) = world(60);
    let id = world.deploy_as(paced(Rollout {
        starts_per_minute: Some(5),
        ..Rollout::default()
    }));
    world.go_on();
    let group = || Some("eu".to_owned());
    world.order(Command::Freeze(Freeze {
        group: group(),
        dry_run: false,
    }));
    for _ in 0..10 {
        world.pass(60_000);
        world.go_on();
    }
    assert!(admitted(&world, &names).is_empty());
    world.order(Command::Unfreeze(Unfreeze {
        group: group(),
        dry_run: false,
    }));
    world.pass(10_000);
    world.go_on();
    assert_eq!(admitted(&world, &names).len(), 10);
    assert_eq!(world.view(id).state, DeploymentState::Active);
}
