//! Doubt about what a device did is asked about (W6).

use super::*;

#[test]
fn what_left_the_ring_of_a_device_is_told_when_its_roll_is_called() {
    // S15, W6
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    world.say("d1", working(1, id, Step::Installing));
    let idle = DeviceStatus {
        seq: Seq(2),
        ended: 9,
        ..DeviceStatus::default()
    };
    world.say("d1", idle);
    let calls = world.resync("d1");
    assert!(calls > 0, "nine ended and nothing is recorded");
    // Everything it remembers, of which only this is known here; its attempts are not.
    let mut told = done(3, id);
    told.ended = 9;
    told.outcomes[0].attempt = Attempt(0);
    world.say("d1", told);
    let record = world.record(id, "d1").unwrap();
    assert!(matches!(record.state, RecordState::Successful(_)));
    assert_eq!(record.attempt, Attempt(1), "what was heard of it stays");
}

#[test]
fn a_device_that_counts_its_outcomes_anew_is_asked_for_new_ones_only() {
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    let ended = |seq, ended| DeviceStatus {
        seq: Seq(seq),
        ended,
        ..DeviceStatus::default()
    };
    world.say("d1", ended(1, u32::MAX));
    let calls = world.resync("d1");
    world.say("d1", ended(2, 0));
    assert_eq!(world.resync("d1"), calls);
    let mut first = done(3, id);
    first.ended = 1;
    world.say("d1", first);
    assert_eq!(world.resync("d1"), calls, "it told the only one");
    world.pass(60_000);
    world.say("d1", ended(4, 2));
    assert_eq!(world.resync("d1"), calls + 1, "the second one is missing");
}

#[test]
fn more_outcomes_than_recorded_call_the_roll_once() {
    // W5, W6
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    let lost = DeviceStatus {
        ended: 2,
        ..working(1, id, Step::Downloaded)
    };
    world.say("d1", lost.clone());
    assert_eq!(world.resync("d1"), 1);
    world.say(
        "d1",
        DeviceStatus {
            seq: Seq(2),
            ..lost
        },
    );
    assert_eq!(world.resync("d1"), 1);
}

#[test]
fn a_record_no_longer_mentioned_asks_for_a_resync() {
    // W6
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    world.say("d1", working(1, id, Step::Installing));
    world.say(
        "d1",
        DeviceStatus {
            seq: Seq(2),
            ..DeviceStatus::default()
        },
    );
    assert_eq!(world.resync("d1"), 1);
}

#[test]
fn an_answer_to_a_resync_that_got_lost_is_asked_for_again() {
    // W5, W6, S15
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    let missing = |seq| DeviceStatus {
        seq: Seq(seq),
        ended: 2,
        ..DeviceStatus::default()
    };
    world.say("d1", missing(1));
    assert_eq!(world.resync("d1"), 1);
    world.pass(30_000);
    world.heard("d1", PresenceState::Online, 7);
    world.say("d1", missing(2));
    world.fire_due();
    assert_eq!(world.resync("d1"), 1, "it has time to answer");
    world.pass(30_000);
    world.fire_due();
    assert_eq!(
        world.resync("d1"),
        2,
        "a device that is back is asked again"
    );
    world.pass(60_000);
    world.say("d1", missing(3));
    assert_eq!(world.resync("d1"), 3);
    world.pass(60_000);
    world.heard("d1", PresenceState::Online, 8);
    assert_eq!(world.resync("d1"), 3, "three times are enough");
    let all = DeviceStatus {
        ended: 2,
        outcomes: vec![
            done(4, id).outcomes[0].clone(),
            done(4, DeploymentId(9)).outcomes[0].clone(),
        ],
        ..missing(4)
    };
    world.say("d1", all);
    assert_eq!(world.view(id).counts.successful, 1);
    world.heard("d1", PresenceState::Online, 9);
    assert_eq!(world.resync("d1"), 3, "it has told everything");
}

#[test]
fn a_device_that_raises_its_number_in_every_report_is_asked_once_a_minute() {
    // W6
    let mut world = World::with_devices(&["d1"]);
    world.deploy("fw@1.0.0");
    let lie = |number: u64| DeviceStatus {
        seq: Seq(number),
        ended: u32::try_from(number).unwrap(),
        ..DeviceStatus::default()
    };
    for number in 1..=50 {
        world.say("d1", lie(number));
        world.heard("d1", PresenceState::Online, number);
        world.pass(1_000);
        world.fire_due();
    }
    assert_eq!(world.resync("d1"), 1);
    world.pass(10_000);
    world.fire_due();
    assert_eq!(world.resync("d1"), 2, "the last question waited");
}

#[test]
fn a_question_that_waits_for_a_device_that_is_away_is_asked_when_it_is_back() {
    // W6, S15
    let mut world = World::with_devices(&["d1"]);
    world.deploy("fw@1.0.0");
    let missing = |seq, ended| DeviceStatus {
        seq: Seq(seq),
        ended,
        ..DeviceStatus::default()
    };
    world.say("d1", missing(1, 1));
    world.say("d1", missing(2, 2));
    world.heard("d1", PresenceState::Offline, 1);
    world.pass(60_000);
    world.fire_due();
    assert_eq!(world.resync("d1"), 1, "nobody would hear it");
    world.heard("d1", PresenceState::Online, 2);
    assert_eq!(world.resync("d1"), 2);
}

#[test]
fn answers_that_a_broker_took_along_do_not_count_as_questions() {
    // W6, S15: a broker that restarts empty takes every answer along.
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    let missing = |seq| DeviceStatus {
        seq: Seq(seq),
        ended: 1,
        ..DeviceStatus::default()
    };
    for restart in 1..=10 {
        world.say("d1", missing(restart));
        world.tell(Input::BrokerForgot);
        world.pass(60_000);
        world.heard("d1", PresenceState::Online, restart);
        let calls = u64::from(world.resync("d1"));
        assert!(calls >= restart, "{calls} questions, {restart} brokers");
    }
    world.say("d1", done(11, id));
    let calls = world.resync("d1");
    world.tell(Input::BrokerForgot);
    world.pass(60_000);
    world.heard("d1", PresenceState::Online, 11);
    assert_eq!(world.resync("d1"), calls, "it has told everything");
}
