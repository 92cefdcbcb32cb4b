//! Owners of uploads that are in no release yet, kept beside the artifacts: one small file for
//! each, with the user's name in it, so that a restart forgets no quota.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use hoist_protocol::id::{ArtifactId, UserId};
use tempfile::NamedTempFile;

use crate::durable_file::sync_folder;
use crate::small_file;

/// The folder's name among the artifacts.
const FOLDER: &str = "uploads";
/// Longest name of a user that is believed, in bytes.
const NAME_BYTES_MAX: u64 = 256;

/// The folder of these files.
#[derive(Debug, Clone)]
pub(super) struct Owners(PathBuf);

impl Owners {
    /// Opens the folder among the artifacts in `root`, making it where it is missing.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let folder = root.join(FOLDER);
        match fs::create_dir(&folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(Self(folder)),
        }
    }

    /// Notes whose upload an artifact is, before it is in its place. Whoever brought it first
    /// stays the one. True if the note is new.
    pub(super) fn note(&self, id: ArtifactId, user: &UserId) -> io::Result<bool> {
        let mut named = NamedTempFile::new_in(&self.0)?;
        named.write_all(user.as_str().as_bytes())?;
        named.as_file().sync_all()?;
        match named.persist_noclobber(self.0.join(id.to_string())) {
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.error),
            Ok(_) => sync_folder(&self.0).map(|()| true),
        }
    }

    /// A release names it, or it is not there: nobody is held to it.
    pub(super) fn forget(&self, id: ArtifactId) {
        // One that stays behind is forgotten at the next start.
        let _there = fs::remove_file(self.0.join(id.to_string()));
    }

    /// The owners of uploads, of the artifacts that `is_there` knows. A file that says nothing is
    /// removed: it is what a crash left.
    pub(super) fn all(
        &self,
        is_there: impl Fn(ArtifactId) -> bool,
    ) -> io::Result<Vec<(ArtifactId, UserId)>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let path = entry?.path();
            let id = path
                .file_name()
                .and_then(|name| name.to_str()?.parse().ok());
            let name = match small_file::read(&path, NAME_BYTES_MAX) {
                Ok(read) => String::from_utf8(read.content).ok(),
                Err(error) => {
                    let path = path.display();
                    tracing::warn!(%path, %error, "whose upload it is cannot be read");
                    continue;
                }
            };
            let user = name.and_then(|name| name.parse().ok());
            match (id, user) {
                (Some(id), Some(user)) if is_there(id) => all.push((id, user)),
                _ => {
                    let _left = fs::remove_file(&path);
                }
            }
        }
        Ok(all)
    }
}
