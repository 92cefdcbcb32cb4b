//! `hoist check` tells monitoring how server and fleet are, and never that all is well when nobody
//! could look.

use std::process::Output;

use serde_json::{Value, json};

use crate::harness::release::Release;
use crate::harness::server::Server;
use crate::harness::sim::Sim;
use crate::harness::{eventually, write_private};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The status of one check, once the whole has this exit code.
fn once(server: &Server, exit: i32, args: &[&str], check: &str) -> String {
    let args = [&["check", "--format", "json"], args].concat();
    let found: Value = eventually("the check to say so", || {
        let output = server.hoist(&args);
        let found = serde_json::from_slice(&output.stdout).ok()?;
        (output.status.code() == Some(exit)).then_some(found)
    });
    let mut checks = found["checks"].as_array().unwrap().iter();
    let found = checks.find(|it| it["check"] == json!(check)).unwrap();
    found["status"].as_str().unwrap().to_owned()
}

#[test]
fn a_server_that_is_well_is_ok_in_every_form() {
    let server = Server::start();
    for (format, begins) in [
        ("text", "ok "),
        ("nagios", "HOIST OK - "),
        ("prometheus", "# HELP hoist_check_status "),
        ("json", "{"),
    ] {
        let args = ["check", "--disk-warning", "1", "--disk-critical", "0"];
        let output = server.hoist(&[&args[..], &["--format", format]].concat());
        let said = said(&output);
        assert_eq!(output.status.code(), Some(0), "{format}: {said}");
        assert!(said.starts_with(begins), "{format}: {said}");
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn failed_devices_and_a_problem_are_told_by_exit_code() {
    let server = Server::start();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let client = server.client();
    assert!(client.subscribe("hoist/view/#"));
    let sim = Sim::start(&server, 30);
    client.wait_json("hoist/view/group/sim", |view: &Value| {
        view["online"] == json!(30)
    });
    client.command_ok("deploy", &json!({"release": "app@1.0.0", "group": "sim"}));
    sim.truth();
    let well = [
        "--offline-warning",
        "100%",
        "--offline-critical",
        "100%",
        "--disk-critical",
        "0",
    ];
    let well = [&well[..], &["--disk-warning", "0"]].concat();
    // The devices of the simulation have gone.
    assert_eq!(once(&server, 2, &well, "devices"), "critical");
    let few = [
        &well[..],
        &["--failed-warning", "1%", "--failed-critical", "99%"],
    ]
    .concat();
    assert_eq!(once(&server, 2, &few, "deployments"), "warning");
    write_private(&server.data().join("users.toml"), "none");
    eventually("the problem to be told", || {
        let output = server.hoist(&["check"]);
        said(&output).contains("E_CONFIG").then_some(())
    });
}

#[test]
fn a_server_that_is_gone_is_critical_and_a_client_that_cannot_ask_knows_nothing() {
    let mut server = Server::start();
    server.kill();
    let output = server.hoist(&["check", "--format", "nagios"]);
    assert_eq!(output.status.code(), Some(2));
    let line = said(&output);
    assert!(
        line.starts_with("HOIST CRITICAL - server: no metrics from "),
        "{line}"
    );
    assert_eq!(line.lines().count(), 1);
    let nowhere = server.scratch().join("nowhere.toml");
    let nowhere = nowhere.to_str().unwrap();
    let output = server.hoist(&["check", "--client", nowhere]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
}
