//! Rights to make users: nobody gives away, changes or takes more than it has itself, and who adds
//! a name twice is told what to do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Output;

use serde_json::json;

use crate::harness::process::{HOIST, run};
use crate::harness::server::Server;

fn add(server: &Server, name: &str, more: &[&str]) -> PathBuf {
    let file = server.scratch().join(format!("{name}.toml"));
    let text = server.hoist_ok(&[&["user", "add", name], more].concat());
    fs::write(&file, text).unwrap();
    file
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn an_administrator_limited_to_groups_makes_and_removes_only_users_limited_to_them() {
    // bad-inputs row 80
    let server = Server::start();
    add(&server, "vera", &["--role", "viewer"]);
    let lena = add(&server, "lena", &["--role", "admin", "--groups", "eu,us"]);
    let as_lena = |args: &[&str]| {
        let client = ["--client", lena.to_str().unwrap()];
        run(HOIST, &[&client, args].concat())
    };
    let users = server.hoist_ok(&["user", "list", "-o", "name"]);
    for beyond in [
        &["user", "add", "eve", "--role", "admin"][..],
        &["user", "add", "eve", "--role", "viewer"],
        &[
            "user", "add", "eve", "--role", "deployer", "--groups", "eu,asia",
        ],
        &["user", "add", "eve", "--role", "admin", "--dry-run"],
        &["user", "remove", "vera", "--yes"],
        &["user", "remove", "admin", "--yes"],
        &["group", "create", "asia"],
    ] {
        let output = as_lena(beyond);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(4), "{beyond:?}: {said}");
        assert!(said.contains("error[E_ROLE]: lena"), "{beyond:?}: {said}");
    }
    assert_eq!(server.hoist_ok(&["user", "list", "-o", "name"]), users);
    let within = ["user", "add", "max", "--role", "admin", "--groups", "us"];
    assert!(as_lena(&within).status.success());
    assert!(
        as_lena(&["user", "remove", "max", "--yes"])
            .status
            .success()
    );
}

#[test]
fn a_command_about_users_is_carried_out_once_for_each_request() {
    // bad-inputs row 30
    let mut server = Server::start();
    let client = server.client();
    let add = |role: &str| {
        let body = json!({"user": "vera", "role": role, "tokenSha256": "22".repeat(32)});
        body.to_string()
    };
    let remove = json!({"user": "vera"}).to_string();
    let first = client.command_as("add", "user-add", add("viewer").as_bytes());
    assert_eq!(first["ok"], json!(true), "{first}");
    let other = client.command_as("add", "user-add", add("admin").as_bytes());
    assert_eq!(other["error"]["code"], json!("E_REQUEST_REUSED"), "{other}");
    let other = client.command_as("add", "group-create", br#"{"group":"eu"}"#);
    assert_eq!(other["error"]["code"], json!("E_REQUEST_REUSED"), "{other}");
    let removed = client.command_as("remove", "user-remove", remove.as_bytes());
    assert_eq!(removed["ok"], json!(true), "{removed}");
    drop(client);
    server.kill_and_restart();

    let client = server.client();
    let again = client.command_as("add", "user-add", add("viewer").as_bytes());
    assert_eq!(again, first, "answered as it was");
    let again = client.command_as("remove", "user-remove", remove.as_bytes());
    assert_eq!(again, removed, "answered as it was");
    let users = client.command_ok("user-list", &json!({}));
    assert!(!users.to_string().contains("vera"), "{users}");
}

#[test]
fn a_user_may_be_limited_to_a_group_that_is_made_later_and_is_told_so_once() {
    let server = Server::start();
    server.hoist_ok(&["group", "create", "eu"]);
    let groups = ["--groups", "eu,later,eu,later"];
    let output =
        server.hoist(&[&["user", "add", "vera", "--role", "viewer"][..], &groups].concat());
    assert!(output.status.success(), "{}", said(&output));
    let warnings: Vec<String> = said(&output).lines().map(str::to_owned).collect();
    assert_eq!(
        warnings,
        ["warning: there is no group later yet; `hoist group create later` makes it"]
    );
    let users = server.hoist_ok(&["user", "list", "-o", "json"]);
    let users: serde_json::Value = serde_json::from_str(&users).unwrap();
    assert_eq!(users[1]["groups"], json!(["eu", "later"]), "{users}");
}

#[test]
fn no_two_users_have_one_token() {
    let server = Server::start();
    let client = server.client();
    let add = |user: &str| json!({"user": user, "role": "viewer", "tokenSha256": "22".repeat(32)});
    client.command_ok("user-add", &add("vera"));
    assert_eq!(
        client.command_refused("user-add", &add("anna")),
        "E_USER_EXISTS"
    );
    client.command_ok("user-add", &add("vera"));
}

#[test]
fn a_name_that_is_taken_is_told_with_its_role_and_how_it_gets_another() {
    let server = Server::start();
    add(&server, "vera", &["--role", "deployer", "--groups", "eu"]);
    let output = server.hoist(&["user", "add", "vera", "--role", "viewer"]);
    assert_eq!(output.status.code(), Some(8));
    let said = said(&output);
    let expected = "error[E_USER_EXISTS]: user vera exists as deployer of groups eu; a token is \
                    shown once and never again\nhelp: `hoist user remove NAME` ends that token";
    assert!(said.starts_with(expected), "{said}");
    assert!(said.contains("users.toml"), "{said}");
}

#[test]
fn a_users_file_is_written_for_its_owner_only_and_replaces_nothing() {
    let server = Server::start();
    let file = server.scratch().join("vera.toml");
    let path = file.to_str().unwrap();
    let add = |name: &str| server.hoist(&["user", "add", name, "--role", "viewer", "--out", path]);
    let added = add("vera");
    assert!(added.status.success(), "{}", said(&added));
    assert!(!String::from_utf8_lossy(&added.stdout).contains("token"));
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let listed = run(HOIST, &["--client", path, "device", "list", "-o", "json"]);
    assert!(listed.status.success(), "{}", said(&listed));
    let written = fs::read(&file).unwrap();
    let refused = add("max");
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said(&refused).contains("nothing was changed"),
        "{}",
        said(&refused)
    );
    assert_eq!(fs::read(&file).unwrap(), written);
    let nowhere = server.scratch().join("nowhere/max.toml");
    let nowhere = [
        "user",
        "add",
        "max",
        "--role",
        "viewer",
        "--out",
        nowhere.to_str().unwrap(),
    ];
    assert_eq!(server.hoist(&nowhere).status.code(), Some(1));
    let users = server.hoist_ok(&["user", "list", "-o", "name"]);
    assert!(!users.contains("max"), "{users}");
}
