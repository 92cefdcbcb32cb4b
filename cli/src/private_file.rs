//! Files that only their owner may read.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use hoist_orchestrator::durable_file;

/// Whose they are: their owner's alone.
const MODE: u32 = 0o600;

/// Why a private file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrivateFileError {
    /// Others can read it (`E_SECRET`).
    #[error("{} can be read by others", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
    },
    /// The file system failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl PrivateFileError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// Creates a directory for its owner only; one that exists stays as it is.
pub(crate) fn create_dir(path: &Path) -> Result<(), PrivateFileError> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(PrivateFileError::io("create", path))
}

/// Writes or replaces a file for its owner only, durably.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), PrivateFileError> {
    durable_file::write(path, content, MODE).map_err(PrivateFileError::io("write", path))
}

/// The same for one of very many files that can be written again: a crash soon after may
/// leave it empty.
pub(crate) fn write_unsynced(path: &Path, content: &[u8]) -> Result<(), PrivateFileError> {
    durable_file::write_unsynced(path, content, MODE).map_err(PrivateFileError::io("write", path))
}

/// Whether a file could be written there. Changes nothing.
pub(crate) fn check(path: &Path) -> Result<(), PrivateFileError> {
    durable_file::check(path).map_err(PrivateFileError::io("write", path))
}

/// Makes renames in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), PrivateFileError> {
    durable_file::sync_folder(dir).map_err(PrivateFileError::io("write", dir))
}

/// Reads a secret; one that others can read is refused.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, PrivateFileError> {
    let content = std::fs::read(path).map_err(PrivateFileError::io("read", path))?;
    if others_can_read(path) {
        return Err(PrivateFileError::Exposed {
            path: path.to_owned(),
        });
    }
    Ok(content)
}

/// Whether group or others have any access.
pub(crate) fn others_can_read(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.mode() & 0o077 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        // bad-inputs row 70
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token.key");
        write(&path, b"secret").unwrap();
        assert_eq!(read(&path).unwrap(), b"secret");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(read(&path), Err(PrivateFileError::Exposed { .. })));
    }
}
