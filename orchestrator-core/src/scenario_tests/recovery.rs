use hoist_protocol::envelope::PublicKey;
use hoist_protocol::id::{Generation, Resync};
use hoist_protocol::spec::HOLD_ALL;

use super::*;
use crate::model::key::{GroupCountKey, GroupKey};
use crate::model::now::Mode;

/// A server that lost everything, and what it had told its fleet.
fn lost(world: &World) -> World {
    let mut empty = World::with_devices(&[]);
    empty.rows = MemoryRows::default();
    empty.requests = 1_000;
    empty.now = Now {
        mode: Mode::Recovering,
        ..world.now
    };
    empty.tell(Input::Connected);
    empty
}

fn kept(world: &World, device: &str) -> Input {
    let spec = DeviceSpec {
        public_key: Some(PublicKey([7; 32])),
        ..world.device_spec(device)
    };
    Input::RecoverDevice {
        device: device.parse().unwrap(),
        spec: Box::new(spec),
        newer: true,
        shown: None,
    }
}

fn group(world: &World) -> Input {
    Input::RecoverGroup {
        group: "eu".parse().unwrap(),
        spec: Box::new(world.spec("eu")),
    }
}

fn over(world: &mut World) {
    world.tell(Input::RecoveryOver("eu".parse().unwrap()));
    world.now.mode = Mode::Serving;
}

#[test]
fn groups_devices_and_deployments_come_back_and_nothing_of_them_is_listed() {
    // bad-inputs row 66, W4
    let mut world = World::with_devices(&["d1", "d2"]);
    let id = world.deploy("fw@1.0.0");
    world.hold("d2", true);
    let mut empty = lost(&world);
    let release = Box::new(verified("fw", "1.0.0", &["app"]));
    empty.tell(Input::RecoverRelease(release));
    empty.tell(group(&world));
    for device in ["d1", "d2"] {
        let effects = empty.tell(kept(&world, device));
        let reads = Effect::ReadReports(device.parse().unwrap());
        assert!(effects.contains(&reads), "{effects:?}");
    }
    let row = empty.device_row("d1");
    assert_eq!(
        (row.group.as_str(), row.public_key),
        ("eu", Some(PublicKey([7; 32])))
    );
    assert_eq!(row.resync, Resync(world.resync("d1") + 1), "it is asked");
    assert_eq!(empty.device_spec("d2").holds, [HOLD_ALL]);
    empty.say("d1", done(9, id));
    empty.say("d2", failed(4, DeploymentId(7)));
    let view = empty.view(id);
    assert_eq!(
        (view.counts.successful, view.release.as_str()),
        (1, "fw@1.0.0")
    );
    over(&mut empty);
    assert_eq!(empty.view(id).state, DeploymentState::Aborted);
    assert_eq!(empty.view(id).reason, Some(EndReason::Recovered.into()));
    assert_eq!(empty.listed(), []);
    assert_eq!(empty.view(DeploymentId(7)).counts.failed, 1);
    assert_eq!(
        empty.deploy("fw@1.0.0"),
        DeploymentId(8),
        "above every number that was reported"
    );
}

#[test]
fn while_the_fleet_is_asked_nothing_is_changed_by_operators() {
    let world = World::with_devices(&["d1"]);
    let mut empty = lost(&world);
    match empty.create_group("us") {
        Answer::Refused(refusal) => assert_eq!(refusal.code, Code::Recover),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_brought_back_twice_is_there_once() {
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    let mut empty = lost(&world);
    for _ in 0..2 {
        empty.tell(group(&world));
        empty.tell(kept(&world, "d1"));
        empty.say("d1", done(9, id));
    }
    let view = empty.view(id);
    assert_eq!((view.counts.members, view.counts.successful), (1, 1));
    over(&mut empty);
    over(&mut empty);
    assert_eq!(empty.view(id).counts.successful, 1);
}

#[test]
fn an_older_store_learns_of_moves_and_rounds_from_the_specs_that_devices_kept() {
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    world.say("d1", failed(1, id));
    let mut older = World::with_devices(&[]);
    older.rows = world.rows.clone();
    older.requests = 1_000;
    older.now = Now {
        mode: Mode::Recovering,
        ..world.now
    };
    world.retry(id, Some(&["d1"]));
    let retried = kept(&world, "d1");
    world.create_group("us");
    world.move_to("d1", "us");
    older.tell(retried);
    let effects = older.say("d1", super::rounds::in_round(1, done(3, id)));
    let rejected = |effect: &Effect| matches!(effect, Effect::Rejected { .. });
    assert!(!effects.iter().any(rejected), "{effects:?}");
    world.hold("d1", true);
    older.tell(kept(&world, "d1"));
    let row = older.device_row("d1");
    assert_eq!((row.group.as_str(), row.held), ("us", true));
    over(&mut older);
    assert_eq!(older.view(id).counts.successful, 1);
}

#[test]
fn a_removal_after_a_recovery_revokes_whatever_token_the_device_has() {
    let world = World::with_devices(&["d1"]);
    let mut empty = lost(&world);
    empty.tell(kept(&world, "d1"));
    over(&mut empty);
    let issue = empty.device_row("d1").issue;
    assert!(
        u64::from(issue) > 1_000_000,
        "above any number of removals: {issue}"
    );
}

#[test]
fn a_device_that_is_added_after_a_recovery_gets_none_of_the_tokens_that_were_forgotten() {
    let mut world = World::with_devices(&["d1"]);
    let forgotten = world.device_row("d1").issue;
    let mut empty = lost(&world);
    empty.tell(Input::RecoveryBegins);
    over(&mut empty);
    empty.tell(Input::RecoveryEnds);
    empty.create_group("eu");
    empty.add_device("d1");
    let issue = empty.device_row("d1").issue;
    assert!(u64::from(issue) > 1_000_000 && issue > forgotten, "{issue}");
    world.add_device("d2");
    assert_eq!(world.device_row("d2").issue, 1, "where nothing was lost");
}

#[test]
fn a_recovery_that_is_begun_again_goes_on_from_what_the_store_knew_at_first() {
    use crate::model::key::RecoveryKey;

    let mut world = World::with_devices(&["d1"]);
    world.tell(Input::ReserveGenerations(Generation(5)));
    world.tell(Input::RecoveryBegins);
    let known = world.rows.read(&RecoveryKey).unwrap().unwrap();
    world.tell(Input::ReserveGenerations(Generation(u64::MAX / 2)));
    world.tell(Input::RecoveryBegins);
    assert_eq!(world.rows.read(&RecoveryKey).unwrap(), Some(known));
    world.tell(Input::RecoveryEnds);
    world.tell(Input::RecoveryBegins);
    let next = world.rows.read(&RecoveryKey).unwrap().unwrap();
    assert!(next.open && next.known_ms > known.known_ms);
}

fn is_refusal(effect: &Effect) -> bool {
    matches!(effect, Effect::Rejected { .. })
}

#[test]
fn outcomes_of_devices_that_were_moved_come_back_whoever_reports_first() {
    let mut world = World::with_devices(&["d1", "d2", "d3"]);
    let id = world.deploy("fw@1.0.0");
    world.create_group("us");
    world.move_to("d1", "us");
    for order in [["d1", "d2", "d3"], ["d3", "d2", "d1"]] {
        let mut empty = lost(&world);
        for device in order {
            empty.tell(kept(&world, device));
        }
        for device in order {
            let effects = empty.say(device, done(9, id));
            assert!(!effects.iter().any(is_refusal), "{device}: {effects:?}");
        }
        for group in ["eu", "us"] {
            empty.tell(Input::RecoveryOver(group.parse().unwrap()));
        }
        assert_eq!(empty.view(id).counts.successful, 3, "{order:?}");
        assert_eq!(empty.view(id).state, DeploymentState::Aborted);
    }
}

#[test]
fn an_older_store_takes_a_hold_from_a_newer_spec_and_lifts_it_again() {
    let mut world = World::with_devices(&["d1", "d2"]);
    let mut older = World::with_devices(&[]);
    older.rows = world.rows.clone();
    older.now.mode = Mode::Recovering;
    for held in [true, false] {
        world.hold("d1", held);
        older.tell(kept(&world, "d1"));
        assert_eq!(older.device_row("d1").held, held);
        let count = older
            .rows
            .read(&GroupCountKey("eu".parse().unwrap()))
            .unwrap();
        assert_eq!(count.map(|count| count.held), Some(u32::from(held)));
    }
}

#[test]
fn however_many_deployments_come_back_none_is_lost_and_no_number_is_given_again() {
    let world = World::with_devices(&["d1"]);
    let mut empty = lost(&world);
    empty.tell(kept(&world, "d1"));
    for number in 1..=300 {
        empty.say("d1", done(u64::from(number), DeploymentId(number)));
    }
    // Further ahead than a device is believed at other times.
    let far = DeploymentId(5_000);
    empty.say("d1", done(301, far));
    for id in [DeploymentId(1), DeploymentId(300), far] {
        assert_eq!(empty.view(id).counts.successful, 1, "{id}");
    }
    let group = empty
        .rows
        .read(&GroupKey("eu".parse().unwrap()))
        .unwrap()
        .unwrap();
    assert_eq!(group.active, [], "one row does not grow with all of them");
    over(&mut empty);
    empty.add_release("fw", "1.0.0", &["app"]);
    assert_eq!(empty.deploy("fw@1.0.0"), DeploymentId(5_001));
}

#[test]
fn servers_that_start_again_and_again_do_not_sign_ahead_of_the_clock() {
    // W1
    let mut world = World::with_devices(&[]);
    let mut reserved = Generation(0);
    for _ in 0..1_000 {
        world.now.unix_ms += 2_000;
        // A start signs some specs above everything that the one before may have signed.
        let first = reserved.0.max(world.now.unix_ms);
        let effects = world.tell(Input::ReserveGenerations(Generation(first + 8)));
        let [Effect::GenerationsReserved(now)] = effects[..] else {
            panic!("{effects:?}");
        };
        assert!(now.0 >= first + 8 && now >= reserved);
        reserved = now;
        let ahead_ms = reserved.0 - world.now.unix_ms;
        assert!(ahead_ms <= 62_000, "{ahead_ms} ms ahead");
    }
}

#[test]
fn a_new_key_begins_its_own_generations_whatever_the_one_before_it_reserved() {
    // bad-inputs row 43
    use crate::model::key::InstanceKey;
    use hoist_protocol::envelope::KeyId;

    let mut world = World::with_devices(&[]);
    let instance = |world: &World| world.rows.read(&InstanceKey::MAIN).unwrap().unwrap();
    let [first, second] = [KeyId([1; 4]), KeyId([2; 4])];
    world.tell(Input::SignedBy(first));
    // What a thief signed is learned in a recovery, and reserved.
    world.tell(Input::ReserveGenerations(Generation(u64::MAX)));
    let poisoned = instance(&world);
    assert_eq!(poisoned.reserved_by(Some(first)), Generation(u64::MAX));
    assert_eq!(poisoned.reserved_by(Some(second)), Generation(0));
    world.tell(Input::SignedBy(first));
    assert_eq!(instance(&world).generations_ms, u64::MAX, "the same key");
    world.tell(Input::SignedBy(second));
    world.now.unix_ms += 1;
    let now_ms = world.now.unix_ms;
    world.tell(Input::ReserveGenerations(Generation(now_ms)));
    assert!(instance(&world).generations_ms < now_ms + 120_000);
}
