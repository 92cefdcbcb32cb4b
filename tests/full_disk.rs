//! A disk without space stops nothing but what must be written, and everything goes on by
//! itself as soon as there is some.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::eventually;
use crate::harness::release::Release;
use crate::harness::server::Server;
use crate::harness::sim::Sim;
use crate::store_faults::library;

const DEVICES: u64 = 60;
const NO_SPACE: &str = "28";

/// A server on a disk that is full while a file exists.
fn on_a_disk() -> (Server, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let full = dir.path().join("full");
    let data = dir.path().join("data");
    let variables = [
        ("LD_PRELOAD", library().to_str().unwrap()),
        ("HOIST_FAULT_DIR", data.to_str().unwrap()),
        ("HOIST_FAULT_WHILE", full.to_str().unwrap()),
        ("HOIST_FAULT_ERRNO", NO_SPACE),
    ];
    let server = Server::start_in(dir, &[], &variables);
    (server, full)
}

fn ended(view: &Value) -> u64 {
    let count = |name: &str| view["counts"][name].as_u64().unwrap_or(0);
    count("successful") + count("failed")
}

#[test]
fn a_rollout_goes_on_after_the_disk_was_full_and_nothing_answered_is_lost() {
    // bad-inputs rows 65 and 88
    let (mut server, full) = on_a_disk();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let client = server.client();
    assert!(client.subscribe("hoist/view/#") && client.subscribe("hoist/event/#"));
    client.command_ok("group-create", &json!({"group": "other"}));
    client.command_ok("deploy", &json!({"release": "app@1.0.0", "group": "other"}));
    let sim = Sim::start(&server, DEVICES);
    client.wait_json("hoist/view/group/sim", |view| {
        view["members"] == json!(DEVICES)
    });
    client.command_ok("deploy", &json!({"release": "app@1.0.0", "group": "sim"}));
    client.wait_json("hoist/view/deployment/2", |view| ended(view) >= DEVICES / 6);

    std::fs::write(&full, "").unwrap();
    let abort = json!({"deployment": 1, "reason": "enough"});
    // The server writes at the latest now: the devices may all have ended meanwhile.
    assert_eq!(client.command_refused("abort", &abort), "E_SPACE");
    let health = "hoist/view/health";
    let view = client.wait_json(health, |view| view["status"] == json!("degraded"));
    assert_eq!(view["problems"][0]["code"], json!("E_SPACE"), "{view}");
    let said = eventually("the server not to be ready", || {
        let (ready, said) = server.readiness().unwrap();
        (!ready).then_some(said)
    });
    assert!(said.contains("E_SPACE"), "{said}");
    client.wait_json("hoist/event/server-degraded", |event| {
        event["data"]["over"] == json!(false)
    });
    let user = json!({"user": "vera", "role": "viewer", "tokenSha256": "00".repeat(32)});
    assert_eq!(client.command_refused("user-add", &user), "E_SPACE");
    let shown = client.command_ok("deployment-show", &json!({"deployment": 1}));
    assert_eq!(shown["state"], json!("active"), "{shown}");

    std::fs::remove_file(&full).unwrap();
    client.wait_json(health, |view| view["status"] == json!("ok"));
    eventually("the server to be ready", || {
        server.readiness().unwrap().0.then_some(())
    });
    client.command_ok("abort", &abort);
    drop(client);
    server.kill_and_restart();

    let client = server.client();
    assert!(client.subscribe("hoist/view/#"));
    let shown = client.command_ok("deployment-show", &json!({"deployment": 1}));
    assert_eq!(shown["state"], json!("aborted"), "{shown}");
    let view = client.wait_json("hoist/view/deployment/2", |view| ended(view) == DEVICES);
    let truth = sim.truth();
    for outcome in ["successful", "failed"] {
        let (told, own) = (&view["counts"][outcome], &truth["counts"][outcome]);
        assert_eq!(told, own, "{view} {truth}");
    }
    assert_eq!(
        truth["deployments"]["2"]["started"],
        json!(DEVICES),
        "{truth}"
    );
    let log = server.process().said();
    let times = |what: &str| log.matches(what).count();
    assert_eq!(times("reports wait until it can"), 1, "{log}");
    assert_eq!(times("the store can be written again"), 1, "{log}");
}
