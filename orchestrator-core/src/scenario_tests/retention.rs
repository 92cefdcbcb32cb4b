//! What goes when it has been kept for long enough, and what stays for that.

use super::*;
use crate::api::command::{DeploymentShow, DeviceShow, DeviceWhy};
use crate::engine::check::Check;
use crate::model::effect::Event;
use crate::model::key::{ForgottenKey, InstanceKey};
use crate::model::now::{Keep, Mode};
use crate::model::search::Old;
use crate::rules::deployment::retention::left_of;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A world that keeps what is over, and who is silent, for a day.
fn keeping(devices: &[&str]) -> World {
    let mut world = World::with_devices(devices);
    world.now.keep = Keep {
        ended_deployments_ms: Some(DAY_MS),
        silent_devices_ms: Some(DAY_MS),
    };
    world
}

fn retire(world: &mut World, id: DeploymentId) -> Effects {
    world.tell(Input::Old(Old::Deployment(id)))
}

/// Sweeps pages of one row until nothing is left; how many there were.
fn sweep(world: &mut World, id: DeploymentId) -> usize {
    let mut pages = 0;
    loop {
        fits(world);
        let left = world.rows.left(id, 1);
        let effects = world.tell(left);
        pages += 1;
        if !effects.contains(&Effect::Sweep(id)) {
            fits(world);
            return pages;
        }
    }
}

/// Every row fits to every other.
fn fits(world: &World) {
    let mut check = Check::default();
    for (key, bytes) in world.rows.scan(&Key(Vec::new())) {
        check.row(key, bytes);
    }
    let (_, findings) = check.finish();
    assert_eq!(findings.listed, []);
}

fn rows_of(world: &World, id: DeploymentId) -> usize {
    let ranges = left_of(id).map(|prefix| prefix.bytes());
    ranges.iter().map(|of| world.rows.scan(of).count()).sum()
}

fn asked(world: &World, command: &Command) -> Result<ResultBody, crate::model::error::Rejection> {
    let answer = world
        .rows
        .query(|reader| command.answer(reader, &alice(), world.now));
    answer.unwrap()
}

fn shown(world: &World, device: &str) -> DeviceItem {
    let device = device.into();
    match asked(world, &Command::DeviceShow(DeviceShow { device })) {
        Ok(ResultBody::DeviceDetail(detail)) => detail.item,
        other => panic!("{other:?}"),
    }
}

/// A deployment that one device did and another failed, twice; it was aborted a day ago.
fn long_over() -> (World, DeploymentId) {
    let mut world = keeping(&["d1", "d2", "d3"]);
    let id = world.deploy("fw@1.0.0");
    world.say("d1", done(1, id));
    world.say("d2", failed(1, id));
    world.retry(id, Some(&["d2"]));
    world.say("d2", rounds::in_round(1, failed(2, id)));
    world.abort(id);
    world.pass(DAY_MS);
    (world, id)
}

#[test]
fn what_has_been_over_for_long_enough_goes_with_everything_of_it() {
    let (mut world, id) = long_over();
    assert!(rows_of(&world, id) > 4);
    let effects = retire(&mut world, id);
    let told = Effect::Event(Event::DeploymentRemoved {
        deployment: id,
        release: "fw@1.0.0".into(),
        group: "eu".parse().unwrap(),
    });
    assert!(effects.contains(&told), "{effects:?}");
    assert!(effects.contains(&Effect::Sweep(id)), "{effects:?}");
    let view = Effect::ViewChanged(hoist_protocol::topic::View::Deployment(id));
    assert!(effects.contains(&view), "{effects:?}");
    // Gone for everybody at once, whatever is left of it.
    let show = Command::DeploymentShow(DeploymentShow { deployment: id.0 });
    let refused = asked(&world, &show).unwrap_err();
    assert_eq!(refused.code, Code::Deployment);
    assert!(refused.detail.contains("was removed at"), "{refused}");
    let again = world.order(Command::Abort(Abort {
        deployment: id.0,
        reason: None,
        dry_run: false,
    }));
    assert_eq!(refusal(&again), Some(Code::Deployment));
    assert_eq!(refusal(&world.retry(id, None)), Some(Code::Deployment));
    assert!(sweep(&mut world, id) > 4);
    assert_eq!(rows_of(&world, id), 0);
    assert_eq!(retire(&mut world, id), [], "once is enough");
    let forgotten = world.rows.read(&ForgottenKey(id)).unwrap().unwrap();
    assert_eq!(forgotten.sweep_due_ms, None);
    world.pass(DAY_MS);
    assert_eq!(world.fire_due(), [], "no timer is left");
}

#[test]
fn what_is_not_over_for_long_enough_on_every_device_stays() {
    let mut world = keeping(&["d1"]);
    let active = world.deploy("fw@1.0.0");
    world.pass(3 * DAY_MS);
    assert_eq!(retire(&mut world, active), [], "it is active");
    world.say("d1", working(1, active, Step::Installing));
    world.abort(active);
    world.pass(3 * DAY_MS);
    assert_eq!(retire(&mut world, active), [], "a device is at work");
    world.say("d1", done(2, active));
    world.pass(DAY_MS - 1);
    assert_eq!(retire(&mut world, active), [], "that ended a moment ago");
    world.now.mode = Mode::Recovering;
    world.pass(1);
    assert_eq!(retire(&mut world, active), [], "nothing is known for sure");
    world.now.mode = Mode::Serving;
    world.now.keep = Keep::default();
    assert_eq!(retire(&mut world, active), [], "kept for ever");
    world.now.keep.ended_deployments_ms = Some(DAY_MS);
    assert_ne!(retire(&mut world, active), []);
}

#[test]
fn the_number_of_a_removed_deployment_is_never_given_again() {
    let (mut world, id) = long_over();
    retire(&mut world, id);
    sweep(&mut world, id);
    let instance = world.rows.read(&InstanceKey::MAIN).unwrap().unwrap();
    assert_eq!(instance.last_deployment, id);
    assert_eq!(world.deploy("fw@1.0.0").0, id.0 + 1);
}

#[test]
fn what_devices_still_tell_of_it_is_no_offence_and_counts_no_more() {
    let (mut world, id) = long_over();
    retire(&mut world, id);
    // Also while rows of it are left; d3 did it unheard.
    for swept in [false, true] {
        let seq = if swept { 20 } else { 10 };
        for (device, status) in [
            ("d1", done(seq, id)),
            ("d3", done(seq, id)),
            ("d2", working(seq, id, Step::Installing)),
        ] {
            let effects = world.say(device, status);
            assert!(!rejects(&effects, Code::Deployment), "{effects:?}");
            assert!(!rejects(&effects, Code::Round), "{effects:?}");
        }
        if !swept {
            sweep(&mut world, id);
        }
        assert_eq!(world.record(id, "d3"), None);
    }
    fits(&world);
    // Whoever told everything it has is not asked for what nobody keeps.
    let before = world.resync("d3");
    for seq in 30..40 {
        world.pass(DAY_MS);
        world.say("d3", done(seq, id));
        world.fire_due();
    }
    assert_eq!(world.resync("d3"), before);
    let never = world.say("d1", done(50, DeploymentId(40)));
    assert!(rejects(&never, Code::Deployment), "that one never was");
}

#[test]
fn a_device_whose_newest_deployment_was_removed_is_not_pending() {
    let (mut world, id) = long_over();
    retire(&mut world, id);
    sweep(&mut world, id);
    for device in ["d1", "d2"] {
        let item = shown(&world, device);
        assert_eq!((item.deployment, item.status), (Some(id), None));
    }
    let pending = Command::DeviceList(DeviceList {
        status: Some(StatusWord::Pending),
        ..DeviceList::default()
    });
    match asked(&world, &pending) {
        Ok(ResultBody::Devices(list)) => assert_eq!(list.items, []),
        other => panic!("{other:?}"),
    }
    let why = |deployment| {
        Command::DeviceWhy(DeviceWhy {
            device: "d1".into(),
            deployment,
        })
    };
    match asked(&world, &why(None)) {
        Ok(ResultBody::DeviceWhy(why)) => {
            let says = why.nothing.unwrap().says;
            assert!(says.contains("newest deployment, 1, was removed"), "{says}");
        }
        other => panic!("{other:?}"),
    }
    let refused = asked(&world, &why(Some(id.0))).unwrap_err();
    assert!(refused.detail.contains("was removed"), "{refused}");
    // What comes next is told as ever.
    let next = world.deploy("fw@1.0.0");
    world.say("d1", done(9, next));
    assert_eq!(shown(&world, "d1").status, Some(StatusWord::Successful));
}

#[test]
fn a_sweep_that_a_crash_took_along_is_asked_for_again() {
    let (mut world, id) = long_over();
    retire(&mut world, id);
    let part = world.rows.left(id, 1);
    world.tell(part);
    world.pass(60_000);
    let asked = world.fire_due();
    assert!(asked.contains(&Effect::Sweep(id)), "{asked:?}");
    sweep(&mut world, id);
    assert_eq!(rows_of(&world, id), 0);
    // A page that comes late, or of another deployment, deletes nothing.
    let next = world.deploy("fw@1.0.0");
    world.say("d1", done(9, next));
    let foreign = world.rows.left(next, 100);
    let Input::Left(mut left) = foreign else {
        panic!("a page")
    };
    assert_eq!(world.tell(Input::Left(left.clone())), []);
    left.deployment = id;
    assert_eq!(world.tell(Input::Left(left)), []);
    assert!(world.record(next, "d1").is_some());
}

#[test]
fn a_recovery_brings_nothing_back_that_was_removed() {
    let (mut world, id) = long_over();
    retire(&mut world, id);
    sweep(&mut world, id);
    world.now.mode = Mode::Recovering;
    let effects = world.say("d1", done(9, id));
    assert!(!rejects(&effects, Code::Deployment), "{effects:?}");
    let row = world.rows.read(&DeploymentKey(id)).unwrap();
    assert_eq!(row, None);
}

fn silent(world: &mut World, device: &str) -> Effects {
    world.tell(Input::Old(Old::Device(device.parse().unwrap())))
}

#[test]
fn a_device_that_was_away_for_long_enough_is_removed_as_by_an_operator() {
    let mut world = keeping(&["d1"]);
    world.heard("d1", PresenceState::Online, 1);
    world.heard("d1", PresenceState::Offline, 1);
    world.pass(DAY_MS - 1);
    assert_eq!(silent(&mut world, "d1"), []);
    world.pass(1);
    let effects = silent(&mut world, "d1");
    let told = Effect::Event(Event::DeviceRemoved {
        device: "d1".parse().unwrap(),
        group: "eu".parse().unwrap(),
        by: UserId::retention(),
    });
    assert!(effects.contains(&told), "{effects:?}");
    let revokes =
        |effect: &Effect| matches!(effect, Effect::DeviceRevoked { until, .. } if until.issue == 1);
    assert!(effects.iter().any(revokes), "{effects:?}");
    assert_eq!(world.spec("eu").entries, []);
    fits(&world);
    assert_eq!(silent(&mut world, "d1"), []);
}

#[test]
fn only_time_in_which_it_could_have_been_heard_makes_a_device_silent() {
    let mut world = keeping(&["away", "here", "new", "held"]);
    for device in ["away", "here", "held"] {
        world.heard(device, PresenceState::Online, 1);
    }
    world.heard("held", PresenceState::Offline, 1);
    world.heard("away", PresenceState::Offline, 1);
    world.hold("held", true);
    // The server was down, or its clock was set.
    world.now.unix_ms += 5 * DAY_MS;
    for device in ["away", "here", "new", "held"] {
        assert_eq!(silent(&mut world, device), [], "{device}");
    }
    // The broker restarts, and one that was there does not come back.
    world.tell(Input::BrokerForgot);
    world.tell(Input::Connected);
    assert_eq!(silent(&mut world, "here"), [], "it may be on its way");
    world.pass(DAY_MS);
    for device in ["new", "held"] {
        assert_eq!(silent(&mut world, device), [], "{device}");
    }
    for device in ["away", "here"] {
        assert_ne!(silent(&mut world, device), [], "{device}");
    }
}

#[test]
fn a_device_that_is_waited_for_is_not_removed_before_it_counts_as_failed() {
    let mut world = keeping(&["d1"]);
    let id = world.deploy_as(Deploy {
        timeout_secs: Some(3 * 24 * 60 * 60),
        ..deploy("fw@1.0.0")
    });
    world.heard("d1", PresenceState::Online, 1);
    world.say("d1", working(1, id, Step::Installing));
    world.heard("d1", PresenceState::Offline, 1);
    world.pass(2 * DAY_MS);
    world.fire_due();
    assert_eq!(silent(&mut world, "d1"), []);
    world.pass(2 * DAY_MS);
    world.fire_due();
    world.pass(GRACE_MS);
    world.fire_due();
    let record = world.record(id, "d1").unwrap();
    assert_eq!(record.state, RecordState::TimedOut);
    assert_ne!(silent(&mut world, "d1"), []);
    assert!(
        world.record(id, "d1").is_some(),
        "it stays with its deployment"
    );
}
