//! Every changing command says what it would do and does nothing: nothing is stored,
//! nothing is given out, and what would be refused is refused by the same code.

use serde_json::{Value, json};

use crate::harness::release::Release;
use crate::harness::server::Server;

fn texts(list: &Value, field: &str) -> Vec<String> {
    let items = list["items"].as_array().unwrap();
    let text = |item: &Value| item[field].as_str().unwrap().to_owned();
    items.iter().map(text).collect()
}

#[test]
fn a_dry_run_at_the_command_line_says_what_would_happen_and_leaves_everything_as_it_was() {
    let server = Server::start();
    let client = server.client();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    let dir = release.dir().to_str().unwrap().to_owned();
    let data = server.data();
    let file = server.scratch().join("app.hoist");
    let create = ["--data-dir", data.to_str().unwrap(), "release", "create"];
    let out = file.to_str().unwrap();
    let would = |args: &[&str], says: &str| {
        let said = server.hoist_ok(&[args, &["--dry-run"]].concat());
        assert!(said.contains(says), "{args:?}: {said}");
        assert!(said.ends_with("nothing was changed\n"), "{args:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{args:?}: {said}");
    };
    let token = ["--role", "viewer"];
    server.hoist_ok(&[&["user", "add", "bob"], &token[..]].concat());
    would(&["group", "create", "eu"], "eu would be created");
    would(&["device", "add", "d1"], "would be in group unassigned");
    server.hoist_ok(&["group", "create", "us"]);
    would(&["group", "remove", "us"], "us would be removed");
    let other = Release::write(server.scratch(), "other", "1.0.0", 1, "other");
    server.release(other.dir());
    would(
        &["release", "remove", "other@1.0.0"],
        "other@1.0.0 would be removed",
    );
    would(
        &[&["user", "add", "vera"], &token[..]].concat(),
        "vera would be added",
    );
    would(&["user", "remove", "bob"], "bob would be removed");
    would(
        &[&create[..], &[&dir, "--out", out]].concat(),
        "would be added",
    );
    let listed = |verb, field| texts(&client.command_ok(verb, &json!({})), field);
    assert_eq!(listed("group-list", "group"), ["unassigned", "us"]);
    assert_eq!(listed("device-list", "device"), [""; 0]);
    assert_eq!(listed("user-list", "user"), ["admin", "bob"]);
    assert_eq!(listed("release-list", "release"), ["other@1.0.0"]);
    let artifacts = std::fs::read_dir(data.join("artifacts")).unwrap();
    let paths = artifacts.map(|entry| entry.unwrap().path());
    let uploaded: Vec<_> = paths.filter(|path| path.is_file()).collect();
    assert_eq!(uploaded.len(), 1, "that of the other release: {uploaded:?}");
    assert!(!file.exists());
    let reply = client.command_ok("device-add", &json!({"device": "d1", "dryRun": true}));
    assert_eq!(reply, json!({"device": "d1", "group": "unassigned"}));
}

#[test]
fn what_a_command_refuses_its_dry_run_refuses_by_the_same_code() {
    // bad-inputs rows 39 and 71
    let server = Server::start();
    server.hoist_ok(&["device", "add", "d1"]);
    let first = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(first.dir());
    first.setting("disk_mib = 1");
    let other = first.dir().to_str().unwrap();
    let data = server.data();
    let create = ["--data-dir", data.to_str().unwrap(), "release", "create"];
    let changed = [&create[..], &[other]].concat();
    let role = ["--role", "viewer"];
    for (args, code) in [
        (vec!["group", "create", "a b"], "E_NAME"),
        (vec!["device", "add", "a b"], "E_NAME"),
        (vec!["device", "add", "d2", "--group", "no"], "E_GROUP"),
        (
            vec!["device", "add", "d1", "--type", "t"],
            "E_DEVICE_EXISTS",
        ),
        (
            vec!["device", "move", "d2", "--group", "unassigned"],
            "E_DEVICE",
        ),
        (
            [&["user", "add", "admin"], &role[..]].concat(),
            "E_USER_EXISTS",
        ),
        ([&["user", "add", "a b"], &role[..]].concat(), "E_NAME"),
        (vec!["user", "remove", "bob", "--yes"], "E_USER"),
        (vec!["user", "remove", "admin", "--yes"], "E_LAST_ADMIN"),
        (vec!["device", "approve", "d1"], "E_NOT_OFFERED"),
        (changed, "E_RELEASE_EXISTS"),
    ] {
        let [dry, real] = [&["--dry-run"][..], &[]].map(|more| {
            let output = server.hoist(&[&args[..], more].concat());
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(said.contains(&format!("error[{code}]")), "{args:?}: {said}");
            output.status.code()
        });
        assert_eq!(dry, real, "{args:?}");
    }
}
