//! What brings a fleet back may be killed itself: at every write, sync, rename and removal the
//! same command brings all of it back, and before that nothing starts as if it were whole.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::harness::process::{Finish, HOIST, run};
use crate::harness::release::Release;
use crate::harness::server::Server;
use crate::store_faults::library;

/// Moments of one command that are tried, evenly over all of it.
const MOMENTS: u64 = 10;
const KILL: i32 = 9;

/// A stopped server's data directory, with a backup of it.
struct Fleet {
    server: Server,
    backup: PathBuf,
}

impl Fleet {
    fn new() -> Self {
        let mut server = Server::start();
        server.hoist_ok(&["group", "create", "eu"]);
        server.hoist_ok(&["device", "add", "d1", "--group", "eu"]);
        let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
        server.release(release.dir());
        server.hoist_ok(&["deploy", "app@1.0.0", "--group", "eu"]);
        let backup = server.scratch().join("fleet.tar");
        told(&server.data(), &["backup", "--out", text(&backup)]);
        assert!(server.stop().success());
        Self { server, backup }
    }

    /// A copy of its data directory.
    fn copy(&self, name: &str) -> PathBuf {
        let to = self.server.scratch().join(name);
        let from = self.server.data();
        assert!(run("cp", &["-a", text(&from), text(&to)]).status.success());
        to
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn command(data: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(HOIST);
    let json = ["--data-dir", text(data), "-o", "json"];
    command.args(args).args(json).stdin(Stdio::null());
    command
}

/// The output of a command, which must succeed.
fn told(data: &Path, args: &[&str]) -> Value {
    let output = command(data, args).finish();
    assert!(output.status.success(), "{args:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The output of a command, which must refuse.
fn refused(data: &Path, args: &[&str]) -> String {
    let output = command(data, args).finish();
    assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Runs a command that ends before this change of a folder, from 1; 0 = it does not.
fn killed(data: &Path, args: &[&str], (folder, at): (&Path, u64), counted: &Path) -> Output {
    let mut command = command(data, args);
    let at = at.to_string();
    command.envs([
        ("LD_PRELOAD", text(library())),
        ("HOIST_FAULT_DIR", text(folder)),
        ("HOIST_FAULT_AT", &at),
        ("HOIST_FAULT_CALLS", "1"),
        ("HOIST_FAULT_KILL", "1"),
        ("HOIST_FAULT_COUNT", text(counted)),
    ]);
    command.finish()
}

/// Lets a command be killed at moments spread over all of it, each time on a folder that
/// `prepare` makes, and hands over what that leaves.
fn at_many_moments(
    prepare: impl Fn(&str) -> PathBuf,
    args: &[&str],
    watched: impl Fn(&Path) -> PathBuf,
    check: impl Fn(&Path),
) {
    let scratch = tempfile::tempdir().unwrap();
    let counted = scratch.path().join("whole");
    let whole = prepare("whole");
    let output = killed(&whole, args, (&watched(&whole), 0), &counted);
    assert!(output.status.success(), "{output:?}");
    let calls = std::fs::metadata(&counted).unwrap().len();
    assert!(calls >= MOMENTS, "{args:?}: {calls} changes");
    let from: u64 = std::env::var("HOIST_KILL_FROM").map_or(1, |from| from.parse().unwrap());
    let step: u64 = std::env::var("HOIST_KILL_STEP")
        .map_or(calls.div_ceil(MOMENTS), |step| step.parse().unwrap());
    for at in (from..=calls).step_by(usize::try_from(step).unwrap()) {
        let data = prepare(&format!("killed-{at}"));
        let ignored = scratch.path().join("ignored");
        let output = killed(&data, args, (&watched(&data), at), &ignored);
        // Not every run does as much as the one that was counted.
        let ended = output.status.success() || output.status.signal() == Some(KILL);
        assert!(ended, "{args:?} at {at}: {output:?}");
        check(&data);
        std::fs::remove_dir_all(&data).unwrap();
    }
}

const SERVE: [&str; 5] = ["serve", "--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0"];
const RECOVER: [&str; 7] = [
    "recover",
    "--mqtt",
    "127.0.0.1:0",
    "--http",
    "127.0.0.1:0",
    "--wait",
    "100ms",
];

/// A kind of damage to a store.
type Damage = fn(&Path);

/// A restore that was killed: nothing goes on from it but the same command.
fn restored_again(data: &Path, backup: &Path) {
    if data.join("store.new").exists() {
        for args in [&SERVE[..], &RECOVER] {
            let said = refused(data, args);
            assert!(
                said.contains("E_RECOVER") && said.contains("hoist restore"),
                "{args:?}: {said}"
            );
        }
    }
    let again = command(data, &["restore", text(backup)]).finish();
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    let whole = said.contains("a whole store");
    assert!(again.status.success() || whole, "{said}");
    assert!(!data.join("store.new").exists());
    let checked = told(data, &["store", "check"]);
    assert_eq!(checked["ok"], json!(true), "{checked}");
    for file in [
        "users.toml",
        "client.toml",
        "keys/root.bin",
        "keys/token.key",
    ] {
        assert!(data.join(file).is_file(), "{file}");
    }
    let said = refused(data, &SERVE);
    assert!(
        said.contains("was restored") && said.contains("hoist recover"),
        "{said}"
    );
}

#[test]
fn a_restore_that_is_killed_anywhere_is_begun_again_and_nothing_starts_from_a_part() {
    // bad-inputs row 66
    let fleet = Fleet::new();
    let restore = ["restore", text(&fleet.backup)];
    let empty = |name: &str| fleet.server.scratch().join(format!("empty-{name}"));
    at_many_moments(empty, &restore, Path::to_owned, |data| {
        restored_again(data, &fleet.backup);
    });
    let damaged = |name: &str| {
        let data = fleet.copy(&format!("damaged-{name}"));
        std::fs::write(data.join("store/db"), "nothing").unwrap();
        data
    };
    at_many_moments(damaged, &restore, Path::to_owned, |data| {
        restored_again(data, &fleet.backup);
    });
}

#[test]
fn a_recovery_that_is_killed_anywhere_is_begun_again_and_comes_to_the_same() {
    // bad-inputs row 66
    let fleet = Fleet::new();
    let ways: [(&str, Damage); 3] = [
        ("lost", |store| std::fs::remove_dir_all(store).unwrap()),
        ("emptied", |store| {
            std::fs::remove_dir_all(store).unwrap();
            std::fs::create_dir(store).unwrap();
        }),
        ("damaged", |store| {
            std::fs::write(store.join("db"), "nothing").unwrap();
        }),
    ];
    for (way, damage) in ways {
        let prepare = |name: &str| {
            let data = fleet.copy(&format!("{way}-{name}"));
            damage(&data.join("store"));
            data
        };
        let expected = told(&prepare("expected"), &RECOVER)["recovered"].clone();
        assert_eq!(
            expected["groups"],
            json!(["eu", "unassigned"]),
            "{expected}"
        );
        assert_eq!(expected["deployments"][0]["deployment"], 1, "{expected}");
        at_many_moments(prepare, &RECOVER, Path::to_owned, |data| {
            if data.join("recovery").exists() || !data.join("store/FORMAT").exists() {
                let said = refused(data, &SERVE);
                assert!(
                    said.contains("E_RECOVER") && said.contains("hoist recover"),
                    "{said}"
                );
                let told = told(data, &RECOVER);
                assert_eq!(told["recovered"], expected, "{way}");
            }
        });
    }
}

#[test]
fn a_backup_that_is_killed_anywhere_leaves_the_one_before_it_or_a_whole_one() {
    let fleet = Fleet::new();
    let out = fleet.server.scratch().join("kept");
    std::fs::create_dir(&out).unwrap();
    let file = out.join("fleet.tar");
    let backup = ["backup", "--out", text(&file)];
    let prepare = |name: &str| {
        std::fs::copy(&fleet.backup, &file).unwrap();
        fleet.copy(name)
    };
    at_many_moments(
        prepare,
        &backup,
        |_| out.clone(),
        |data| {
            let restored = data.with_extension("restored");
            let rows = told(&restored, &["restore", text(&file)])["rows"].clone();
            std::fs::remove_dir_all(&restored).unwrap();
            let again = told(data, &backup);
            // The trail tells of each backup, also of the one that was killed.
            let more = again["rows"].as_u64().unwrap() - rows.as_u64().unwrap();
            assert!(more <= 2, "{more} rows more than those of before");
            let left: Vec<_> = std::fs::read_dir(&out).unwrap().collect();
            assert_eq!(left.len(), 1, "nothing lies about: {left:?}");
        },
    );
}
