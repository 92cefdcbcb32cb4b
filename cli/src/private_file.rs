//! Files that only their owner may read, written so that a crash leaves the old content
//! or the new, never a part.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

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

/// Writes or replaces a file for its owner only, by rename.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), PrivateFileError> {
    let synced = |file: &File| file.sync_all();
    replace(path, content, synced)?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// The same for one of very many files that can be written again: a crash soon after may
/// leave it empty.
pub(crate) fn write_unsynced(path: &Path, content: &[u8]) -> Result<(), PrivateFileError> {
    replace(path, content, |_| Ok(()))
}

/// Makes renames in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), PrivateFileError> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(PrivateFileError::io("write", dir))
}

fn replace(
    path: &Path,
    content: &[u8],
    sync: impl Fn(&File) -> io::Result<()>,
) -> Result<(), PrivateFileError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let replace = || -> io::Result<()> {
        // A leftover of a crash may have another mode: a new file gets the right one.
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(content)?;
        sync(&file)?;
        std::fs::rename(&new, path)
    };
    let replaced = replace().inspect_err(|_| {
        // Nothing of a secret lies about under a name that nobody looks at.
        let _left = std::fs::remove_file(&new);
    });
    replaced.map_err(PrivateFileError::io("write", path))
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

    #[test]
    fn a_leftover_of_a_crash_does_not_lend_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users.toml");
        std::fs::write(dir.path().join("users.toml.new"), b"torn").unwrap();
        write(&path, b"whole").unwrap();
        assert!(!others_can_read(&path));
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
    }
}
