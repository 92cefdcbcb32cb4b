//! Files that only their owner may read.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use hoist_orchestrator::{durable_file, small_file};
use rustix::fs::Mode;

/// The mode of private files: for their owner alone.
const MODE: u32 = 0o600;
/// No file of ours that is read as a whole is nearly as large.
const BYTES_MAX: u64 = 1 << 20;

/// Why a private file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// Others can read it (`E_SECRET`).
    #[error("{} can be read by others", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
    },
    /// The file system failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The action that was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl PrivateFileError {
    /// The error of an action on a path, from its cause.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// Whatever this process creates from now on is its owner's alone, also by libraries.
pub fn by_default() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// Closes a directory that was made for others too.
pub fn close_dir(path: &Path) -> Result<(), PrivateFileError> {
    if !path.is_dir() || !others_can_read(path) {
        return Ok(());
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
        .map_err(PrivateFileError::io("close to others", path))
}

/// Creates a directory for its owner only; one that exists stays as it is.
pub fn create_dir(path: &Path) -> Result<(), PrivateFileError> {
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
pub fn write(path: &Path, content: &[u8]) -> Result<(), PrivateFileError> {
    durable_file::write(path, content, MODE).map_err(PrivateFileError::io("write", path))
}

/// The same for one of very many files that can be written again: a crash soon after may
/// leave it empty.
pub fn write_unsynced(path: &Path, content: &[u8]) -> Result<(), PrivateFileError> {
    durable_file::write_unsynced(path, content, MODE).map_err(PrivateFileError::io("write", path))
}

/// Ok if a file could be written there. Changes nothing.
pub fn check(path: &Path) -> Result<(), PrivateFileError> {
    durable_file::check(path).map_err(PrivateFileError::io("write", path))
}

/// Ok if a new file could be written there that belongs to no server: the files of a data directory
/// are never replaced by name.
pub fn check_outside(path: &Path, data_dir: &Path) -> Result<(), PrivateFileError> {
    check(path)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = std::fs::canonicalize(folder.unwrap_or(Path::new(".")));
    let within = |folder: PathBuf| {
        std::fs::canonicalize(data_dir).is_ok_and(|data_dir| folder.starts_with(data_dir))
    };
    if folder.is_ok_and(within) {
        let what = "it would lie among the files of a server";
        let error = io::Error::new(io::ErrorKind::InvalidInput, what);
        return Err(PrivateFileError::io("write", path)(error));
    }
    Ok(())
}

/// Makes renames in a directory durable.
pub fn sync_dir(dir: &Path) -> Result<(), PrivateFileError> {
    durable_file::sync_folder(dir).map_err(PrivateFileError::io("write", dir))
}

/// Makes the name of a directory itself durable.
pub fn sync_dir_of(dir: &Path) -> Result<(), PrivateFileError> {
    let named = dir.parent().filter(|folder| !folder.as_os_str().is_empty());
    sync_dir(named.unwrap_or(Path::new(".")))
}

/// Reads a secret; one that others can read is refused.
pub fn read(path: &Path) -> Result<Vec<u8>, PrivateFileError> {
    let file = small_file::read(path, BYTES_MAX).map_err(PrivateFileError::io("read", path))?;
    if file.mode & 0o077 != 0 {
        return Err(PrivateFileError::Exposed {
            path: path.to_owned(),
        });
    }
    Ok(file.content)
}

/// Reads a text that somebody names on a command line; it may come from a pipe, and ends.
pub fn read_named(path: &Path) -> io::Result<String> {
    let content = small_file::read_named(path, BYTES_MAX)?;
    String::from_utf8(content).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// True if group or others have any access.
pub fn others_can_read(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.mode() & 0o077 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_by_name_among_the_files_of_a_server() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        std::fs::create_dir_all(data.join("keys")).unwrap();
        std::os::unix::fs::symlink(&data, dir.path().join("link")).unwrap();
        let refused = |name: &str| check_outside(&dir.path().join(name), &data).is_err();
        for within in [
            "data/users.toml",
            "data/keys/new",
            "link/a",
            "data/../data/a",
        ] {
            assert!(refused(within), "{within}");
        }
        assert!(!refused("backup.tar") && !refused("data.tar"));
        assert!(check_outside(&dir.path().join("a"), &dir.path().join("none")).is_ok());
    }

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
