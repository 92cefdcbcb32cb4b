//! A device whose server is not the one it was set up for says so, in words that name what
//! to do: in its own log and, where it can, to the server.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::eventually;
use crate::harness::release::Release;
use crate::harness::server::Server;

/// Replaces what a setting of a configuration is set to.
fn set(config: &Path, setting: &str, value: &str) {
    let text = fs::read_to_string(config).unwrap();
    let set = |line: &str| match line.split_once(" = ") {
        Some((name, _)) if name == setting => format!("{name} = \"{value}\"\n"),
        _ => format!("{line}\n"),
    };
    let text: String = text.lines().map(set).collect();
    fs::write(config, text).unwrap();
}

#[test]
fn a_token_that_the_server_does_not_know_is_named_with_what_helps() {
    let server = Server::start();
    let config = server.add_device("dev-01", &[]);
    set(&config, "token", "1.not-the-token");
    let agent = server.agent(&config);
    eventually("the agent to say what is wrong", || {
        let said = agent.said();
        let named = "the server does not know this token, or not in this namespace, or has replaced it: get a new agent.toml with `hoist device token rotate`, or `hoist device add` if it is not registered";
        said.contains(named).then_some(())
    });
    // A line says when.
    let said = agent.said();
    let (time, _) = said.split_once(' ').unwrap();
    assert!(time.starts_with("20") && time.ends_with('Z'), "{said}");
}

#[test]
fn a_root_document_that_is_not_the_pinned_one_is_named_by_its_setting() {
    let server = Server::start();
    let config = server.add_device("dev-01", &[]);
    set(&config, "root_sha256", &"ab".repeat(32));
    let agent = server.agent(&config);
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    server.hoist_ok(&["deploy", "app@1.0.0", "--group", "unassigned"]);
    eventually("the agent to say what is wrong", || {
        let said = agent.said();
        (said.contains("root_sha256") && said.contains("E_ROOT")).then_some(())
    });
    assert_eq!(
        agent.said().matches("E_ROOT").count(),
        1,
        "{}",
        agent.said()
    );
    let told = learned_from(&server, "root-not-trusted");
    assert!(told.contains("root_sha256"), "{told}");
    // Also of a device that is away: that it connects would not be enough.
    drop(agent);
    let told = eventually("the device to be away", || {
        let told = server.hoist_ok(&["device", "why", "dev-01"]);
        told.contains("blocked by offline").then_some(told)
    });
    let words: Vec<&str> = told.split_whitespace().collect();
    let told = words.join(" ");
    assert!(told.contains("root_sha256"), "{told}");
    assert!(told.contains("`hoist device add dev-01`"), "{told}");
}

/// The answer of `device why`: whoever asks the server learns it there, too.
fn learned_from(server: &Server, trouble: &str) -> String {
    let shown = |verb: &str| {
        let json = server.hoist_ok(&["device", verb, "dev-01", "-o", "json"]);
        serde_json::from_str::<Value>(&json).unwrap()
    };
    let trouble = json!(trouble);
    eventually("the server to know", || {
        (shown("show")["trouble"] == trouble).then_some(())
    });
    let why = shown("why");
    assert_eq!(why["trouble"], trouble, "{why}");
    assert_eq!(why["deployments"][0]["why"], trouble, "{why}");
    let word = trouble.as_str().unwrap();
    let list = server.hoist_ok(&["device", "list"]);
    assert!(list.contains(word), "{list}");
    let block = server.hoist_ok(&["device", "show", "dev-01"]);
    assert!(block.contains(&format!("  trouble    {word}\n")), "{block}");
    assert!(
        block.lines().skip(1).all(|line| !line.ends_with(" -")),
        "{block}"
    );
    let told = server.hoist_ok(&["device", "why", "dev-01"]);
    assert!(!told.contains("nothing keeps it"), "{told}");
    let words: Vec<&str> = told.split_whitespace().collect();
    words.join(" ")
}

#[test]
fn what_no_trusted_key_has_signed_is_not_obeyed_and_both_sides_say_so() {
    let mut server = Server::start();
    let config = server.add_device("dev-01", &[]);
    let mut agent = server.agent(&config);
    eventually("the device to know whom it trusts", || {
        agent.said().contains("connected").then_some(())?;
        let list = server.hoist_ok(&["device", "show", "dev-01", "-o", "json"]);
        list.contains("\"keyPinned\": true").then_some(())
    });
    agent.kill();
    // The server's keys are made anew; what its tokens are made of is kept.
    server.kill();
    let other = Server::start();
    for key in ["orchestrator.key", "release.key", "root.key", "root.bin"] {
        let from = other.data().join("keys").join(key);
        fs::copy(from, server.data().join("keys").join(key)).unwrap();
    }
    server.restart();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    server.hoist_ok(&["deploy", "app@1.0.0", "--group", "unassigned"]);

    let agent = server.agent(&config);
    eventually("the agent to say what is wrong", || {
        let said = agent.said();
        (said.contains("E_SIG") && said.contains("not signed by a key")).then_some(())
    });
    let told = learned_from(&server, "signer-not-trusted");
    assert!(told.contains("`hoist device add dev-01`"), "{told}");
    drop(agent);

    // What it says helps.
    let state = config.with_extension("state");
    let config = server.add_device("dev-01", &[]);
    assert_eq!(config.with_extension("state"), state);
    let _agent = server.agent(&config);
    eventually("the device to obey again", || {
        fs::read(state.join("work/app/content")).ok()
    });
    eventually("the trouble to be over", || {
        let json = server.hoist_ok(&["device", "show", "dev-01", "-o", "json"]);
        let shown: Value = serde_json::from_str(&json).unwrap();
        shown["trouble"].is_null().then_some(())
    });
}
