//! Releases as an operator sees and names them.

use std::process::Output;

use crate::harness::eventually;
use crate::harness::mqtt::{Client, Login};
use crate::harness::release::Release;
use crate::harness::server::Server;

fn create(server: &Server, args: &[&str]) -> Output {
    let data = server.data();
    let mut all = vec!["--data-dir", data.to_str().unwrap(), "release", "create"];
    all.extend_from_slice(args);
    server.hoist(&all)
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn packing_a_release_says_whether_it_was_uploaded() {
    let server = Server::start();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "one");
    let dir = release.dir().to_str().unwrap();
    let file = server.scratch().join("app.hoist");
    let file = file.to_str().unwrap();
    let packed = stdout(&create(&server, &[dir, "--out", file, "--no-upload"]));
    assert!(packed.trim_end().ends_with(file), "{packed}");
    assert!(packed.contains("not uploaded"), "{packed}");
    let first = create(&server, &[dir]);
    assert!(stdout(&first).ends_with("  uploaded\n"), "{first:?}");
    assert_eq!(stderr(&first), "");
    let again = create(&server, &[dir]);
    assert!(stdout(&again).contains("already"), "{again:?}");
    let json = stdout(&create(&server, &[dir, "-o", "json"]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["uploaded"], serde_json::json!(true));
}

#[test]
fn a_counter_that_is_not_above_the_highest_of_its_name_is_warned_about() {
    let server = Server::start();
    let write =
        |version, counter| Release::write(server.scratch(), "app", version, counter, version);
    server.release(write("1.0.0", 5).dir());
    let other = Release::write(server.scratch(), "app2", "1.0.0", 9, "other");
    server.release(other.dir());
    for (version, counter, warned, below) in [
        ("1.1.0", 5, true, false),
        ("1.2.0", 4, true, true),
        ("2.0.0", 6, false, false),
    ] {
        let release = write(version, counter);
        let dir = release.dir().to_str().unwrap();
        let created = create(&server, &[dir]);
        assert!(created.status.success(), "{}", stderr(&created));
        let warning = stderr(&created);
        assert_eq!(warning.contains("warning: counter"), warned, "{warning}");
        assert_eq!(warning.contains("downgrade"), below, "{warning}");
    }
}

#[test]
fn the_beginning_of_an_id_names_a_release_wherever_one_is_taken() {
    let server = Server::start();
    for version in ["1.0.0", "1.1.0"] {
        server.release(Release::write(server.scratch(), "app", version, 1, version).dir());
    }
    server.hoist_ok(&["group", "create", "eu"]);
    // What the list prints is enough.
    let list = server.hoist_ok(&["release", "list"]);
    let row = list
        .lines()
        .find(|line| line.starts_with("app@1.1.0 "))
        .unwrap();
    let short = row.split_whitespace().nth(1).unwrap();
    assert_eq!(short.len(), 12);
    for args in [
        &["release", "show", short][..],
        &["plan", short, "--group", "eu"],
        &["deploy", short, "--group", "eu"],
    ] {
        let said = server.hoist_ok(args);
        assert!(!said.contains("not found"), "{args:?}: {said}");
    }
    let shown = server.hoist_ok(&["deployment", "show", "1", "-o", "json"]);
    assert!(shown.contains("app@1.1.0"), "{shown}");
    // Whoever types too little is told how much is enough, and what there is.
    let digits = server.hoist(&["deploy", "467", "--group", "eu"]);
    assert_eq!(digits.status.code(), Some(7));
    let said = stderr(&digits);
    assert!(said.contains("at least 4 digits"), "{said}");
    assert!(said.contains("app@1.0.0, app@1.1.0"), "{said}");
    let unknown = server.hoist(&["release", "show", "app"]);
    assert_eq!(unknown.status.code(), Some(7));
    let said = stderr(&unknown);
    assert!(said.contains("1.0.0, 1.1.0"), "{said}");
}

#[test]
fn a_program_that_asked_for_json_gets_its_errors_as_json_too() {
    let server = Server::start();
    for (args, code, exit) in [
        (
            &["release", "show", "nothing@1", "-o", "json"][..],
            "E_RELEASE",
            7,
        ),
        (
            &["device", "show", "dev-01", "--output=ndjson"],
            "E_DEVICE",
            7,
        ),
        (&["device", "shwo", "dev-01", "-o", "json"], "E_USAGE", 2),
    ] {
        let failed = server.hoist(args);
        assert_eq!(failed.status.code(), Some(exit), "{args:?}");
        assert_eq!(stdout(&failed), "");
        let said = stderr(&failed);
        let json: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(json["ok"], serde_json::json!(false));
        assert_eq!(json["error"]["code"], serde_json::json!(code), "{said}");
        for field in ["title", "detail", "hint"] {
            assert!(
                json["error"][field]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{said}"
            );
        }
    }
    let text = server.hoist(&["release", "show", "nothing@1"]);
    assert!(
        stderr(&text).starts_with("error[E_RELEASE]: "),
        "{}",
        stderr(&text)
    );
}

/// The names of the artifact files that a server has.
fn artifacts(server: &Server) -> Vec<String> {
    let entries = std::fs::read_dir(server.data().join("artifacts")).unwrap();
    let entries = entries.map(Result::unwrap);
    let files = entries.filter(|entry| entry.path().is_file());
    files
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_release_is_removed_once_nobody_needs_it_and_its_artifacts_follow() {
    let mut server = Server::start_set("keep_unused_artifacts = \"0s\"\n");
    let login = Login::read(&server.add_device("watcher", &[]));
    let watcher = Client::connect(server.mqtt(), "watcher", &login);
    for version in ["1.0.0", "1.1.0"] {
        server.release(Release::write(server.scratch(), "app", version, 1, version).dir());
    }
    assert_eq!(artifacts(&server).len(), 2);
    server.hoist_ok(&["deploy", "app@1.0.0", "--group", "unassigned"]);
    let refused = server.hoist(&["release", "remove", "app@1.0.0", "--yes"]);
    assert_eq!(refused.status.code(), Some(8));
    let said = stderr(&refused);
    assert!(said.starts_with("error[E_RELEASE_IN_USE]"), "{said}");
    assert!(said.contains("deployment 1"), "{said}");
    let unasked = server.hoist(&["release", "remove", "app@1.1.0"]);
    assert_eq!(unasked.status.code(), Some(2), "{}", stderr(&unasked));
    let would = server.hoist_ok(&["release", "remove", "app@1.1.0", "--dry-run"]);
    assert!(would.ends_with("nothing was changed\n"), "{would}");

    let shown = server.hoist_ok(&["release", "show", "app@1.1.0", "-o", "json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let id = shown["id"].as_str().unwrap();
    let topic = format!("hoist/r/{id}");
    assert!(watcher.subscribe(&topic));
    watcher.wait_for(&topic, |manifest| (!manifest.is_empty()).then_some(()));
    let said = server.hoist_ok(&["release", "remove", "app@1.1.0", "--yes"]);
    assert!(said.starts_with("release app@1.1.0 removed"), "{said}");
    watcher.wait_for(&topic, |cleared| cleared.is_empty().then_some(()));
    let spec = server.data().join(format!("specs/r-{id}"));
    eventually("what was signed to be forgotten", || {
        (!spec.exists()).then_some(())
    });
    let listed = server.hoist_ok(&["release", "list", "-o", "name"]);
    assert_eq!(listed, "app@1.0.0\n");
    // Swept after the start and then now and then; what a release names stays.
    server.kill_and_restart();
    eventually("the unused artifact to be removed", || {
        (artifacts(&server).len() == 1).then_some(())
    });
    server.hoist_ok(&["deployment", "abort", "1", "--yes"]);
    server.hoist_ok(&["release", "remove", "app@1.0.0", "--yes"]);
    let old = server.hoist_ok(&["deployment", "show", "1"]);
    assert!(old.contains("app@1.0.0"), "{old}");
    server.kill_and_restart();
    eventually("nothing to be left", || {
        artifacts(&server).is_empty().then_some(())
    });
}

#[test]
fn a_release_shows_which_artifacts_are_damaged_and_how_they_are_repaired() {
    let mut server = Server::start();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "one");
    server.release(release.dir());
    let show = |server: &Server, more: &[&str]| {
        server.hoist_ok(&[&["release", "show", "app@1.0.0"], more].concat())
    };
    let json = |server: &Server| -> serde_json::Value {
        serde_json::from_str(&show(server, &["-o", "json"])).unwrap()
    };
    let whole = json(&server);
    assert_eq!(
        (&whole["damaged"], &whole["next"]),
        (&serde_json::json!([]), &serde_json::json!(null))
    );
    let [id] = &artifacts(&server)[..] else {
        panic!("one artifact is there")
    };
    let file = server.data().join("artifacts").join(id);
    std::fs::write(&file, "something else").unwrap();
    server.kill_and_restart();
    eventually("the damage to be found", || {
        (json(&server)["damaged"][0]["found"] == "damaged").then_some(())
    });
    std::fs::remove_file(&file).unwrap();
    let missing = json(&server);
    let expected = serde_json::json!([{"artifact": "app", "id": id, "found": "missing"}]);
    assert_eq!(missing["damaged"], expected);
    let said = show(&server, &[]);
    assert!(said.contains("missing"), "{said}");
    assert!(said.contains("hoist release create"), "{said}");
    server.release(release.dir());
    assert_eq!(json(&server)["damaged"], serde_json::json!([]));
}
