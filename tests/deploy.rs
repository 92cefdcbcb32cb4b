//! A real agent installs, fails, restores and reports, by the scripts of the artifact.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::release::Release;
use crate::harness::server::Server;

/// Where the scripts of artifact `name` run on `device`.
fn work(server: &Server, device: &str, name: &str) -> PathBuf {
    server.scratch().join(format!("{device}.state/work/{name}"))
}

fn settled(view: &Value) -> bool {
    view["settled"] == json!(true)
}

#[test]
fn an_agent_installs_a_release_and_then_rolls_a_bad_one_back() {
    let server = Server::start();
    let client = server.client();
    assert!(client.subscribe("hoist/view/#"));
    let good = Release::write(server.scratch(), "app", "1.0.0", 1, "old content");
    assert!(server.release(good.dir()).contains("app@1.0.0"));
    let config = server.add_device("dev-01", &[]);
    let _agent = server.agent(&config);

    let deployed = client.command_ok(
        "deploy",
        &json!({"release": "app@1.0.0", "group": "unassigned"}),
    );
    assert_eq!(deployed["deployment"], json!(1));
    assert_eq!(deployed["state"], json!("active"));
    let view = client.wait_json("hoist/view/deployment/1", settled);
    assert_eq!(view["counts"]["successful"], json!(1), "{view}");
    let work = work(&server, "dev-01", "app");
    assert_eq!(
        fs::read_to_string(work.join("content")).unwrap(),
        "old content"
    );
    assert_eq!(
        fs::read_to_string(work.join("scripts.log")).unwrap(),
        "pre-install\ninstall\nverify\n"
    );

    let bad = Release::write(server.scratch(), "app", "1.1.0", 2, "new content");
    bad.script(
        "verify",
        "echo verify >> scripts.log\necho the sensor does not answer >&2\nexit 7",
    );
    server.release(bad.dir());
    let body = json!({"release": "app@1.1.0", "group": "unassigned", "attempts": 1});
    client.command_ok("deploy", &body);
    let view = client.wait_json("hoist/view/deployment/2", settled);
    assert_eq!(view["counts"]["failed"], json!(1), "{view}");
    assert_eq!(
        view["failures"],
        json!([{"reason": "script-failed", "count": 1}]),
        "{view}"
    );

    assert_eq!(
        fs::read_to_string(work.join("content")).unwrap(),
        "old content"
    );
    let log = fs::read_to_string(work.join("scripts.log")).unwrap();
    assert_eq!(log.matches("rollback").count(), 1, "{log}");
    let device = client.command_ok("device-show", &json!({"device": "dev-01"}));
    let text = device.to_string();
    assert!(text.contains("\"rollback\":\"ok\""), "{text}");
    assert!(text.contains("the sensor does not answer"), "{text}");
    assert!(
        text.contains("\"app\":\"1.0.0\""),
        "what is installed is what was there: {text}"
    );
}

#[test]
fn a_device_registered_later_gets_the_active_deployment() {
    let server = Server::start();
    let client = server.client();
    assert!(client.subscribe("hoist/view/#"));
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let reply = client.command_ok(
        "deploy",
        &json!({"release": "app@1.0.0", "group": "unassigned"}),
    );
    assert_eq!(
        reply["members"],
        json!(0),
        "an empty group is accepted and waits"
    );

    let config = server.add_device("dev-02", &[]);
    let _agent = server.agent(&config);
    let view = client.wait_json("hoist/view/deployment/1", |view| {
        view["counts"]["successful"] == json!(1)
    });
    assert_eq!(
        view["state"],
        json!("active"),
        "later joiners stay welcome: {view}"
    );
    assert!(work(&server, "dev-02", "app").join("content").exists());
}

#[test]
fn a_deployment_aborted_while_a_device_is_offline_never_starts_there() {
    let server = Server::start();
    let client = server.client();
    assert!(client.subscribe("hoist/view/#"));
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let config = server.add_device("dev-03", &[]);
    client.command_ok(
        "deploy",
        &json!({"release": "app@1.0.0", "group": "unassigned"}),
    );
    let reply = client.command_ok(
        "abort",
        &json!({"deployment": 1, "reason": "wrong release"}),
    );
    assert_eq!(reply["state"], json!("aborted"));
    assert_eq!(reply["neverStart"], json!(1), "{reply}");
    assert_eq!(reply["finishing"], json!(0), "{reply}");

    // A second release proves that the device is there and works on what is listed.
    let other = Release::write(server.scratch(), "other", "1.0.0", 1, "content");
    server.release(other.dir());
    let _agent = server.agent(&config);
    client.command_ok(
        "deploy",
        &json!({"release": "other@1.0.0", "group": "unassigned"}),
    );
    client.wait_json("hoist/view/deployment/2", |view| {
        view["counts"]["successful"] == json!(1)
    });
    assert!(
        !work(&server, "dev-03", "app").exists(),
        "nothing of the aborted release ran"
    );
    let view = client.wait_json("hoist/view/deployment/1", |view| {
        view["state"] == json!("aborted")
    });
    assert_eq!(view["counts"]["successful"], json!(0), "{view}");
    assert_eq!(view["counts"]["inProgress"], json!(0), "{view}");
}

#[test]
fn a_release_without_a_rollback_script_is_refused_before_it_is_signed() {
    let server = Server::start();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    release.remove_script("rollback");
    let data = server.data();
    let output = server.hoist(&[
        "--data-dir",
        data.to_str().unwrap(),
        "release",
        "create",
        release.dir().to_str().unwrap(),
    ]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("error[E_") && said.contains("rollback"),
        "{said}"
    );
    let list = server.client().command_ok("release-list", &json!({}));
    assert_eq!(list["items"], json!([]), "{list}");
}
