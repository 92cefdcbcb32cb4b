//! Whoever asks why a device has not got a deployment, or what a deployment would do, is
//! told what decided and what happens next: by the real programs.

use std::fs;

use serde_json::{Value, json};

use crate::harness::eventually;
use crate::harness::process::{HOIST, run};
use crate::harness::release::Release;
use crate::harness::server::Server;

const GROUP: &str = "unassigned";

/// The first explanation that `hoist device why` gives.
fn why(server: &Server, device: &str, more: &[&str]) -> Value {
    let mut args = vec!["-o", "json", "device", "why", device];
    args.extend_from_slice(more);
    let said: Value = serde_json::from_str(&server.hoist_ok(&args)).unwrap();
    assert_eq!(said["device"], json!(device), "{said}");
    said["deployments"][0].clone()
}

fn wait_why(server: &Server, device: &str, more: &[&str], word: &str) -> Value {
    eventually(word, || {
        Some(why(server, device, more)).filter(|it| it["why"] == json!(word))
    })
}

fn release(server: &Server, name: &str) -> Release {
    let release = Release::write(server.scratch(), name, "1.0.0", 1, "content");
    server.release(release.dir());
    release
}

#[test]
fn a_device_is_told_apart_by_what_keeps_it_from_a_deployment() {
    let server = Server::start();
    release(&server, "app");
    let config = server.add_device("dev-01", &[]);
    server.hoist_ok(&["group", "create", "eu"]);
    server.add_device("dev-02", &["--group", "eu"]);
    let nothing = server.hoist_ok(&["device", "why", "dev-01"]);
    assert!(
        nothing.starts_with("dev-01: blocked by unassigned: "),
        "{nothing}"
    );
    assert!(nothing.contains("device move dev-01 --group"), "{nothing}");

    server.hoist_ok(&["deploy", "app@1.0.0", "--group", GROUP]);
    let unheard = wait_why(&server, "dev-01", &[], "presence-unknown");
    assert_eq!(unheard["next"], json!("starts when it connects"));
    assert_eq!(unheard["rule"], json!("reachable"), "{unheard}");
    let elsewhere = why(&server, "dev-02", &["--deployment", "1"]);
    assert_eq!(elsewhere["why"], json!("other-group"), "{elsewhere}");
    server.hoist_ok(&["device", "hold", "dev-01"]);
    let told = server.hoist_ok(&["device", "why", "dev-01"]);
    let answer = "dev-01: blocked by held: an operator holds the device\n";
    assert!(told.starts_with(answer), "{told}");
    assert!(!told.contains("member") && !told.contains("rule"), "{told}");
    let rules = server.hoist_ok(&["device", "why", "dev-01", "--rules"]);
    assert!(rules.contains("\n  ok       member\n"), "{rules}");
    assert!(
        rules.contains("\n  blocked  not-held, by held\n"),
        "{rules}"
    );
    assert!(told.contains("device hold dev-01 --lift"), "{told}");
    server.hoist_ok(&["device", "hold", "dev-01", "--lift"]);

    let _agent = server.agent(&config);
    let done = wait_why(&server, "dev-01", &[], "successful");
    assert_eq!(done["status"], json!("successful"), "{done}");
    let told = server.hoist_ok(&["device", "why", "dev-01"]);
    assert!(
        told.starts_with("dev-01: done: it was successful"),
        "{told}"
    );
    assert!(
        told.lines().all(|line| line.chars().count() <= 80),
        "{told}"
    );
    server.hoist_ok(&["deployment", "abort", "1", "--yes", "--reason", "enough"]);
    server.add_device("dev-03", &[]);
    let over = why(&server, "dev-03", &[]);
    assert_eq!(over["why"], json!("aborted"), "{over}");
    let said = over["says"].as_str().unwrap();
    assert!(said.contains("by admin: enough"), "{said}");

    let unknown = server.hoist(&["device", "why", "dev-1"]);
    assert_eq!(unknown.status.code(), Some(7));
    let unknown = server.hoist(&["device", "why", "dev-01", "--deployment", "9"]);
    assert_eq!(unknown.status.code(), Some(7));
}

#[test]
fn a_device_that_failed_is_told_how_it_begins_again() {
    // S8, S13
    let server = Server::start();
    let app = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    app.script("verify", "exit 1");
    server.release(app.dir());
    let _agent = server.agent(&server.add_device("dev-01", &[]));
    let args = ["deploy", "app@1.0.0", "--group", GROUP, "--attempts", "1"];
    server.hoist_ok(&args);
    let failed = wait_why(&server, "dev-01", &[], "failed");
    assert_eq!(failed["reason"], json!("script-failed"), "{failed}");
    let next = failed["next"].as_str().unwrap();
    let again = next.split_once("hoist ").unwrap().1;
    let again: Vec<&str> = again.split(' ').collect();
    server.hoist_ok(&again);
    let second = |it: &Value| it["why"] == json!("failed") && it["round"] == json!(1);
    eventually("the second round to fail", || {
        Some(why(&server, "dev-01", &[])).filter(second)
    });
}

#[test]
fn those_above_the_line_of_a_limit_are_told_so_and_a_plan_says_it_before() {
    // S10
    let server = Server::start();
    release(&server, "app");
    let devices = ["dev-01", "dev-02", "dev-03"];
    for device in devices {
        server.add_device(device, &[]);
    }
    let wish = ["app@1.0.0", "--group", GROUP, "--limit", "1"];
    let planned = server.hoist_ok(&[&["plan"], &wish[..]].concat());
    assert!(
        planned.contains(": 0 online start now, 1 when it connects"),
        "{planned}"
    );
    assert!(
        planned.contains("  limit       1 of 3 members, "),
        "{planned}"
    );
    let dry = server.hoist_ok(&[&["deploy", "--dry-run"], &wish[..]].concat());
    assert_eq!(dry, planned);
    let list = server.hoist_ok(&["deployment", "list", "-o", "json"]);
    assert_eq!(list.trim(), "[]", "nothing was changed");

    server.hoist_ok(&[&["deploy"], &wish[..]].concat());
    let drawn = |device: &&str| why(&server, device, &[])["why"] != json!("line-sought");
    eventually("the line", || devices.iter().all(&drawn).then_some(()));
    let above = |device: &&&str| why(&server, device, &[])["why"] == json!("above-line");
    assert_eq!(devices.iter().filter(above).count(), 2);
    let above = *devices.iter().find(above).unwrap();
    let next = why(&server, above, &[])["next"].clone();
    assert!(
        next.as_str().unwrap().contains("a new deployment"),
        "{next}"
    );
}

#[test]
fn a_viewer_may_plan_what_only_others_may_deploy() {
    // S11
    let server = Server::start();
    release(&server, "app");
    server.add_device("dev-01", &[]);
    let viewer = server.scratch().join("viewer.toml");
    let user = server.hoist_ok(&["user", "add", "vera", "--role", "viewer"]);
    fs::write(&viewer, user).unwrap();
    let as_viewer = |args: &[&str]| {
        let client = ["--client", viewer.to_str().unwrap(), "-o", "json"];
        run(HOIST, &[&client, args].concat())
    };
    let plan = as_viewer(&["plan", "app@1.0.0", "--group", GROUP]);
    assert!(plan.status.success(), "{plan:?}");
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert_eq!(plan["eligible"], json!(1), "{plan}");
    assert_eq!(plan["line"], json!("everyone"), "{plan}");
    let refused = as_viewer(&["deploy", "app@1.0.0", "--group", GROUP, "--dry-run"]);
    assert_eq!(refused.status.code(), Some(4));

    server.hoist_ok(&["deploy", "app@1.0.0", "--group", GROUP]);
    let there = as_viewer(&["plan", "app@1.0.0", "--group", GROUP]);
    let there: Value = serde_json::from_slice(&there.stdout).unwrap();
    assert_eq!(there["existing"], json!(1), "{there}");
    // Another release of the same artifact takes its place.
    let next = Release::write(server.scratch(), "app", "1.1.0", 2, "content");
    server.release(next.dir());
    let next = as_viewer(&["plan", "app@1.1.0", "--group", GROUP]);
    let next: Value = serde_json::from_slice(&next.stdout).unwrap();
    let covered = json!([{"deployment": 1, "release": "app@1.0.0"}]);
    assert_eq!(next["supersedes"], covered, "{next}");
    let unknown = as_viewer(&["plan", "none@1", "--group", GROUP]);
    assert_eq!(unknown.status.code(), Some(7));
}

#[test]
fn a_plan_that_would_be_refused_says_why_and_ends_with_that_exit_code() {
    // S11, bad-inputs row 39
    let server = Server::start();
    release(&server, "app");
    let both = server.scratch().join("both");
    for name in ["app", "config"] {
        let artifact = Release::write(&both, name, "1.0.0", 1, "content");
        let manifest = artifact.dir().join("artifact.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        fs::write(&manifest, text.replace("counter = 1\n", "")).unwrap();
        fs::rename(artifact.dir(), both.join(name)).unwrap();
    }
    let text =
        "name = \"both\"\nversion = \"1.0.0\"\ncounter = 1\nartifacts = [\"app\", \"config\"]\n";
    fs::write(both.join("release.toml"), text).unwrap();
    server.release(&both);
    server.hoist_ok(&["deploy", "both@1.0.0", "--group", GROUP]);
    let wish = ["app@1.0.0", "--group", GROUP];
    let plan = server.hoist(&[&["plan"], &wish[..]].concat());
    assert_eq!(plan.status.code(), Some(8), "{plan:?}");
    let plan = String::from_utf8(plan.stdout).unwrap();
    assert!(plan.contains("conflicts   1 (both@1.0.0)"), "{plan}");
    assert!(plan.contains("would be refused: E_CONFLICT"), "{plan}");
    let dry = server.hoist(&[&["deploy", "--dry-run"], &wish[..]].concat());
    assert_eq!(dry.status.code(), Some(8), "{dry:?}");
}
