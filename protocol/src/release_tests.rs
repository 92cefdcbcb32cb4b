use alloc::string::ToString;

use super::*;

fn manifest(targets: &[&str]) -> ArtifactManifest {
    let payload = |target: &&str| Payload {
        kind: PayloadKind::Script,
        target: (*target).into(),
        size: 1,
        hash: [0; 32],
        segment_size: 1,
        index_hash: [0; 32],
    };
    let script = |kind| Script {
        kind,
        payload: 0,
        timeout_s: 1,
        attempts: 1,
        idempotent: false,
    };
    ArtifactManifest {
        name: "app".parse().unwrap(),
        version: "1".into(),
        artifact_type: "files".into(),
        provides: Vec::new(),
        depends: Vec::new(),
        payloads: targets.iter().map(payload).collect(),
        scripts: [ScriptKind::Install, ScriptKind::Rollback]
            .map(script)
            .into(),
        reboot: false,
        disk_need: 0,
    }
}

#[test]
fn targets_that_cannot_both_be_files_everywhere_are_refused() {
    // bad-inputs row 52
    for (one, other) in [
        ("app", "app"),
        ("App", "app"),
        ("a", "a/b"),
        ("a/b/c", "A/b"),
        ("scripts/install", "scripts/Install"),
    ] {
        let manifest = manifest(&["scripts/x", one, "between", other]);
        assert_eq!(manifest.colliding_targets(), Some((one, other)));
        assert!(manifest.check().is_err(), "{one} {other}");
    }
    let fine = manifest(&["a", "ab", "a-b", "b/a", "b/b"]);
    assert_eq!(fine.check(), Ok(()));
}

#[test]
fn more_payloads_than_a_device_can_hold_or_segments_of_no_size_are_refused() {
    // bad-inputs row 51
    let names: Vec<String> = (0..=PAYLOADS_MAX).map(|n| n.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(manifest(&names[1..]).check().is_ok());
    assert!(manifest(&names).check().is_err());
    let mut endless = manifest(&["a"]);
    endless.payloads[0].segment_size = 0;
    assert!(endless.check().is_err());
}

#[test]
fn a_release_that_names_an_artifact_twice_is_refused() {
    // bad-inputs row 52
    let artifact = |hash| ArtifactRef {
        size: 1,
        hash: [hash; 32],
    };
    let mut release = ReleaseManifest {
        name: "app".parse().unwrap(),
        version: "1".into(),
        counter: 0,
        floor: 0,
        device_types: Vec::new(),
        attributes: Vec::new(),
        artifacts: [artifact(1), artifact(2)].into(),
    };
    assert_eq!(release.check(), Ok(()));
    release.artifacts[1] = artifact(1);
    assert!(release.check().is_err());
}

#[test]
fn a_path_that_could_leave_the_payload_directory_is_refused() {
    // bad-inputs row 50, payload paths
    for good in ["app.bin", "dir/app.bin", "a/.hidden", "..a"] {
        assert!(is_safe_path(good), "{good}");
    }
    for bad in [
        "",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a//b",
        "a/",
        ".",
        "c:\\x",
        "a\0b",
        "a\\b",
    ] {
        assert!(!is_safe_path(bad), "{bad:?}");
    }
}
