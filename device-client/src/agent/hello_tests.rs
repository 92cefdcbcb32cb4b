//! `examples/hello`, packed from the repository and run by the script runner: the way in,
//! and a way back that really restores.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hoist_protocol::status::{ScriptExit, ScriptKind};

use super::bundle::read_release_dir;
use super::script::{ScriptCall, run};

fn hello() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/hello")
}

async fn run_script(kind: ScriptKind, cwd: &Path) {
    let result = run(&ScriptCall {
        name: kind.word().to_owned(),
        program: hello().join("scripts").join(kind.word()),
        cwd: cwd.to_path_buf(),
        env: vec![(
            "HOIST_PAYLOAD_DIR".to_owned(),
            hello().join("payload").display().to_string(),
        )],
        timeout: Duration::from_secs(20),
        grace: Duration::from_secs(1),
    })
    .await;
    let log = String::from_utf8_lossy(&result.log);
    assert_eq!(result.exit, ScriptExit::Code(0), "{}: {log}", kind.word());
}

#[test]
fn hello_is_a_release_with_every_script() {
    let packed = read_release_dir(&hello()).unwrap();
    assert_eq!(packed.manifest.name.as_str(), "hello");
    assert_eq!(packed.manifest.version, "1.0.0");
    assert_eq!(packed.manifest.counter, 1);
    let manifest = &packed.artifacts[0].manifest;
    assert!(
        ScriptKind::ALL
            .iter()
            .all(|kind| manifest.script(*kind).is_some())
    );
}

#[tokio::test]
async fn hello_installs_verifies_and_restores_what_was_there() {
    let work = tempfile::tempdir().unwrap();
    let greeting = work.path().join("greeting.txt");
    fs::write(&greeting, "from before\n").unwrap();
    // Install runs twice: it calls itself idempotent.
    for kind in [
        ScriptKind::PreInstall,
        ScriptKind::Install,
        ScriptKind::Install,
        ScriptKind::PostInstall,
        ScriptKind::Verify,
    ] {
        run_script(kind, work.path()).await;
    }
    assert!(fs::read_to_string(&greeting).unwrap().contains("1.0.0"));
    for _ in 0..2 {
        run_script(ScriptKind::Rollback, work.path()).await;
        assert_eq!(fs::read_to_string(&greeting).unwrap(), "from before\n");
    }
}

#[tokio::test]
async fn hello_leaves_nothing_where_nothing_was() {
    let work = tempfile::tempdir().unwrap();
    for kind in [
        ScriptKind::PreInstall,
        ScriptKind::Install,
        ScriptKind::Rollback,
    ] {
        run_script(kind, work.path()).await;
    }
    assert_eq!(fs::read_dir(work.path()).unwrap().count(), 0);
}
