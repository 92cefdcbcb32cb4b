//! Final outcomes are never lost and never counted twice, whatever crashes (S15).

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::release::Release;
use crate::harness::server::Server;
use crate::harness::sim::Sim;

const DEVICES: u64 = 200;
const KILLS: u64 = 5;

fn finished(view: &Value) -> u64 {
    let count = |name: &str| view["counts"][name].as_u64().unwrap_or(0);
    count("successful") + count("failed")
}

/// Has a simulated fleet take part in a rollout that is disturbed so many times, and asserts
/// that the server tells in the end what the devices tell, all of it and once.
pub fn disturbed_rollout(
    server: &mut Server,
    devices: u64,
    times: u64,
    mut disturb: impl FnMut(&mut Server),
) {
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let sim = Sim::start(server, devices);
    let client = server.client();
    assert!(client.subscribe("hoist/view/#"));
    client.wait_json("hoist/view/group/sim", |view| {
        view["members"] == json!(devices)
    });
    client.command_ok("deploy", &json!({"release": "app@1.0.0", "group": "sim"}));
    drop(client);

    for time in 1..=times {
        let client = server.client();
        assert!(client.subscribe("hoist/view/#"));
        let goal = devices * time / (times + 1);
        client.wait_json("hoist/view/deployment/1", |view| finished(view) >= goal);
        disturb(server);
    }

    let truth = sim.truth();
    let client = server.client();
    assert!(client.subscribe("hoist/view/#"));
    let view = client.wait_json("hoist/view/deployment/1", |view| finished(view) == devices);
    for outcome in ["successful", "failed"] {
        let (told, own) = (&view["counts"][outcome], &truth["counts"][outcome]);
        assert_eq!(told, own, "{outcome}: {view} {truth}");
    }
    let own = &truth["deployments"]["1"];
    assert_eq!(own["started"], json!(devices), "{truth}");
    assert!(
        truth["counts"]["failed"].as_u64().unwrap() > 0,
        "some devices fail: {truth}"
    );
    let body = json!({"deployment": 1, "status": "failed", "limit": 100});
    let list = client.command_ok("device-list", &body);
    let names = list["items"].as_array().unwrap().iter();
    let names: Vec<&Value> = names.map(|item| &item["device"]).collect();
    assert_eq!(json!(names), own["failedDevices"], "{list} {truth}");
}

#[test]
fn five_kills_of_the_server_during_a_rollout_lose_and_double_nothing() {
    let mut server = Server::start();
    disturbed_rollout(&mut server, DEVICES, KILLS, Server::kill_and_restart);
}

#[test]
fn a_server_that_is_killed_at_any_moment_of_its_start_starts_again() {
    // bad-inputs row 74
    let mut server = Server::start();
    server.hoist_ok(&["group", "create", "kept"]);
    for kill in 0..25 {
        server.kill_in_start(Duration::from_millis(8 * kill));
        if kill % 5 == 4 {
            server.restart();
            let groups = server.hoist_ok(&["group", "list", "-o", "name"]);
            assert!(groups.contains("kept"), "{groups}");
        }
    }
}
