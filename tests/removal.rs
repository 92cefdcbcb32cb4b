//! A removed device or user is out: a device with its token, its session and its membership, a user
//! with every session. What was begun is finished, and somebody always can add others.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::harness::device::Device;
use crate::harness::eventually;
use crate::harness::mqtt::{Client, Login};
use crate::harness::operator::Operator;
use crate::harness::release::{Release, ran};
use crate::harness::server::Server;

fn login(server: &Server, device: &str) -> Login {
    Login::read(&server.add_device(device, &[]))
}

/// The door is shut for this login.
fn is_refused(server: &Server, login: &Login) {
    let client = Client::open(server.mqtt(), &login.user, login);
    client.wait_closed();
    assert!(!client.came_in());
}

/// A server with a group `eu`, the release `app@1.0.0`, and what its scripts say.
fn with_release() -> (Server, Operator, Release, PathBuf) {
    let server = Server::start();
    let operator = Operator::new(&server);
    server.hoist_ok(&["group", "create", "eu"]);
    let trace = server.scratch().join("trace");
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "new").traced(&trace);
    (server, operator, release, trace)
}

fn is_online(operator: &Operator, device: &str) {
    eventually("the device to be online", || {
        let shown = operator.device(device);
        (shown["presence"] == json!("online")).then_some(())
    });
}

#[test]
fn a_removed_device_is_turned_out_and_its_token_is_worth_nothing_for_ever() {
    // bad-inputs row 81
    let mut server = Server::start();
    let first = login(&server, "dev-01");
    let session = Client::connect(server.mqtt(), "dev-01", &first);
    server.hoist_ok(&["device", "remove", "dev-01", "--yes"]);
    session.wait_closed();
    is_refused(&server, &first);
    server.kill_and_restart();
    is_refused(&server, &first);

    let second = login(&server, "dev-01");
    assert_ne!(first.token, second.token);
    is_refused(&server, &first);
    let session = Client::connect(server.mqtt(), "dev-01", &second);
    assert_eq!(login(&server, "dev-01").token, second.token);
    server.kill_and_restart();
    session.wait_closed();
    Client::connect(server.mqtt(), "dev-01", &second);
    is_refused(&server, &first);
}

#[test]
fn a_limit_of_one_is_exact_with_a_removed_device_that_is_still_there() {
    let (server, operator, release, trace) = with_release();
    server.release(release.dir());
    let mut devices: Vec<Device> = ["gone", "here"]
        .map(|id| Device::add(&server, id, &["--group", "eu"]))
        .into();
    for device in &mut devices {
        device.start(&server);
        is_online(&operator, device.id());
    }
    server.hoist_ok(&["device", "remove", "gone", "--yes"]);
    let limit = json!({"limit": {"devices": 1}});
    let deployment = operator.deploy("app@1.0.0", "eu", &limit);
    let view = operator.view(deployment, |view| view["state"] == json!("completed"));
    assert_eq!(view["reason"], json!("device-limit"), "{view}");
    operator.view(deployment, |view| view["counts"]["successful"] == json!(1));

    let again = operator.deploy("app@1.0.0", "eu", &json!({}));
    operator.settled(again);
    let forgotten = devices[0].state().join("head");
    eventually("the removed device to forget where it belongs", || {
        (!forgotten.exists()).then_some(())
    });
    assert_eq!(ran(&trace, "gone", deployment), [""; 0]);
    assert_eq!(ran(&trace, "gone", again), [""; 0]);
    assert!(!ran(&trace, "here", deployment).is_empty());
    assert!(devices[0].is_alive(), "it waits to be registered again");
}

#[test]
fn what_a_removed_device_has_begun_it_finishes_and_tells_in_its_next_life() {
    let (server, operator, release, trace) = with_release();
    let go = server.scratch().join("go");
    let waits = format!(
        "while [ ! -e {} ]; do sleep 0.02; done\ncp \"$HOIST_PAYLOAD_DIR/content\" content",
        go.display()
    );
    release.script("install", &waits);
    server.release(release.dir());
    let mut device = Device::add(&server, "dev-01", &["--group", "eu"]);
    device.start(&server);
    let deployment = operator.deploy("app@1.0.0", "eu", &json!({}));
    operator.at_step(deployment, "installing");
    server.hoist_ok(&["device", "remove", "dev-01", "--yes"]);
    let forgotten = device.state().join("head");
    eventually("the device to hear it", || {
        (!forgotten.exists()).then_some(())
    });
    fs::write(go, "").unwrap();
    let inventory = device.state().join("inventory.toml");
    eventually("the install to be confirmed", || {
        let installed = fs::read_to_string(&inventory).ok()?;
        installed.contains("1.0.0").then_some(())
    });
    assert_eq!(device.content("app"), "new");

    device.kill();
    server.add_device("dev-01", &["--group", "eu"]);
    device.start(&server);
    is_online(&operator, "dev-01");
    operator.view(deployment, |view| view["counts"]["successful"] == json!(1));
    let runs = ran(&trace, "dev-01", deployment);
    let installs = runs.iter().filter(|script| *script == "app install");
    assert_eq!(installs.count(), 1, "{runs:?}");
}

#[test]
fn a_device_that_started_once_with_an_older_agent_toml_is_a_member_again() {
    let (server, operator, release, _trace) = with_release();
    server.release(release.dir());
    let mut device = Device::add(&server, "dev-01", &["--group", "eu"]);
    let stale = device.settings();
    server.hoist_ok(&["device", "remove", "dev-01", "--yes"]);
    server.add_device("dev-01", &["--group", "eu"]);
    let right = device.settings();
    device.start(&server);
    is_online(&operator, "dev-01");
    let spec = device.state().join("head");
    eventually("the device to know its group", || {
        spec.exists().then_some(())
    });

    device.kill();
    device.write_settings(&stale);
    device.start(&server);
    eventually("it to be told that it is removed", || {
        (!spec.exists()).then_some(())
    });
    device.kill();
    device.write_settings(&right);
    device.start(&server);
    let deployment = operator.deploy("app@1.0.0", "eu", &json!({}));
    operator.view(deployment, |view| view["counts"]["successful"] == json!(1));
}

#[test]
fn a_device_of_another_namespace_is_not_told_that_it_was_removed() {
    let (server, operator, _release, _trace) = with_release();
    let mut device = Device::add(&server, "dev-01", &["--group", "eu"]);
    device.start(&server);
    is_online(&operator, "dev-01");
    let spec = device.state().join("head");
    eventually("the device to know its group", || {
        spec.exists().then_some(())
    });
    device.kill();
    device.setting("namespace = \"hiost\"");
    device.start(&server);
    eventually("the server to refuse it", || {
        let said = device.said();
        said.contains("or not in this namespace").then_some(())
    });
    assert!(spec.exists());
}

#[test]
fn a_user_who_is_removed_or_changed_is_turned_out_by_command_and_by_editor() {
    // bad-inputs row 81
    let server = Server::start();
    let add = |role: &str| {
        let file = server.scratch().join(format!("vera-{role}.toml"));
        let text = server.hoist_ok(&["user", "add", "vera", "--role", role]);
        fs::write(&file, text).unwrap();
        Login::read(&file)
    };
    let bystander = server.client();
    let viewer = add("viewer");
    let session = Client::connect(server.mqtt(), "", &viewer);
    assert!(session.subscribe("hoist/view/#"));
    server.hoist_ok(&["user", "remove", "vera", "--yes"]);
    session.wait_closed();
    is_refused(&server, &viewer);

    let deployer = add("deployer");
    is_refused(&server, &viewer);
    let session = Client::connect(server.mqtt(), "", &deployer);
    let users = server.data().join("users.toml");
    let text = fs::read_to_string(&users).unwrap();
    let changed = text.replace("role = \"deployer\"", "role = \"viewer\"");
    assert_ne!(text, changed);
    fs::write(&users, changed).unwrap();
    session.wait_closed();
    let session = Client::connect(server.mqtt(), "", &deployer);
    let refused = session.command_refused("deploy", &json!({"release": "a@1", "group": "eu"}));
    assert_eq!(refused, "E_ROLE");
    assert!(bystander.is_open(), "who did not change stays");
}

#[test]
fn the_last_administrator_cannot_be_removed() {
    // bad-inputs row 80
    let server = Server::start();
    for dry in [&["--dry-run"][..], &["--yes"]] {
        let output = server.hoist(&[&["user", "remove", "admin"], dry].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(8), "{said}");
        assert!(said.contains("error[E_LAST_ADMIN]"), "{said}");
        assert!(said.contains("hoist user add"), "{said}");
    }
    server.client().command_ok("group-list", &json!({}));
    server.hoist_ok(&["user", "add", "second", "--role", "admin"]);
    server.hoist_ok(&["user", "remove", "admin", "--yes"]);
}
