//! Crates are cut by effect: an arrow drawn by hand in a `Cargo.toml` fails here.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand};

/// Who may depend on whom, dev-dependencies aside.
const ARROWS: &[(&str, &[&str])] = &[
    ("hoist-protocol", &[]),
    ("hoist-orchestrator-core", &["hoist-protocol"]),
    (
        "hoist-orchestrator",
        &["hoist-protocol", "hoist-orchestrator-core"],
    ),
    ("hoist-device-client", &["hoist-protocol"]),
    ("hoist-broker-config", &["hoist-protocol"]),
    (
        "hoist-cli",
        &[
            "hoist-protocol",
            "hoist-orchestrator-core",
            "hoist-orchestrator",
            "hoist-device-client",
            "hoist-broker-config",
        ],
    ),
    (
        "hoist-tests",
        &[
            "hoist-protocol",
            "hoist-orchestrator-core",
            "hoist-orchestrator",
            "hoist-device-client",
            "hoist-broker-config",
            "hoist-cli",
        ],
    ),
];

/// What must not be reachable from the pure crates.
const IMPURE: &[&str] = &["tokio", "rumqttc", "rumqttd", "sled", "tracing"];

/// The crate graph of this machine's platform: nothing else has been downloaded.
fn metadata() -> Metadata {
    let version = Command::new(env!("CARGO"))
        .arg("-vV")
        .output()
        .unwrap()
        .stdout;
    let version = String::from_utf8(version).unwrap();
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap()
        .to_owned();
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    MetadataCommand::new()
        .manifest_path(manifest)
        .features(CargoOpt::AllFeatures)
        .other_options(vec![
            "--offline".into(),
            "--locked".into(),
            "--filter-platform".into(),
            host,
        ])
        .exec()
        .unwrap()
}

/// Dependencies of every package that are neither dev nor build dependencies.
fn normal_dependencies(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    let name = |id| metadata[id].name.to_string();
    let nodes = &metadata.resolve.as_ref().unwrap().nodes;
    nodes
        .iter()
        .map(|node| {
            let normal = node.deps.iter().filter(|dep| {
                dep.dep_kinds
                    .iter()
                    .any(|kind| kind.kind == DependencyKind::Normal)
            });
            (name(&node.id), normal.map(|dep| name(&dep.pkg)).collect())
        })
        .collect()
}

#[test]
fn packages_depend_on_each_other_only_along_the_arrows() {
    let metadata = metadata();
    let dependencies = normal_dependencies(&metadata);
    let members: BTreeSet<String> = metadata
        .workspace_packages()
        .iter()
        .map(|package| package.name.to_string())
        .collect();
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
