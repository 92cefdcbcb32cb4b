use proptest::prelude::*;

use super::*;

fn two_groups(devices: &[&str]) -> World {
    let mut world = World::with_devices(devices);
    world.create_group("us");
    world
}

#[test]
fn a_moved_device_finishes_what_runs_and_then_obeys_its_new_group() {
    // S14
    let mut world = two_groups(&["d1", "d2"]);
    let old = world.deploy("fw@1.0.0");
    world.add_release("other", "1", &["thing"]);
    let new = world.deploy_as(Deploy {
        group: Some("us".into()),
        ..deploy("other@1")
    });
    world.say("d1", working(1, old, Step::Installing));
    assert!(matches!(
        world.move_to("d1", "us"),
        Answer::DeviceMoved { .. }
    ));
    assert_eq!(world.device_spec("d1").group.as_str(), "us");
    let counts = world.view(old).counts;
    assert_eq!(
        (counts.members, counts.pending, counts.in_progress),
        (2, 1, 1)
    );
    assert_eq!(world.view(new).counts.pending, 1);
    world.say("d1", done(2, old));
    world.say("d1", working(3, new, Step::Installing));
    assert_eq!(world.view(old).counts.successful, 1);
    assert_eq!(world.view(new).counts.in_progress, 1);
}

#[test]
fn a_device_that_had_started_unheard_when_it_was_moved_is_believed() {
    // S14: it was a member during the deployment, and is none of the group now.
    let mut world = two_groups(&["d1", "d2"]);
    let id = world.deploy("fw@1.0.0");
    world.move_to("d1", "us");
    world.say("d1", done(1, id));
    let counts = world.view(id).counts;
    assert_eq!(
        (counts.members, counts.pending, counts.successful),
        (2, 1, 1)
    );
}

#[test]
fn who_was_never_in_a_deployments_group_or_came_after_its_end_is_not_believed() {
    // S14, bad-inputs row 32
    let mut world = two_groups(&["d1", "d2"]);
    world.move_to("d1", "us");
    let id = world.deploy_as(Deploy {
        group: Some("us".into()),
        ..deploy("fw@1.0.0")
    });
    assert!(rejects(&world.say("d2", done(1, id)), Code::Deployment));
    world.abort(id);
    world.move_to("d2", "us");
    assert!(rejects(&world.say("d2", done(2, id)), Code::Deployment));
}

#[test]
fn who_started_before_it_heard_that_it_had_left_is_believed() {
    // S14: it obeys the group until it is told, and counts beside its members.
    let mut world = two_groups(&["d1", "d2"]);
    world.move_to("d1", "us");
    let id = world.deploy("fw@1.0.0");
    world.say("d1", done(1, id));
    let counts = world.view(id).counts;
    assert_eq!(
        (counts.members, counts.pending, counts.successful),
        (2, 1, 1)
    );
    assert!(world.record(id, "d1").unwrap().outside);
}

#[test]
fn what_has_ended_keeps_its_members_whoever_moves_or_reports_later() {
    // S5
    let mut world = two_groups(&["d1", "d2", "d3"]);
    let id = world.deploy("fw@1.0.0");
    assert_eq!(world.abort(id).never_start, 3);
    world.move_to("d1", "us");
    world.add_device("d4");
    let counts = world.view(id).counts;
    assert_eq!((counts.members, counts.pending), (3, 3));
    // It had started before it saw the abort: one Pending less, although it has moved.
    world.say("d1", done(1, id));
    let counts = world.view(id).counts;
    assert_eq!(
        (counts.members, counts.pending, counts.successful),
        (3, 2, 1)
    );
}

#[test]
fn the_last_member_in_the_way_completes_a_deployment_by_leaving() {
    // S1, S14
    let mut world = two_groups(&["d1", "d2"]);
    let id = world.deploy_as(Deploy {
        complete_when: Some(CompleteWhen::AllSuccessful),
        ..deploy("fw@1.0.0")
    });
    world.say("d1", done(1, id));
    world.move_to("d2", "us");
    assert_eq!(world.view(id).reason, Some(EndReason::AllSuccessful.into()));
}

#[test]
fn a_held_device_starts_nothing_until_it_is_let_go() {
    let mut world = two_groups(&["d1", "d2"]);
    world.hold("d1", true);
    let id = world.deploy("fw@1.0.0");
    assert!(!world.may_start("d1") && world.may_start("d2"));
    assert!(world.item(id, "d1").held);
    world.hold("d1", false);
    assert!(world.may_start("d1"));
}

#[test]
fn a_device_that_is_away_can_be_moved_held_and_removed_and_nobody_else_can() {
    let mut world = two_groups(&["d1"]);
    let ghost = world.move_to("ghost", "us");
    assert_eq!(refusal(&ghost), Some(Code::Device));
    assert_eq!(refusal(&world.hold("ghost", true)), Some(Code::Device));
    let nowhere = world.move_to("d1", "nowhere");
    assert_eq!(refusal(&nowhere), Some(Code::Group));
    assert_eq!(world.move_to("d1", "us"), world.move_to("d1", "us"));
    let key = GroupCountKey("us".parse().unwrap());
    assert_eq!(world.rows.read(&key).unwrap().unwrap().members, 1);
}

#[test]
fn a_deployment_to_unassigned_devices_reaches_them_like_any_group() {
    let mut world = two_groups(&[]);
    world.order(Command::DeviceAdd(DeviceAdd {
        device: "d1".into(),
        ..DeviceAdd::default()
    }));
    let id = world.deploy_as(Deploy {
        group: Some("unassigned".into()),
        ..deploy("fw@1.0.0")
    });
    assert!(world.may_start("d1"));
    world.say("d1", done(1, id));
    assert!(world.view(id).settled);
}

#[test]
fn a_removed_device_in_progress_leaves_no_record_in_progress_for_ever() {
    let mut world = two_groups(&["d1", "d2"]);
    let id = world.deploy("fw@1.0.0");
    world.say("d1", working(1, id, Step::Installing));
    world.remove("d1");
    world.pass(86_400_000 + GRACE_MS);
    world.fire_due();
    assert_eq!(world.record(id, "d1").unwrap().state, RecordState::TimedOut);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn pending_equals_a_recount_however_devices_move_and_deployments_end(
        acts in proptest::collection::vec((0usize..4, 0u8..9), 0..60),
    ) {
        let names = ["d1", "d2", "d3", "d4"];
        let mut world = two_groups(&names);
        let id = world.deploy("fw@1.0.0");
        let mut seqs = [0u64; 4];
        let mut frozen: Option<Vec<&str>> = None;
        for (number, act) in acts {
            let name = names[number];
            seqs[number] += 1;
            let seq = seqs[number];
            match act {
                0 => drop(world.move_to(name, "us")),
                1 | 2 => drop(world.move_to(name, "eu")),
                3 => drop(world.say(name, working(seq, id, Step::Installing))),
                4 => drop(world.say(name, done(seq, id))),
                5 => drop(world.say(name, failed(seq, id))),
                6 => {
                    drop(world.remove(name));
                    seqs[number] = 0;
                }
                7 => drop(world.add_device(name)),
                _ if seq % 4 == 0 && frozen.is_none() => {
                    frozen = Some(members(&world, &names));
                    world.abort(id);
                }
                _ => {}
            }
            let members = frozen.clone().unwrap_or_else(|| members(&world, &names));
            let waiting = members.iter().filter(|name| world.record(id, name).is_none());
            let counts = world.view(id).counts;
            let waiting = waiting.count();
            let begun = names.iter().filter(|name| world.record(id, name).is_some());
            prop_assert_eq!(usize::try_from(counts.members).unwrap(), waiting + begun.count());
            prop_assert_eq!(usize::try_from(counts.pending).unwrap(), waiting);
        }
    }
}

fn members<'a>(world: &World, names: &[&'a str]) -> Vec<&'a str> {
    let is_member = |name: &&&str| {
        let row = world.rows.read(&DeviceKey(name.parse().unwrap())).unwrap();
        row.is_some_and(|row| row.group.as_str() == "eu")
    };
    names.iter().filter(is_member).copied().collect()
}
