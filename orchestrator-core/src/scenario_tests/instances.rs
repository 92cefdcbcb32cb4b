//! Several orchestrators on one store: whatever they decide at the same time about different things,
//! neither writes a row of the other.

use std::collections::BTreeSet;

use super::*;
use crate::engine::decide::decide;
use crate::model::instance::InstanceId;
use crate::model::key::{AuditHeadKey, EventHeadKey, InstanceKey, NumbersKey, RowKey};
use crate::model::txn::Write;

const OTHER: InstanceId = InstanceId(1);

/// What an orchestrator decides on the rows of now, with what every batch carries.
fn decided(world: &World, instance: InstanceId, inputs: &[Input]) -> Vec<Write> {
    let mut txn = Txn::of(instance);
    for input in inputs.iter().chain([&Input::Uptime]) {
        while let Err(undecided) = decide(&mut txn, input, world.now) {
            match undecided {
                Undecided::Missing(keys) => world.rows.load(&mut txn, keys),
                Undecided::Damaged(damage) => panic!("{damage}"),
            }
        }
    }
    txn.writes()
}

/// The rows written, but those of the audit trail and of the history of events: each is one for all,
/// and of two decisions that come at once the second is made again.
fn keys(writes: &[Write]) -> BTreeSet<Key> {
    let heads = [AuditHeadKey.key(), EventHeadKey.key()];
    let items = [Prefix::Audit.bytes(), Prefix::Events.bytes()];
    let is_history =
        |key: &Key| heads.contains(key) || items.iter().any(|item| key.0.starts_with(&item.0));
    let keys = writes.iter().map(|write| write.key.clone());
    keys.filter(|key| !is_history(key)).collect()
}

fn two_groups() -> World {
    let mut world = World::with_devices(&["d1"]);
    world.create_group("us");
    world.order(Command::DeviceAdd(DeviceAdd {
        device: "u1".into(),
        group: Some("us".into()),
        ..DeviceAdd::default()
    }));
    world
}

fn deploys(world: &mut World, group: &str) -> Input {
    let deploy = Deploy {
        group: Some(group.into()),
        ..deploy("fw@1.0.0")
    };
    Input::Command(Box::new(world.input(Command::Deploy(deploy))))
}

fn says(device: &str, status: DeviceStatus) -> Input {
    Input::Status {
        device: device.parse().unwrap(),
        status,
        evidence: SignatureEvidence::Valid,
        delivered: Delivered::Live,
    }
}

fn numbers(world: &World) -> Vec<u32> {
    let prefix = Prefix::Deployments;
    let rows = world.rows.scan(&prefix.bytes());
    rows.map(|(key, _)| prefix.deployment(key).unwrap().0)
        .collect()
}

#[test]
fn two_orchestrators_that_decide_about_different_groups_write_no_row_of_each_other() {
    let mut world = two_groups();
    world.add_release("fw", "1.1.0", &["app"]);
    for (instance, group) in [(InstanceId::MAIN, "eu"), (OTHER, "us")] {
        let deploys = deploys(&mut world, group);
        let writes = decided(&world, instance, &[deploys]);
        assert!(keys(&writes).contains(&NumbersKey.key()));
        world.rows.commit(&writes);
    }
    assert_eq!(numbers(&world), [1, 17], "each has numbers of its own");
    let again = |world: &mut World, group: &str| {
        let deploy = Deploy {
            group: Some(group.into()),
            ..deploy("fw@1.1.0")
        };
        Input::Command(Box::new(world.input(Command::Deploy(deploy))))
    };
    let first = [
        says("d1", done(1, DeploymentId(1))),
        again(&mut world, "eu"),
    ];
    let second = [
        says("u1", done(1, DeploymentId(17))),
        again(&mut world, "us"),
    ];
    let first = decided(&world, InstanceId::MAIN, &first);
    let second = decided(&world, OTHER, &second);
    let both = keys(&first).intersection(&keys(&second)).count();
    assert_eq!(both, 0, "{:?} {:?}", keys(&first), keys(&second));
    world.rows.commit(&first);
    world.rows.commit(&second);
    assert_eq!(numbers(&world), [1, 2, 17, 18]);
}

#[test]
fn a_number_that_another_orchestrator_may_give_is_left_to_it() {
    let mut world = two_groups();
    for (instance, group) in [(InstanceId::MAIN, "eu"), (OTHER, "us")] {
        let deploys = deploys(&mut world, group);
        world.rows.commit(&decided(&world, instance, &[deploys]));
    }
    world.add_release("fw", "1.1.0", &["app"]);
    // Of the other's, of its own, and of nobody's.
    for (seq, number, next) in [(1, 20, 2), (2, 5, 6), (3, 40, 41)] {
        world.say("d1", done(seq, DeploymentId(number)));
        let mut copy = World {
            rows: world.rows.clone(),
            ..World::with_devices(&[])
        };
        copy.requests = 1_000;
        assert_eq!(copy.deploy("fw@1.1.0"), DeploymentId(next));
    }
}

#[test]
fn a_store_of_before_there_could_be_others_goes_on_with_its_numbers_and_clocks() {
    let mut world = World::with_devices(&["d1"]);
    let key = InstanceKey::MAIN.key();
    assert_eq!(key, Key(vec![1]));
    // Version 3: last deployment 17, connected for 300 ms.
    let bytes = vec![3, 17, 0xac, 2, 2, 4, 7, 0xac, 2, 5, 4];
    world.rows.commit(&[Write {
        key,
        expected: None,
        bytes: Some(bytes),
    }]);
    let row = world.rows.read(&InstanceKey::MAIN).unwrap().unwrap();
    assert_eq!((row.uptime_ms, row.broker_run, row.asked_run), (300, 4, 4));
    assert_eq!(world.deploy("fw@1.0.0"), DeploymentId(18));
    let numbers = world.rows.read(&NumbersKey).unwrap().unwrap();
    assert_eq!(numbers.reserved, DeploymentId(33));
}
