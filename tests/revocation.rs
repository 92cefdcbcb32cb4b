//! A revoked device is out within a second with everything it had, stays listed with its history,
//! and comes back by something new. A token is replaced without anybody being turned out who has
//! the new one in time.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hoist_protocol::enroll::{ClaimSecret, USER_PREFIX};
use serde_json::{Value, json};

use crate::harness::device::Device;
use crate::harness::eventually;
use crate::harness::mqtt::{Client, Login};
use crate::harness::operator::Operator;
use crate::harness::process::{AGENT, Process, run};
use crate::harness::release::Release;
use crate::harness::server::Server;

/// The longest time in which a revoked device learns of it.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A server with a broker of its own, which turns out at once.
fn server(more: &[&str]) -> Server {
    Server::start_at(None, tempfile::tempdir().unwrap(), more, &[])
}

fn shown(server: &Server, device: &str) -> Value {
    let shown = server.hoist_ok(&["device", "show", device, "-o", "json"]);
    serde_json::from_str(&shown).unwrap()
}

fn is_online(server: &Server, device: &str) {
    eventually("the device to be online", || {
        (shown(server, device)["presence"] == json!("online")).then_some(())
    });
}

/// The agent's own word on a device, for the people at it.
fn status_at(config: &Path) -> String {
    let output = run(AGENT, &["status", "--config", config.to_str().unwrap()]);
    String::from_utf8(output.stdout).unwrap()
}

/// The door is shut for this login.
fn is_refused(server: &Server, login: &Login) {
    let client = Client::open(server.mqtt(), &login.user, login);
    client.wait_closed();
    assert!(!client.came_in());
}

/// Gives a device another token; returns the login of it.
fn rotated(server: &Server, device: &str, more: &[&str]) -> Login {
    let file = server.scratch().join(format!("{device}.new.toml"));
    let out = ["--out", file.to_str().unwrap()];
    let args = [&["device", "token", "rotate", device][..], &out, more].concat();
    server.hoist_ok(&args);
    Login::read(&file)
}

fn why(server: &Server, device: &str) -> String {
    let output = server.hoist(&["device", "why", device]);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_revoked_device_is_out_within_a_second_stays_listed_and_comes_back_with_another_token() {
    // bad-inputs rows 24 and 81
    let mut server = server(&[]);
    let operator = Operator::new(&server);
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let mut device = Device::add(&server, "dev-01", &["--type", "pump"]);
    device.start(&server);
    is_online(&server, "dev-01");
    let first = operator.deploy("app@1.0.0", "unassigned", &json!({}));
    operator.settled(first);

    let watched = Login::read(device.config());
    server.hoist_ok(&["device", "revoke", "dev-01", "--reason", "stolen"]);
    eventually("the agent to hear that it is revoked", || {
        device.said().contains("E_REVOKED").then_some(())
    });
    assert!(status_at(device.config()).contains("E_REVOKED"));
    is_refused(&server, &watched);
    let item = shown(&server, "dev-01");
    assert_eq!(item["revoked"]["by"], json!("admin"), "{item}");
    assert_eq!(item["revoked"]["reason"], json!("stolen"), "{item}");
    assert_eq!(
        item["status"],
        json!("successful"),
        "its history stays: {item}"
    );
    let list = server.hoist_ok(&["device", "list"]);
    assert!(
        list.contains("dev-01") && list.contains("revoked"),
        "{list}"
    );
    assert!(why(&server, "dev-01").contains("revoked"));
    let trail = server.hoist_ok(&["audit", "list", "-o", "json"]);
    assert!(trail.contains("\"device-revoke\""), "{trail}");

    server.kill_and_restart();
    is_refused(&server, &watched);
    let again = server.hoist(&["device", "add", "dev-01", "--type", "pump"]);
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(
        said.contains("E_REVOKED") && said.contains("token rotate dev-01"),
        "{said}"
    );

    device.kill();
    let config = device.config().to_str().unwrap().to_owned();
    server.hoist_ok(&["device", "token", "rotate", "dev-01", "--out", &config]);
    assert!(device.settings().contains("type = \"pump\""));
    device.start(&server);
    is_online(&server, "dev-01");
    assert!(!status_at(device.config()).contains("E_REVOKED"));
    is_refused(&server, &watched);
    let operator = Operator::new(&server);
    let second = Release::write(server.scratch(), "next", "1.0.0", 1, "content");
    server.release(second.dir());
    let second = operator.deploy("next@1.0.0", "unassigned", &json!({}));
    operator.view(second, |view| view["counts"]["successful"] == json!(1));
}

#[test]
fn a_device_that_was_revoked_before_it_ever_came_in_says_so_and_what_lets_it_in() {
    let server = server(&[]);
    let mut device = Device::add(&server, "dev-01", &[]);
    server.hoist_ok(&["device", "revoke", "dev-01"]);
    device.start(&server);
    eventually("the agent to say that it is revoked", || {
        device.said().contains("E_REVOKED").then_some(())
    });
    let said = device.said();
    assert!(said.contains("hoist device token rotate"), "{said}");
}

#[test]
fn the_session_of_a_revoked_device_ends_within_a_second() {
    let server = server(&[]);
    let login = Login::read(&server.add_device("dev-01", &[]));
    let session = Client::connect(server.mqtt(), "dev-01", &login);
    let operator = server.client();
    operator.command_ok(
        "device-revoke",
        &json!({"device": "dev-01", "reason": "lost"}),
    );
    let answered = Instant::now();
    session.wait_closed();
    let took = answered.elapsed();
    assert!(took < AT_ONCE, "it stays for {took:?}");
}

#[test]
fn the_session_of_whoever_came_by_a_claim_ends_within_a_second_of_its_revocation() {
    let mut server = server(&[]);
    let operator = server.client();
    let made = operator.command_ok("enroll-create", &json!({"uses": 5}));
    let claim = made["claim"].as_str().unwrap().to_owned();
    let secret = data_encoding::HEXLOWER.decode(made["secret"].as_str().unwrap().as_bytes());
    let secret = ClaimSecret(secret.unwrap().try_into().unwrap());
    let login = Login {
        user: format!("{USER_PREFIX}{claim}"),
        token: secret.password(),
    };
    // Also one that was made by a server that ran before.
    drop(operator);
    server.kill_and_restart();
    let session = Client::connect(server.mqtt(), "dev-01", &login);
    let operator = server.client();
    operator.command_ok("enroll-revoke", &json!({"claim": claim}));
    let answered = Instant::now();
    session.wait_closed();
    let took = answered.elapsed();
    assert!(took < AT_ONCE, "it stays for {took:?}");
    let is_refused = |server: &Server| {
        let client = Client::open(server.mqtt(), "dev-01", &login);
        client.wait_closed();
        assert!(!client.came_in());
    };
    is_refused(&server);
    drop(operator);
    server.kill_and_restart();
    is_refused(&server);
}

/// Enrolls a device, whose configuration lies among the server's own files.
fn enroll(server: &Server, text: &str, device: &str) -> PathBuf {
    let config = server.scratch().join(format!("{device}.toml"));
    let path = config.to_str().unwrap();
    let output = run(
        AGENT,
        &["enroll", text, "--device", device, "--config", path],
    );
    assert!(output.status.success(), "{output:?}");
    config
}

#[test]
fn a_certificate_of_a_revoked_device_lets_nobody_in_until_somebody_approves_the_device_again() {
    let server = server(&["--name", "127.0.0.1"]);
    let text = server.hoist_ok(&["enroll", "create", "--uses", "5"]);
    let text = text.trim();
    let config = enroll(&server, text, "pump-1");
    let mut agent = server.agent(&config);
    is_online(&server, "pump-1");
    server.hoist_ok(&["device", "revoke", "pump-1"]);
    eventually("the agent to hear that it is revoked", || {
        agent.said().contains("E_REVOKED").then_some(())
    });
    assert_eq!(shown(&server, "pump-1")["presence"], json!("offline"));

    // Whoever has the device has its state directory: with another claim they only wait.
    agent.kill();
    std::fs::remove_file(&config).unwrap();
    let path = config.to_str().unwrap();
    let args = ["enroll", text, "--device", "pump-1", "--config", path];
    let log = server.scratch().join("again.log");
    let mut waiting = Process::start(AGENT, &args, &log);
    let fingerprint = eventually("the device to say its fingerprint", || {
        let said = waiting.said();
        let (_, after) = said.split_once("--fingerprint ")?;
        Some(after.split('`').next()?.to_owned())
    });
    assert!(
        waiting.said().contains("waiting[E_REVOKED]"),
        "{}",
        waiting.said()
    );
    let asks = shown(&server, "pump-1");
    assert_eq!(asks["offeredFingerprint"], json!(fingerprint), "{asks}");
    server.hoist_ok(&["device", "approve", "pump-1", "--fingerprint", &fingerprint]);
    let ended = eventually("the device to be enrolled", || waiting.ended());
    assert!(ended.success(), "{}", waiting.said());
    let _agent = server.agent(&config);
    is_online(&server, "pump-1");
}

#[test]
fn a_replaced_token_is_good_for_the_overlap_and_no_longer() {
    let server = server(&[]);
    let old = Login::read(&server.add_device("dev-01", &[]));
    let session = Client::connect(server.mqtt(), "dev-01", &old);
    let new = rotated(&server, "dev-01", &["--overlap", "3s"]);
    assert_ne!(old.token, new.token);
    assert!(session.is_open());
    assert!(!shown(&server, "dev-01")["oldTokenUntil"].is_null());
    let with_new = Client::connect(server.mqtt(), "dev-01", &new);
    // The device connects again, with the token that it had.
    let with_old = Client::connect(server.mqtt(), "dev-01", &old);
    with_new.wait_closed();
    with_old.wait_closed();
    assert!(with_old.came_in());
    is_refused(&server, &old);
    Client::connect(server.mqtt(), "dev-01", &new);
    let item = shown(&server, "dev-01");
    assert!(
        item["oldTokenUntil"].is_null() && item["revoked"].is_null(),
        "{item}"
    );
}

#[test]
fn without_an_overlap_the_session_with_the_old_token_ends_at_once_and_the_agent_says_why() {
    let mut server = server(&[]);
    let mut device = Device::add(&server, "dev-01", &[]);
    device.start(&server);
    is_online(&server, "dev-01");
    let dry = [
        "device",
        "token",
        "rotate",
        "dev-01",
        "--overlap",
        "0s",
        "--dry-run",
    ];
    server.hoist_ok(&dry);
    is_online(&server, "dev-01");
    let new = rotated(&server, "dev-01", &["--overlap", "0s"]);
    eventually("the agent to say why", || {
        device.said().contains("or has replaced it").then_some(())
    });
    assert!(!device.said().contains("E_REVOKED"), "it is not shut out");
    assert_eq!(shown(&server, "dev-01")["presence"], json!("offline"));
    // Whoever lost the file gets the same token again.
    let again = Login::read(&server.add_device("dev-01", &[]));
    assert_eq!(again.token, new.token);
    server.kill_and_restart();
    Client::connect(server.mqtt(), "dev-01", &new);
}
