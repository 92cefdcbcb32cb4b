//! The identity of devices: one that lost its key is believed again when an operator says so, and
//! two that are copies of each other are found and do not wear out the server.

use std::fs;
use std::path::Path;

use hoist_protocol::codec::encode;
use hoist_protocol::device::{Presence, PresenceState};
use hoist_protocol::id::SessionCounter;
use hoist_protocol::topic::{Topic, Topics};
use serde_json::{Value, json};

use crate::harness::device::Device;
use crate::harness::eventually;
use crate::harness::mqtt::{Client, Login};
use crate::harness::operator::{Operator, assert_one_outcome};
use crate::harness::release::Release;
use crate::harness::server::Server;

fn with_release() -> (Server, Operator) {
    let server = Server::start();
    let operator = Operator::new(&server);
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "new");
    server.release(release.dir());
    (server, operator)
}

/// The answer of `device show`.
fn shown(server: &Server, device: &str) -> Value {
    let text = server.hoist_ok(&["device", "show", device, "-o", "json"]);
    serde_json::from_str(&text).unwrap()
}

/// Waits until it is in doubt who a device is, for this reason.
fn is_doubted(server: &Server, device: &str, code: &str) -> Value {
    eventually("the device's identity to be in doubt", || {
        let shown = shown(server, device);
        (shown["identity"]["code"] == json!(code)).then_some(shown)
    })
}

/// Waits until the device's key is pinned.
fn is_pinned(server: &Server, device: &str) {
    eventually("its key to be pinned", || {
        (shown(server, device)["keyPinned"] == json!(true)).then_some(())
    });
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_device_that_lost_its_key_is_believed_again_once_its_new_key_is_approved() {
    let (server, operator) = with_release();
    let mut device = Device::add(&server, "dev-01", &[]);
    device.start(&server);
    is_pinned(&server, "dev-01");
    device.kill();
    fs::remove_dir_all(device.state()).unwrap();
    device.start(&server);
    let doubted = is_doubted(&server, "dev-01", "E_REENROL");
    let offered = doubted["offeredFingerprint"].as_str().unwrap();
    assert_ne!(doubted["fingerprint"], doubted["offeredFingerprint"]);
    let command = format!("hoist device approve dev-01 --fingerprint {offered}");
    let why = server.hoist_ok(&["device", "why", "dev-01", "-o", "json"]);
    assert!(why.contains(&command), "{why}");
    let log = server.scratch().join("dev-01.log");
    eventually("the agent to say that it is not believed", || {
        fs::read_to_string(&log)
            .ok()?
            .contains(&command)
            .then_some(())
    });

    let wrong = server.hoist(&["device", "approve", "dev-01", "--fingerprint", "0123456789"]);
    assert_eq!(wrong.status.code(), Some(8));
    server.hoist_ok(&["device", "approve", "dev-01", "--fingerprint", offered]);
    assert_eq!(shown(&server, "dev-01")["fingerprint"], json!(offered));
    let deployment = operator.deploy("app@1.0.0", "unassigned", &json!({}));
    assert_one_outcome(&operator.settled(deployment), "successful");
    assert_eq!(shown(&server, "dev-01")["identity"], Value::Null);
}

#[test]
fn a_device_that_lost_its_key_can_also_be_begun_afresh() {
    let (server, operator) = with_release();
    let mut device = Device::add(&server, "dev-01", &[]);
    device.start(&server);
    is_pinned(&server, "dev-01");
    device.kill();
    fs::remove_dir_all(device.state()).unwrap();
    server.hoist_ok(&["device", "remove", "dev-01", "--yes"]);
    server.add_device("dev-01", &[]);
    device.start(&server);
    let deployment = operator.deploy("app@1.0.0", "unassigned", &json!({}));
    assert_one_outcome(&operator.settled(deployment), "successful");
    assert_eq!(shown(&server, "dev-01")["identity"], Value::Null);
}

#[test]
fn a_device_that_counts_its_sessions_from_a_lower_number_again_is_online_all_the_same() {
    // Its state was restored from a backup, or it once said the highest number there is.
    let server = Server::start();
    let login = Login::read(&server.add_device("dev-01", &[]));
    let client = Client::connect(server.mqtt(), "dev-01", &login);
    let topic = Topics::default().format(&Topic::Presence("dev-01".parse().unwrap()));
    for (state, session, says) in [
        (PresenceState::Online, u64::MAX, "online"),
        (PresenceState::Offline, u64::MAX, "offline"),
        (PresenceState::Online, 5, "online"),
        (PresenceState::Offline, 5, "offline"),
        (PresenceState::Online, 6, "online"),
    ] {
        let session = SessionCounter(session);
        client.publish(&topic, &encode(&Presence { state, session }), true);
        eventually(says, || {
            (shown(&server, "dev-01")["presence"] == json!(says)).then_some(())
        });
    }
    assert_eq!(shown(&server, "dev-01")["identity"], Value::Null);
}

#[test]
fn two_devices_with_one_identity_are_found_and_told_of_once() {
    // bad-inputs row 86
    let (server, operator) = with_release();
    assert!(operator.client().subscribe("hoist/event/#"));
    let mut device = Device::add(&server, "dev-01", &[]);
    device.start(&server);
    is_pinned(&server, "dev-01");
    device.kill();
    let place = server.scratch().join("copy");
    copy(&device.state(), &place.join("dev-01.state"));
    let config = place.join("dev-01.toml");
    fs::copy(server.scratch().join("dev-01.toml"), &config).unwrap();

    device.start(&server);
    let _copy = server.agent(&config);
    let doubted = is_doubted(&server, "dev-01", "E_CLONE");
    assert!(
        doubted["identity"]["next"]
            .as_str()
            .unwrap()
            .contains("hoist device add")
    );
    let why = server.hoist_ok(&["device", "why", "dev-01"]);
    assert!(why.contains("E_CLONE"), "{why}");
    let topic = "hoist/event/clone-suspected";
    operator
        .client()
        .wait_json(topic, |event| event["data"]["device"] == json!("dev-01"));
    // They go on taking turns: nothing more is said of it.
    let births = |log: &str| {
        fs::read_to_string(server.scratch().join(log))
            .unwrap()
            .matches("connected session")
            .count()
    };
    let before = births("copy/dev-01.log");
    eventually("another turn", || {
        (births("copy/dev-01.log") > before).then_some(())
    });
    let told = operator.client().messages();
    assert_eq!(
        told.iter().filter(|message| message.topic == topic).count(),
        1
    );
    let log = fs::read_to_string(server.scratch().join("server.log")).unwrap();
    assert_eq!(log.matches("E_CLONE").count(), 1, "{log}");
}
