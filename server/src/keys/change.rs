//! Changes of the key files in a folder: one process makes them at a time, and a new private key lies
//! beside the one in use until a root document names it.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use hoist_protocol::root::{KeyRole, RootDocument};

use super::{KeysError, ROLES, key_file, read_signing_key, word};
use crate::private_file::{self, PrivateFileError};

/// The right to change the keys in a folder. Whatever ends the process, the system takes it back.
pub(super) struct Changing {
    dir: PathBuf,
    /// The folder itself is locked: no file of a lock is ever in a backup of the keys.
    folder: File,
}

impl Drop for Changing {
    fn drop(&mut self) {
        // A program that is just being started has a copy of the handle, which would hold the lock.
        let _closed_soon = self.folder.unlock();
    }
}

/// The private key that is to take the place of the one in use.
pub(super) fn next_key(dir: &Path, role: KeyRole) -> PathBuf {
    dir.join(format!("{}.next.key", word(role)))
}

impl Changing {
    /// Begins a change.
    ///
    /// # Errors
    /// [`KeysError::Busy`] while another process makes one.
    pub(super) fn begin(dir: &Path) -> Result<Self, KeysError> {
        let folder = File::open(dir).map_err(PrivateFileError::io("open", dir))?;
        match folder.try_lock() {
            Ok(()) => Ok(Self::of(dir, folder)),
            Err(TryLockError::WouldBlock) => Err(KeysError::Busy {
                dir: dir.to_owned(),
            }),
            Err(TryLockError::Error(error)) => Err(PrivateFileError::io("lock", dir)(error).into()),
        }
    }

    /// Begins a change once nobody else makes one.
    fn after_others(dir: &Path) -> Result<Self, KeysError> {
        let folder = File::open(dir).map_err(PrivateFileError::io("open", dir))?;
        folder
            .lock()
            .map_err(PrivateFileError::io("lock", dir))
            .map(|()| Self::of(dir, folder))
            .map_err(KeysError::from)
    }

    fn of(dir: &Path, folder: File) -> Self {
        Self {
            dir: dir.to_owned(),
            folder,
        }
    }

    /// Puts the keys that a root document names in the place of those before them.
    pub(super) fn settle(&self, document: &RootDocument) -> Result<(), KeysError> {
        let unsettled = unsettled(&self.dir, document)?;
        for role in &unsettled {
            let now = key_file(&self.dir, *role);
            std::fs::rename(next_key(&self.dir, *role), &now)
                .map_err(PrivateFileError::io("replace", &now))?;
        }
        if !unsettled.is_empty() {
            private_file::sync_dir(&self.dir)?;
        }
        Ok(())
    }
}

/// The same after a rotation that was cut off once the document was in effect, if there was one.
pub(super) fn settle(dir: &Path, document: &RootDocument) -> Result<(), KeysError> {
    if unsettled(dir, document)?.is_empty() {
        return Ok(());
    }
    Changing::after_others(dir)?.settle(document)
}

/// The roles whose key in use is not yet the one that the document names.
fn unsettled(dir: &Path, document: &RootDocument) -> Result<Vec<KeyRole>, KeysError> {
    let mut roles = Vec::new();
    for role in ROLES {
        let public = match read_signing_key(&next_key(dir, role)) {
            Ok(key) => key.public(),
            // None waits, or another process has just settled it.
            Err(error) if is_absent(&error) => continue,
            Err(error) => return Err(error),
        };
        if document.keys_of(role).any(|key| key == public) {
            roles.push(role);
        }
    }
    Ok(roles)
}

/// True if the file is not there.
pub(super) fn is_absent(error: &KeysError) -> bool {
    matches!(error, KeysError::File(PrivateFileError::Io { source, .. })
        if source.kind() == io::ErrorKind::NotFound)
}
