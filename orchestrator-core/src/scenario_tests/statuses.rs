use proptest::prelude::*;

use super::*;

#[test]
fn repeated_and_older_statuses_change_nothing() {
    // bad-inputs rows 26 and 27, W7
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    world.say("d1", working(5, id, Step::Installing));
    let before = world.record(id, "d1");
    let repeated = world.say("d1", working(5, id, Step::Downloaded));
    assert_eq!(repeated, [Effect::Duplicate]);
    for seq in [5, 4, 0] {
        let effects = world.tell(Input::Status {
            device: "d1".parse().unwrap(),
            status: working(seq, id, Step::Downloaded),
            evidence: SignatureEvidence::Valid,
            delivered: Delivered::Again,
        });
        assert_eq!(effects, [Effect::Duplicate]);
    }
    assert_eq!(world.record(id, "d1"), before);
}

#[test]
fn a_final_outcome_never_regresses_in_its_round() {
    // bad-inputs row 33, S13
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    world.say("d1", done(1, id));
    assert!(rejects(
        &world.say("d1", working(2, id, Step::Installing)),
        Code::Regress
    ));
    assert!(rejects(&world.say("d1", failed(3, id)), Code::Regress));
    assert_eq!(world.view(id).counts.successful, 1);
    assert_eq!(world.view(id).counts.failed, 0);
}

#[test]
fn a_device_may_go_from_pending_to_successful_at_once() {
    // bad-inputs row 34
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    world.say("d1", done(1, id));
    assert_eq!(world.view(id).counts.successful, 1);
}

#[test]
fn an_outcome_is_counted_once_however_often_the_ring_repeats_it() {
    // S15
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    for seq in 1..5 {
        world.say("d1", failed(seq, id));
    }
    assert_eq!(world.view(id).counts.failed, 1);
    assert_eq!(world.view(id).failures[0].reason, Reason::ScriptFailed);
    let device = world.rows.read(&DeviceKey("d1".parse().unwrap())).unwrap();
    assert_eq!(device.unwrap().recorded, 1);
}

#[test]
fn an_unsigned_outcome_is_no_outcome_and_asks_for_a_resync() {
    // bad-inputs row 22, W5
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    for evidence in [SignatureEvidence::Absent, SignatureEvidence::Invalid] {
        let effects = world.tell(Input::Status {
            device: "d1".parse().unwrap(),
            status: done(1, id),
            evidence,
            delivered: Delivered::Live,
        });
        assert!(rejects(&effects, Code::Signature));
    }
    assert_eq!(world.record(id, "d1"), None);
    assert_eq!(world.resync("d1"), 1, "asked once a minute, not in a loop");
    // The same status counts once it verifies.
    world.say("d1", done(1, id));
    assert_eq!(world.view(id).counts.successful, 1);
}

#[test]
fn statuses_of_unknown_devices_and_deployments_are_refused() {
    // bad-inputs rows 24 and 32
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    assert!(rejects(&world.say("ghost", done(1, id)), Code::Unknown));
    let nowhere = DeploymentId(99);
    assert!(rejects(
        &world.say("d1", done(1, nowhere)),
        Code::Deployment
    ));
    world.order(Command::DeviceAdd(DeviceAdd {
        device: "far".into(),
        ..DeviceAdd::default()
    }));
    assert!(rejects(&world.say("far", done(1, id)), Code::Deployment));
}

#[test]
fn a_cleared_status_changes_nothing() {
    // bad-inputs row 15
    let mut world = World::with_devices(&["d1"]);
    let effects = world.tell(Input::StatusCleared {
        device: "d1".parse().unwrap(),
    });
    assert_eq!(effects, []);
}

#[test]
fn a_silent_device_is_asked_before_it_is_failed_and_its_word_wins() {
    // S7, bad-inputs row 35
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy_as(Deploy {
        timeout_secs: Some(100),
        ..deploy("fw@1.0.0")
    });
    world.say("d1", working(1, id, Step::Installing));
    world.pass(100_000 + GRACE_MS);
    world.fire_due();
    assert_eq!(world.resync("d1"), 1);
    assert_eq!(world.view(id).counts.in_progress, 1);
    world.pass(GRACE_MS);
    world.fire_due();
    assert_eq!(world.record(id, "d1").unwrap().state, RecordState::TimedOut);
    assert_eq!(world.view(id).failures[0].reason, Reason::TimedOut);
    world.say("d1", done(2, id));
    let record = world.record(id, "d1").unwrap();
    assert!(record.late);
    let counts = world.view(id).counts;
    assert_eq!((counts.failed, counts.successful), (0, 1));
}

#[test]
fn an_answer_to_the_question_arms_the_timer_again() {
    // S7
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy_as(Deploy {
        timeout_secs: Some(100),
        ..deploy("fw@1.0.0")
    });
    world.say("d1", working(1, id, Step::Installing));
    world.pass(100_000 + GRACE_MS);
    world.fire_due();
    world.say("d1", working(2, id, Step::Installing));
    world.pass(GRACE_MS);
    world.fire_due();
    assert_eq!(world.view(id).counts.in_progress, 1);
}

#[test]
fn no_timeout_fires_while_disconnected_or_just_reconnected() {
    // S7, bad-inputs row 41
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    world.say("d1", working(1, id, Step::Installing));
    world.now.unix_ms += 30 * 86_400_000;
    world.fire_due();
    assert_eq!(world.resync("d1"), 0, "only connected uptime counts");
    world.pass(86_400_000 + GRACE_MS);
    world.tell(Input::Connected);
    world.fire_due();
    assert_eq!(world.resync("d1"), 0, "devices get time to report");
    world.pass(SETTLE_MS);
    world.fire_due();
    assert_eq!(world.resync("d1"), 1);
}

#[test]
fn a_late_death_does_not_beat_a_newer_birth() {
    // W8
    let mut world = World::with_devices(&["d1"]);
    let tell = |world: &mut World, state, session| {
        world.tell(Input::Presence {
            device: "d1".parse().unwrap(),
            presence: Presence {
                state,
                session: SessionCounter(session),
            },
            delivered: Delivered::Live,
        });
        let key = GroupCountKey("eu".parse().unwrap());
        world.rows.read(&key).unwrap().unwrap().online
    };
    assert_eq!(tell(&mut world, PresenceState::Online, 1), 1);
    assert_eq!(tell(&mut world, PresenceState::Online, 2), 1);
    assert_eq!(tell(&mut world, PresenceState::Offline, 1), 1);
    assert_eq!(tell(&mut world, PresenceState::Offline, 2), 0);
    assert_eq!(tell(&mut world, PresenceState::Online, 2), 0);
    assert_eq!(tell(&mut world, PresenceState::Online, 3), 1);
}

#[test]
fn the_first_key_is_pinned_and_another_is_refused() {
    // bad-inputs row 36
    let mut world = World::with_devices(&["d1"]);
    let show = |world: &mut World, key: u8| {
        world.tell(Input::Info {
            device: "d1".parse().unwrap(),
            info: Box::new(DeviceInfo {
                public_key: Some(PublicKey([key; 32])),
                ..DeviceInfo::default()
            }),
        })
    };
    let pinned = show(&mut world, 1);
    assert!(matches!(pinned[..], [Effect::DeviceSpecChanged(_)]));
    assert!(rejects(&show(&mut world, 2), Code::Reenrol));
    let row = world.rows.read(&DeviceKey("d1".parse().unwrap())).unwrap();
    assert_eq!(row.unwrap().public_key, Some(PublicKey([1; 32])));
}

#[test]
fn a_key_on_offer_is_forgotten_once_the_device_of_the_pinned_one_speaks() {
    // W4: a device shows its key only while its spec has another or none.
    let mut world = World::with_devices(&["d1"]);
    let show = |world: &mut World, key: Option<u8>| {
        world.tell(Input::Info {
            device: "d1".parse().unwrap(),
            info: Box::new(DeviceInfo {
                public_key: key.map(|key| PublicKey([key; 32])),
                ..DeviceInfo::default()
            }),
        })
    };
    let offered = |world: &World| world.device_row("d1").offered_key;
    let told = |effects: &[Effect]| {
        let changed = |effect: &Effect| {
            matches!(
                effect,
                Effect::Event(crate::model::effect::Event::DeviceKeyChanged { .. })
            )
        };
        effects.iter().any(changed)
    };
    show(&mut world, Some(1));
    for withdrawn in [Some(1), None] {
        assert!(told(&show(&mut world, Some(2))));
        assert_eq!(offered(&world), Some(PublicKey([2; 32])));
        assert!(!told(&show(&mut world, Some(2))), "told once");
        show(&mut world, withdrawn);
        assert_eq!(offered(&world), None, "withdrawn by {withdrawn:?}");
    }
    assert_eq!(
        world.device_row("d1").public_key,
        Some(PublicKey([1; 32])),
        "it stays pinned"
    );
}

#[test]
fn a_decision_that_misses_rows_writes_nothing() {
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    let input = Input::Status {
        device: "d1".parse().unwrap(),
        status: done(1, id),
        evidence: SignatureEvidence::Valid,
        delivered: Delivered::Live,
    };
    let mut txn = Txn::default();
    let mut misses = 0;
    while let Err(Undecided::Missing(keys)) =
        crate::engine::decide::decide(&mut txn, &input, world.now)
    {
        assert_eq!(txn.writes(), []);
        misses += 1;
        // One row at a time, so that every possible miss happens.
        world
            .rows
            .load(&mut txn, keys.into_iter().take(1).collect());
    }
    assert!(misses > 3);
    assert!(!txn.writes().is_empty());
}

/// What a device can be made to say; seq is given by its place.
fn status() -> impl Strategy<Value = (usize, DeviceStatus, bool)> {
    let step = prop_oneof![
        Just(Step::Downloading(10)),
        Just(Step::Downloaded),
        Just(Step::Installing),
        Just(Step::Retrying),
    ];
    let status = prop_oneof![
        (step, 1u32..3).prop_map(|(step, id)| working(0, DeploymentId(id), step)),
        (1u32..3).prop_map(|id| done(0, DeploymentId(id))),
        (1u32..3).prop_map(|id| failed(0, DeploymentId(id))),
        Just(DeviceStatus::default()),
    ];
    (0usize..4, status, any::<bool>())
}

fn stored_totals(world: &World, id: DeploymentId) -> Totals {
    let mut totals = Totals::default();
    for (_, bytes) in world.rows.scan(&Prefix::Counters(id).bytes()) {
        totals.add(&hoist_protocol::codec::decode(bytes).unwrap());
    }
    totals
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn counters_equal_a_recount_and_timers_the_records_in_progress(
        said in proptest::collection::vec(status(), 0..40),
    ) {
        let devices = ["d1", "d2", "d3", "d4"];
        let mut world = World::with_devices(&devices);
        world.add_release("other", "1", &["thing"]);
        world.deploy("fw@1.0.0");
        world.deploy("other@1");
        for (place, (device, mut status, wait)) in said.into_iter().enumerate() {
            status.seq = Seq(u64::try_from(place).unwrap() + 1);
            world.say(devices[device], status.clone());
            let rows = world.rows.clone();
            // Redelivery changes nothing.
            world.say(devices[device], status);
            prop_assert!(rows.scan(&Key(vec![])).eq(world.rows.scan(&Key(vec![]))));
            if wait {
                world.pass(50_000_000);
                world.fire_due();
            }
        }
        let mut in_progress = 0;
        for id in [DeploymentId(1), DeploymentId(2)] {
            let rows = world.rows.scan(&Prefix::Records(id).bytes());
            let records: Vec<RecordRow> = rows
                .map(|(_, bytes)| hoist_protocol::codec::decode(bytes).unwrap())
                .collect();
            let mut totals = stored_totals(&world, id);
            totals.failed.retain(|_, count| *count > 0);
            prop_assert_eq!(totals, recount(&records));
            in_progress += records.iter().filter(|record| record.due_ms.is_some()).count();
            let timed = records.iter().all(|record| {
                record.due_ms.is_some() == matches!(record.state, RecordState::InProgress(_))
            });
            prop_assert!(timed);
        }
        let far = Now { uptime_ms: u64::MAX, ..Now::default() };
        let timers = world.rows.due(far, usize::MAX);
        let devices = timers.iter().filter(|t| matches!(t.kind, TimerKind::Device(..)));
        prop_assert_eq!(devices.count(), in_progress);
    }
}
