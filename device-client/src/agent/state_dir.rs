//! The owner of the agent's state directory; what is in it is [`super::storage`]'s.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::files::{PRIVATE_FILE, create_private_dir, no_follow};
use super::orphaned;

/// The state directory while this agent owns it.
#[derive(Debug)]
pub(super) struct StateDir {
    path: PathBuf,
    /// Held for as long as we run.
    _lock: File,
}

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// Another agent runs there.
    #[error("{} is in use by the agent with pid {pid}: stop it first", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The process that has it.
        pid: String,
    },
    /// The file system refused.
    #[error("cannot use {}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
}

impl StateDir {
    /// Creates and locks the directory, and ends the scripts of an agent that was killed.
    pub(super) fn open(path: &Path) -> Result<Self, StateDirError> {
        let failed = |path: &Path, source| StateDirError::File {
            path: path.to_path_buf(),
            source,
        };
        create_private_dir(path).map_err(|error| failed(path, error))?;
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
        orphaned::end(path);
        Ok(Self {
            path: path.to_path_buf(),
            _lock: lock,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The `hold` file that vetoes new starts, if there is one.
    pub(super) fn held_by(&self) -> Option<PathBuf> {
        let path = self.path.join("hold");
        path.exists().then_some(path)
    }
}
