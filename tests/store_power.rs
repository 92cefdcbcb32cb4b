//! The power goes: what the store has acknowledged is there, and it starts.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use hoist_orchestrator::store::Store;
use hoist_orchestrator::store::sled::SledStore;

use crate::harness::disk::{Call, Disk, calls};
use crate::store_faults::{WRITER, library};

/// What a writer of so many rows did.
fn recorded(rows: u64, bytes: u64, keys: u64) -> Vec<Call> {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let store = dir.path().join("store");
    let output = Command::new(WRITER)
        .arg(&store)
        .args([rows, 1, bytes, keys].map(|number| number.to_string()))
        .env("LD_PRELOAD", library())
        .env("HOIST_FAULT_DIR", &store)
        .env("HOIST_FAULT_LOG", &log)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    calls(&log)
}

/// The disk after so many calls, and the highest row of each key that was acknowledged.
fn after(calls: &[Call], keys: u64) -> (Disk, BTreeMap<u64, u64>) {
    let mut disk = Disk::default();
    let mut told = BTreeMap::new();
    for call in calls {
        disk.does(call);
        if let Call::Said(text) = call {
            let row: u64 = text.trim().parse().unwrap();
            told.insert(row % keys, row);
        }
    }
    (disk, told)
}

/// What is wrong with a store after a cut: it does not start, or lacks what was acknowledged.
async fn wrong(folder: &Path, told: &BTreeMap<u64, u64>) -> Option<String> {
    if !folder.join("FORMAT").exists() {
        // It never came to be: a first start begins again.
        return (!told.is_empty()).then(|| format!("no store, and {told:?}"));
    }
    let store = match SledStore::open(folder) {
        Ok(store) => store,
        Err(error) => return Some(error.to_string()),
    };
    for (key, row) in told {
        let key = key.to_string().into_bytes();
        let found = store.load(vec![key]).await.unwrap().pop().flatten();
        let found = found.map(|found| String::from_utf8(found.value).unwrap());
        let newest = found.and_then(|text| text.trim().parse::<u64>().ok());
        if newest.is_none_or(|newest| newest < *row) {
            return Some(format!("row {row} is {newest:?}"));
        }
    }
    None
}

/// Cuts at chance, each with what chance leaves; what was wrong, and where.
async fn cut(calls: &[Call], keys: u64, rounds: u64) -> Vec<String> {
    let mut all = Vec::new();
    for round in 0..rounds {
        let mut dice = fastrand::Rng::with_seed(round);
        let at = dice.usize(..=calls.len());
        let (disk, told) = after(&calls[..at], keys);
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("store");
        disk.cut(&mut dice, &folder);
        if let Some(what) = wrong(&folder, &told).await {
            all.push(format!("round {round}, after call {at}: {what}"));
        }
    }
    all
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_with_the_power_and_the_store_starts() {
    // The large ones are as large as rows are, and fill some of sled's segments.
    for (rows, bytes, keys, rounds) in [(60, 0, 5, 350), (160, 24_000, 50, 80)] {
        let calls = recorded(rows, bytes, keys);
        let has_blob =
            |call: &Call| matches!(call, Call::Write { path, .. } if path.contains("blob"));
        assert!(!calls.iter().any(has_blob), "sled never syncs those files");
        assert_eq!(cut(&calls, keys, rounds).await, [""; 0]);
    }
}

/// The same cuts see that something is lost when the data file is not synced: sled's own
/// flush does not reach the disk.
#[tokio::test]
async fn without_the_stores_own_sync_the_same_cuts_lose_something() {
    let mut calls = recorded(60, 0, 5);
    calls.retain(|call| !matches!(call, Call::Sync { path } if path == "/db"));
    let lost = cut(&calls, 5, 50).await;
    assert!(!lost.is_empty());
}
