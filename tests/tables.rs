//! What an operator reads in a terminal: it fits, says what is so, and what to type next.

use crate::harness::release::Release;
use crate::harness::server::Server;

const COLUMNS: usize = 80;

fn assert_fits(said: &str) {
    for line in said.lines() {
        assert!(line.chars().count() <= COLUMNS, "{line}");
    }
}

/// The words of a table's first line.
fn titles(table: &str) -> Vec<&str> {
    table
        .lines()
        .next()
        .unwrap()
        .split("  ")
        .map(str::trim)
        .filter(|title| !title.is_empty())
        .collect()
}

#[test]
fn lists_fit_a_terminal_and_say_what_is_installed_and_that_a_device_is_there_now() {
    let server = Server::start();
    let release = Release::write(server.scratch(), "sensor-fw", "1.0.0", 1, "content");
    server.release(release.dir());
    let _agent = server.agent(&server.add_device("device-0001", &[]));
    server.hoist_ok(&["deploy", "sensor-fw@1.0.0", "--group", "unassigned"]);
    server.hoist_ok(&["status", "1"]);

    let devices = server.hoist_ok(&["device", "list"]);
    assert_fits(&devices);
    let expected = [
        "DEVICE",
        "GROUP",
        "PRESENCE",
        "STATUS",
        "REASON",
        "INSTALLED",
    ];
    assert_eq!(titles(&devices), expected);
    let row = devices.lines().nth(1).unwrap();
    assert!(
        row.ends_with("online    successful  -       sensor-fw=1.0.0"),
        "{row}"
    );
    let wide = server.hoist_ok(&["device", "list", "-o", "wide"]);
    let seen = titles(&wide)
        .iter()
        .position(|title| *title == "SEEN")
        .unwrap();
    let cells: Vec<&str> = wide.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(cells[seen], "now", "{wide}");

    let deployments = server.hoist_ok(&["deployment", "list"]);
    assert_fits(&deployments);
    let row = deployments.lines().nth(1).unwrap();
    assert!(row.contains("settled") && row.contains("1/1"), "{row}");
}

#[test]
fn deploying_again_says_that_nothing_is_new_and_both_say_what_to_watch() {
    let server = Server::start();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let _agent = server.agent(&server.add_device("dev-01", &[]));
    let deploy = ["deploy", "app@1.0.0", "--group", "unassigned"];
    let first = server.hoist_ok(&deploy);
    assert_eq!(
        first,
        "deployment 1 active: 1 member\nwatch:  hoist status 1\n"
    );
    server.hoist_ok(&["status", "1"]);
    let second = server.hoist_ok(&deploy);
    assert_eq!(
        second,
        "there already, nothing new: deployment 1 (app@1.0.0 to unassigned): settled, \
         1 of 1 successful\nwatch:  hoist status 1\n"
    );
}

#[test]
fn a_deployment_is_shown_by_a_line_its_failures_and_the_next_command() {
    let server = Server::start();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    release.script("verify", "exit 7");
    server.release(release.dir());
    let _agent = server.agent(&server.add_device("dev-01", &[]));
    server.hoist_ok(&[
        "deploy",
        "app@1.0.0",
        "--group",
        "unassigned",
        "--attempts",
        "1",
    ]);
    assert_eq!(server.hoist(&["status", "1"]).status.code(), Some(3));
    let shown = server.hoist_ok(&["deployment", "show", "1"]);
    assert_fits(&shown);
    let first = "deployment 1 (app@1.0.0 to unassigned): settled, 0 of 1 successful, 1 failed\n";
    assert!(shown.starts_with(first), "{shown}");
    assert!(
        shown.contains("dev-01  script-failed  verify  7     ok\n"),
        "{shown}"
    );
    assert!(shown.contains("hoist device why dev-01\n"), "{shown}");
    assert!(!shown.contains("steps."), "{shown}");
}
