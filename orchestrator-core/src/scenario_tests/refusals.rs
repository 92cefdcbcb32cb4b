//! Reports that are refused (bad-inputs rows 32, 33 and 85): nothing of them counts, nobody
//! else notices, and people see them.

use super::rounds::in_round;
use super::*;
use crate::api::command::{DeviceShow, DeviceWhy as WhyWish};
use crate::model::effect::Sender;
use crate::model::key::RefusedKey;
use crate::model::row::Refusal;
use crate::reply::{DeviceWhy, RefusedItem, Why};

/// What the adapter does with refusals: it counts them, and says so.
fn count_refusals(world: &mut World, effects: &[Effect]) {
    for effect in effects {
        if let Effect::Rejected {
            code,
            sender: Sender::Device { device, seq },
        } = effect
        {
            let refusal = Refusal {
                code: *code,
                at_ms: world.now.unix_ms,
                count: 1,
                seq: *seq,
            };
            let device = device.clone();
            world.tell(Input::CountRefusals { device, refusal });
        }
    }
}

fn say_wrong(world: &mut World, device: &str, status: DeviceStatus, code: Code) {
    let effects = world.say(device, status);
    assert!(rejects(&effects, code), "{effects:?}");
    count_refusals(world, &effects);
}

/// A lower number is read again, and refused when the broker has nothing newer.
fn count_again(world: &mut World, device: &str, status: DeviceStatus) {
    let read = Effect::ReadStatus(device.parse().unwrap());
    let effects = world.say(device, status.clone());
    assert_eq!(effects, [Effect::Duplicate, read]);
    let effects = world.keeps(device, status);
    assert!(rejects(&effects, Code::Seq), "{effects:?}");
    count_refusals(world, &effects);
}

fn refused(world: &World, device: &str) -> Option<RefusedItem> {
    let device = device.into();
    let ResultBody::DeviceDetail(detail) =
        world.answer(&Command::DeviceShow(DeviceShow { device }))
    else {
        panic!("not a device")
    };
    detail.item.refused
}

fn why(world: &World, device: &str) -> DeviceWhy {
    let wish = WhyWish {
        device: device.into(),
        deployment: None,
    };
    match world.answer(&Command::DeviceWhy(wish)) {
        ResultBody::DeviceWhy(why) => *why,
        other => panic!("no explanation: {other:?}"),
    }
}

/// Counters equal a recount of the records.
fn assert_recounted(world: &World, id: DeploymentId, devices: &[&str]) {
    let records: Vec<RecordRow> = devices
        .iter()
        .filter_map(|device| world.record(id, device))
        .collect();
    let counts = world.view(id).counts;
    assert_eq!(recount(&records).counts(counts.members), counts);
}

#[test]
fn a_round_that_nobody_opened_is_refused_and_changes_nothing() {
    // bad-inputs row 85, S13
    let mut world = World::with_devices(&["d1", "d2"]);
    let id = world.deploy("fw@1.0.0");
    world.say("d1", done(1, id));
    world.say("d2", failed(1, id));
    let (view, record) = (world.view(id), world.record(id, "d1"));
    say_wrong(&mut world, "d1", in_round(7, failed(2, id)), Code::Round);
    let working = working(3, id, Step::Installing);
    say_wrong(&mut world, "d1", in_round(7, working), Code::Round);
    say_wrong(
        &mut world,
        "d1",
        in_round(u32::MAX, done(4, id)),
        Code::Round,
    );
    assert_eq!((world.view(id), world.record(id, "d1")), (view, record));
    assert_recounted(&world, id, &["d1", "d2"]);
    let shown = refused(&world, "d1").unwrap();
    assert_eq!((shown.code.as_str(), shown.count), ("E_ROUND", 3));
    assert_eq!(refused(&world, "d2"), None, "nobody else is shown it");
}

#[test]
fn a_device_that_lied_about_its_round_can_be_tried_again_and_the_deployment_settles() {
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    say_wrong(&mut world, "d1", in_round(9, failed(1, id)), Code::Round);
    assert_eq!(world.record(id, "d1"), None);
    world.say("d1", failed(2, id));
    assert!(world.view(id).settled);
    world.retry(id, Some(&["d1"]));
    assert!(world.may_start("d1") && !world.view(id).settled);
    world.say("d1", in_round(1, done(3, id)));
    let view = world.view(id);
    assert!(view.settled && view.counts.successful == 1, "{view:?}");
}

/// As of an attempt.
fn in_attempt(attempt: u32, mut status: DeviceStatus) -> DeviceStatus {
    if let Some(running) = &mut status.running {
        running.attempt = Attempt(attempt);
    }
    for outcome in &mut status.outcomes {
        outcome.attempt = Attempt(attempt);
    }
    status
}

#[test]
fn an_attempt_above_those_of_the_policy_is_believed_and_keeps_no_outcome_away() {
    // S9: a script that says "later" after its install makes an honest device count further.
    let mut world = World::with_devices(&["d1", "d2"]);
    let id = world.deploy_as(Deploy {
        attempts: Some(1),
        ..deploy("fw@1.0.0")
    });
    let honest = in_attempt(5, working(1, id, Step::Installing));
    assert!(!rejects(&world.say("d1", honest), Code::Regress));
    assert_eq!(world.item(id, "d1").attempt, Some(5));
    world.say("d1", in_attempt(5, done(2, id)));
    // One that lies gains nothing by it, and takes nothing from others.
    let lie = working(1, id, Step::Installing);
    world.say("d2", in_attempt(u32::MAX, lie));
    let back = working(2, id, Step::Downloaded);
    say_wrong(&mut world, "d2", in_attempt(1, back), Code::Regress);
    world.say("d2", in_attempt(1, failed(3, id)));
    let view = world.view(id);
    assert!(view.settled);
    assert_eq!((view.counts.successful, view.counts.failed), (1, 1));
    assert_recounted(&world, id, &["d1", "d2"]);
    world.retry(id, Some(&["d2"]));
    world.say("d2", in_round(1, done(4, id)));
    assert_eq!(world.view(id).counts.successful, 2);
}

#[test]
fn a_round_opened_for_one_device_is_no_round_of_another() {
    let mut world = World::with_devices(&["d1", "d2"]);
    let id = world.deploy("fw@1.0.0");
    world.say("d1", failed(1, id));
    world.say("d2", failed(1, id));
    world.retry(id, Some(&["d1"]));
    say_wrong(&mut world, "d2", in_round(1, done(2, id)), Code::Round);
    world.say("d1", in_round(1, done(2, id)));
    let counts = world.view(id).counts;
    assert_eq!((counts.successful, counts.failed), (1, 1));
}

#[test]
fn a_round_that_was_opened_counts_whatever_became_of_the_device_and_its_group() {
    // S14: it had begun before it heard that it was moved.
    let mut world = World::with_devices(&["d1", "d2"]);
    world.create_group("us");
    let id = world.deploy("fw@1.0.0");
    for device in ["d1", "d2"] {
        world.say(device, failed(1, id));
        world.retry(id, Some(&[device]));
    }
    world.move_to("d1", "us");
    assert_eq!(world.device_spec("d1").rounds, []);
    world.say("d1", in_round(1, done(2, id)));
    world.remove("d2");
    world.add_device("d2");
    world.say("d2", in_round(2, done(2, id)));
    for (device, round) in [("d1", 1), ("d2", 2)] {
        let record = world.record(id, device).unwrap();
        assert_eq!(record.round, Round(round), "{device}");
        assert!(matches!(record.state, RecordState::Successful(_)));
    }
}

#[test]
fn a_device_that_counts_from_one_again_is_asked_and_its_next_words_count() {
    // bad-inputs rows 28 and 85
    let mut world = World::with_devices(&["d1", "d2"]);
    let id = world.deploy("fw@1.0.0");
    world.say("d1", working(40, id, Step::Downloaded));
    let calls = world.resync("d1");
    count_again(&mut world, "d1", working(1, id, Step::Installing));
    let step = world.record(id, "d1").unwrap().state;
    assert_eq!(step, RecordState::InProgress(Step::Downloaded));
    assert_eq!(world.resync("d1"), calls + 1);
    assert_eq!(refused(&world, "d1").unwrap().code, "E_SEQ");
    world.say("d1", done(2, id));
    assert_eq!(world.view(id).counts.successful, 1);
    assert_recounted(&world, id, &["d1", "d2"]);
}

#[test]
fn what_the_broker_keeps_may_overtake_what_is_on_its_way_and_nothing_is_refused() {
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    world.keeps("d1", working(7, id, Step::Installing));
    let effects = world.say("d1", working(6, id, Step::Downloaded));
    assert!(!rejects(&effects, Code::Seq), "{effects:?}");
    let effects = world.keeps("d1", working(7, id, Step::Installing));
    assert_eq!(effects, [Effect::Duplicate]);
    assert_eq!((refused(&world, "d1"), world.resync("d1")), (None, 0));
    let state = world.record(id, "d1").unwrap().state;
    assert_eq!(state, RecordState::InProgress(Step::Installing));
}

#[test]
fn a_report_that_does_not_decode_is_over_when_the_device_answers() {
    let mut world = World::with_devices(&["d1"]);
    world.deploy("fw@1.0.0");
    world.heard("d1", PresenceState::Online, 1);
    world.say(
        "d1",
        DeviceStatus {
            seq: Seq(1),
            ..DeviceStatus::default()
        },
    );
    for _ in 0..3 {
        let effects = world.tell(Input::Refused {
            device: Some("d1".parse().unwrap()),
            code: Code::Decode,
        });
        count_refusals(&mut world, &effects);
        world.pass(10 * 60_000);
    }
    assert_eq!(world.resync("d1"), 1, "asked once what it meant");
    assert_eq!(why(&world, "d1").deployments[0].why, Why::ReportRefused);
    world.say(
        "d1",
        DeviceStatus {
            seq: Seq(2),
            ..DeviceStatus::default()
        },
    );
    assert_eq!(why(&world, "d1").deployments[0].why, Why::Starts);
}

#[test]
fn two_devices_that_count_each_by_itself_call_the_roll_once_a_minute() {
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    for round in 0..20 {
        world.say("d1", working(100 + round, id, Step::Downloaded));
        let other = working(1 + round, id, Step::Downloaded);
        count_again(&mut world, "d1", other);
    }
    assert_eq!(world.resync("d1"), 1);
    assert_eq!(refused(&world, "d1").unwrap().count, 20);
}

#[test]
fn why_says_that_the_last_report_was_refused_until_one_is_taken_in() {
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    world.heard("d1", PresenceState::Online, 1);
    assert_eq!(why(&world, "d1").deployments[0].why, Why::Starts);
    for (code, status) in [
        (Code::Deployment, done(1, DeploymentId(99))),
        (Code::Round, in_round(3, done(2, id))),
    ] {
        say_wrong(&mut world, "d1", status, code);
        let why = why(&world, "d1");
        let it = &why.deployments[0];
        assert_eq!(it.why, Why::ReportRefused, "{code}");
        assert!(it.says.contains(code.as_str()), "{}", it.says);
        assert_eq!(why.refused.unwrap().code, code.as_str());
    }
    world.say(
        "d1",
        DeviceStatus {
            seq: Seq(3),
            ..DeviceStatus::default()
        },
    );
    let after = why(&world, "d1");
    assert_eq!(after.deployments[0].why, Why::Starts);
    assert_eq!(
        after.refused.unwrap().code,
        "E_ROUND",
        "it stays to be seen"
    );
}

#[test]
fn what_does_not_decode_or_verify_is_seen_too() {
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    world.heard("d1", PresenceState::Online, 1);
    let device: DeviceId = "d1".parse().unwrap();
    let unsigned = Input::Status {
        device: device.clone(),
        status: done(1, id),
        evidence: SignatureEvidence::Absent,
        delivered: Delivered::Live,
    };
    let malformed = Input::Refused {
        device: Some(device),
        code: Code::Decode,
    };
    for (input, code) in [(unsigned, "E_SIG"), (malformed, "E_DECODE")] {
        let effects = world.tell(input);
        count_refusals(&mut world, &effects);
        world.pass(1);
        assert_eq!(refused(&world, "d1").unwrap().code, code);
        let it = &why(&world, "d1").deployments[0];
        assert_ne!(it.why, Why::Starts, "{code}");
    }
}

#[test]
fn nothing_is_kept_of_a_device_that_is_not_registered() {
    // bad-inputs row 24
    let mut world = World::with_devices(&["d1"]);
    let effects = world.say("ghost", DeviceStatus::default());
    assert!(rejects(&effects, Code::Unknown));
    count_refusals(&mut world, &effects);
    let key = |device: &str| RefusedKey(device.parse().unwrap());
    assert_eq!(world.rows.read(&key("ghost")).unwrap(), None);
    let nowhere = done(1, DeploymentId(99));
    say_wrong(&mut world, "d1", nowhere, Code::Deployment);
    assert!(world.rows.read(&key("d1")).unwrap().is_some());
    world.remove("d1");
    assert_eq!(world.rows.read(&key("d1")).unwrap(), None);
}
