use super::*;
use crate::api::command::DeviceWhy as AskWhy;
use crate::api::command::rollout::{Confirm, OpenWindow, Windows};
use crate::model::time::parse_time;
use crate::reply::{Explanation, Why};
use hoist_protocol::spec::{self, Window};

fn berlin(download_ahead: bool) -> Deploy {
    let tuesday = OpenWindow {
        days: "tue".into(),
        from: "02:00".into(),
        minutes: 120,
    };
    Deploy {
        rollout: Some(Rollout {
            windows: Some(Windows {
                time_zone: "europe/berlin".into(),
                open: vec![tuesday],
                download_ahead,
                max_overrun_secs: Some(600),
            }),
            ..Rollout::default()
        }),
        ..deploy("fw@1.0.0")
    }
}

/// A world at a time of day, with its devices online.
fn world_at(time: &str) -> (World, Vec<String>) {
    let (mut world, names) = world(2);
    world.now.unix_ms = parse_time(time).unwrap();
    for device in &names {
        world.heard(device, PresenceState::Online, 1);
    }
    (world, names)
}

fn window(start_minute: u16) -> Vec<Window> {
    vec![Window {
        start_minute,
        minutes: 120,
    }]
}

const TUESDAY: u16 = 24 * 60;

impl World {
    fn until(&mut self, time: &str) -> Effects {
        let ms = parse_time(time).unwrap() - self.now.unix_ms;
        self.pass(ms);
        let effects = self.fire_due();
        self.go_on();
        effects
    }

    fn windows(&self) -> Vec<Window> {
        self.spec("eu").entries[0].policy.windows.clone()
    }

    fn why(&self, device: &str) -> Explanation {
        let ask = Command::DeviceWhy(AskWhy {
            device: device.into(),
            deployment: None,
        });
        match self.answer(&ask) {
            ResultBody::DeviceWhy(mut why) => why.deployments.remove(0),
            other => panic!("{other:?}"),
        }
    }
}

fn told(effects: &Effects) -> usize {
    let told = |effect: &&Effect| matches!(effect, Effect::GroupSpecChanged(_));
    effects.iter().filter(told).count()
}

#[test]
fn devices_get_utc_and_a_change_of_the_clocks_is_told_once_also_after_a_restart() {
    let (mut world, _) = world_at("2027-03-26T12:00:00Z");
    let id = world.deploy_as(berlin(true));
    world.go_on();
    assert_eq!(world.windows(), window(TUESDAY + 60), "01:00 in UTC");
    let policy = world.spec("eu").entries[0].policy.clone();
    assert_eq!((policy.download_ahead, policy.max_overrun_s), (true, 600));
    let shown = world.view(id).windows.unwrap();
    assert_eq!(shown.text(), "tue 02:00 120m Europe/Berlin, fetched before");
    assert_eq!(told(&world.until("2027-03-28T00:30:00Z")), 0);
    // A server that was down meanwhile finds the timer in its store.
    let rows = world.rows.clone();
    world.rows = rows;
    world.seeks.clear();
    assert_eq!(told(&world.until("2027-03-28T09:00:00Z")), 1);
    assert_eq!(world.windows(), window(TUESDAY));
    assert_eq!(told(&world.until("2027-04-28T09:00:00Z")), 0);
    assert_eq!(told(&world.until("2027-10-31T01:00:00Z")), 1);
    assert_eq!(world.windows(), window(TUESDAY + 60));
}

#[test]
fn a_deployment_that_is_scheduled_or_paused_has_the_windows_of_the_time_when_it_goes_on() {
    let (mut world, _) = world_at("2027-03-26T12:00:00Z");
    let id = world.deploy_as(Deploy {
        start: Some("2027-03-27T12:00:00Z".into()),
        ..berlin(false)
    });
    world.until("2027-03-27T12:00:00Z");
    world.pause(id);
    assert_eq!(told(&world.until("2027-03-28T12:00:00Z")), 0, "not listed");
    world.resume(id);
    assert_eq!(world.windows(), window(TUESDAY));
    world.abort(id);
    assert_eq!(told(&world.until("2027-10-31T12:00:00Z")), 0, "it is over");
}

#[test]
fn a_device_outside_its_window_is_told_when_it_opens() {
    let (mut world, names) = world_at("2027-03-26T12:00:00Z");
    world.deploy_as(berlin(false));
    world.go_on();
    let why = world.why(&names[0]);
    assert_eq!(why.why, Why::Window);
    assert_eq!(
        why.says,
        "outside its window (opens Tue 02:00 Europe/Berlin)"
    );
    assert_eq!(why.at.as_deref(), Some("2027-03-30T00:00:00Z"), "in summer");
    world.until("2027-03-30T00:30:00Z");
    world.heard(&names[0], PresenceState::Online, 2);
    assert_eq!(world.why(&names[0]).why, Why::Starts);
}

#[test]
fn a_device_that_fetched_ahead_waits_for_its_window_with_everything() {
    let (mut world, names) = world_at("2027-03-26T12:00:00Z");
    let id = world.deploy_as(berlin(true));
    world.go_on();
    assert_eq!(world.why(&names[0]).why, Why::Starts, "it may fetch");
    world.say(&names[0], working(1, id, Step::Downloaded));
    let why = world.why(&names[0]);
    assert_eq!(why.why, Why::Window);
    assert!(
        why.says.contains("(opens Tue 02:00 Europe/Berlin)"),
        "{}",
        why.says
    );
}

#[test]
fn a_release_is_confirmed_by_scripts_or_also_by_being_online() {
    let (mut world, names) = world_at("2027-03-26T12:00:00Z");
    let online = |secs| Deploy {
        rollout: Some(Rollout {
            confirm: Some(Confirm::Online),
            confirm_secs: secs,
            ..Rollout::default()
        }),
        ..deploy("fw@1.0.0")
    };
    let id = world.deploy_as(online(None));
    world.go_on();
    let within = |world: &World| world.spec("eu").entries[0].policy.confirm;
    assert_eq!(within(&world), spec::Confirm::Online { within_s: 600 });
    assert_eq!(world.view(id).confirm_secs, Some(600));
    world.say(&names[0], working(1, id, Step::Installing));
    let next = world.why(&names[0]).next;
    assert!(next.contains("online with it within 600 s"), "{next}");
    let other = world.deploy_as(online(Some(60)));
    assert_ne!(other, id);
    assert_eq!(within(&world), spec::Confirm::Online { within_s: 60 });
}

#[test]
fn the_same_deployment_with_the_same_windows_is_there_already_also_after_a_change() {
    let (mut world, _) = world_at("2027-03-26T12:00:00Z");
    let id = world.deploy_as(berlin(true));
    world.until("2027-03-28T09:00:00Z");
    assert_eq!(world.deploy_as(berlin(true)), id);
}
