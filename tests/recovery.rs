//! Fleets whose server lost its store, or goes on from an older one.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::device::Device;
use crate::harness::eventually;
use crate::harness::process::{HOIST, Process, run};
use crate::harness::release::Release;
use crate::harness::server::Server;

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
    assert!(run("cp", &["-a", from, to]).status.success());
}

/// A stopped server's store, kept for later.
pub fn store_of(server: &mut Server, name: &str) -> PathBuf {
    assert!(server.stop().success());
    let kept = server.scratch().join(name);
    copy(&server.data().join("store"), &kept);
    kept
}

/// The words of a start that is refused.
pub fn refused_start(data: &Path) -> String {
    let free = ["--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    let args = [&["serve", "--data-dir", data.to_str().unwrap()][..], &free].concat();
    let output = run(HOIST, &args);
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_server_whose_store_is_older_than_what_it_signed_does_not_start() {
    // bad-inputs row 66
    let mut server = Server::start();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let older = store_of(&mut server, "older");
    server.restart();
    server.hoist_ok(&["deploy", "app@1.0.0", "--group", "unassigned"]);
    assert!(server.stop().success());
    let (newer, store) = (server.scratch().join("newer"), server.data().join("store"));
    copy(&store, &newer);
    copy(&older, &store);
    let said = refused_start(&server.data());
    for part in [
        "error[E_RECOVER]",
        "group unassigned",
        "hoist recover",
        "hoist restore",
    ] {
        assert!(said.contains(part), "{part} is in {said}");
    }
    copy(&newer, &store);
    server.restart();
    let shown = server.hoist_ok(&["deployment", "show", "1", "-o", "json"]);
    assert!(shown.contains("\"active\""), "{shown}");
}

/// Runs a program on this data directory, which must succeed, and returns its JSON.
pub fn json_of(args: &[&str], data: &Path) -> Value {
    let all = [args, &["--data-dir", data.to_str().unwrap(), "-o", "json"]].concat();
    let output = run(HOIST, &all);
    assert!(output.status.success(), "{args:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// `hoist recover` on the ports of a server, whose devices connect as soon as it listens.
pub fn recover(server: &Server, devices: &mut [Device]) -> Value {
    let log = server.scratch().join("recover.log");
    let data = server.data();
    let data = data.to_str().unwrap();
    let where_to = ["recover", "--data-dir", data, "-o", "json", "--wait", "20s"];
    let ports = ["--mqtt", server.mqtt(), "--http", server.http()];
    let mut recovery = Process::start(HOIST, &[&where_to[..], &ports].concat(), &log);
    let ready = server.data().join("run.json");
    eventually("the recovery to listen", || ready.exists().then_some(()));
    devices.iter_mut().for_each(|device| device.restart(server));
    assert!(recovery.wait().success(), "{}", recovery.said());
    let said = recovery.said();
    let told = said.lines().find(|line| line.starts_with('{'));
    serde_json::from_str(told.unwrap()).unwrap()
}

/// The number of times that a device has installed something, as its own script counts it.
pub fn installs(device: &Device) -> usize {
    let counted = device.state().join("work/app/installs");
    std::fs::read_to_string(counted)
        .unwrap_or_default()
        .lines()
        .count()
}

pub fn deployed(server: &Server, release: &str) -> u64 {
    let answer = server.hoist_ok(&["deploy", release, "--group", "eu", "-o", "json"]);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    answer["deployment"].as_u64().unwrap()
}

/// A release whose install script counts its runs.
pub fn counting(server: &Server, version: &str, counter: u64) -> String {
    let release = Release::write(server.scratch(), "app", version, counter, version);
    let script = release.dir().join("scripts/install");
    let text = std::fs::read_to_string(&script).unwrap();
    std::fs::write(&script, format!("{text}\necho run >> installs\n")).unwrap();
    server.release(release.dir());
    format!("app@{version}")
}

#[test]
fn after_a_lost_store_the_fleet_is_recovered_and_nothing_is_installed_twice() {
    // bad-inputs row 66, S12
    let mut server = Server::start();
    server.hoist_ok(&["group", "create", "eu"]);
    let release = counting(&server, "1.0.0", 1);
    let add = |id| Device::add(&server, id, &["--group", "eu", "--label", "site=north"]);
    let mut devices = [add("d1"), add("d2")];
    devices.iter_mut().for_each(|device| device.start(&server));
    assert_eq!(deployed(&server, &release), 1);
    server.hoist_ok(&["status", "1", "--timeout", "60s"]);
    assert!(devices.iter().all(|device| installs(device) == 1));
    assert!(server.stop().success());
    std::fs::remove_dir_all(server.data().join("store")).unwrap();
    let said = refused_start(&server.data());
    assert!(
        said.contains("E_RECOVER") && said.contains("hoist recover"),
        "{said}"
    );

    let told = recover(&server, &mut devices);
    let recovered = &told["recovered"];
    assert_eq!(recovered["groups"], json!(["eu", "unassigned"]), "{told}");
    assert_eq!(recovered["devices"], 2, "{told}");
    assert_eq!(recovered["releases"], json!(["app@1.0.0"]), "{told}");
    let deployment = &recovered["deployments"][0];
    assert_eq!(
        (&deployment["deployment"], &deployment["release"]),
        (&json!(1), &json!("app@1.0.0"))
    );
    assert_eq!(deployment["successful"], 2, "{told}");
    assert!(told["onlyInBackup"].as_array().unwrap().len() > 3);

    server.restart();
    let shown = server.hoist_ok(&["deployment", "show", "1", "-o", "json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        (&shown["state"], &shown["reason"]),
        (&json!("aborted"), &json!("recovered"))
    );
    let again = deployed(&server, &release);
    assert_eq!(again, 2, "no number is given twice");
    server.hoist_ok(&["status", "2", "--timeout", "60s"]);
    assert!(
        devices.iter().all(|device| installs(device) == 1),
        "it is there already"
    );
    let newer = counting(&server, "1.1.0", 2);
    assert_eq!(deployed(&server, &newer), 3);
    server.hoist_ok(&["status", "3", "--timeout", "60s"]);
    assert!(devices.iter().all(|device| installs(device) == 2));
    let device = server.hoist_ok(&["device", "show", "d1", "-o", "json"]);
    assert!(
        device.contains("north"),
        "labels are in the spec that it kept: {device}"
    );
}

#[test]
fn a_backup_of_a_running_server_is_restored_beside_a_fleet_that_went_on() {
    // bad-inputs row 66
    let mut server = Server::start();
    server.hoist_ok(&["group", "create", "eu"]);
    let release = counting(&server, "1.0.0", 1);
    let mut device = Device::add(&server, "d1", &["--group", "eu"]);
    device.start(&server);
    assert_eq!(deployed(&server, &release), 1);
    server.hoist_ok(&["status", "1", "--timeout", "60s"]);
    let backup = server.scratch().join("fleet.tar");
    let file = backup.to_str().unwrap();
    let data = server.data();
    let made = json_of(&["backup", "--out", file], &data);
    assert!(made["rows"].as_u64().unwrap() > 10, "{made}");
    let newer = counting(&server, "1.1.0", 2);
    assert_eq!(deployed(&server, &newer), 2);
    server.hoist_ok(&["status", "2", "--timeout", "60s"]);
    let refused = run(
        HOIST,
        &["restore", file, "--data-dir", data.to_str().unwrap()],
    );
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("E_LOCKED"),
        "{said}"
    );
    assert!(server.stop().success());
    let refused = run(
        HOIST,
        &["restore", file, "--data-dir", data.to_str().unwrap()],
    );
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("a whole store"),
        "{said}"
    );

    // The disk lets the store down.
    std::fs::write(data.join("store/db"), "nothing").unwrap();
    let said = refused_start(&data);
    let named = format!("hoist restore {file} --data-dir {}", data.display());
    assert!(
        said.contains("E_STORE_DAMAGED") && said.contains(&named),
        "{said}"
    );
    let restored = json_of(&["restore", file], &data);
    assert_eq!(restored["rows"], made["rows"]);
    let said = refused_start(&data);
    assert!(
        said.contains("E_RECOVER") && said.contains("was restored"),
        "{said}"
    );
    let told = recover(&server, std::slice::from_mut(&mut device));
    let numbers = told["recovered"]["deployments"].as_array().unwrap().iter();
    let numbers: Vec<u64> = numbers
        .map(|one| one["deployment"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [1, 2], "{told}");
    assert_eq!(
        told["recovered"]["deployments"][1]["successful"], 1,
        "{told}"
    );

    server.restart();
    assert_eq!(deployed(&server, &newer), 3);
    server.hoist_ok(&["status", "3", "--timeout", "60s"]);
    assert_eq!(installs(&device), 2, "each release once");
    assert!(server.stop().success());
    let checked = json_of(&["store", "check"], &data);
    assert_eq!(
        (&checked["ok"], &checked["findings"]),
        (&json!(true), &json!(0)),
        "{checked}"
    );
}

#[test]
fn a_store_is_checked_while_no_server_runs_and_found_out_when_it_is_damaged() {
    // bad-inputs row 62
    let mut server = Server::start();
    server.hoist_ok(&["device", "add", "d1"]);
    let data = server.data();
    let check = ["store", "check", "--data-dir", data.to_str().unwrap()];
    let locked = run(HOIST, &check);
    let said = String::from_utf8_lossy(&locked.stderr).into_owned();
    assert!(
        locked.status.code() == Some(1) && said.contains("E_LOCKED"),
        "{said}"
    );
    assert!(server.stop().success());
    let whole = run(HOIST, &check);
    let said = String::from_utf8_lossy(&whole.stdout).into_owned();
    assert!(
        whole.status.success() && said.contains("1 device,"),
        "{said}"
    );
    std::fs::write(data.join("store/db"), "nothing").unwrap();
    let damaged = run(HOIST, &check);
    let said = String::from_utf8_lossy(&damaged.stderr).into_owned();
    assert!(
        damaged.status.code() == Some(1) && said.contains("E_STORE_DAMAGED"),
        "{said}"
    );
}
