use super::*;

pub(super) fn in_round(round: u32, mut status: DeviceStatus) -> DeviceStatus {
    if let Some(running) = &mut status.running {
        running.round = Round(round);
    }
    for outcome in &mut status.outcomes {
        outcome.round = Round(round);
    }
    status
}

fn retried(answer: &Answer) -> (u32, u32) {
    match answer {
        Answer::Retried(result) => (result.round, result.devices),
        other => panic!("not retried: {other:?}"),
    }
}

#[test]
fn retry_makes_every_failed_device_begin_again_and_nobody_else() {
    // S13
    let mut world = World::with_devices(&["d1", "d2", "d3"]);
    let id = world.deploy("fw@1.0.0");
    world.say("d1", done(1, id));
    world.say("d2", failed(1, id));
    world.say("d3", failed(1, id));
    assert!(world.view(id).settled);
    assert_eq!(retried(&world.retry(id, None)), (1, 2));
    assert_eq!(world.spec("eu").entries[0].round, Round(1));
    let view = world.view(id);
    assert!(!view.settled, "two are to begin again");
    assert_eq!((view.counts.failed, view.counts.successful), (2, 1));
    world.say("d2", in_round(1, working(2, id, Step::Installing)));
    world.say("d2", in_round(1, done(3, id)));
    assert!(!world.view(id).settled);
    world.say("d3", in_round(1, failed(2, id)));
    let view = world.view(id);
    assert!(view.settled);
    assert_eq!((view.counts.failed, view.counts.successful), (1, 2));
    assert_eq!(world.item(id, "d3").round, Some(1));
}

#[test]
fn a_retry_of_named_devices_is_in_their_specs_and_in_no_other() {
    // S13
    let mut world = World::with_devices(&["d1", "d2", "d3"]);
    let id = world.deploy("fw@1.0.0");
    for device in ["d1", "d2", "d3"] {
        world.say(device, failed(1, id));
    }
    assert_eq!(retried(&world.retry(id, Some(&["d1"]))), (1, 1));
    assert_eq!(world.spec("eu").entries[0].round, Round(0));
    assert_eq!(world.device_spec("d1").rounds, [(id, Round(1))]);
    assert_eq!(world.device_spec("d2").rounds, []);
    assert!(!world.view(id).settled);
    world.say("d1", in_round(1, failed(2, id)));
    assert!(world.view(id).settled);
    // Whoever is named again, or all of them: always above every round before.
    assert_eq!(retried(&world.retry(id, Some(&["d1", "d2"]))), (2, 2));
    assert_eq!(world.device_spec("d2").rounds, [(id, Round(2))]);
    world.say("d2", in_round(2, done(2, id)));
    assert_eq!(retried(&world.retry(id, None)), (3, 2));
    world.say("d1", in_round(3, done(3, id)));
    assert!(!world.view(id).settled, "d3 has not begun");
    world.say("d3", in_round(3, done(2, id)));
    assert!(world.view(id).settled);
}

#[test]
fn only_what_failed_in_an_active_deployment_of_its_group_can_be_tried_again() {
    let mut world = World::with_devices(&["d1", "d2", "d3"]);
    world.create_group("us");
    let id = world.deploy("fw@1.0.0");
    assert_eq!(
        retried(&world.retry(id, None)),
        (0, 0),
        "nothing has failed"
    );
    world.say("d1", done(1, id));
    world.say("d3", failed(1, id));
    world.move_to("d3", "us");
    for device in ["d1", "d2", "d3"] {
        let answer = world.retry(id, Some(&[device]));
        assert_eq!(refusal(&answer), Some(Code::NotFailed), "{device}");
    }
    let answer = world.retry(id, Some(&["ghost"]));
    assert_eq!(refusal(&answer), Some(Code::Device));
    assert_eq!(refusal(&world.retry(id, Some(&[]))), Some(Code::Command));
    world.abort(id);
    assert_eq!(refusal(&world.retry(id, None)), Some(Code::Ended));
    let nowhere = world.retry(DeploymentId(9), None);
    assert_eq!(refusal(&nowhere), Some(Code::Deployment));
}

#[test]
fn inside_a_round_nothing_regresses_and_a_higher_round_is_a_new_beginning() {
    // S13, bad-inputs row 33
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    world.say("d1", failed(1, id));
    let back = world.say("d1", working(2, id, Step::Installing));
    assert!(rejects(&back, Code::Regress));
    world.retry(id, None);
    world.say("d1", in_round(1, working(3, id, Step::Installing)));
    assert_eq!(world.view(id).counts.in_progress, 1);
    let late = world.say("d1", done(4, id));
    assert_eq!(
        world.view(id).counts.successful,
        0,
        "of a lower round: {late:?}"
    );
    world.say("d1", in_round(1, done(5, id)));
    assert_eq!(world.view(id).counts.successful, 1);
}

#[test]
fn a_provisional_failure_is_tried_again_too_and_its_late_word_counts_once() {
    // S7, S13
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy_as(Deploy {
        timeout_secs: Some(100),
        ..deploy("fw@1.0.0")
    });
    world.say("d1", working(1, id, Step::Installing));
    world.pass(100_000 + GRACE_MS);
    world.fire_due();
    world.pass(GRACE_MS);
    world.fire_due();
    assert!(world.item(id, "d1").provisional);
    assert_eq!(retried(&world.retry(id, Some(&["d1"]))), (1, 1));
    // It was at work all the time, in the round before.
    world.say("d1", done(2, id));
    let counts = world.view(id).counts;
    assert_eq!((counts.successful, counts.failed), (1, 0));
    assert!(world.view(id).settled && world.item(id, "d1").late);
}

#[test]
fn a_move_ends_a_retry_of_its_own() {
    let mut world = World::with_devices(&["d1", "d2"]);
    world.create_group("us");
    let id = world.deploy("fw@1.0.0");
    world.say("d1", failed(1, id));
    world.say("d2", done(1, id));
    world.retry(id, Some(&["d1"]));
    world.move_to("d1", "us");
    assert_eq!(world.device_spec("d1").rounds, []);
    assert!(world.view(id).settled, "nobody is waited for");
}
