//! The agent's state directory: who owns it, and the small files the runner keeps there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::files::{PRIVATE_FILE, create_private_dir, no_follow, write_atomic};

/// Far more than any of the kept messages.
const MESSAGE_BYTES_MAX: u64 = 64 * 1024;

/// The state directory while this agent owns it.
#[derive(Debug)]
pub(super) struct StateDir {
    path: PathBuf,
    /// Held for as long as we run.
    _lock: File,
}

/// A message kept as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// The pinned root document.
    Root,
    /// The device's own head.
    Head,
    /// The manifest of the started release.
    Release,
}

impl Kept {
    fn name(self) -> &'static str {
        match self {
            Self::Root => "root.bin",
            Self::Head => "head",
            Self::Release => "release",
        }
    }
}

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// Another agent runs there.
    #[error("{} is in use by the agent with pid {pid}: stop it first", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
        /// Whose.
        pid: String,
    },
    /// The file system refused.
    #[error("cannot use {}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

impl StateDir {
    /// Creates and locks the directory.
    pub(super) fn open(path: &Path) -> Result<Self, StateDirError> {
        let failed = |path: &Path, source| StateDirError::File {
            path: path.to_path_buf(),
            source,
        };
        create_private_dir(path).map_err(|error| failed(path, error))?;
        for folder in ["download", "work"] {
            let folder = path.join(folder);
            create_private_dir(&folder).map_err(|error| failed(&folder, error))?;
        }
        let lock_path = path.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(PRIVATE_FILE)
            .custom_flags(no_follow())
            .open(&lock_path)
            .map_err(|error| failed(&lock_path, error))?;
        if lock.try_lock().is_err() {
            let mut pid = String::new();
            // The error is about the lock; an unreadable pid does not change it.
            let _unread = lock.read_to_string(&mut pid);
            return Err(StateDirError::Locked {
                path: path.to_path_buf(),
                pid,
            });
        }
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| write!(lock, "{}", std::process::id()))
            .map_err(|error| failed(&lock_path, error))?;
        Ok(Self {
            path: path.to_path_buf(),
            _lock: lock,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_held(&self) -> bool {
        self.path.join("hold").exists()
    }

    pub(super) fn read(&self, kept: Kept) -> Option<Vec<u8>> {
        let file = File::open(self.path.join(kept.name())).ok()?;
        let mut bytes = Vec::new();
        file.take(MESSAGE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    pub(super) fn write(&self, kept: Kept, bytes: &[u8]) -> io::Result<()> {
        write_atomic(&self.path.join(kept.name()), bytes, PRIVATE_FILE)
    }

    pub(super) fn remove(&self, kept: Kept) {
        // Absent is what we want; a leftover is replaced next time.
        let _gone = fs::remove_file(self.path.join(kept.name()));
    }

    pub(super) fn download_dir(&self, artifact: &str) -> PathBuf {
        self.path.join("download").join(artifact)
    }

    /// The working directory of an artifact's scripts; it stays from release to release.
    pub(super) fn work_dir(&self, artifact: &str) -> PathBuf {
        self.path.join("work").join(artifact)
    }

    /// Removes downloads that are not in `needed`.
    pub(super) fn clean_downloads(&self, needed: &[String]) {
        let Ok(entries) = fs::read_dir(self.path.join("download")) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if needed.iter().all(|needed| name != needed.as_str()) {
                // Removed with the next release otherwise.
                let _left = fs::remove_dir_all(entry.path());
            }
        }
    }
}
