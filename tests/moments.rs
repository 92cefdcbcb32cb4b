//! The library that ends programs at named moments and moves their clocks does what it says:
//! `chaos` proves nothing without it.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{SystemTime, UNIX_EPOCH};

use hoist_orchestrator::store::Store;
use hoist_orchestrator::store::sled::SledStore;
use hoist_tests::chaos::{Moments, Point};

use crate::harness::process::Finish;
use crate::store_faults::WRITER;

/// No connection is looked at.
const NO_PORT: u16 = 0;
const ROWS: usize = 9;

fn write(store: &Path, moments: &Moments) -> Output {
    let mut command = Command::new(WRITER);
    command.arg(store).arg(ROWS.to_string());
    command.envs(moments.variables(NO_PORT)).finish()
}

/// The number of rows on the disk after a run that ended at a moment, beyond those acknowledged.
async fn ahead_after(point: Point, time: i64) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let moments = Moments::create(dir.path()).unwrap();
    moments.arm(point, time, 0).unwrap();
    let output = write(&store, &moments);
    assert_eq!(output.status.code(), None, "{point:?}: it was killed");
    let told = String::from_utf8(output.stdout).unwrap().lines().count();
    assert!(
        (1..ROWS).contains(&told),
        "{point:?}: in the middle: {told}"
    );
    // What was written is with the system, synced or not: a kill alone loses nothing of it.
    let store = SledStore::open(&store).unwrap();
    let mut newest = 0;
    for key in 0..5 {
        let row = store.load(vec![key.to_string().into_bytes()]).await;
        let row = row.unwrap().pop().flatten().map(|row| row.value);
        let row = row.and_then(|row| String::from_utf8(row).ok()?.trim().parse().ok());
        newest = newest.max(row.unwrap_or(0));
    }
    newest - told
}

#[tokio::test]
async fn a_program_ends_in_the_middle_of_a_commit() {
    // The first sync of each file is of a store without rows.
    for point in [Point::BeforeCommit, Point::BeforeSeal, Point::AfterCommit] {
        assert_eq!(ahead_after(point, 6).await, 1, "{point:?}");
    }
}

#[test]
fn the_time_of_day_is_what_a_program_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let moments = Moments::create(dir.path()).unwrap();
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    for seconds in [0, 86_400, -3_600] {
        moments.set_clock(seconds).unwrap();
        let before = i64::try_from(now().as_secs()).unwrap() + seconds;
        let mut date = Command::new("date");
        let output = date.arg("+%s").envs(moments.variables(NO_PORT)).output();
        let told = String::from_utf8(output.unwrap().stdout).unwrap();
        let told: i64 = told.trim().parse().unwrap();
        let after = i64::try_from(now().as_secs()).unwrap() + seconds;
        assert!((before..=after).contains(&told), "{before} {told} {after}");
    }
}
