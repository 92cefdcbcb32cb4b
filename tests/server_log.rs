//! The server's log: who did what, how deployments ended, and who was refused why. One
//! line each, with fields that can be searched for.

use std::fs::{self, File};
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::eventually;
use crate::harness::mqtt::{Client, Login};
use crate::harness::process::{AGENT, HOIST, Process, run};
use crate::harness::release::Release;
use crate::harness::server::Server;

/// The lines of a log that have all of these words.
fn lines<'a>(log: &'a str, words: &[&str]) -> Vec<&'a str> {
    let has = |line: &&str| words.iter().all(|word| line.contains(word));
    log.lines().filter(has).collect()
}

#[test]
fn everything_an_operator_does_is_one_line_and_so_is_the_end_of_a_deployment() {
    let mut server = Server::start();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    release.script("verify", "exit 1");
    server.release(release.dir());
    server.hoist_ok(&["group", "create", "eu"]);
    let config = server.add_device("dev-01", &["--group", "eu"]);
    let _agent = server.agent(&config);
    let client = server.client();
    let deploy = json!({"release": "app@1.0.0", "group": "eu", "attempts": 1});
    // The same request again is the same thing done once.
    for _ in 0..2 {
        let reply = client.command_as("r1", "deploy", deploy.to_string().as_bytes());
        assert_eq!(reply["ok"], json!(true), "{reply}");
    }
    assert_eq!(server.hoist(&["status", "1"]).status.code(), Some(3));
    server.hoist_ok(&["deployment", "abort", "1", "--yes"]);
    server.hoist_ok(&["device", "list"]);
    let said = |server: &mut Server| server.process().said();
    eventually("the end to be in the log", || {
        let log = said(&mut server);
        (!lines(&log, &["deployment ended"]).is_empty()).then_some(())
    });
    let log = said(&mut server);
    for (words, count) in [
        (&["release-add", "user=admin", "app@1.0.0"][..], 1),
        (&["group-create", "eu"], 1),
        (&["device-add", "dev-01", "eu"], 1),
        (
            &[
                "\"deploy\"",
                "user=admin",
                "request=r1",
                "deployment=1",
                "eu",
            ],
            1,
        ),
        (&["device failed", "dev-01", "script-failed"], 1),
        (&["\"abort\"", "user=admin", "deployment=1", "eu"], 1),
        (
            &[
                "deployment ended",
                "deployment=1",
                "group=eu",
                "operator",
                "by=admin",
            ],
            1,
        ),
        (&["device-list"], 0),
    ] {
        assert_eq!(lines(&log, words).len(), count, "{words:?} in\n{log}");
    }
}

#[test]
fn a_refusal_names_who_was_refused_what_and_a_flood_is_one_line() {
    let mut server = Server::start();
    let stranger = Login {
        token: "nonsense".to_owned(),
        ..server.admin()
    };
    for _ in 0..20 {
        let mallory = Client::open(server.mqtt(), "mallory-7", &stranger);
        mallory.wait_closed();
    }
    let client = server.client();
    for number in 0..20 {
        let request = format!("r{number}");
        let body = json!({"release": "nothing@1", "group": "eu"}).to_string();
        let reply = client.command_as(&request, "deploy", body.as_bytes());
        assert_eq!(reply["ok"], json!(false));
    }
    for (verb, body) in [("frobnicate", "{}"), ("abort", "{}")] {
        assert_eq!(
            client.command_as("r-bad", verb, body.as_bytes())["ok"],
            json!(false)
        );
    }
    let log = server.process().said();
    for words in [
        &["refused a command", "E_VERB", "request=r-bad", "frobnicate"][..],
        &["refused a command", "E_CMD", "request=r-bad", "abort"],
        &["connection refused", "E_AUTH", "user=\"admin\""],
    ] {
        assert!(!lines(&log, words).is_empty(), "{words:?} in\n{log}");
    }
    let refused = lines(
        &log,
        &["connection refused", "mallory-7", "peer=127.0.0.1:"],
    );
    assert_eq!(refused.len(), 1, "{log}");
    let commands = lines(&log, &["refused", "user=admin", "deploy"]);
    assert_eq!(commands.len(), 1, "{log}");
}

/// A server that says what it has to say there, once it is ready, until it is told to end.
fn serves_saying_into(place: impl Into<Stdio>) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Command::new(HOIST);
    let any = ["serve", "--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    server.args(any).env("HOIST_DATA_DIR", &data);
    let mut server = Process::saying_into(&mut server, place);
    let ready = eventually("the server to be ready", || {
        assert_eq!(server.ended(), None);
        fs::read(data.join("run.json")).ok()
    });
    let ready: Value = serde_json::from_slice(&ready).unwrap();
    let data = data.to_str().unwrap();
    let made = run(HOIST, &["--data-dir", data, "group", "create", "eu"]);
    assert!(made.status.success(), "{made:?} {ready}");
    assert!(server.terminate().success());
}

#[test]
fn a_reader_of_the_log_that_stalls_stops_nothing() {
    let (reader, mut full) = std::io::pipe().unwrap();
    // All that the pipe takes: every line from now on waits for the reader.
    full.write_all(&[b'x'; 65_536]).unwrap();
    serves_saying_into(full);
    drop(reader);
}

#[test]
fn a_log_on_a_full_disk_or_without_a_reader_stops_nothing() {
    serves_saying_into(File::options().write(true).open("/dev/full").unwrap());
    let (_, unread) = std::io::pipe().unwrap();
    serves_saying_into(unread);
    for (program, args, code) in [
        (HOIST, ["group", "nonsense"], 2),
        (AGENT, ["--nonsense", ""], 2),
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(program);
        let mut process = Process::saying_into(command.args(args), full);
        assert_eq!(process.wait().code(), Some(code), "{program}");
    }
}

#[test]
fn a_debug_log_is_about_hoist() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Command::new(HOIST);
    server
        .args(["serve", "--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0"])
        .env("HOIST_DATA_DIR", &data)
        .env("HOIST_LOG", "debug");
    let mut server = Process::spawn(&mut server, &dir.path().join("log"));
    eventually("the server to be ready", || {
        fs::exists(data.join("run.json")).unwrap().then_some(())
    });
    assert!(server.terminate().success());
    let log = server.said();
    assert!(log.contains("DEBUG"), "{log}");
    // The words of the store's own pages and segments.
    for word in ["pagecache", "snapshot", "segment", "lid ", "pid "] {
        assert!(!log.contains(word), "{word} in\n{log}");
    }
}
