use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;

use hoist_protocol::envelope::PrivateKey;
use hoist_protocol::release::PayloadKind;
use tempfile::TempDir;

use super::*;

fn script(dir: &Path, name: &str) {
    let path = dir.join("scripts").join(name);
    fs::create_dir_all(dir.join("scripts")).unwrap();
    fs::write(&path, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn artifact(dir: &Path, name: &str, more: &str) {
    fs::create_dir_all(dir.join("payload")).unwrap();
    fs::write(dir.join("payload/app.bin"), vec![7; 300_000]).unwrap();
    script(dir, "install");
    script(dir, "rollback");
    let text =
        format!("name = \"{name}\"\nversion = \"1.0.0\"\npayload = [\"payload/app.bin\"]\n{more}");
    fs::write(dir.join("artifact.toml"), text).unwrap();
}

fn single(more: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    artifact(dir.path(), "app", more);
    dir
}

fn refusal(dir: &Path) -> String {
    read_release_dir(dir).unwrap_err().to_string()
}

#[test]
fn the_same_directory_gives_the_same_bytes_and_id() {
    let (one, two) = (single("counter = 7"), single("counter = 7"));
    let (one, two) = (
        read_release_dir(one.path()).unwrap(),
        read_release_dir(two.path()).unwrap(),
    );
    assert_eq!(one.id(), two.id());
    let bytes = one.artifacts[0].to_bytes().unwrap();
    assert_eq!(bytes, two.artifacts[0].to_bytes().unwrap());
    assert_eq!(bytes.len() as u64, one.artifacts[0].reference.size);
    assert_eq!(one.manifest.counter, 7);
}

#[test]
fn defaults_are_those_of_the_contract() {
    let dir = single("");
    let packed = read_release_dir(dir.path()).unwrap();
    let manifest = &packed.artifacts[0].manifest;
    assert_eq!(manifest.artifact_type, "files");
    assert_eq!(manifest.payloads[0].target, "app.bin");
    assert_eq!(manifest.payloads[0].kind, PayloadKind::File);
    let install = manifest.script(ScriptKind::Install).unwrap();
    assert_eq!(
        (install.timeout_s, install.attempts, install.idempotent),
        (600, 1, false)
    );
}

#[test]
fn script_settings_are_read() {
    let dir = single("[scripts.install]\ntimeout = \"5m\"\nattempts = 2\nidempotent = true\n");
    let packed = read_release_dir(dir.path()).unwrap();
    let install = packed.artifacts[0]
        .manifest
        .script(ScriptKind::Install)
        .unwrap();
    assert_eq!(
        (install.timeout_s, install.attempts, install.idempotent),
        (300, 2, true)
    );
}

#[test]
fn a_missing_rollback_script_is_refused_by_name() {
    let dir = single("");
    fs::remove_file(dir.path().join("scripts/rollback")).unwrap();
    let error = read_release_dir(dir.path()).unwrap_err();
    assert!(matches!(
        error,
        PackError::MissingScript {
            kind: ScriptKind::Rollback,
            ..
        }
    ));
}

#[test]
fn an_unknown_key_or_script_is_refused() {
    // bad-inputs row 70
    let error = refusal(single("reboots = true\n").path());
    assert!(
        error.contains("artifact.toml:4:") && error.contains("`reboot`"),
        "{error}"
    );
    let dir = single("");
    script(dir.path(), "instal");
    assert!(refusal(dir.path()).contains("scripts/instal"));
}

#[test]
fn a_payload_outside_or_a_link_is_refused() {
    // bad-inputs row 50
    let dir = single("");
    let text = "name = \"app\"\nversion = \"1\"\npayload = [\"../secret\"]\n";
    fs::write(dir.path().join("artifact.toml"), text).unwrap();
    assert!(matches!(
        read_release_dir(dir.path()),
        Err(PackError::BadPath { .. })
    ));
    let dir = single("");
    fs::remove_file(dir.path().join("payload/app.bin")).unwrap();
    symlink("/etc/hostname", dir.path().join("payload/app.bin")).unwrap();
    assert!(matches!(
        read_release_dir(dir.path()),
        Err(PackError::NotAFile { .. })
    ));
}

#[test]
fn a_folder_that_is_a_link_brings_in_nothing() {
    // bad-inputs row 50
    for folder in ["payload", "scripts"] {
        let (dir, elsewhere) = (single(""), tempfile::tempdir().unwrap());
        let (here, there) = (dir.path().join(folder), elsewhere.path().join("moved"));
        fs::rename(&here, &there).unwrap();
        symlink(&there, &here).unwrap();
        match read_release_dir(dir.path()) {
            Err(PackError::NotAFile { path }) => assert_eq!(path, here),
            other => panic!("{folder}: {other:?}"),
        }
    }
}

#[test]
fn payloads_that_collide_are_refused_by_name() {
    // bad-inputs row 52
    for (files, payload) in [
        (
            ["payload/App", "payload/app"],
            ["payload/App", "payload/app"],
        ),
        (["payload/app", "app"], ["payload/app", "app"]),
        (["payload/a", "a/b"], ["payload/a", "a/b"]),
        (
            ["payload/x", "payload/app.bin"],
            ["payload/app.bin", "payload/app.bin"],
        ),
    ] {
        let dir = single("");
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"x").unwrap();
        }
        let [one, other] = payload;
        let text = format!("name = \"app\"\nversion = \"1\"\npayload = [\"{one}\", \"{other}\"]\n");
        fs::write(dir.path().join("artifact.toml"), text).unwrap();
        let error = read_release_dir(dir.path()).unwrap_err();
        assert!(matches!(error, PackError::Collision { .. }), "{error}");
        let other = other.trim_start_matches("payload/");
        assert!(error.to_string().contains(&format!("{other:?}")), "{error}");
    }
}

#[test]
fn several_artifacts_keep_their_order_and_fit_where_all_fit() {
    let dir = tempfile::tempdir().unwrap();
    artifact(
        &dir.path().join("b"),
        "b",
        "device_types = [\"x\", \"y\"]\n",
    );
    artifact(&dir.path().join("a"), "a", "device_types = [\"y\"]\n");
    let text = "name = \"all\"\nversion = \"2\"\ncounter = 3\nartifacts = [\"b\", \"a\"]\n";
    fs::write(dir.path().join("release.toml"), text).unwrap();
    let packed = read_release_dir(dir.path()).unwrap();
    let names: Vec<_> = packed
        .artifacts
        .iter()
        .map(|a| a.manifest.name.as_str())
        .collect();
    assert_eq!(names, ["b", "a"]);
    assert_eq!(packed.manifest.device_types, ["y"]);
    assert_eq!(packed.manifest.floor, 0);
}

#[test]
fn a_file_that_changes_after_hashing_is_never_written_as_the_release() {
    let dir = single("");
    let packed = read_release_dir(dir.path()).unwrap();
    fs::write(dir.path().join("payload/app.bin"), b"other").unwrap();
    assert!(matches!(
        packed.artifacts[0].to_bytes(),
        Err(PackError::Changed { .. })
    ));
}

#[test]
fn a_hoist_file_opens_only_with_the_key_that_signed_it() {
    let dir = single("");
    let packed = read_release_dir(dir.path()).unwrap();
    let key = PrivateKey::from_seed(&[1; 32]);
    let mut bytes = Vec::new();
    write_hoist(&packed, &packed.sign(&key), &mut bytes).unwrap();
    let path = dir.path().join("app.hoist");
    fs::write(&path, &bytes).unwrap();
    let opened = HoistFile::open(&path, &[key.public()]).unwrap();
    assert_eq!(opened.manifest, packed.manifest);
    let mut content = Vec::new();
    std::io::Read::read_to_end(&mut opened.artifact(0).unwrap().1, &mut content).unwrap();
    assert_eq!(content, packed.artifacts[0].to_bytes().unwrap());
    let other = PrivateKey::from_seed(&[2; 32]).public();
    assert!(matches!(
        HoistFile::open(&path, &[other]),
        Err(PackError::Signature(_))
    ));
}

#[test]
fn a_requirement_that_is_none_is_refused_with_line_and_allowed_forms() {
    // bad-inputs row 84
    for more in [
        "[depends]\nok = \">=2.0, <3.0\"\nbootloader = \"==2.4\"\n",
        "depends = {\n  ok = \"*\",\n  bootloader = \"latest\" }\n",
        "[requires]\nboard = \"revB\"\nbootloader = \"=>2.4\"\n",
    ] {
        let error = read_release_dir(single(more).path()).unwrap_err();
        assert_eq!(error.code(), Code::Requirement);
        let text = error.to_string();
        assert!(text.contains("artifact.toml:6: "), "{text}");
        assert!(text.contains(" bootloader: "), "{text}");
        assert!(text.contains("> >= < <= ^ ~"), "{text}");
    }
    let fine = single("[requires]\nboard = \"latest\"\n[depends]\nboot = \"~2.4\"\n");
    assert!(read_release_dir(fine.path()).is_ok());
}

#[test]
fn a_script_that_no_device_could_start_is_refused_with_the_fix() {
    // bad-inputs row 84
    let refused = |text: &[u8]| {
        let dir = single("");
        fs::write(dir.path().join("scripts/rollback"), text).unwrap();
        let error = read_release_dir(dir.path()).unwrap_err();
        assert_eq!(error.code(), Code::Script);
        error.to_string()
    };
    assert!(refused(b"").contains("scripts/rollback is empty"));
    assert!(refused(b"exit 0\n").contains("#!/bin/sh"));
    assert!(refused(b"#!/bin/sh\r\n").contains("sed -i"));
    let dir = single("");
    let path = dir.path().join("scripts/install");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(
        read_release_dir(dir.path()).unwrap_err().code(),
        Code::Script
    );
    let program = single("");
    fs::write(program.path().join("scripts/install"), b"\x7fELF\x02").unwrap();
    assert!(read_release_dir(program.path()).is_ok());
}

fn kind_of(dir: &TempDir) -> Result<PayloadKind, PackError> {
    let packed = read_release_dir(dir.path())?;
    Ok(packed.artifacts[0].manifest.payloads[0].kind)
}

#[test]
fn a_payload_is_packed_with_its_mode_or_the_one_that_is_said() {
    let with_mode = |mode, more: &str| {
        let dir = single(more);
        let path = dir.path().join("payload/app.bin");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        kind_of(&dir)
    };
    let said = "[mode]\n\"payload/app.bin\" = ";
    for (mode, more, kind) in [
        (0o644, String::new(), PayloadKind::File),
        (0o755, String::new(), PayloadKind::Executable),
        (0o640, String::new(), PayloadKind::FileMode(0o640)),
        (0o444, String::new(), PayloadKind::FileMode(0o444)),
        (0o600, format!("{said}\"0644\""), PayloadKind::File),
        (
            0o644,
            format!("{said}\"0500\""),
            PayloadKind::FileMode(0o500),
        ),
    ] {
        assert_eq!(with_mode(mode, &more).unwrap(), kind, "{mode:o} {more}");
    }
    // bad-inputs row 50: nothing that lends rights travels, and nothing unreadable.
    for (mode, more) in [
        (0o4755, String::new()),
        (0o2644, String::new()),
        (0o1644, String::new()),
        (0o644, format!("{said}\"4755\"")),
        (0o644, format!("{said}\"0044\"")),
        (0o644, format!("{said}\"rw-r--r--\"")),
    ] {
        let error = with_mode(mode, &more).unwrap_err();
        assert_eq!(error.code(), Code::Archive, "{error}");
    }
    let unknown = single("[mode]\n\"payload/app\" = \"0644\"\n");
    assert!(refusal(unknown.path()).contains("\"payload/app\""));
}
