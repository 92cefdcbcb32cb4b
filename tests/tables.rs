//! Tables that an operator reads in a terminal: each fits, says what is so, and what to type next.

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
        "there already, nothing new: deployment 1 (app@1.0.0 to unassigned): settled, 1\n    \
         of 1 successful\nwatch:  hoist status 1\n"
    );
}

#[test]
fn members_are_never_fewer_than_were_successful_whoever_is_removed() {
    // S14
    let server = Server::start();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let agent = server.agent(&server.add_device("dev-01", &[]));
    server.hoist_ok(&["deploy", "app@1.0.0", "--group", "unassigned"]);
    server.hoist_ok(&["status", "1"]);
    let line = "deployment 1 (app@1.0.0 to unassigned): settled, 1 of 1 successful\n";
    let status = ["status", "1", "--watch=false"];
    assert_eq!(server.hoist_ok(&status), line);
    drop(agent);
    assert_fits(&server.hoist_ok(&["device", "remove", "dev-01", "--yes"]));
    assert_eq!(server.hoist_ok(&status), line);
    // Added again it waits to report, and its record is the same one.
    let agent = server.agent(&server.add_device("dev-01", &[]));
    crate::harness::eventually("the device to be there again", || {
        let list = server.hoist_ok(&["device", "list"]);
        list.contains("online    successful").then_some(())
    });
    assert_eq!(server.hoist_ok(&status), line);
    drop(agent);
}

#[test]
fn a_status_that_is_none_is_told_which_there_are_and_which_was_meant() {
    let server = Server::start();
    let output = server.hoist(&["device", "list", "--status", "faild"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("pending, in-progress, successful, failed"),
        "{said}"
    );
    assert!(said.contains("did you mean failed?"), "{said}");
    for status in ["in-progress", "inProgress"] {
        server.hoist_ok(&["device", "list", "--status", status]);
    }
    let body = serde_json::json!({"status": "faild"});
    let error = &server.client().command("device-list", &body)["error"];
    assert_eq!(error["code"], "E_CMD");
    assert_eq!(error["field"], "status");
    assert_eq!(error["hint"], "did you mean failed?");
}

#[test]
fn what_was_superseded_before_it_was_everywhere_is_not_listed_as_completed() {
    let server = Server::start();
    for (version, counter) in [("1.0.0", 1), ("1.1.0", 2)] {
        let release = Release::write(server.scratch(), "app", version, counter, version);
        server.release(release.dir());
        let wish = format!("app@{version}");
        server.add_device(&format!("dev-{counter}"), &[]);
        server.hoist_ok(&["deploy", &wish, "--group", "unassigned"]);
    }
    let list = server.hoist_ok(&["deployment", "list"]);
    let row = list.lines().nth(1).unwrap();
    assert!(row.contains("superseded  0/2"), "{list}");
    let status = server.hoist(&["status", "1"]);
    assert_eq!(status.status.code(), Some(6));
    let said = String::from_utf8_lossy(&status.stdout);
    assert!(said.contains("): superseded, 0 of 2 successful"), "{said}");
    assert!(said.contains("superseded by deployment 2\n"), "{said}");
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
