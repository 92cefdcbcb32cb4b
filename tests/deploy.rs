//! A real agent installs, fails, restores and reports, by the scripts of the artifact.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::eventually;
use crate::harness::release::Release;
use crate::harness::server::Server;
use crate::harness::wire::Proxy;

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

#[test]
fn what_has_started_finishes_without_the_network_and_is_reported_once() {
    let server = Server::start();
    let client = server.client();
    assert!(client.subscribe("hoist/view/#"));
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    let gate = server.scratch().join("gate");
    let wait = format!(
        "while [ ! -e {} ]; do sleep 0.02; done\nexit 9",
        gate.display()
    );
    release.script("verify", &wait);
    server.release(release.dir());
    let config = server.add_device("dev-04", &[]);
    let proxy = Proxy::start(server.mqtt());
    let text = fs::read_to_string(&config)
        .unwrap()
        .replace(server.mqtt(), proxy.address());
    fs::write(&config, text).unwrap();
    let agent = server.agent(&config);
    let body = json!({"release": "app@1.0.0", "group": "unassigned", "attempts": 1});
    client.command_ok("deploy", &body);
    client.wait_json("hoist/view/deployment/1", |view| {
        view["steps"]["installing"] == json!(1)
    });

    proxy.cut();
    fs::write(gate, "").unwrap();
    let log = work(&server, "dev-04", "app").join("scripts.log");
    eventually("the rollback without a network", || {
        fs::read_to_string(&log)
            .ok()
            .filter(|log| log.contains("rollback"))
    });
    let view = client.last("hoist/view/deployment/1").unwrap();
    let view: Value = serde_json::from_slice(&view).unwrap();
    assert_eq!(
        view["counts"]["failed"],
        json!(0),
        "nobody could know yet: {view}"
    );
    proxy.mend();
    let view = client.wait_json("hoist/view/deployment/1", settled);
    assert_eq!(view["counts"]["failed"], json!(1), "{view}");
    assert_eq!(
        view["failures"],
        json!([{"reason": "script-failed", "count": 1}]),
        "{view}"
    );
    drop(agent);
}

#[test]
fn a_release_for_other_hardware_or_with_an_older_counter_runs_no_script() {
    // bad-inputs rows 53 and 54
    let server = Server::start();
    let client = server.client();
    assert!(client.subscribe("hoist/view/#"));
    let config = server.add_device("dev-05", &["--type", "sensor-a"]);
    let _agent = server.agent(&config);
    let deploy = |release: &Release, name: &str, number: u32| {
        server.release(release.dir());
        client.command_ok("deploy", &json!({"release": name, "group": "unassigned"}));
        client.wait_json(&format!("hoist/view/deployment/{number}"), settled)
    };
    let foreign = Release::write(server.scratch(), "app", "1.0.0", 5, "content");
    foreign.setting("device_types = [\"sensor-b\"]");
    let view = deploy(&foreign, "app@1.0.0", 1);
    assert_eq!(
        view["failures"],
        json!([{"reason": "incompatible", "count": 1}]),
        "{view}"
    );
    assert!(!work(&server, "dev-05", "app").exists(), "no script ran");

    let fitting = Release::write(server.scratch(), "app", "1.1.0", 5, "content");
    fitting.setting("device_types = [\"sensor-a\"]");
    let view = deploy(&fitting, "app@1.1.0", 2);
    assert_eq!(view["counts"]["successful"], json!(1), "{view}");
    let older = Release::write(server.scratch(), "app", "1.0.9", 4, "older");
    let view = deploy(&older, "app@1.0.9", 3);
    assert_eq!(
        view["failures"],
        json!([{"reason": "downgrade", "count": 1}]),
        "{view}"
    );
    let content = work(&server, "dev-05", "app").join("content");
    assert_eq!(fs::read_to_string(content).unwrap(), "content");
}

#[test]
fn an_artifact_tampered_with_on_the_server_is_never_executed() {
    // bad-inputs row 47
    let server = Server::start();
    let client = server.client();
    assert!(client.subscribe("hoist/view/#"));
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let artifacts = fs::read_dir(server.data().join("artifacts")).unwrap();
    let artifact = artifacts
        .map(|entry| entry.unwrap().path())
        .find(|path| path.is_file())
        .unwrap();
    let mut bytes = fs::read(&artifact).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&artifact, bytes).unwrap();
    let config = server.add_device("dev-06", &[]);
    let _agent = server.agent(&config);
    let body = json!({"release": "app@1.0.0", "group": "unassigned", "timeoutSecs": 60});
    client.command_ok("deploy", &body);
    let view = client.wait_json("hoist/view/deployment/1", |view| {
        settled(view) || view["steps"]["retrying"] == json!(1)
    });
    assert_eq!(view["counts"]["successful"], json!(0), "{view}");
    assert!(
        !work(&server, "dev-06", "app").join("scripts.log").exists(),
        "no script ran"
    );
}
