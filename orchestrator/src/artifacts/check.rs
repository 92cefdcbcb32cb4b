//! Looks at all artifacts beside everything else: those that releases name are proven once
//! after the start, and what no release ever named is removed when it is old, if that is set.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use hoist_orchestrator_core::model::key::Prefix;
use hoist_orchestrator_core::model::row::ReleaseRow;
use hoist_protocol::id::ArtifactId;

use super::ledger::Stamp;
use super::proof::verify;
use super::{ArtifactDirectory, Seen};
use crate::rows::{self, ReadError};
use crate::store::Store;

/// Time between two looks for what is not used.
const SWEEP: Duration = Duration::from_secs(3600);
/// Pause before the first look is tried again: nothing is claimed or proven until it has succeeded.
const AGAIN: Duration = Duration::from_millis(if cfg!(test) { 10 } else { 10_000 });

/// A file that is read while somebody holds on to the other end.
struct While<R> {
    file: R,
    wanted: Weak<()>,
}

impl<R: Read> Read for While<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.wanted.upgrade() {
            Some(_) => self.file.read(into),
            None => Err(io::Error::other("nobody wants to know any more")),
        }
    }
}

/// Checks all artifacts, then sweeps for ever.
pub(crate) async fn check(store: Arc<dyn Store>, directory: ArtifactDirectory) {
    // Dropped with this future: a long check then ends too.
    let wanted = Arc::new(());
    let named = loop {
        match named(&*store).await {
            Ok(named) => break named,
            Err(error) => tracing::warn!(%error, "artifacts are not checked yet"),
        }
        tokio::time::sleep(AGAIN).await;
    };
    for (id, release) in &named {
        directory.claim(*id, release);
    }
    let mut unread: Vec<ArtifactId> = named.iter().map(|(id, _)| *id).collect();
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        sweep.tick().await;
        unread = directory.prove_all(unread, &wanted).await;
        // What became durable in a write that failed was followed by nothing.
        match self::named(&*store).await {
            Ok(named) => directory.sweep(&named.into_iter().map(|(id, _)| id).collect()),
            Err(error) => tracing::warn!(%error, "unused artifacts are not looked for"),
        }
    }
}

/// Artifacts that releases name, each with one of them.
pub(crate) async fn named(store: &dyn Store) -> Result<Vec<(ArtifactId, String)>, ReadError> {
    let mut named = Vec::new();
    for (_, row) in rows::all::<ReleaseRow>(store, &Prefix::Releases).await? {
        let release = format!("{}@{}", row.manifest.name, row.manifest.version);
        let artifacts = row.manifest.artifacts.iter();
        named.extend(artifacts.map(|artifact| (artifact.id(), release.clone())));
    }
    named.sort_by_key(|(id, _)| *id);
    named.dedup_by_key(|(id, _)| *id);
    Ok(named)
}

/// The verdict on all of a file's content, as long as it can be read.
async fn read(path: PathBuf, id: ArtifactId, wanted: Weak<()>) -> io::Result<Result<(), String>> {
    let verifying = tokio::task::spawn_blocking(move || {
        let file = std::fs::File::open(path)?;
        verify(&mut While { file, wanted }, id)
    });
    verifying
        .await
        .map_err(io::Error::other)
        .and_then(|verified| verified)
}

impl ArtifactDirectory {
    /// The state of a file, by all of its content. One after the other.
    pub(crate) async fn prove(&self, id: ArtifactId, wanted: Weak<()>) -> Seen {
        let _alone = self.proving.lock().await;
        loop {
            let path = self.path(id);
            let stamp = Stamp::of(&path);
            if let Some(whole) = self.ledger().known(id, stamp) {
                return Seen::of(whole);
            }
            let verdict = match stamp {
                None => Ok(Err("its file is missing".to_owned())),
                Some(_) => read(path, id, wanted.clone()).await,
            };
            let verdict = match verdict {
                Ok(verdict) => verdict,
                Err(error) => {
                    self.unread(id, &error);
                    return Seen::Unread;
                }
            };
            let whole = verdict.is_ok();
            // Else an upload has put another file there, and that one is looked at.
            if self.found(id, stamp, verdict) {
                return Seen::of(whole);
            }
        }
    }

    /// Proves all of these; what could not be read is left for another time.
    async fn prove_all(&self, ids: Vec<ArtifactId>, wanted: &Arc<()>) -> Vec<ArtifactId> {
        let (artifacts, mut damaged, mut unread) = (ids.len(), 0_u32, Vec::new());
        for id in ids {
            match self.prove(id, Arc::downgrade(wanted)).await {
                Seen::Unread => unread.push(id),
                seen => damaged += u32::from(seen == Seen::Damaged),
            }
        }
        tracing::debug!(
            artifacts,
            damaged,
            unread = unread.len(),
            "artifacts checked"
        );
        unread
    }

    /// Removes what no release named for too long; none of those that one is known to name.
    fn sweep(&self, named: &BTreeSet<ArtifactId>) {
        let Some(keep) = self.limits.keep_unused else {
            return;
        };
        let Ok(entries) = std::fs::read_dir(&self.root) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(id) = name
                .to_str()
                .and_then(|name| name.parse::<ArtifactId>().ok())
            else {
                continue;
            };
            let modified = entry.metadata().and_then(|meta| meta.modified());
            let age = modified.map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
            let mut ledger = self.ledger();
            if age.is_ok_and(|age| age > keep)
                && ledger.release_of(id).is_none()
                && !named.contains(&id)
                && std::fs::remove_file(entry.path()).is_ok()
            {
                if ledger.removed(id) {
                    self.owners.forget(id);
                }
                tracing::info!(artifact = %id, "an artifact that no release names was removed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use tokio::sync::Notify;

    use super::*;
    use crate::artifacts::UploadLimits;
    use crate::store::memory::MemoryStore;
    use crate::store::{Batch, CommitError, Fault, Page, StoreError, Trouble, Versioned};

    /// A store that cannot be read at first, and tells of every time that it could.
    #[derive(Default)]
    struct Late {
        inner: MemoryStore,
        scans: AtomicUsize,
        read: Notify,
    }

    #[async_trait]
    impl Store for Late {
        async fn load(&self, keys: Vec<Vec<u8>>) -> Result<Vec<Option<Versioned>>, StoreError> {
            self.inner.load(keys).await
        }

        async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
            self.inner.commit(batch).await
        }

        async fn scan(
            &self,
            prefix: Vec<u8>,
            after: Option<Vec<u8>>,
            limit: usize,
        ) -> Result<Page, StoreError> {
            if self.scans.fetch_add(1, Ordering::SeqCst) < 2 {
                let fault = Fault::Io(Trouble::Failing);
                return Err(StoreError::new(fault, Path::new("store"), "a test"));
            }
            let page = self.inner.scan(prefix, after, limit).await;
            self.read.notify_one();
            page
        }
    }

    #[tokio::test]
    async fn a_store_that_cannot_be_read_at_the_start_is_read_later() {
        let dir = tempfile::tempdir().unwrap();
        let directory = ArtifactDirectory::open(dir.path()).unwrap();
        let store = Arc::new(Late::default());
        let looking = Arc::clone(&store);
        tokio::select! {
            () = check(looking, directory) => panic!("it looks for ever"),
            () = store.read.notified() => {}
        }
    }

    #[test]
    fn only_what_no_release_names_is_removed_when_it_is_old() {
        let dir = tempfile::tempdir().unwrap();
        let [used, unused, new] = [[1; 16], [2; 16], [3; 16]].map(ArtifactId);
        let directory = ArtifactDirectory::open(dir.path()).unwrap();
        let old = SystemTime::now() - Duration::from_secs(7_200);
        for id in [used, unused, new] {
            std::fs::write(directory.path(id), b"x").unwrap();
            if id != new {
                let mut options = std::fs::File::options();
                let file = options.write(true).open(directory.path(id)).unwrap();
                file.set_modified(old).unwrap();
            }
        }
        directory.claim(used, "app@1.0.0");
        directory.sweep(&BTreeSet::new());
        assert!(directory.contains(unused), "kept for ever by default");
        let limits = UploadLimits {
            keep_unused: Some(Duration::from_secs(3_600)),
            ..UploadLimits::default()
        };
        let limited = directory.clone().limited(limits);
        limited.sweep(&[unused].into());
        assert!(
            directory.contains(unused),
            "a release of the store names it"
        );
        limited.sweep(&BTreeSet::new());
        let there = [used, unused, new].map(|id| directory.contains(id));
        assert_eq!(there, [true, false, true]);
    }

    #[test]
    fn what_no_release_names_any_more_is_kept_for_as_long_from_then_on() {
        let dir = tempfile::tempdir().unwrap();
        let id = ArtifactId([1; 16]);
        let limits = UploadLimits {
            keep_unused: Some(Duration::from_secs(3_600)),
            ..UploadLimits::default()
        };
        let directory = ArtifactDirectory::open(dir.path()).unwrap().limited(limits);
        let age = |hours: u64| {
            let mut options = std::fs::File::options();
            let file = options.write(true).open(directory.path(id)).unwrap();
            let at = SystemTime::now() - Duration::from_secs(hours * 3_600);
            file.set_modified(at).unwrap();
        };
        std::fs::write(directory.path(id), b"x").unwrap();
        age(5);
        directory.claim(id, "app@1.0.0");
        directory.unclaim(id, Some("app@1.1.0"));
        directory.sweep(&BTreeSet::new());
        assert!(directory.contains(id), "another release names it");
        directory.unclaim(id, None);
        directory.sweep(&BTreeSet::new());
        assert!(directory.contains(id), "its time begins with the removal");
        age(2);
        directory.sweep(&BTreeSet::new());
        assert!(!directory.contains(id));
        assert_eq!(directory.state_of(id), Some("missing"));
    }

    #[tokio::test]
    async fn a_verdict_is_that_of_the_file_that_was_read() {
        let dir = tempfile::tempdir().unwrap();
        let id = ArtifactId([1; 16]);
        let directory = ArtifactDirectory::open(dir.path()).unwrap();
        std::fs::write(directory.path(id), b"damaged").unwrap();
        // Nobody wants to know it: reading fails, which says nothing of the file.
        assert_eq!(directory.prove(id, Weak::new()).await, Seen::Unread);
        assert!(!directory.is_damaged(id));

        let before = Stamp::of(&directory.path(id));
        let repaired = dir.path().join("repaired");
        std::fs::write(&repaired, b"as it was packed").unwrap();
        std::fs::rename(repaired, directory.path(id)).unwrap();
        let damaged = || Err("a segment is damaged".to_owned());
        assert!(!directory.found(id, before, damaged()));
        assert!(!directory.is_damaged(id), "that was another file");
        let now = Stamp::of(&directory.path(id));
        assert!(directory.found(id, now, damaged()));
        assert!(directory.is_damaged(id));
    }
}
