//! Changes that the store has acknowledged are on the disk, whatever its writes come to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use hoist_orchestrator::store::sled::SledStore;
use hoist_orchestrator::store::{self, Store, StoreError};
use hoist_tests::faults;

use crate::harness::process::Finish;

pub(crate) const WRITER: &str = env!("CARGO_BIN_EXE_store_writer");
const NO_SPACE: i32 = 28;
const IO: i32 = 5;
/// Enough for a first start, rows that are new and rows that are written over.
const ROWS: u64 = 6;
const FOR_EVER: u64 = u64::MAX >> 1;

/// The library that lets writes fail, built once.
pub(crate) fn library() -> &'static Path {
    static BUILT: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = BUILT.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = faults::build(faults::WRITES, dir.path()).unwrap();
        (dir, path)
    });
    path
}

/// From which call on how many fail with what.
#[derive(Debug, Clone, Copy)]
struct Fault {
    at: u64,
    calls: u64,
    errno: i32,
}

fn write(store: &Path, fault: Fault, counted: Option<&Path>) -> Output {
    let mut command = Command::new(WRITER);
    command
        .arg(store)
        .arg(ROWS.to_string())
        // A fault for ever is not outlasted by patience.
        .arg(if fault.calls == FOR_EVER { "2" } else { "12" })
        .env("LD_PRELOAD", library())
        .env("HOIST_FAULT_DIR", store)
        .env("HOIST_FAULT_AT", fault.at.to_string())
        .env("HOIST_FAULT_CALLS", fault.calls.to_string())
        .env("HOIST_FAULT_ERRNO", fault.errno.to_string());
    if let Some(counted) = counted {
        command.env("HOIST_FAULT_COUNT", counted);
    }
    command.finish()
}

/// Calls of a run in which nothing fails.
fn calls() -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let counted = dir.path().join("counted");
    let none = Fault {
        at: 0,
        calls: 0,
        errno: 0,
    };
    let output = write(&dir.path().join("store"), none, Some(&counted));
    assert!(output.status.success(), "{output:?}");
    std::fs::metadata(counted).unwrap().len()
}

/// The highest row that was acknowledged of each key.
fn acknowledged(output: &Output) -> BTreeMap<u64, u64> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let rows = text.lines().map(|line| line.parse::<u64>().unwrap());
    rows.map(|row| (row % 5, row)).collect()
}

/// The changes that are lost or refused after a run with a fault, on a disk that works again.
async fn lost(fault: Fault) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let output = write(&path, fault, None);
    if output.status.code() == Some(101) {
        return Some(format!("{fault:?}: {output:?}"));
    }
    let told = acknowledged(&output);
    if !path.join("FORMAT").exists() {
        // It never came to be: a first start removes what there is, and begins again.
        return (!told.is_empty()).then(|| format!("{fault:?}: no store, and {told:?}"));
    }
    let store = match SledStore::open(&path) {
        Ok(store) => store,
        Err(error) => return Some(format!("{fault:?}: {error} {output:?}")),
    };
    for (key, row) in told {
        let key = key.to_string().into_bytes();
        let found = store.load(vec![key]).await.unwrap().pop().flatten();
        let found = found.map(|found| String::from_utf8(found.value).unwrap());
        let newest = found.as_ref().and_then(|text| text.parse::<u64>().ok());
        // One that was not acknowledged may be there; an acknowledged one must be.
        if newest.is_none_or(|newest| newest < row) {
            return Some(format!("{fault:?}: row {row} is {found:?} {output:?}"));
        }
    }
    None
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_disk_is_full_or_fails() {
    // bad-inputs rows 65 and 75
    let calls = calls();
    assert!(
        calls > 3 * ROWS,
        "{calls} calls: the library counts too few"
    );
    let faults = [NO_SPACE, IO].into_iter().flat_map(|errno| {
        [1, 2, FOR_EVER].into_iter().flat_map(move |count| {
            (1..=calls).map(move |at| Fault {
                at,
                calls: count,
                errno,
            })
        })
    });
    let faults: Vec<Fault> = faults.collect();
    assert_eq!(u64::try_from(faults.len()).unwrap(), 6 * calls);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for part in faults.chunks(faults.len().div_ceil(threads)) {
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                for fault in part {
                    assert_eq!(runtime.block_on(lost(*fault)), None);
                }
            });
        }
    });
}

/// The store of a program that wrote so many rows.
fn written(path: &Path, rows: u64) -> BTreeMap<u64, u64> {
    let output = Command::new(WRITER)
        .arg(path)
        .arg(rows.to_string())
        .finish();
    assert!(output.status.success(), "{output:?}");
    acknowledged(&output)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => assert!(std::fs::copy(entry.path(), target).is_ok()),
        }
    }
}

/// Opens a copy of a store after this was done to it.
fn opened_after(store: &Path, damage: impl FnOnce(&Path)) -> Result<(), StoreError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    copy(store, &path);
    damage(&path);
    SledStore::open(&path).map(drop)
}

fn edit_db(path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let db = path.join("db");
    let mut bytes = std::fs::read(&db).unwrap();
    edit(&mut bytes);
    std::fs::write(db, bytes).unwrap();
}

#[test]
fn a_store_that_lost_anything_is_refused_and_never_starts_with_less() {
    // bad-inputs rows 62 and 76
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    written(&path, 300);
    let older = dir.path().join("older");
    copy(&path, &older);
    written(&path, 20);
    opened_after(&path, |_| {}).expect("whole");
    let used = std::fs::read(path.join("db")).unwrap();
    let used: Vec<usize> = used
        .chunks(512)
        .enumerate()
        .filter(|(_, block)| block.iter().any(|byte| *byte != 0))
        .map(|(number, _)| number * 512)
        .collect();
    let refused = |result: Result<(), StoreError>, what: &str| {
        let error = result.expect_err(what);
        assert_eq!(error.fault(), store::Fault::Damaged, "{what}: {error}");
    };
    for start in used.iter().step_by(used.len() / 20) {
        refused(
            opened_after(&path, |path| {
                edit_db(path, |db| db[*start..start + 512].fill(0))
            }),
            &format!("zeroes from {start}"),
        );
        refused(
            opened_after(&path, |path| edit_db(path, |db| db.truncate(*start))),
            &format!("cut at {start}"),
        );
    }
    for file in ["db", "seal"] {
        refused(
            opened_after(&path, |path| std::fs::write(path.join(file), "").unwrap()),
            &format!("an empty {file}"),
        );
        refused(
            opened_after(&path, |path| std::fs::remove_file(path.join(file)).unwrap()),
            &format!("no {file}"),
        );
    }
    for file in ["db", "seal"] {
        let older = older.join(file);
        let back = |path: &Path| assert!(std::fs::copy(&older, path.join(file)).is_ok());
        refused(opened_after(&path, back), &format!("an older {file}"));
    }
}

/// A file that sled no longer reads may be damaged: then nothing is missing.
#[tokio::test]
async fn a_flipped_bit_is_refused_or_costs_nothing() {
    // bad-inputs row 76
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let told = written(&path, 60);
    let length = std::fs::metadata(path.join("db")).unwrap().len();
    let mut refused = 0;
    for place in (0..length).step_by(4_001) {
        let copied = dir.path().join(format!("flipped-{place}"));
        copy(&path, &copied);
        edit_db(&copied, |db| db[usize::try_from(place).unwrap()] ^= 0x10);
        let Ok(store) = SledStore::open(&copied) else {
            refused += 1;
            continue;
        };
        for (key, row) in &told {
            let found = store
                .load(vec![key.to_string().into_bytes()])
                .await
                .unwrap();
            let found = found.into_iter().next().flatten().unwrap();
            assert_eq!(found.value, row.to_string().into_bytes());
        }
    }
    assert!(refused > 0, "some of it matters");
}

#[test]
fn a_kill_at_any_moment_of_a_first_start_leaves_a_store_that_starts() {
    // bad-inputs row 74
    for millis in 0..25 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let mut writer = Command::new(WRITER)
            .arg(&path)
            .arg("1000000")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Any moment is as good as another: nothing is waited for.
        std::thread::sleep(std::time::Duration::from_millis(millis * 2));
        writer.kill().unwrap();
        writer.wait().unwrap();
        if path.join("FORMAT").exists() {
            SledStore::open(&path).unwrap();
        }
    }
}
