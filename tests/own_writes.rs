//! Whoever changes something and then looks sees what they changed: every pair of a command
//! and a question, by the real programs.

use hoist_protocol::topic::{Topic, Topics, View};
use serde_json::{Value, json};

use crate::harness::release::Release;
use crate::harness::server::Server;
use crate::refusals::{deployed, ended, failure};

fn items(server: &Server, args: &[&str]) -> Vec<Value> {
    let said = server.hoist_ok(&[&["-o", "json"], args].concat());
    serde_json::from_str(&said).unwrap()
}

fn retry(server: &Server) {
    server.hoist_ok(&["deployment", "retry", "1"]);
}

#[test]
fn a_status_after_a_retry_never_tells_of_the_round_before() {
    let server = Server::start();
    let (_operator, device) = deployed(&server);
    for round in 0..25 {
        device.says(&ended(u64::from(round) + 1, round, failure()));
        let over = server.hoist(&["status", "1"]);
        assert_eq!(over.status.code(), Some(3), "round {round} is over");
        retry(&server);
        let runs = server.hoist(&["status", "1", "--timeout", "100ms"]);
        let said = String::from_utf8_lossy(&runs.stderr).into_owned();
        assert_eq!(runs.status.code(), Some(5), "round {round}: {said}");
        assert!(!said.contains("settled,"), "a line of before: {said}");
    }
    server.hoist_ok(&["deployment", "abort", "1", "--yes"]);
    let aborted = server.hoist(&["status", "1"]);
    assert_eq!(aborted.status.code(), Some(6));
}

#[test]
fn a_view_read_after_the_answer_shows_what_the_command_did() {
    let server = Server::start();
    let (operator, device) = deployed(&server);
    let topic = Topics::default().format(&Topic::View(View::Deployment(
        hoist_protocol::id::DeploymentId(1),
    )));
    for round in 0..15 {
        device.says(&ended(u64::from(round) + 1, round, failure()));
        operator.settled(1);
        operator
            .client()
            .command_ok("retry", &json!({"deployment": 1}));
        let reader = server.client();
        assert!(reader.subscribe(&topic));
        let first = reader.wait_for(&topic, |view| serde_json::from_slice::<Value>(view).ok());
        assert_eq!(first["settled"], json!(false), "round {round}: {first}");
        operator.view(1, |view| view["settled"] == json!(false));
    }
}

#[test]
fn a_list_after_a_change_has_it() {
    let server = Server::start();
    server.add_device("dev-01", &[]);
    for number in 0..8 {
        let group = format!("g{number}");
        server.hoist_ok(&["group", "create", &group]);
        let groups = items(&server, &["group", "list"]);
        assert!(groups.iter().any(|it| it["group"] == json!(group)));
        server.hoist_ok(&["device", "move", "dev-01", "--group", &group]);
        let devices = items(&server, &["device", "list"]);
        assert_eq!(devices[0]["group"], json!(group));
        let version = format!("1.0.{number}");
        let counter = number + 1;
        let app = Release::write(
            server.scratch(),
            &format!("app{number}"),
            &version,
            counter,
            "x",
        );
        server.release(app.dir());
        let release = format!("app{number}@{version}");
        server.hoist_ok(&["deploy", &release, "--group", &group]);
        let deployments = items(&server, &["deployment", "list"]);
        let there = |it: &Value| it["release"] == json!(release) && it["state"] == json!("active");
        assert!(deployments.iter().any(there), "{deployments:?}");
    }
}
