//! Rollouts on real programs: a bad release is stopped in its first phase, a budget is never
//! exceeded, and what is paused or frozen goes on exactly where it was.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::harness::operator::Operator;
use crate::harness::process::{HOIST, Process};
use crate::harness::release::Release;
use crate::harness::server::Server;

/// A fleet of `hoist sim` in a group of its own.
fn fleet(server: &Server, group: &str, devices: u32, more: &[&str]) -> Process {
    let client = server.data().join("client.toml");
    let devices = devices.to_string();
    let mut args = vec!["--client", client.to_str().unwrap(), "sim"];
    args.extend(["--devices", &devices, "--group", group, "--prefix", group]);
    args.extend(["--keep", "--json"]);
    args.extend(more);
    let log = server.scratch().join(format!("{group}.log"));
    Process::start(HOIST, &args, &log)
}

/// Ends a fleet and returns what its devices did.
fn account(mut fleet: Process) -> Value {
    assert!(fleet.terminate().success());
    let said = fleet.said();
    let line = said.lines().find(|line| line.starts_with('{')).unwrap();
    serde_json::from_str(line).unwrap()
}

fn release(server: &Server, version: &str, counter: u32) {
    let release = Release::write(server.scratch(), "app", version, counter.into(), version);
    server.release(release.dir());
}

fn wait_online(operator: &Operator, group: &str, devices: u32) {
    let topic = format!("hoist/view/group/{group}");
    let client = operator.client();
    client.wait_json(&topic, |view| view["online"] == json!(devices));
}

fn ended(view: &Value) -> u64 {
    let counts = &view["counts"];
    counts["successful"].as_u64().unwrap() + counts["failed"].as_u64().unwrap()
}

fn devices(of: &Value) -> BTreeSet<String> {
    let outcomes = of["outcomes"].as_array().unwrap().iter();
    let name = |one: &Value| one["device"].as_str().unwrap().to_owned();
    outcomes.map(name).collect()
}

/// Shows that the server lets others start: whatever it still had to say before is said.
fn another_group_is_served(server: &Server, operator: &Operator) {
    let other = fleet(server, "other", 1, &[]);
    wait_online(operator, "other", 1);
    let id = operator.deploy("app@1.0.0", "other", &json!({}));
    let view = operator.settled(id);
    assert_eq!(view["counts"]["successful"], json!(1), "{view}");
    let _truth = account(other);
}

#[test]
fn a_bad_release_is_stopped_in_its_first_phase_and_the_fallback_goes_to_exactly_those_devices() {
    // S16
    let server = Server::start();
    let operator = Operator::new(&server);
    release(&server, "1.0.0", 1);
    release(&server, "2.0.0", 2);
    let fleet = fleet(&server, "sim", 30, &["--fail", "30%", "--seed", SEED]);
    wait_online(&operator, "sim", 30);
    let rollout = json!({
        "phases": [{"devices": 4}, {"devices": 12}, {"percent": 100}],
        "failure": {
            "devices": 1, "minEnded": 1, "then": "fallback", "fallback": "app@1.0.0",
        },
    });
    let bad = operator.deploy("app@2.0.0", "sim", &json!({"rollout": rollout}));
    let view = operator.view(bad, |view| view["state"] == json!("aborted"));
    assert_eq!(view["reason"], json!("failures"), "{view}");
    let fallback = bad + 1;
    operator.view(fallback, |view| ended(view) == 4);
    operator.view(bad, |view| ended(view) == 4);
    another_group_is_served(&server, &operator);
    let truth = account(fleet);
    let (bad, fallback) = (
        &truth["deployments"][bad.to_string()],
        &truth["deployments"][fallback.to_string()],
    );
    assert_eq!(bad["started"], json!(4), "{truth}");
    assert_ne!(bad["failed"], json!(0), "{truth}");
    assert_eq!(devices(bad), devices(fallback), "{truth}");
    assert_eq!(fallback["successful"], json!(4), "{truth}");
}

/// Decides who fails: one of the first phase at least, and none of those with the fallback.
const SEED: &str = "1";

#[test]
fn a_budget_of_one_device_for_each_site_is_never_exceeded() {
    // S16
    const SITES: u32 = 20;
    let server = Server::start();
    let operator = Operator::new(&server);
    release(&server, "1.0.0", 1);
    let fleet = fleet(&server, "sim", 3 * SITES, &[]);
    wait_online(&operator, "sim", 3 * SITES);
    let client = operator.client();
    let names: Vec<String> = (1..=3 * SITES).map(|n| format!("sim-{n:05}")).collect();
    let site = |place: usize| format!("s{}", place % SITES as usize);
    let sites: BTreeMap<&str, String> = (0..)
        .zip(&names)
        .map(|(place, name)| (name.as_str(), site(place)))
        .collect();
    for (device, site) in &sites {
        let body = json!({"device": device, "set": {"site": site}});
        client.command_ok("device-label", &body);
    }
    let rollout = json!({"budget": {"label": "site", "maxInProgress": 1}});
    let id = operator.deploy("app@1.0.0", "sim", &json!({"rollout": rollout}));
    let mut seen_at_once = 0;
    loop {
        // A client has so many subscriptions only, and needs one for each answer.
        let looking = Operator::new(&server);
        let client = looking.client();
        // A page holds more than there are sites.
        let wish = json!({"deployment": id, "status": "inProgress"});
        let list = client.command_ok("device-list", &wish);
        assert_eq!(list["next"], Value::Null, "{list}");
        let mut at_work: BTreeMap<&str, u32> = BTreeMap::new();
        for item in list["items"].as_array().unwrap() {
            let device = item["device"].as_str().unwrap();
            *at_work.entry(&sites[device]).or_default() += 1;
        }
        assert!(at_work.values().all(|count| *count == 1), "{at_work:?}");
        seen_at_once = at_work.len().max(seen_at_once);
        let view = client.command_ok("deployment-show", &json!({ "deployment": id }));
        if view["counts"]["successful"] == json!(3 * SITES) {
            break;
        }
    }
    assert!(seen_at_once > 1, "sites wait for each other");
    let truth = account(fleet);
    let of = &truth["deployments"][id.to_string()];
    assert_eq!((&of["started"], &of["installs"]), (&json!(60), &json!(60)));
}

#[test]
fn a_freeze_in_a_rollout_holds_over_kill_9_and_then_everybody_starts() {
    // S16
    let mut server = Server::start();
    let operator = Operator::new(&server);
    release(&server, "1.0.0", 1);
    let fleet = fleet(&server, "sim", 20, &[]);
    wait_online(&operator, "sim", 20);
    let rollout = json!({"maxInProgress": 3});
    let id = operator.deploy("app@1.0.0", "sim", &json!({"rollout": rollout}));
    operator.view(id, |view| ended(view) >= 2);
    server.hoist_ok(&["freeze", "sim"]);
    let before = operator.view(id, |view| {
        view["frozen"] == json!(true) && view["counts"]["inProgress"] == json!(0)
    });
    assert_ne!(before["counts"]["pending"], json!(0), "{before}");
    server.kill_and_restart();
    let operator = Operator::new(&server);
    wait_online(&operator, "sim", 20);
    another_group_is_served(&server, &operator);
    let after = operator.view(id, |view| view["frozen"] == json!(true));
    assert_eq!(after["counts"], before["counts"]);
    server.hoist_ok(&["unfreeze", "sim"]);
    operator.view(id, |view| view["counts"]["successful"] == json!(20));
    let truth = account(fleet);
    let of = &truth["deployments"][id.to_string()];
    assert_eq!((&of["started"], &of["installs"]), (&json!(20), &json!(20)));
}

#[test]
fn a_rollout_that_is_paused_and_resumed_starts_everybody_once() {
    // S16
    let server = Server::start();
    let operator = Operator::new(&server);
    release(&server, "1.0.0", 1);
    let fleet = fleet(&server, "sim", 24, &[]);
    wait_online(&operator, "sim", 24);
    let rollout = json!({"maxInProgress": 3});
    let id = operator.deploy("app@1.0.0", "sim", &json!({"rollout": rollout}));
    operator.view(id, |view| ended(view) >= 2);
    let number = id.to_string();
    server.hoist_ok(&["deployment", "pause", &number]);
    let before = operator.view(id, |view| {
        view["state"] == json!("paused") && view["counts"]["inProgress"] == json!(0)
    });
    assert_ne!(before["counts"]["pending"], json!(0), "{before}");
    another_group_is_served(&server, &operator);
    let after = operator.view(id, |view| view["state"] == json!("paused"));
    assert_eq!(after["counts"], before["counts"], "nobody started");
    server.hoist_ok(&["deployment", "resume", &number]);
    operator.view(id, |view| view["counts"]["successful"] == json!(24));
    let truth = account(fleet);
    let of = &truth["deployments"][number];
    assert_eq!((&of["started"], &of["installs"]), (&json!(24), &json!(24)));
}
