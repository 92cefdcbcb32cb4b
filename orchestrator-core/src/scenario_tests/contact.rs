use PresenceState::{Offline, Online};

use super::*;
use crate::reply::{PresenceWord, StepWord};

fn retrying(world: &World, id: DeploymentId) -> u32 {
    world.view(id).steps.retrying
}

#[test]
fn lost_contact_with_a_device_at_work_is_shown_beside_its_last_step() {
    // S6 (b)
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    world.heard("d1", Online, 1);
    world.say("d1", working(1, id, Step::Installing));
    world.heard("d1", Offline, 1);
    world.pass(GRACE_MS - 1);
    world.fire_due();
    assert_eq!(retrying(&world, id), 0, "a short absence is nothing");
    world.pass(1);
    world.fire_due();
    assert_eq!(retrying(&world, id), 1);
    let item = world.item(id, "d1");
    assert_eq!(
        (item.step, item.retrying),
        (Some(StepWord::Installing.into()), true)
    );
    world.heard("d1", Online, 2);
    assert_eq!(retrying(&world, id), 0);
    assert!(!world.item(id, "d1").retrying);
}

#[test]
fn what_a_device_says_of_waiting_is_retrying_too() {
    // S6 (a)
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    world.say("d1", working(1, id, Step::Retrying));
    assert_eq!(retrying(&world, id), 1);
    assert!(world.item(id, "d1").retrying);
}

#[test]
fn a_member_that_may_start_and_cannot_be_reached_is_retrying() {
    // S6 (c)
    let mut world = World::with_devices(&["d1", "d2"]);
    world.heard("d1", Online, 1);
    world.heard("d1", Offline, 1);
    world.hold("d2", true);
    let id = world.deploy("fw@1.0.0");
    assert!(!world.item(id, "d1").retrying);
    world.pass(GRACE_MS);
    let item = world.item(id, "d1");
    assert_eq!(item.status, Some(StatusWord::Pending));
    assert!(item.retrying);
    assert!(!world.item(id, "d2").retrying, "nobody waits for it");
    world.heard("d1", Online, 2);
    assert!(!world.item(id, "d1").retrying);
}

#[test]
fn a_device_that_reboots_is_not_missed_before_its_deadline() {
    // S6
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy_as(Deploy {
        timeout_secs: Some(1000),
        ..deploy("fw@1.0.0")
    });
    world.heard("d1", Online, 1);
    world.say("d1", working(1, id, Step::Rebooting));
    world.heard("d1", Offline, 1);
    world.pass(GRACE_MS);
    world.fire_due();
    assert_eq!(retrying(&world, id), 0);
    world.pass(1_000_000);
    world.fire_due();
    assert_eq!(retrying(&world, id), 1);
}

#[test]
fn a_status_that_arrives_after_the_death_keeps_the_watch() {
    // Order holds inside a topic only: the last will can overtake the status.
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    world.heard("d1", Online, 1);
    world.heard("d1", Offline, 1);
    world.say("d1", working(1, id, Step::Installing));
    world.pass(GRACE_MS);
    world.fire_due();
    assert_eq!(retrying(&world, id), 1);
    world.say("d1", done(2, id));
    assert_eq!(retrying(&world, id), 0);
    world.pass(GRACE_MS);
    let far = Now {
        uptime_ms: u64::MAX,
        ..world.now
    };
    let watch = |kind: &TimerKind| matches!(kind, TimerKind::Contact(_));
    assert!(
        !world
            .rows
            .due(far, usize::MAX)
            .iter()
            .any(|timer| watch(&timer.kind))
    );
}

#[test]
fn presence_from_before_the_broker_forgot_is_unknown() {
    // W8
    let mut world = World::with_devices(&["d1", "d2"]);
    let id = world.deploy("fw@1.0.0");
    world.heard("d1", Online, 1);
    world.heard("d2", Online, 1);
    let online = |world: &World| {
        let group = "eu".parse().unwrap();
        let view = world
            .rows
            .query(|reader| Ok(query::group_view(reader, &group, world.now)?.ok_or(())));
        view.unwrap().unwrap().online
    };
    assert_eq!(online(&world), 2);
    world.tell(Input::BrokerForgot);
    assert_eq!(online(&world), 0);
    assert_eq!(world.item(id, "d1").presence, PresenceWord::Unknown);
    // What a broker had retained after all is heard again in the same session.
    world.heard("d1", Online, 1);
    assert_eq!(
        (online(&world), world.item(id, "d1").presence),
        (1, PresenceWord::Online.into())
    );
    world.heard("d2", Online, 2);
    assert_eq!(online(&world), 2);
    world.heard("d2", Offline, 1);
    assert_eq!(online(&world), 2);
}

#[test]
fn a_device_whose_sessions_count_from_one_again_is_seen_again() {
    // W8, bad-inputs row 85
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    let presence = |world: &World| world.item(id, "d1").presence;
    world.heard("d1", Online, u64::MAX);
    world.heard("d1", Online, 3);
    assert_eq!(
        presence(&world),
        PresenceWord::Online,
        "of the session that is not over"
    );
    world.heard("d1", Offline, u64::MAX);
    assert_eq!(presence(&world), PresenceWord::Offline);
    world.heard("d1", Offline, 2);
    let effects = world.hears("d1", (Online, 3), Delivered::Live);
    let read = Effect::ReadReports("d1".parse().unwrap());
    assert!(effects.contains(&read), "it may be late: {effects:?}");
    assert_eq!(presence(&world), PresenceWord::Offline);
    world.hears("d1", (Online, 3), Delivered::Kept);
    assert_eq!(presence(&world), PresenceWord::Online);
    world.heard("d1", Offline, 3);
    assert_eq!(presence(&world), PresenceWord::Offline);
    world.heard("d1", Online, 9);
    world.tell(Input::BrokerForgot);
    world.hears("d1", (Online, 4), Delivered::Kept);
    assert_eq!(
        presence(&world),
        PresenceWord::Online,
        "whoever was there is not known"
    );
    let key = GroupCountKey("eu".parse().unwrap());
    let group = world.rows.read(&key).unwrap().unwrap();
    assert_eq!(group.online, 1);
}

#[test]
fn a_broker_that_lost_everything_calls_the_roll_of_groups_at_work_only() {
    // W6
    let mut world = World::with_devices(&["d1"]);
    let eu = || "eu".parse().unwrap();
    assert_eq!(world.tell(Input::Doubt(eu())), []);
    world.deploy("fw@1.0.0");
    let effects = world.tell(Input::Doubt(eu()));
    assert_eq!(effects, [Effect::GroupSpecChanged(eu())]);
    assert_eq!(world.spec("eu").resync.0, 1);
}

#[test]
fn a_device_is_read_and_asked_before_it_times_out() {
    // S7
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy_as(Deploy {
        timeout_secs: Some(100),
        ..deploy("fw@1.0.0")
    });
    world.say("d1", working(1, id, Step::Installing));
    world.pass(100_000 + GRACE_MS);
    let effects = world.fire_due();
    let device: DeviceId = "d1".parse().unwrap();
    assert!(effects.contains(&Effect::ReadStatus(device.clone())));
    assert!(effects.contains(&Effect::DeviceSpecChanged(device)));
}

#[test]
fn a_server_that_was_down_for_a_day_or_whose_clock_jumps_fails_nobody() {
    // S7, bad-inputs row 41
    let day_ms = 86_400_000;
    let mut world = World::with_devices(&["d1", "d2"]);
    let id = world.deploy_as(Deploy {
        timeout_secs: Some(100),
        ..deploy("fw@1.0.0")
    });
    world.say("d1", working(1, id, Step::Installing));
    world.pass(100_000 + GRACE_MS - 1);
    for jump in [1, 0] {
        world.now.unix_ms = world.now.unix_ms + 2 * jump * day_ms - day_ms;
        world.fire_due();
        assert_eq!(world.resync("d1"), 0);
    }
    // Down with the timer about to be due, and back.
    world.now.unix_ms += day_ms;
    world.tell(Input::BrokerForgot);
    world.tell(Input::Connected);
    world.pass(1);
    world.fire_due();
    assert_eq!(world.resync("d1"), 0, "devices get time to report");
    world.say("d1", working(2, id, Step::Installing));
    world.pass(SETTLE_MS);
    world.fire_due();
    world.say("d1", done(3, id));
    assert_eq!(world.view(id).counts.successful, 1);
    assert!(!world.record(id, "d1").unwrap().late);
}

#[test]
fn outcomes_from_before_its_registration_call_a_devices_roll_once_and_never_again() {
    // W5: what was never recorded stays missing; only new gaps are asked about.
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    let with = |ended, status| DeviceStatus { ended, ..status };
    world.say("d1", with(5, working(1, id, Step::Installing)));
    assert_eq!(world.resync("d1"), 1);
    world.say("d1", with(6, done(2, id)));
    assert_eq!(world.resync("d1"), 1, "nothing new is missing");
    world.pass(60_000);
    world.say(
        "d1",
        with(
            8,
            DeviceStatus {
                seq: Seq(3),
                ..DeviceStatus::default()
            },
        ),
    );
    assert_eq!(world.resync("d1"), 2);
}
