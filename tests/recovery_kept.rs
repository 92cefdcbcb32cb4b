//! What devices kept is believed by a server that goes on from an older copy of its store.

use serde_json::Value;

use crate::harness::device::Device;
use crate::harness::eventually;
use crate::harness::process::{HOIST, Process, run};
use crate::harness::server::Server;

fn of_device(server: &Server, id: &str) -> Value {
    let shown = server.hoist_ok(&["device", "show", id, "-o", "json"]);
    serde_json::from_str(&shown).unwrap()
}

#[test]
fn moves_and_holds_since_the_backup_survive_it_and_no_forgotten_token_comes_back() {
    // bad-inputs row 66, W4
    let mut server = Server::start();
    for group in ["eu", "us"] {
        server.hoist_ok(&["group", "create", group]);
    }
    let mut device = Device::add(&server, "d1", &["--group", "eu"]);
    device.start(&server);
    server.hoist_ok(&["device", "add", "gone"]);
    let backup = server.scratch().join("fleet.tar");
    let file = backup.to_str().unwrap().to_owned();
    let data = server.data();
    let data_dir = ["--data-dir", data.to_str().unwrap()];
    server.hoist_ok(&[&["backup", "--out", &file][..], &data_dir].concat());
    server.hoist_ok(&["device", "remove", "gone", "--yes"]);
    let second = server.hoist_ok(&["device", "add", "gone"]);
    server.hoist_ok(&["device", "remove", "gone", "--yes"]);
    server.hoist_ok(&["device", "move", "d1", "--group", "us"]);
    server.hoist_ok(&["device", "hold", "d1"]);
    eventually("the device to keep the spec that says so", || {
        let kept = std::fs::read(device.state().join("head")).unwrap_or_default();
        kept.windows(2).any(|bytes| bytes == b"us").then_some(())
    });
    assert!(server.stop().success());
    std::fs::remove_dir_all(data.join("store")).unwrap();
    let restore = [&["restore", &file][..], &data_dir].concat();
    assert!(run(HOIST, &restore).status.success());

    let log = server.scratch().join("recover.log");
    let ports = ["--mqtt", server.mqtt(), "--http", server.http()];
    let command = [&["recover", "--wait", "25s"][..], &data_dir, &ports].concat();
    let mut recovery = Process::start(HOIST, &command, &log);
    let ready = data.join("run.json");
    eventually("the recovery to listen", || ready.exists().then_some(()));
    device.restart(&server);
    assert!(recovery.wait().success(), "{}", recovery.said());
    let said = recovery.said();
    assert!(
        !said.contains("E_FLOOD"),
        "each device is asked once: {said}"
    );

    server.restart();
    let shown = of_device(&server, "d1");
    assert_eq!(
        (&shown["group"], &shown["held"]),
        (&Value::from("us"), &Value::from(true)),
        "{shown}"
    );
    let token = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("token ="));
        line.unwrap().to_owned()
    };
    // The backup knows of it; it was removed twice since.
    server.hoist_ok(&["device", "remove", "gone", "--yes"]);
    let third = server.hoist_ok(&["device", "add", "gone"]);
    assert_ne!(
        token(&second),
        token(&third),
        "a revoked token is not given again"
    );
}

#[test]
fn a_recovery_that_nobody_answered_says_so_and_what_to_look_at() {
    let mut server = Server::start();
    server.hoist_ok(&["device", "add", "d1"]);
    server.hoist_ok(&["device", "add", "d2"]);
    assert!(server.stop().success());
    let data = server.data();
    let recover = |more: &[&str]| {
        let ports = ["--mqtt", server.mqtt(), "--http", server.http()];
        let wait = ["recover", "--yes", "--wait", "1s", "--data-dir"];
        run(
            HOIST,
            &[&wait[..], &[data.to_str().unwrap()], &ports, more].concat(),
        )
    };
    let over = recover(&[]);
    assert!(over.status.success(), "the wait is over: {over:?}");
    let told = String::from_utf8_lossy(&over.stdout).into_owned();
    assert!(told.contains("0 of 2 devices answered"), "{told}");
    assert!(told.contains("Not heard of: d1, d2"), "{told}");
    let said = String::from_utf8_lossy(&over.stderr).into_owned();
    for part in [
        "warning: no device answered within 1s",
        server.mqtt(),
        "recover --yes",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let told: Value = serde_json::from_slice(&recover(&["-o", "json"]).stdout).unwrap();
    assert_eq!(told["answered"], 0, "{told}");
}
