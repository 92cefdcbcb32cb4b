//! Weekly windows: said in the time of a place, told to devices in UTC, and kept by a real agent.

use hoist_orchestrator_core::model::window::DAYS;
use hoist_protocol::codec::decode_prefix;
use hoist_protocol::spec::{GroupSpec, Policy, Window};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::harness::eventually;
use crate::harness::mqtt::{Client, Login};
use crate::harness::release::Release;
use crate::harness::server::Server;

const GROUP: &str = "unassigned";

/// The day of the week in UTC so many days from now, as its place in the week.
fn day(after: u64) -> usize {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    // The epoch was a Thursday.
    usize::try_from((now.as_secs() / 86_400 + 3 + after) % 7).unwrap()
}

/// A device sees what groups are told; operators do not.
fn watcher(server: &Server) -> Client {
    server.hoist_ok(&["group", "create", "elsewhere"]);
    let login = Login::read(&server.add_device("watcher", &["--group", "elsewhere"]));
    Client::connect(server.mqtt(), "watcher", &login)
}

/// The policy of the first entry that the group's spec has.
fn policy(watcher: &Client) -> Policy {
    let topic = format!("hoist/g/{GROUP}");
    assert!(watcher.subscribe(&topic));
    watcher.wait_for(&topic, |payload| {
        let (spec, _) = decode_prefix::<GroupSpec>(payload).ok()?;
        Some(spec.entries.first()?.policy.clone())
    })
}

#[test]
fn a_device_waits_for_its_window_says_which_and_starts_in_an_open_one() {
    let server = Server::start();
    let watcher = watcher(&server);
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let _agent = server.agent(&server.add_device("dev-01", &[]));
    let opens = day(3);
    let window = format!("{} 12:00 60m Asia/Tokyo", DAYS[opens]);
    let wish = ["app@1.0.0", "--group", GROUP, "--window", &window];
    let plan = server.hoist_ok(&[&["plan"][..], &wish].concat());
    assert!(
        plan.contains(&format!("  windows     {window}\n")),
        "{plan}"
    );
    server.hoist_ok(&[&["deploy"][..], &wish].concat());
    let start_minute = u16::try_from(opens * 24 * 60 + 3 * 60).unwrap();
    let utc = Window {
        start_minute,
        minutes: 60,
    };
    assert_eq!(policy(&watcher).windows, [utc], "nine hours before Tokyo");
    let why = eventually("the device to be outside its window", || {
        let why = server.hoist_ok(&["-o", "json", "device", "why", "dev-01"]);
        let why: Value = serde_json::from_str(&why).unwrap();
        let first = why["deployments"][0].clone();
        (first["why"] == json!("window")).then_some(first)
    });
    let says = why["says"].as_str().unwrap();
    assert!(says.contains("12:00 Asia/Tokyo)"), "{why}");
    let shown = server.hoist_ok(&["deployment", "show", "1"]);
    assert!(shown.contains(&window), "{shown}");
    server.hoist_ok(&["deployment", "abort", "1", "--yes"]);

    let open = ["--window", "daily 00:00 24h UTC", "--download-ahead"];
    let wish = ["deploy", "app@1.0.0", "--group", GROUP];
    server.hoist_ok(&[&wish[..], &open].concat());
    server.hoist_ok(&["status", "2", "--timeout", "60s"]);
}

#[test]
fn an_urgent_deployment_starts_before_one_that_waits_for_its_window() {
    let server = Server::start();
    for name in ["app", "fix"] {
        let release = Release::write(server.scratch(), name, "1.0.0", 1, "content");
        server.release(release.dir());
    }
    let _agent = server.agent(&server.add_device("dev-01", &[]));
    let window = format!("{} 12:00 60m UTC", DAYS[day(3)]);
    let later = ["deploy", "app@1.0.0", "--group", GROUP, "--window", &window];
    server.hoist_ok(&later);
    let plan = server.hoist_ok(&["plan", "fix@1.0.0", "--group", GROUP, "--urgent"]);
    assert!(plan.contains("starts before"), "{plan}");
    server.hoist_ok(&["deploy", "fix@1.0.0", "--group", GROUP, "--urgent"]);
    server.hoist_ok(&["status", "2", "--timeout", "60s"]);
    let shown = server.hoist_ok(&["-o", "json", "deployment", "show", "1"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["counts"]["pending"], json!(1), "{shown}");
}

#[test]
fn what_is_no_window_or_no_place_is_refused_with_its_field_and_a_near_name() {
    let server = Server::start();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    for (window, code, says) in [
        (
            "mon 02:00 2h Europe/Berlim",
            "E_TIME_ZONE",
            "did you mean Europe/Berlin?",
        ),
        ("mon 02:00 0m UTC", "E_WINDOW", "and not for 0"),
        ("mon 02:00 8d UTC", "E_WINDOW", "a week"),
        ("someday 02:00 2h UTC", "E_WINDOW", "someday"),
    ] {
        let wish = ["plan", "app@1.0.0", "--group", GROUP, "--window", window];
        let output = server.hoist(&wish);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(code) && said.contains(says), "{said}");
    }
}
