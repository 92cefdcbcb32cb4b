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

#[test]
fn five_kills_of_the_server_during_a_rollout_lose_and_double_nothing() {
    let mut server = Server::start();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let sim = Sim::start(&server, DEVICES);
    let client = server.client();
    assert!(client.subscribe("hoist/view/#"));
    client.wait_json("hoist/view/group/sim", |view| {
        view["members"] == json!(DEVICES)
    });
    client.command_ok("deploy", &json!({"release": "app@1.0.0", "group": "sim"}));
    drop(client);

    for kill in 1..=KILLS {
        let client = server.client();
        assert!(client.subscribe("hoist/view/#"));
        let goal = DEVICES * kill / (KILLS + 1);
        client.wait_json("hoist/view/deployment/1", |view| finished(view) >= goal);
        server.kill_and_restart();
    }

    let truth = sim.truth();
    let client = server.client();
    assert!(client.subscribe("hoist/view/#"));
    let view = client.wait_json("hoist/view/deployment/1", |view| finished(view) == DEVICES);
    assert_eq!(
        view["counts"]["successful"], truth["counts"]["successful"],
        "{view} {truth}"
    );
    assert_eq!(
        view["counts"]["failed"], truth["counts"]["failed"],
        "{view} {truth}"
    );
    assert_eq!(
        truth["deployments"]["1"]["started"],
        json!(DEVICES),
        "{truth}"
    );
    assert!(
        truth["counts"]["failed"].as_u64().unwrap() > 0,
        "some devices fail: {truth}"
    );
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
