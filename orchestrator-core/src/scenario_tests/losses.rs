//! Rows that are lost though others say that they must be there: the decisions that need them stop,
//! and the others go on.

use super::*;
use crate::api::command::{DeploymentShow, DeviceRevoke, DeviceWhy};
use crate::api::commands::group_remove::GroupRemove;
use crate::model::damage::Damage;
use crate::model::key::{GroupKey, OutboxKey, RowKey, SlotKey};
use crate::model::row::OutboxRow;
use crate::model::row::Revocation;
use crate::model::txn::Write;

/// Takes a row away behind the rules' back.
fn lose(world: &mut World, key: &impl RowKey) {
    let key = key.key();
    assert!(world.rows.stored(std::slice::from_ref(&key))[0].is_some());
    world.rows.commit(&[Write {
        key,
        expected: None,
        bytes: None,
    }]);
}

/// The row for lack of which nothing was decided, and nothing was written.
fn stopped_by(world: &mut World, input: &Input) -> String {
    let before = world.rows.clone();
    let all = |rows: &MemoryRows| {
        let rows = rows.scan(&Key(Vec::new()));
        rows.map(|(key, bytes)| (key.clone(), bytes.to_vec()))
            .collect::<Vec<_>>()
    };
    let decided = world.rows.decide(input, world.now);
    assert_eq!(all(&world.rows), all(&before));
    match decided {
        Err(Undecided::Damaged(Damage::Lost { key })) => key.to_string(),
        other => panic!("{other:?}"),
    }
}

/// The damage is told, and the decision was made.
fn told(effects: &Effects, row: &str) {
    let damaged = |effect: &Effect| matches!(effect, Effect::Damaged(damage) if damage.key().to_string() == row);
    assert!(effects.iter().any(damaged), "{effects:?}");
}

fn ordered(world: &mut World, command: Command) -> Input {
    Input::Command(Box::new(world.input(command)))
}

/// To the group `us`.
fn moved(device: &str) -> Command {
    Command::DeviceMove(DeviceMove {
        device: Some(device.into()),
        group: "us".into(),
        ..DeviceMove::default()
    })
}

fn stop(id: DeploymentId) -> Command {
    Command::Abort(Abort {
        deployment: id.0,
        reason: None,
        dry_run: false,
    })
}

/// Everything that a deployment of the group `eu` is about, and another group.
fn two_groups() -> (World, DeploymentId) {
    let mut world = World::with_devices(&["d1", "d2"]);
    world.add_release("tool", "1.0.0", &["tool"]);
    world.create_group("us");
    world.order(Command::DeviceAdd(DeviceAdd {
        device: "u1".into(),
        group: Some("us".into()),
        ..DeviceAdd::default()
    }));
    let id = world.deploy_as(Deploy {
        complete_when: Some(CompleteWhen::AllSuccessful),
        ..deploy("fw@1.0.0")
    });
    world.say("d1", done(1, id));
    (world, id)
}

/// Nothing of the group `us` is in the way.
fn goes_on(world: &mut World) {
    let id = world.deploy_as(Deploy {
        group: Some("us".into()),
        ..deploy("tool@1.0.0")
    });
    world.say("u1", done(1, id));
    assert_eq!(world.view(id).counts.successful, 1);
}

#[test]
fn a_group_that_is_lost_is_named_and_no_empty_one_takes_its_place() {
    // bad-inputs row 62
    let (mut world, id) = two_groups();
    lose(&mut world, &GroupKey("eu".parse().unwrap()));
    let aborts = ordered(&mut world, stop(id));
    assert_eq!(stopped_by(&mut world, &aborts), "group eu");
    let moves = ordered(&mut world, moved("d1"));
    assert_eq!(stopped_by(&mut world, &moves), "group eu");
    // What a device says of itself needs no group, only the end of the deployment does.
    told(&world.say("d2", done(1, id)), "group eu");
    assert_eq!(world.view(id).counts.successful, 2);
    let why = Command::DeviceWhy(DeviceWhy {
        device: "d2".into(),
        deployment: None,
    });
    let answer = world
        .rows
        .query(|reader| why.answer(reader, &alice(), world.now));
    assert!(matches!(answer, Err(Undecided::Damaged(_))), "{answer:?}");
    goes_on(&mut world);
}

#[test]
fn a_deployment_that_is_lost_is_named_wherever_its_group_its_timer_or_a_record_tells_of_it() {
    // bad-inputs row 62
    let (mut world, id) = two_groups();
    let start = crate::model::time::format_time(world.now.unix_ms + 60_000);
    let waits = world.deploy_as(Deploy {
        start: Some(start),
        ..deploy("tool@1.0.0")
    });
    lose(&mut world, &DeploymentKey(id));
    lose(&mut world, &DeploymentKey(waits));
    told(
        &world.say("d1", working(2, id, Step::Installing)),
        "deployment 1",
    );
    world.pass(60_000);
    let due = world.rows.due(world.now, usize::MAX).into_iter();
    let starts = due.filter(|timer| timer.kind == TimerKind::Start(waits));
    let stops: Vec<String> = starts
        .map(|timer| stopped_by(&mut world, &Input::TimerDue(timer)))
        .collect();
    assert_eq!(stops, ["deployment 2"]);
    goes_on(&mut world);
}

#[test]
fn a_device_is_removed_and_moved_whatever_deployment_of_its_group_is_lost() {
    // bad-inputs row 62: it may be a stolen one
    let (mut world, id) = two_groups();
    let limited = world.deploy_as(Deploy {
        limit: Some(Limit {
            devices: Some(5),
            until: None,
        }),
        ..deploy("tool@1.0.0")
    });
    lose(&mut world, &DeploymentKey(id));
    let stolen = ordered(
        &mut world,
        Command::DeviceRemove(DeviceRemove {
            device: "d1".into(),
            waiting_only: false,
            dry_run: false,
        }),
    );
    told(&world.tell(stolen), "deployment 1");
    let moved = ordered(&mut world, moved("d2"));
    told(&world.tell(moved), "deployment 1");
    assert_eq!(world.device_row("d2").group.as_str(), "us");
    assert_eq!(world.rows.read(&DeviceKey("d1".parse().unwrap())), Ok(None));
    // The slots of the other one go along.
    for device in ["d1", "d2"] {
        let slot = world.rows.read(&SlotKey(limited, device.parse().unwrap()));
        assert!(slot.unwrap().is_some(), "{device}");
    }
}

#[test]
fn a_group_that_was_removed_is_no_loss_to_what_is_left_of_it() {
    let (mut world, id) = two_groups();
    world.abort(id);
    for device in ["d1", "d2"] {
        world.move_to(device, "us");
    }
    let removed = world.order(Command::GroupRemove(GroupRemove {
        group: "eu".into(),
        dry_run: false,
    }));
    assert_eq!(refusal(&removed), None);
    let show = Command::DeploymentShow(DeploymentShow { deployment: id.0 });
    match world.answer(&show) {
        ResultBody::Deployment(shown) => assert_eq!(shown.view.counts.successful, 1),
        other => panic!("{other:?}"),
    }
    world.answer(&Command::DeviceWhy(DeviceWhy {
        device: "d1".into(),
        deployment: None,
    }));
    world.say("d2", done(1, id));
    assert_eq!(world.view(id).counts.successful, 2, "it tells what it did");
}

/// A group with a deployment that is lost, and another one.
fn one_of_two_is_lost() -> (World, DeploymentId) {
    let (mut world, lost) = two_groups();
    let other = world.deploy_as(Deploy {
        limit: Some(Limit {
            devices: Some(5),
            until: None,
        }),
        ..deploy("tool@1.0.0")
    });
    lose(&mut world, &DeploymentKey(lost));
    (world, other)
}

#[test]
fn a_device_joins_a_group_and_is_let_go_there_whatever_deployment_of_it_is_lost() {
    // bad-inputs row 62
    let (mut world, other) = one_of_two_is_lost();
    let joins = ordered(
        &mut world,
        Command::DeviceMove(DeviceMove {
            device: Some("u1".into()),
            group: "eu".into(),
            ..DeviceMove::default()
        }),
    );
    told(&world.tell(joins), "deployment 1");
    assert_eq!(world.device_row("u1").group.as_str(), "eu");
    let mut row = world.device_row("u1");
    row.held = true;
    row.holds = vec![DeploymentId(1), other];
    let key = DeviceKey("u1".parse().unwrap());
    let before = world.rows.stored(&[key.key()])[0].clone().unwrap();
    world.rows.commit(&[Write {
        key: key.key(),
        expected: Some(before.generation),
        bytes: Some(hoist_protocol::codec::encode(&row)),
    }]);
    world.hold("u1", false);
    assert!(!world.device_row("u1").held);
    assert_eq!(world.device_row("u1").holds, [DeploymentId(1)]);
}

#[test]
fn a_deployment_begins_beside_one_that_is_lost() {
    // bad-inputs row 62
    let (mut world, lost) = two_groups();
    let start = crate::model::time::format_time(world.now.unix_ms + 60_000);
    let waits = world.deploy_as(Deploy {
        start: Some(start),
        ..deploy("tool@1.0.0")
    });
    lose(&mut world, &DeploymentKey(lost));
    let again = ordered(&mut world, Command::Deploy(deploy("fw@1.0.0")));
    told(&world.tell(again), "deployment 1");
    world.pass(60_000);
    told(&world.fire_due(), "deployment 1");
    let listed = world.listed();
    assert!(
        listed.contains(&waits) && !listed.contains(&lost),
        "{listed:?}"
    );
    assert_eq!(listed.len(), 2);
}

#[test]
fn what_a_device_says_of_other_deployments_counts_whatever_one_is_lost() {
    // S15, bad-inputs row 62
    let (mut world, other) = one_of_two_is_lost();
    let outcomes = |id| done(2, id).outcomes;
    let status = DeviceStatus {
        outcomes: [outcomes(DeploymentId(1)), outcomes(other)].concat(),
        ..done(2, other)
    };
    told(&world.say("d1", status), "deployment 1");
    assert_eq!(world.view(other).counts.successful, 1);
}

#[test]
fn a_device_of_a_group_that_is_lost_can_be_removed() {
    // bad-inputs row 62: it may be a stolen one
    let (mut world, _) = two_groups();
    lose(&mut world, &GroupKey("eu".parse().unwrap()));
    let stolen = ordered(
        &mut world,
        Command::DeviceRemove(DeviceRemove {
            device: "d1".into(),
            waiting_only: false,
            dry_run: false,
        }),
    );
    let effects = world.tell(stolen);
    told(&effects, "group eu");
    let device: DeviceId = "d1".parse().unwrap();
    for needed in [
        Effect::DeviceRevoked {
            device: device.clone(),
            until: Revocation {
                issue: 1,
                tokens: 0,
                certificates: 0,
                at_ms: world.now.unix_ms,
            },
        },
        Effect::DeviceSpecChanged(device.clone()),
    ] {
        assert!(effects.contains(&needed), "{effects:?}");
    }
    assert_eq!(world.rows.read(&DeviceKey(device)), Ok(None));
}

#[test]
fn a_device_of_a_group_that_is_lost_can_be_revoked_and_holds_up_nobody_else() {
    // bad-inputs row 62: it may be a stolen one
    let (mut world, _) = two_groups();
    lose(&mut world, &GroupKey("eu".parse().unwrap()));
    let stolen = ordered(
        &mut world,
        Command::DeviceRevoke(DeviceRevoke {
            device: "d1".into(),
            reason: Some("stolen".into()),
            dry_run: false,
        }),
    );
    let effects = world.tell(stolen);
    told(&effects, "group eu");
    let device: DeviceId = "d1".parse().unwrap();
    let is_out = |effect: &Effect| matches!(effect, Effect::DeviceRevoked { .. });
    assert!(effects.iter().any(is_out), "{effects:?}");
    assert!(effects.contains(&Effect::DeviceSpecChanged(device)));
    assert!(world.device_row("d1").revoked().is_some());
    // Others go on.
    let add = world.order(Command::DeviceAdd(DeviceAdd {
        device: "u2".into(),
        group: Some("us".into()),
        ..DeviceAdd::default()
    }));
    assert!(matches!(add, Answer::DeviceAdded { .. }), "{add:?}");
}

#[test]
fn a_device_is_told_whatever_group_that_it_left_is_lost() {
    // bad-inputs row 62
    let (mut world, _) = two_groups();
    lose(&mut world, &GroupKey("us".parse().unwrap()));
    let device: DeviceId = "d1".parse().unwrap();
    let (key, change) = (OutboxKey(device.clone()), 7);
    let row = OutboxRow {
        change,
        permits: true,
        left: vec!["us".parse().unwrap()],
    };
    world.rows.commit(&[Write {
        key: key.key(),
        expected: None,
        bytes: Some(hoist_protocol::codec::encode(&row)),
    }]);
    told(&world.tell(Input::SpecOut { device, change }), "group us");
    assert_eq!(world.rows.read(&key), Ok(None));
}
