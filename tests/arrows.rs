//! Crates are cut by effect: an arrow drawn by hand in a `Cargo.toml` fails here.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::harness::process::Finish;

/// The dependencies that each crate may have, dev-dependencies aside.
const ARROWS: &[(&str, &[&str])] = &[
    ("hoist-protocol", &[]),
    ("hoist-net", &["hoist-protocol"]),
    ("hoist-orchestrator-core", &["hoist-protocol"]),
    (
        "hoist-orchestrator",
        &["hoist-protocol", "hoist-net", "hoist-orchestrator-core"],
    ),
    ("hoist-page", &["hoist-protocol", "hoist-orchestrator"]),
    ("hoist-device-client", &["hoist-protocol", "hoist-net"]),
    ("hoist-broker-config", &["hoist-protocol", "hoist-net"]),
    (
        "hoist-server",
        &[
            "hoist-page",
            "hoist-protocol",
            "hoist-orchestrator-core",
            "hoist-orchestrator",
            "hoist-broker-config",
            "hoist-net",
        ],
    ),
    (
        "hoist-cli",
        &[
            "hoist-protocol",
            "hoist-net",
            "hoist-orchestrator-core",
            "hoist-orchestrator",
            "hoist-device-client",
            "hoist-server",
        ],
    ),
    (
        "hoist-tests",
        &[
            "hoist-protocol",
            "hoist-net",
            "hoist-orchestrator-core",
            "hoist-orchestrator",
            "hoist-device-client",
            "hoist-broker-config",
            "hoist-server",
            "hoist-cli",
        ],
    ),
];

/// The crates that must not be reachable from the pure ones.
const IMPURE: &[&str] = &["tokio", "rumqttc", "rumqttd", "sled", "tracing"];

/// The crate graph of this machine's platform: nothing else has been downloaded.
fn metadata() -> Value {
    let cargo = |args: &[&str]| {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let output = Command::new(env!("CARGO"))
            .args(args)
            .current_dir(manifest)
            .finish();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let version = cargo(&["-vV"]);
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    let format = ["metadata", "--format-version", "1", "--all-features"];
    let limits = ["--offline", "--locked", "--filter-platform", host];
    serde_json::from_str(&cargo(&[&format[..], &limits].concat())).unwrap()
}

fn texts<'a>(list: &'a Value, field: &'a str) -> impl Iterator<Item = &'a str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(move |item| item[field].as_str().unwrap())
}

/// The packages of this workspace.
fn members(metadata: &Value) -> BTreeSet<String> {
    let ids: BTreeSet<&str> = metadata["workspace_members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let own = packages.filter(|package| ids.contains(package["id"].as_str().unwrap()));
    own.map(|package| package["name"].as_str().unwrap().to_owned())
        .collect()
}

/// Dependencies of every package that are neither dev nor build dependencies.
fn normal_dependencies(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let names: BTreeMap<&str, &str> = texts(&metadata["packages"], "id")
        .zip(texts(&metadata["packages"], "name"))
        .collect();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap().iter();
    nodes
        .map(|node| {
            let dependencies = node["deps"].as_array().unwrap().iter();
            let normal = dependencies.filter(|dependency| {
                let kinds = dependency["dep_kinds"].as_array().unwrap();
                kinds.iter().any(|kind| kind["kind"].is_null())
            });
            let name = |id: &Value| names[id.as_str().unwrap()].to_owned();
            (
                name(&node["id"]),
                normal.map(|dependency| name(&dependency["pkg"])).collect(),
            )
        })
        .collect()
}

#[test]
fn packages_depend_on_each_other_only_along_the_arrows() {
    let metadata = metadata();
    let dependencies = normal_dependencies(&metadata);
    let members = members(&metadata);
    let known: BTreeSet<String> = ARROWS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(members, known, "a new package needs its row in ARROWS");
    for (package, allowed) in ARROWS {
        for dependency in dependencies[*package].intersection(&members) {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{package} must not depend on {dependency}"
            );
        }
    }
}

#[test]
fn the_core_and_the_protocol_reach_no_runtime_broker_store_or_log() {
    let dependencies = normal_dependencies(&metadata());
    for package in ["hoist-protocol", "hoist-orchestrator-core"] {
        let mut reached = BTreeSet::new();
        let mut open = vec![package.to_owned()];
        while let Some(name) = open.pop() {
            if reached.insert(name.clone()) {
                open.extend(dependencies[&name].iter().cloned());
            }
        }
        for impure in IMPURE {
            assert!(!reached.contains(*impure), "{package} reaches {impure}");
        }
    }
}
