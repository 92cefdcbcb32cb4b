//! Releases of two artifacts from a server that remembers what it was asked for.

use hoist_net::tls::Trust;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use hoist_protocol::reason::Reason;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::*;
use crate::agent::bundle::{PackedRelease, read_release_dir};
use crate::agent::download::test_server::{Faulty, Seen, ranged, serve};
use crate::agent::inventory::{Condition, InstalledArtifact};
use crate::machine::Retry;

const CONTENT_BYTES: usize = 700_000;
const PLENTY: u64 = u64::MAX;

fn artifact(dir: &Path, name: &str, more: &str) {
    for folder in ["payload", "scripts"] {
        fs::create_dir_all(dir.join(folder)).unwrap();
    }
    let content: Vec<u8> = (0..CONTENT_BYTES).map(|n| (n / 97 % 256) as u8).collect();
    fs::write(dir.join("payload").join(name), content).unwrap();
    for script in ["install", "rollback"] {
        let path = dir.join("scripts").join(script);
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let text =
        format!("name = \"{name}\"\nversion = \"2\"\npayload = [\"payload/{name}\"]\n{more}");
    fs::write(dir.join("artifact.toml"), text).unwrap();
}

/// A device's folder, a server with the release, and what it was asked for.
struct World {
    dir: TempDir,
    packed: PackedRelease,
    source: String,
    seen: Seen,
}

impl World {
    /// `app`, then `ui` with `more` in its `artifact.toml`. The server's files end at
    /// `file_bytes`, the first `short` times that content is asked for.
    async fn new(more: &str, short: usize, file_bytes: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source");
        artifact(&source.join("app"), "app", "");
        artifact(&source.join("ui"), "ui", more);
        let text = "name = \"all\"\nversion = \"2\"\ncounter = 7\nartifacts = [\"app\", \"ui\"]\n";
        fs::write(source.join("release.toml"), text).unwrap();
        let packed = read_release_dir(&source).unwrap();
        let files = packed.artifacts.iter().map(|artifact| {
            let bytes = artifact.to_bytes().unwrap();
            (format!("/{}", artifact.id()), bytes)
        });
        let files: BTreeMap<_, _> = files.collect();
        let left = std::sync::atomic::AtomicUsize::new(short);
        let (source, seen) = serve(move |asked| {
            let bytes = &files[&asked.path];
            let is_content = asked.from > 0;
            let ordering = std::sync::atomic::Ordering::Relaxed;
            let fewer = |left: usize| left.checked_sub(1);
            match is_content && left.fetch_update(ordering, ordering, fewer).is_ok() {
                true => ranged(&bytes[..file_bytes.min(bytes.len())], asked),
                false => ranged(bytes, asked),
            }
        })
        .await;
        Self {
            dir,
            packed,
            source,
            seen,
        }
    }

    fn work(&self, free: u64) -> FetchRelease {
        let dirs = self.packed.artifacts.iter();
        FetchRelease {
            files: Faulty::new(free, None),
            release: Arc::new(self.packed.manifest.clone()),
            source: Some(self.source.clone()),
            proxies: Proxies::default(),
            trust: Trust::default(),
            limits: Limits {
                pause: Duration::from_millis(1),
                ..Limits::default()
            },
            dirs: dirs
                .map(|one| self.dir.path().join(one.id().to_string()))
                .collect(),
            inventory: Inventory::default(),
            downgrade: Downgrade::Refused,
            checks: Checks::Due,
        }
    }

    /// The bytes needed for both artifacts when nothing is there, reserve included.
    fn needed(&self) -> u64 {
        let one = |artifact: &crate::agent::bundle::PackedArtifact| {
            let content = artifact
                .manifest
                .payloads
                .iter()
                .map(|payload| payload.size);
            preflight::needed_bytes(&artifact.manifest, content.sum())
        };
        self.packed.artifacts.iter().map(one).sum::<u64>() + preflight::RESERVE_BYTES
    }

    fn assert_no_content_asked_for(&self) {
        let seen = self.seen.lock().unwrap();
        assert_eq!(seen.len(), 2, "one start each: {seen:?}");
        assert!(seen.iter().all(|asked| asked.to <= 4096), "{seen:?}");
        for artifact in &self.packed.artifacts {
            let dir = self.dir.path().join(artifact.id().to_string());
            assert!(!dir.join("payload").exists());
        }
    }
}

/// Everything told, in order; the last is the end.
async fn told(work: FetchRelease) -> Vec<Told> {
    let (sender, mut receiver) = mpsc::channel(1_000);
    fetch_release(work, Teller { task: 1, sender }).await;
    let mut all = Vec::new();
    while let Some((_, told)) = receiver.recv().await {
        all.push(told);
    }
    all
}

async fn refusal(work: FetchRelease) -> (Reason, Retry) {
    match told(work).await.pop() {
        Some(Told::NotFetched(failure)) => (failure.reason, failure.retry),
        other => panic!("{other:?}"),
    }
}

async fn assert_fetched(work: FetchRelease) {
    match told(work).await.pop() {
        Some(Told::Fetched { artifacts }) => assert_eq!(artifacts.len(), 2),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_release_is_fetched_with_percents_that_rise_to_100() {
    let world = World::new("depends = { app = \">=2\" }\n", 0, 0).await;
    let all = told(world.work(PLENTY)).await;
    let percents = all.iter().filter_map(|told| match told {
        Told::Progress(percent) => Some(*percent),
        _ => None,
    });
    let percents: Vec<u8> = percents.collect();
    assert!(percents.is_sorted() && percents.len() > 3, "{percents:?}");
    assert_eq!(percents.last(), Some(&100));
    assert!(matches!(all.last(), Some(Told::Fetched { .. })));
}

#[tokio::test]
async fn a_missing_dependency_is_refused_before_any_content_is_asked_for() {
    let world = World::new("depends = { bootloader = \">=2\" }\n", 0, 0).await;
    assert_eq!(
        refusal(world.work(PLENTY)).await,
        (Reason::MissingDependency, Retry::Useless)
    );
    world.assert_no_content_asked_for();
}

#[tokio::test]
async fn a_counter_below_the_installed_one_is_refused_before_any_content_is_asked_for() {
    // bad-inputs row 54
    let world = World::new("", 0, 0).await;
    let mut work = world.work(PLENTY);
    work.inventory.put(InstalledArtifact {
        name: "ui".parse().unwrap(),
        version: "3".into(),
        counter: 8,
        artifact: hoist_protocol::id::ArtifactId([0; 16]),
        provides: Vec::new(),
        dir: "/x".into(),
        condition: Condition::Confirmed,
    });
    assert_eq!(refusal(work).await, (Reason::Downgrade, Retry::Useless));
    world.assert_no_content_asked_for();
}

#[tokio::test]
async fn missing_space_is_refused_before_any_content_is_asked_for() {
    // bad-inputs row 58
    let world = World::new("disk_mib = 40\n", 0, 0).await;
    let needed = world.needed();
    assert!(needed > 41 * 1024 * 1024 + 2 * CONTENT_BYTES as u64);
    assert_eq!(
        refusal(world.work(needed - 1)).await,
        (Reason::NoSpace, Retry::Useless)
    );
    world.assert_no_content_asked_for();
    assert_fetched(world.work(needed)).await;
}

#[tokio::test]
async fn what_is_proven_on_disk_is_not_needed_again() {
    // bad-inputs row 58
    let world = World::new("", 2, 500_000).await;
    let needed = world.needed();
    assert_eq!(
        refusal(world.work(PLENTY)).await,
        (Reason::LengthMismatch, Retry::Later)
    );
    // One segment of the first artifact is proven (a part of another is not): that much less must be free.
    let segment = u64::from(hoist_protocol::bundle::SEGMENT_BYTES);
    let too_little = world.work(needed - segment - 1);
    assert_eq!(
        refusal(too_little).await,
        (Reason::NoSpace, Retry::Later),
        "there was room when it was begun"
    );
    assert_fetched(world.work(needed - segment)).await;
}

#[tokio::test]
async fn what_was_begun_is_finished_whatever_a_check_would_say_now_and_without_the_network() {
    let world = World::new("depends = { bootloader = \"*\" }\n", 0, 0).await;
    let mut first = world.work(0);
    first.checks = Checks::Passed;
    assert_fetched(first).await;
    let mut again = world.work(0);
    again.checks = Checks::Passed;
    again.source = None;
    assert_fetched(again).await;
}
