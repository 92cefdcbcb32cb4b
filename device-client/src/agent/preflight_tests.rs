use super::*;
use crate::agent::inventory::{Condition, InstalledArtifact};
use hoist_protocol::id::ArtifactId;
use hoist_protocol::release::{Payload, PayloadKind, Script};

fn release(counter: u64) -> ReleaseManifest {
    ReleaseManifest {
        name: "app".parse().unwrap(),
        version: "1.0.0".into(),
        counter,
        floor: 0,
        device_types: vec!["sensor-a".into()],
        attributes: vec![("board".into(), "revB".into())],
        artifacts: Vec::new(),
    }
}

fn artifact(name: &str, depends: &[(&str, &str)]) -> ArtifactManifest {
    ArtifactManifest {
        name: name.parse().unwrap(),
        version: "2.1".into(),
        artifact_type: "files".into(),
        provides: Vec::new(),
        depends: depends
            .iter()
            .map(|(n, v)| ((*n).into(), (*v).into()))
            .collect(),
        payloads: Vec::new(),
        scripts: Vec::new(),
        reboot: false,
        disk_need: 0,
    }
}

fn inventory() -> Inventory {
    let mut inventory = Inventory {
        floor: 3,
        installed: Vec::new(),
    };
    inventory.put(InstalledArtifact {
        name: "app".parse().unwrap(),
        version: "1.5".into(),
        counter: 5,
        artifact: ArtifactId([0; 16]),
        provides: Vec::new(),
        dir: "/x".into(),
        condition: Condition::Confirmed,
    });
    inventory
}

#[test]
fn another_device_type_or_attribute_is_incompatible() {
    // bad-inputs row 53
    let revision = |value: &'static str| move |name: &str| (name == "board").then_some(value);
    assert!(compatible("sensor-a", revision("revB"), &release(1)).is_ok());
    for refused in [
        compatible("sensor-b", revision("revB"), &release(1)),
        compatible("sensor-a", revision("revA"), &release(1)),
    ] {
        assert_eq!(refused.unwrap_err().reason, Reason::Incompatible);
    }
}

#[test]
fn a_lower_counter_needs_permission_and_the_floor_yields_to_nobody() {
    // bad-inputs row 54
    let artifacts = [artifact("app", &[])];
    let check =
        |counter, downgrade| counters(&release(counter), &artifacts, &inventory(), downgrade);
    assert!(check(5, Downgrade::Refused).is_ok());
    assert_eq!(
        check(4, Downgrade::Refused).unwrap_err().reason,
        Reason::Downgrade
    );
    assert!(check(4, Downgrade::Allowed).is_ok());
    assert_eq!(
        check(2, Downgrade::Allowed).unwrap_err().reason,
        Reason::Downgrade
    );
}

#[test]
fn a_dependency_is_met_by_what_is_installed_or_comes_before() {
    let needs = artifact("ui", &[("app", ">=2")]);
    assert!(dependencies(std::slice::from_ref(&needs), &inventory()).is_err());
    assert!(dependencies(&[artifact("app", &[]), needs], &inventory()).is_ok());
}

#[test]
fn a_missing_dependency_says_what_is_there_instead() {
    let needs = artifact("ui", &[("app", ">=2")]);
    let refusal = dependencies(&[needs], &inventory()).unwrap_err();
    assert_eq!(refusal.reason, Reason::MissingDependency);
    assert_eq!(refusal.detail, "ui needs app >=2, but there is 1.5");
    let needs = artifact("ui", &[("boot", "~2.4")]);
    let refusal = dependencies(&[needs], &inventory()).unwrap_err();
    assert_eq!(refusal.detail, "ui needs boot ~2.4, which is not installed");
}

#[test]
fn a_requirement_that_is_none_is_the_fault_of_the_release() {
    // bad-inputs row 84
    let old = artifact("ui", &[("app", "==1.5")]);
    let refusal = dependencies(&[old], &inventory()).unwrap_err();
    assert_eq!(refusal.reason, Reason::BadRelease);
    assert!(
        refusal.detail.contains("\"==1.5\" is no requirement"),
        "{refusal}"
    );
    let mut old = release(1);
    old.attributes = vec![("board".into(), "=>2".into())];
    let refusal = compatible("sensor-a", |_| Some("2"), &old).unwrap_err();
    assert_eq!(refusal.reason, Reason::BadRelease);
}

#[test]
fn an_attribute_may_be_required_in_versions_but_must_be_there() {
    let mut release = release(1);
    release.attributes = vec![("bootloader".into(), ">=2.4, <3".into())];
    let check = |value: Option<&'static str>| compatible("sensor-a", |_| value, &release);
    assert!(check(Some("v2.10")).is_ok());
    assert_eq!(check(Some("2.3")).unwrap_err().reason, Reason::Incompatible);
    assert_eq!(check(None).unwrap_err().reason, Reason::Incompatible);
}

#[test]
fn an_artifact_without_a_way_back_is_refused() {
    let refusal = required_scripts(&artifact("app", &[])).unwrap_err();
    assert_eq!(refusal.reason, Reason::BadRelease);
}

#[test]
fn two_artifacts_of_one_name_are_refused() {
    // bad-inputs row 52
    let (app, ui) = (artifact("app", &[]), artifact("ui", &[]));
    assert!(distinct_names(&[app.clone(), ui.clone()]).is_ok());
    let refusal = distinct_names(&[app.clone(), ui, app]).unwrap_err();
    assert_eq!(refusal.reason, Reason::BadRelease);
}

#[test]
fn what_is_needed_counts_missing_content_scripts_and_the_way_back() {
    let payload = |kind, size| Payload {
        kind,
        target: "x".into(),
        size,
        hash: [0; 32],
        segment_size: 1,
        index_hash: [0; 32],
    };
    let mut artifact = artifact("app", &[]);
    artifact.disk_need = 40 << 20;
    artifact.payloads = vec![
        payload(PayloadKind::File, 10 << 20),
        payload(PayloadKind::Script, 5_000),
    ];
    artifact.scripts = vec![Script {
        kind: ScriptKind::Rollback,
        payload: 1,
        timeout_s: 1,
        attempts: 1,
        idempotent: false,
    }];
    let way_back = (40 << 20) + 5_000 + 4_096;
    assert_eq!(needed_bytes(&artifact, 0), way_back);
    assert_eq!(needed_bytes(&artifact, 777), way_back + 777 + 2 * 4_096);
    assert_eq!(needed_bytes(&artifact, u64::MAX), u64::MAX);
}

#[test]
fn less_than_the_needed_space_is_refused_with_both_figures() {
    // bad-inputs row 58
    assert!(space(5 + RESERVE_BYTES, 5).is_ok());
    let refusal = space(4 + RESERVE_BYTES, 5).unwrap_err();
    assert_eq!(refusal.reason, Reason::NoSpace);
    let said = "needs 1.1 MiB, 1.0 MiB are free: ";
    assert!(refusal.detail.starts_with(said), "{refusal}");
    assert!(space(u64::MAX - 1, u64::MAX).is_err());
}
