//! The power goes: what the store has acknowledged is there, and it starts; and so again when
//! the power goes a second time, after it has gone on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use hoist_orchestrator::store::Store;
use hoist_orchestrator::store::sled::SledStore;

use crate::harness::disk::{Call, Disk, calls};
use crate::harness::process::Finish;
use crate::store_faults::{WRITER, library};

/// A deed of a writer.
#[derive(Debug, Clone, Copy)]
struct Writer {
    first: u64,
    rows: u64,
    bytes: u64,
    keys: u64,
}

/// The highest row of each key that was acknowledged.
type Told = BTreeMap<u64, u64>;

/// The deeds of a writer in a folder, from a beginning on.
struct Recording {
    keys: u64,
    start: Disk,
    told: Told,
    calls: Vec<Call>,
    /// Kept when something is found wrong, to be looked at and played again.
    dir: tempfile::TempDir,
}

impl Recording {
    /// Lets a writer write into a folder that was left behind, or into none.
    fn of(writer: Writer, left: Option<(&Path, Told)>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (log, store) = (dir.path().join("log"), dir.path().join("store"));
        let (start, told) = match left {
            Some((folder, told)) => {
                let start = Disk::of(folder);
                // As the model has it, which is what the cut left.
                start.cut(&mut fastrand::Rng::with_seed(0), &store);
                start.cut(&mut fastrand::Rng::with_seed(0), &dir.path().join("start"));
                (start, told)
            }
            None => (Disk::default(), Told::new()),
        };
        let Writer {
            first,
            rows,
            bytes,
            keys,
        } = writer;
        let output = Command::new(WRITER)
            .arg(&store)
            .args([rows, 1, bytes, keys, first].map(|number| number.to_string()))
            .env("LD_PRELOAD", library())
            .env("HOIST_FAULT_DIR", &store)
            .env("HOIST_FAULT_LOG", &log)
            .finish();
        assert!(output.status.success(), "{output:?}");
        Self {
            keys,
            start,
            told,
            calls: calls(&log),
            dir,
        }
    }

    /// The disk after so many calls, and what was acknowledged by then.
    fn after(&self, count: usize) -> (Disk, Told) {
        let (mut disk, mut told) = (self.start.clone(), self.told.clone());
        for call in &self.calls[..count] {
            disk.does(call);
            if let Call::Said(text) = call {
                let row: u64 = text.trim().parse().unwrap();
                told.insert(row % self.keys, row);
            }
        }
        (disk, told)
    }

    /// Cuts the power where this seed says, and leaves behind what it says.
    fn cut(&self, seed: u64, folder: &Path) -> (usize, Told) {
        let mut dice = fastrand::Rng::with_seed(seed);
        let at = dice.usize(..=self.calls.len());
        let (disk, told) = self.after(at);
        disk.cut(&mut dice, folder);
        (at, told)
    }

    /// Cuts at chance, each with what chance leaves; what was wrong, and where. What shows it
    /// is kept.
    async fn cuts(self, seeds: u64) -> Vec<String> {
        let mut all = Vec::new();
        for seed in 0..seeds {
            let dir = tempfile::tempdir().unwrap();
            let folder = dir.path().join("store");
            let (at, told) = self.cut(seed, &folder);
            let left = Disk::of(&folder);
            if let Some(what) = wrong(&folder, &told).await {
                all.push(format!("seed {seed}, after call {at}: {what}"));
                // As it was before it was opened.
                let kept = self.dir.path().join(format!("cut-{seed}"));
                left.cut(&mut fastrand::Rng::with_seed(0), &kept);
            }
        }
        if !all.is_empty() {
            let kept: PathBuf = self.dir.keep();
            all.push(format!(
                "the calls, and what the cuts left, are in {kept:?}"
            ));
        }
        all
    }
}

/// The fault of a store after a cut: it does not start, or lacks what was acknowledged.
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

#[tokio::test]
async fn nothing_acknowledged_is_lost_with_the_power_and_the_store_starts() {
    // The large ones are as large as rows are, and fill some of sled's segments.
    for (rows, bytes, keys, seeds) in [(60, 0, 5, 350), (160, 24_000, 50, 80)] {
        let writer = Writer {
            first: 1,
            rows,
            bytes,
            keys,
        };
        let recording = Recording::of(writer, None);
        let has_blob =
            |call: &Call| matches!(call, Call::Write { path, .. } if path.contains("blob"));
        let blobs = recording.calls.iter().any(has_blob);
        assert!(!blobs, "sled never syncs those files");
        assert_eq!(recording.cuts(seeds).await, [""; 0]);
    }
}

#[tokio::test]
async fn a_store_that_went_on_after_a_cut_loses_nothing_in_the_next_one() {
    let writer = Writer {
        first: 1,
        rows: 60,
        bytes: 0,
        keys: 5,
    };
    let before = Recording::of(writer, None);
    for seed in 1_000..1_010 {
        let dir = tempfile::tempdir().unwrap();
        let (at, told) = before.cut(seed, dir.path());
        if !dir.path().join("FORMAT").exists() {
            continue;
        }
        // Whatever was written may be there, acknowledged or not.
        let next = Writer {
            first: 61,
            rows: 80,
            ..writer
        };
        let recording = Recording::of(next, Some((dir.path(), told)));
        let lost = recording.cuts(6).await;
        assert_eq!(lost, [""; 0], "after seed {seed}, cut after call {at}");
    }
}

/// The same cuts see that something is lost when the data file is not synced: sled's own
/// flush does not reach the disk.
#[tokio::test]
async fn without_the_stores_own_sync_the_same_cuts_lose_something() {
    let writer = Writer {
        first: 1,
        rows: 60,
        bytes: 0,
        keys: 5,
    };
    let mut recording = Recording::of(writer, None);
    let is_data = |call: &Call| matches!(call, Call::Sync { path } if path == "/db");
    recording.calls.retain(|call| !is_data(call));
    let mut lost = 0;
    for seed in 0..50 {
        let dir = tempfile::tempdir().unwrap();
        let (_, told) = recording.cut(seed, dir.path());
        lost += u32::from(wrong(dir.path(), &told).await.is_some());
    }
    assert!(lost > 0);
}
