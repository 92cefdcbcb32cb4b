//! Checks just before a script runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hoist_protocol::id::DeploymentId;
use tempfile::TempDir;

use super::*;
use crate::agent::bundle::read_release_dir;
use crate::agent::download::ArtifactWriter;
use crate::agent::files::SystemFiles;

/// An artifact in its place, whose scripts leave a mark in the folder they run in.
fn installable() -> (TempDir, RunScript) {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs::create_dir_all(source.join("scripts")).unwrap();
    for name in ["install", "rollback"] {
        let path = source.join("scripts").join(name);
        fs::write(&path, format!("#!/bin/sh\ntouch {name}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let text = "name = \"app\"\nversion = \"1\"\npayload = []\n";
    fs::write(source.join("artifact.toml"), text).unwrap();
    let packed = read_release_dir(&source).unwrap();
    let packed = &packed.artifacts[0];
    let files: Arc<dyn Files> = Arc::new(SystemFiles);
    let download = dir.path().join("download");
    let mut writer = ArtifactWriter::open(files.clone(), &download, packed.reference).unwrap();
    writer.push(&packed.to_bytes().unwrap()).unwrap();
    let work = RunScript {
        run: ScriptRun {
            artifact: 0,
            kind: ScriptKind::Install,
            deployment: DeploymentId(1),
            attempt: 1,
            boot: BootReason::Normal,
        },
        files,
        rollback: dir.path().join("rollback"),
        artifact: writer.finish().unwrap(),
        cwd: dir.path().join("work"),
        owner: vec![
            ("HOME".into(), "/home/of/work".into()),
            ("HOIST_DEVICE".into(), "another".into()),
        ],
        device: "dev-01".into(),
        release: "app@1".into(),
        old_version: String::new(),
    };
    (dir, work)
}

async fn told(work: RunScript) -> Told {
    let (sender, mut receiver) = mpsc::channel(1);
    run_script(work, Teller { task: 1, sender }).await;
    receiver.recv().await.unwrap().1
}

fn swap(path: &Path) {
    fs::write(path, "#!/bin/sh\ntouch evil\n").unwrap();
}

fn marks(dir: &TempDir) -> Vec<String> {
    let mut marks = SystemFiles.list(&dir.path().join("work")).unwrap();
    marks.sort();
    marks
}

#[tokio::test]
async fn a_script_swapped_after_the_download_is_not_run_and_the_reason_is_told() {
    // bad-inputs row 55
    for kind in [ScriptKind::Install, ScriptKind::Rollback] {
        let (dir, work) = installable();
        swap(&work.artifact.script_path(kind).unwrap());
        let told = told(work).await;
        let Told::ScriptRefused { reason, output } = told else {
            panic!("{told:?}");
        };
        assert_eq!(reason, Reason::HashMismatch);
        assert!(String::from_utf8_lossy(&output).contains("scripts/"));
        assert!(marks(&dir).is_empty());
    }
}

#[tokio::test]
async fn the_way_back_is_kept_before_install_runs_and_a_swap_after_that_is_of_no_use() {
    let (dir, work) = installable();
    let (_other, mut back) = installable();
    back.artifact = work.artifact.clone();
    back.rollback.clone_from(&work.rollback);
    back.cwd.clone_from(&work.cwd);
    back.run.kind = ScriptKind::Rollback;
    for work in [work, back] {
        let told = told(work).await;
        let Told::ScriptDone { exit, .. } = told else {
            panic!("{told:?}");
        };
        assert_eq!(exit, ScriptExit::Code(0));
        swap(&dir.path().join("download/scripts/rollback"));
    }
    assert_eq!(marks(&dir), ["install", "rollback"]);
}

#[test]
fn what_the_owner_sets_is_there_and_what_the_agent_says_counts() {
    let (_dir, work) = installable();
    let environment = environment(&work);
    let last = |wanted: &str| {
        let found = environment.iter().rfind(|(name, _)| name == wanted);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(last("HOME"), Some("/home/of/work"));
    assert_eq!(last("HOIST_DEVICE"), Some("dev-01"));
}

#[test]
fn the_log_gets_the_last_lines_of_an_output_and_no_more() {
    let long: String = (0..500).map(|line| format!("line {line}\n")).collect();
    let lines = last_lines(long.as_bytes());
    assert_eq!(lines.len(), LOGGED_LINES_MAX);
    assert_eq!(lines.last().unwrap(), "line 499");
    let one = last_lines(&vec![b'x'; 100_000]);
    assert_eq!((one.len(), one[0].len()), (1, LOGGED_BYTES_MAX));
    assert!(last_lines(b"\n\n").is_empty());
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_payload_arrives_with_its_mode_also_where_something_touched_it() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs::create_dir_all(source.join("scripts")).unwrap();
    let write = |name: &str, text: &str, mode| {
        let path = source.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    write("scripts/install", "#!/bin/sh\n", 0o755);
    write("scripts/rollback", "#!/bin/sh\n", 0o755);
    let payloads = [
        ("plain", 0o644),
        ("program", 0o755),
        ("secret", 0o440),
        ("tool", 0o770),
    ];
    for (name, mode) in payloads {
        write(name, name, mode);
    }
    let text = "name = \"app\"\nversion = \"1\"\npayload = [\"plain\", \"program\", \"secret\", \"tool\"]\n";
    fs::write(source.join("artifact.toml"), text).unwrap();
    let packed = read_release_dir(&source).unwrap();
    let packed = &packed.artifacts[0];
    let download = dir.path().join("download");
    let fetch = || {
        let files: Arc<dyn Files> = Arc::new(SystemFiles);
        let mut writer = ArtifactWriter::open(files, &download, packed.reference).unwrap();
        let from = usize::try_from(writer.offset()).unwrap();
        writer.push(&packed.to_bytes().unwrap()[from..]).unwrap();
        writer.finish().unwrap()
    };
    let check = || {
        for (name, expected) in payloads {
            let path = download.join("payload").join(name);
            assert_eq!(mode(&path), expected, "{name}");
            assert_eq!(fs::read_to_string(&path).unwrap(), name);
        }
        assert_eq!(mode(&download.join("scripts/install")), 0o700);
    };
    fetch();
    check();
    let secret = download.join("payload/secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&secret, "changed").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o440)).unwrap();
    let artifact = fetch();
    check();
    let tool = download.join("payload/tool");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o4777)).unwrap();
    artifact.verify(&SystemFiles).unwrap();
    check();
}
