//! Advice of `docs/operations.md` to operators works: the unit's promises, and a copy of the data
//! directory that is a server again.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::harness::process::{HOIST, Process, run};
use crate::harness::release::Release;
use crate::harness::server::Server;
use crate::harness::{PATIENCE, eventually};

const UNIT: &str = include_str!("../cli/hoist.service");

/// A setting of the server's unit.
fn setting(name: &str) -> &'static str {
    let value = |line: &'static str| line.strip_prefix(name)?.strip_prefix('=');
    UNIT.lines().find_map(value).unwrap()
}

#[test]
fn the_servers_unit_starts_it_hears_that_it_is_ready_and_stops_it_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("notify");
    let supervisor = UnixDatagram::bind(&socket).unwrap();
    supervisor.set_read_timeout(Some(PATIENCE)).unwrap();
    let (name, _) = setting("Environment").split_once('=').unwrap();
    let arguments = setting("ExecStart")
        .strip_prefix("/usr/bin/hoist ")
        .unwrap();
    let settings = dir.path().join("settings");
    fs::write(
        &settings,
        "mqtt = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\n",
    )
    .unwrap();
    let mut server = Command::new(HOIST);
    server
        .args(arguments.split(' '))
        .env(name, dir.path().join("data"))
        .env("HOIST_CONFIG", &settings)
        .env("NOTIFY_SOCKET", &socket);
    let mut server = Process::spawn(&mut server, &dir.path().join("log"));
    assert_eq!(setting("Type"), "notify");
    let mut buffer = [0; 256];
    loop {
        let length = supervisor.recv(&mut buffer).unwrap();
        if buffer[..length].starts_with(b"READY=1") {
            break;
        }
    }
    assert!(dir.path().join("data/run.json").exists());
    assert!(server.terminate().success());
    assert!(!dir.path().join("data/run.json").exists());
    let log = server.said();
    let (begun, over) = (log.find("stopping"), log.find("stopped"));
    assert!(begun.is_some() && begun < over, "{log}");
}

#[test]
fn a_copy_of_a_stopped_servers_data_is_that_server() {
    let mut server = Server::start();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let config = server.add_device("dev-01", &[]);
    let agent = server.agent(&config);
    server.hoist_ok(&["deploy", "app@1.0.0", "--group", "unassigned"]);
    server.hoist_ok(&["status", "1"]);
    drop(agent);
    assert!(server.stop().success());
    let copy = server.scratch().join("copy");
    let (from, to) = (server.data(), copy.to_str().unwrap());
    assert!(
        run("cp", &["-a", from.to_str().unwrap(), to])
            .status
            .success()
    );
    let free = ["--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    let args = [&["serve", "--data-dir", to][..], &free].concat();
    let log = server.scratch().join("copy.log");
    let _restored = Process::start(HOIST, &args, &log);
    eventually("the copy to be ready", || {
        copy.join("run.json").exists().then_some(())
    });
    let shown = run(
        HOIST,
        &["--data-dir", to, "deployment", "show", "1", "-o", "json"],
    );
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["counts"]["successful"], json!(1), "{shown}");
    assert!(Path::new(to).join("artifacts").read_dir().unwrap().count() > 0);
}
