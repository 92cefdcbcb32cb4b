//! What is over goes after the time that the settings say, and its number stays given.

use serde_json::json;

use crate::harness::device::Device;
use crate::harness::eventually;
use crate::harness::operator::Operator;
use crate::harness::release::Release;
use crate::harness::server::Server;

fn is_cleared(topic_says: &[u8]) -> Option<()> {
    topic_says.is_empty().then_some(())
}

#[test]
fn a_deployment_goes_some_time_after_it_was_over_and_its_number_is_not_given_again() {
    let mut server = Server::start_set("keep_ended_deployments = \"1s\"\n");
    let operator = Operator::new(&server);
    server.hoist_ok(&["group", "create", "eu"]);
    server.release(Release::write(server.scratch(), "app", "1.0.0", 1, "content").dir());
    let mut device = Device::add(&server, "dev-01", &["--group", "eu"]);
    device.start(&server);
    let first = operator.deploy("app@1.0.0", "eu", &json!({}));
    operator.view(first, |view| view["counts"]["successful"] == json!(1));
    // Another one takes its place, and stays.
    let second = operator.deploy("app@1.0.0", "eu", &json!({"reinstall": true}));
    operator.view(second, |view| view["counts"]["successful"] == json!(1));
    let topic = format!("hoist/view/deployment/{first}");
    operator.client().wait_for(&topic, is_cleared);
    let listed = server.hoist_ok(&["deployment", "list", "-o", "name"]);
    assert_eq!(listed, format!("{second}\n"));
    let gone = server.hoist(&["deployment", "show", "1"]);
    assert_eq!(gone.status.code(), Some(7));
    let said = String::from_utf8(gone.stderr).unwrap();
    assert!(said.contains("deployment 1 was removed at"), "{said}");
    assert!(said.contains("keep_ended_deployments"), "{said}");

    server.hoist_ok(&["deployment", "abort", "2", "--yes"]);
    let topic = format!("hoist/view/deployment/{second}");
    operator.client().wait_for(&topic, is_cleared);
    let shown = server.hoist_ok(&["device", "show", "dev-01"]);
    assert!(shown.contains("deployment 2 was removed"), "{shown}");
    assert!(shown.contains("1.0.0"), "{shown}");
    server.hoist_ok(&["device", "why", "dev-01"]);
    // The broker has forgotten everything, and the device tells it all again.
    server.kill_and_restart();
    let operator = Operator::new(&server);
    let third = operator.deploy("app@1.0.0", "eu", &json!({}));
    assert_eq!(third, 3);
    operator.view(third, |view| view["counts"]["successful"] == json!(1));
    let shown = operator.device("dev-01");
    assert_eq!(shown["refused"], json!(null), "{shown}");
    assert!(server.stop().success());
    let data = server.data();
    let check = ["--data-dir", data.to_str().unwrap(), "store", "check"];
    server.hoist_ok(&check);
}

#[test]
fn a_device_that_is_away_for_too_long_is_removed_and_nobody_else() {
    let server =
        Server::start_set("keep_silent_devices = \"1s\"\ngrace = \"500ms\"\nsettle = \"500ms\"\n");
    let operator = Operator::new(&server);
    assert!(operator.client().subscribe("hoist/event/#"));
    let mut here = Device::add(&server, "here", &[]);
    here.start(&server);
    let mut away = Device::add(&server, "away", &[]);
    away.start(&server);
    server.add_device("new", &[]);
    for device in ["here", "away"] {
        eventually("the device to be online", || {
            (operator.device(device)["presence"] == json!("online")).then_some(())
        });
    }
    away.kill();
    let told = operator
        .client()
        .wait_json("hoist/event/device-removed", |_| true);
    let data = &told["data"];
    assert_eq!(
        (&data["device"], &data["by"]),
        (&json!("away"), &json!("retention"))
    );
    let listed = server.hoist_ok(&["device", "list", "-o", "name"]);
    assert_eq!(listed, "here\nnew\n");
}
