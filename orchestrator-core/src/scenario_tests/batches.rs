use super::*;

#[test]
fn decisions_of_one_batch_see_each_other_and_a_miss_takes_back_only_its_own() {
    let mut world = World::with_devices(&["d1", "d2"]);
    let id = world.deploy("fw@1.0.0");
    let status = |device: &str, status| Input::Status {
        device: device.parse().unwrap(),
        status,
        evidence: SignatureEvidence::Valid,
        delivered: Delivered::Live,
    };
    let first = status("d1", working(1, id, Step::Installing));
    let second = status("d1", done(2, id));
    let unloaded = status("d2", done(1, id));

    let mut txn = Txn::default();
    let decide_loading = |txn: &mut Txn, input: &Input| {
        while let Err(Undecided::Missing(keys)) =
            crate::engine::decide::decide(txn, input, world.now)
        {
            world.rows.load(txn, keys);
        }
    };
    decide_loading(&mut txn, &first);
    decide_loading(&mut txn, &second);
    let before = txn.writes();
    assert!(crate::engine::decide::decide(&mut txn, &unloaded, world.now).is_err());
    assert_eq!(txn.writes(), before);

    world.rows.commit(&txn.writes());
    let counts = world.view(id).counts;
    assert_eq!((counts.in_progress, counts.successful), (0, 1));
}

#[test]
fn a_write_expects_the_generation_that_was_read() {
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    let input = Input::Status {
        device: "d1".parse().unwrap(),
        status: done(1, id),
        evidence: SignatureEvidence::Valid,
        delivered: Delivered::Live,
    };
    let mut txn = Txn::default();
    while let Err(Undecided::Missing(keys)) =
        crate::engine::decide::decide(&mut txn, &input, world.now)
    {
        world.rows.load(&mut txn, keys);
    }
    let device = crate::model::key::RowKey::key(&DeviceKey("d1".parse().unwrap()));
    let record = crate::model::key::RowKey::key(&RecordKey(id, "d1".parse().unwrap()));
    let expected = |key: &Key| {
        let writes = txn.writes();
        writes
            .iter()
            .find(|write| write.key == *key)
            .unwrap()
            .expected
    };
    assert!(expected(&device).is_some());
    assert_eq!(expected(&record), None);
}

#[test]
fn a_corrupt_row_is_named_and_nothing_is_written() {
    // bad-inputs row 62
    let world = World::with_devices(&["d1"]);
    let input = Input::Presence {
        device: "d1".parse().unwrap(),
        presence: Presence {
            state: PresenceState::Online,
            session: SessionCounter(1),
        },
        delivered: Delivered::Live,
    };
    let key = crate::model::key::RowKey::key(&DeviceKey("d1".parse().unwrap()));
    let mut txn = Txn::default();
    let bytes = vec![99, 1, 2];
    txn.load(
        key.clone(),
        Some(crate::model::txn::Stored {
            generation: 1,
            bytes,
        }),
    );
    let decided = crate::engine::decide::decide(&mut txn, &input, world.now);
    assert!(matches!(decided, Err(Undecided::Damaged(damage)) if *damage.key() == key));
    assert_eq!(txn.writes(), []);
}
