//! Specs and manifests that were signed and published, as files beside the store: a second account
//! that outlives it. The broker keeps its retained messages in memory only; with these, a store
//! that was lost is rebuilt, and one that is an older copy is seen to be one. Nobody serves them:
//! what a device obeys comes from the store.

use std::io;
use std::path::{Path, PathBuf};

use hoist_orchestrator_core::engine::publish::{Ahead, ahead_of};
use hoist_orchestrator_core::engine::seals::Seals;
use hoist_protocol::id::{DeploymentId, Generation, GroupId, ReleaseId};
use tokio::task::JoinSet;

use crate::{durable_file, small_file};

/// Only its owner reads the data directory.
const MODE: u32 = 0o600;

/// A manifest, the largest of them, has less than 24 KiB.
const BYTES_MAX: u64 = 1 << 20;

/// Of what a file is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spec {
    /// A group's spec.
    Group(GroupId),
    /// A release's manifest.
    Release(ReleaseId),
}

impl Spec {
    fn file_name(&self) -> String {
        match self {
            Self::Group(group) => format!("g-{group}"),
            Self::Release(release) => format!("r-{release}"),
        }
    }

    fn parse(name: &str) -> Option<Self> {
        let (kind, id) = name.split_once('-')?;
        match kind {
            "g" => id.parse().ok().map(Self::Group),
            "r" => id.parse().ok().map(Self::Release),
            _ => None,
        }
    }
}

/// The folder of these files.
#[derive(Debug, Clone)]
pub struct SpecFolder(PathBuf);

impl SpecFolder {
    /// Opens the folder, or makes it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        Ok(Self(path.to_owned()))
    }

    /// Keeps what was signed, durably, unless it is there already. Each file waits for the disk, so
    /// all of them wait together, and once for their folder.
    ///
    /// # Errors
    /// Those of the file system; the others are kept.
    pub(crate) async fn keep(
        &self,
        all: impl IntoIterator<Item = (Spec, Vec<u8>)>,
    ) -> io::Result<()> {
        let mut writing = JoinSet::new();
        for (spec, sealed) in all {
            let path = self.0.join(spec.file_name());
            writing.spawn_blocking(move || match small_file::read(&path, BYTES_MAX) {
                Ok(known) if known.content == sealed => Ok(false),
                _ => durable_file::write_but_folder(&path, &sealed, MODE).map(|()| true),
            });
        }
        let (mut is_new, mut kept) = (false, Ok(()));
        while let Some(done) = writing.join_next().await {
            match done.map_err(io::Error::other).flatten() {
                Ok(written) => is_new |= written,
                Err(error) => kept = Err(error),
            }
        }
        if is_new {
            let folder = self.0.clone();
            let synced = tokio::task::spawn_blocking(move || durable_file::sync_folder(&folder));
            synced.await.map_err(io::Error::other)??;
        }
        kept
    }

    /// Keeps it no longer: it was removed.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) async fn forget(&self, spec: &Spec) -> io::Result<()> {
        let path = self.0.join(spec.file_name());
        let remove = move || match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        tokio::task::spawn_blocking(remove)
            .await
            .map_err(io::Error::other)?
    }

    /// Everything that is kept, groups first. What has no name of ours is not.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn read(&self) -> io::Result<Vec<(Spec, Vec<u8>)>> {
        let mut specs = Vec::new();
        for entry in std::fs::read_dir(&self.0)? {
            let entry = entry?;
            if let Some(spec) = entry.file_name().to_str().and_then(Spec::parse) {
                let file = small_file::read(&entry.path(), BYTES_MAX)?;
                specs.push((spec, file.content));
            }
        }
        specs.sort();
        Ok(specs)
    }
}

/// What shows that a store is behind these, which let nothing be signed after the first of
/// `known`, and gave no number above the second.
pub(crate) fn ahead_of_specs(
    specs: &[(Spec, Vec<u8>)],
    seals: &impl Seals,
    known: (Generation, DeploymentId),
) -> Option<Ahead> {
    specs.iter().find_map(|(spec, sealed)| {
        let Spec::Group(group) = spec else {
            return None;
        };
        let shows = ahead_of(&seals.open_group(group, sealed)?, known)?;
        let place = format!("the spec of group {group}");
        Some(Ahead { place, shows })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_that_cannot_be_kept_keeps_no_other_from_being_kept() {
        let dir = tempfile::tempdir().unwrap();
        let folder = SpecFolder::open(dir.path()).unwrap();
        std::fs::create_dir(dir.path().join("g-b")).unwrap();
        let of = |name: &str| (Spec::Group(name.parse().unwrap()), name.as_bytes().to_vec());
        assert!(folder.keep(["a", "b", "c"].map(of)).await.is_err());
        std::fs::remove_dir(dir.path().join("g-b")).unwrap();
        assert_eq!(folder.read().unwrap(), ["a", "c"].map(of));
    }

    #[tokio::test]
    async fn what_was_kept_is_read_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let folder = SpecFolder::open(&dir.path().join("specs")).unwrap();
        let group = Spec::Group("eu-1".parse().unwrap());
        let release = Spec::Release(ReleaseId([7; 16]));
        let one = [
            (release.clone(), b"manifest".to_vec()),
            (group.clone(), b"one".to_vec()),
        ];
        folder.keep(one).await.unwrap();
        for _ in 0..2 {
            let two = [(group.clone(), b"two".to_vec())];
            folder.keep(two).await.unwrap();
        }
        for other in ["notes", "g-", "x-eu", "g-eu.new"] {
            std::fs::write(dir.path().join("specs").join(other), "other").unwrap();
        }
        let kept = [(group, b"two".to_vec()), (release, b"manifest".to_vec())];
        assert_eq!(folder.read().unwrap(), kept);
        let [_, (release, _)] = &kept;
        for _ in 0..2 {
            folder.forget(release).await.unwrap();
        }
        assert_eq!(folder.read().unwrap(), kept[..1]);
    }
}
