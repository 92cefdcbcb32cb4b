//! Promises about deployments hold with any broker: the same tests once more, each server beside a
//! Mosquitto of its own.

use std::process::Command;

use crate::harness::mosquitto;
use crate::harness::process::installed;
use crate::harness::sources::{Text, code};

/// The tests that are run on both brokers.
const ON_BOTH: &[&str] = &[
    "agent_already::",
    "agent_orders::",
    "commands::",
    "deploy::",
    "dry_run::",
    "identity::",
    "other_language::",
    "own_writes::",
    "plan::",
    "refusals::",
    "removal::",
    "rollout::",
    "tables::",
    "why::",
    "restart::five_kills",
];

/// The deeds of the embedded broker alone, and of another instead.
const EMBEDDED_ONLY: &[(&str, &str)] = &[
    (
        "a_removed_device_is_turned_out_and_its_token_is_worth_nothing_for_ever",
        "it closes no session, and has passwords of its own",
    ),
    (
        "a_user_who_is_removed_or_changed_is_turned_out_by_command_and_by_editor",
        "it closes no session, and has passwords of its own",
    ),
    (
        "a_device_that_started_once_with_an_older_agent_toml_is_a_member_again",
        "it has passwords of its own, and lets an older token in or not",
    ),
    (
        "a_device_of_another_namespace_is_not_told_that_it_was_removed",
        "it lets the device in, and keeps it from every topic",
    ),
    (
        "a_retained_command_is_refused_and_cleared",
        "it passes a command on without the flag: carried out once, refused when it comes again",
    ),
    (
        "presence_from_before_a_restart_of_the_server_is_not_shown",
        "it lives on, and knows who is there",
    ),
];

/// The deeds that need a broker without TLS.
const PLAIN_ONLY: &[(&str, &str)] = &[(
    "a_device_in_another_language_takes_part_in_a_deployment",
    "the device of the tests speaks no TLS",
)];

#[test]
fn what_is_promised_of_deployments_holds_on_a_broker_of_others() {
    holds_by(mosquitto::TRANSPORTS[0]);
}

#[test]
fn what_is_promised_of_deployments_holds_on_a_broker_of_others_by_tls() {
    holds_by(mosquitto::TRANSPORTS[1]);
}

fn holds_by(transport: &str) {
    if !installed("mosquitto") || mosquitto::is_wanted() {
        return;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .env(mosquitto::VARIABLE, transport)
        .args(ON_BOTH)
        .args(["--test-threads", "2"]);
    let sources = code();
    let not_here = match transport == mosquitto::TRANSPORTS[0] {
        true => &[][..],
        false => PLAIN_ONLY,
    };
    for (test, _) in EMBEDDED_ONLY.iter().chain(not_here) {
        let known = |file: &Text| file.text.contains(&format!("fn {test}()"));
        assert!(sources.iter().any(known), "{test} is no test");
        command.args(["--skip", test]);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let passed = said.lines().filter(|line| line.ends_with("... ok")).count();
    assert!(passed >= ON_BOTH.len(), "{said}");
}
