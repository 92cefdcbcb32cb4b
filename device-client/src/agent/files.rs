//! Files of the agent: the few operations that everything it keeps is made of, so that
//! the programs for proving can let the power fail between any two of them; private
//! folders, whole-file replacement that survives a power cut, and opening without ever
//! following a symbolic link.

use std::fmt::Debug;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Mode of files that only the agent reads.
pub const PRIVATE_FILE: u32 = 0o600;
/// Mode of folders and programs that only the agent uses.
pub const PRIVATE_DIR: u32 = 0o700;

/// A file system as the agent uses it. Nothing follows a symbolic link in the last part of
/// a path. What is not synced may be lost with the power; a file's entry in its folder is
/// durable once the folder is synced.
///
/// Every operation fails with whatever the file system says.
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
pub trait Files: Debug + Send + Sync {
    /// At most `bytes_max` bytes of a file.
    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        self.read_at(path, 0, bytes_max)
    }

    /// At most `bytes_max` bytes of a file from `offset` on; fewer only at its end.
    fn read_at(&self, path: &Path, offset: u64, bytes_max: u64) -> io::Result<Vec<u8>>;

    /// True if there is something at the path.
    fn exists(&self, path: &Path) -> bool;

    /// Writes content at `offset`, in place, and ends the file there. A new file gets the
    /// mode.
    fn write_at(&self, path: &Path, offset: u64, content: &[u8], mode: u32) -> io::Result<()>;

    /// Makes a file's content durable.
    fn sync(&self, path: &Path) -> io::Result<()>;

    /// Makes the entries of a folder durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Creates one folder that only we may enter; an existing one is tightened, and
    /// anything else in its place is refused.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Moves a file into the place of another.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file or link; one that is not there is as good as removed.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder with everything below; one that is not there is as good as
    /// removed.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Names of the entries of a folder, in no order.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Gives a file exactly these permission bits, whatever the process masks. A file system
    /// without them does nothing.
    fn set_mode(&self, _path: &Path, _mode: u32) -> io::Result<()> {
        Ok(())
    }

    /// True if a file has exactly these permission bits, and none that lends rights.
    fn has_mode(&self, _path: &Path, _mode: u32) -> io::Result<bool> {
        Ok(true)
    }

    /// Bytes that we may still write where `path` is. Without end unless a file system
    /// knows better.
    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

/// The system's own files.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemFiles;

impl Files for SystemFiles {
    fn read_at(&self, path: &Path, offset: u64, bytes_max: u64) -> io::Result<Vec<u8>> {
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(no_follow())
            .open(path)?;
        if offset > 0 {
            file.seek(SeekFrom::Start(offset))?;
        }
        let mut bytes = Vec::new();
        file.take(bytes_max).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn exists(&self, path: &Path) -> bool {
        path.symlink_metadata().is_ok()
    }

    fn write_at(&self, path: &Path, offset: u64, content: &[u8], mode: u32) -> io::Result<()> {
        // Not truncated first: bytes in place of as many need no new space (bad-inputs row 58).
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(mode)
            .custom_flags(no_follow())
            .open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(content)?;
        file.set_len(offset.saturating_add(content.len() as u64))
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        match DirBuilder::new().mode(PRIVATE_DIR).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let metadata = fs::symlink_metadata(path)?;
        if !metadata.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::NotADirectory,
                format!("{} is not a folder of ours", path.display()),
            ));
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(PRIVATE_DIR))?;
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        absent_is_fine(fs::remove_file(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        absent_is_fine(fs::remove_dir_all(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(path)?;
        entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        // By the open file: a path could have become a link.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(no_follow())
            .open(path)?;
        file.set_permissions(fs::Permissions::from_mode(mode))
    }

    fn has_mode(&self, path: &Path, mode: u32) -> io::Result<bool> {
        Ok(fs::symlink_metadata(path)?.permissions().mode() & 0o7777 == mode)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// `O_NOFOLLOW` for [`OpenOptionsExt::custom_flags`].
#[must_use]
pub fn no_follow() -> i32 {
    i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0)
}

/// Creates a folder (and its parents) that only we may enter, or tightens an existing one.
///
/// # Errors
/// Whatever the file system says; also when the path is something else than a folder.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(PRIVATE_DIR)
        .create(folder_of(path))?;
    SystemFiles.create_dir(path)
}

/// The content of a file, or `None` when there is none.
///
/// # Errors
/// Whatever the file system says.
pub fn read_optional(
    files: &dyn Files,
    path: &Path,
    bytes_max: u64,
) -> io::Result<Option<Vec<u8>>> {
    match files.read(path, bytes_max) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        content => content.map(Some),
    }
}

/// Replaces a file as a whole: after a power cut there is the old content or the new,
/// never a mixture.
///
/// # Errors
/// Whatever the file system says; the old content is then still there.
pub fn write_atomic(files: &dyn Files, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    // Left over from a power cut; also gets rid of a link laid as a trap.
    files.remove(&temporary)?;
    files.write_at(&temporary, 0, content, mode)?;
    files.sync(&temporary)?;
    files.rename(&temporary, path)?;
    files.sync_dir(folder_of(path))
}

/// The folder that a file is in: of a bare name the present one.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Creates the folders of a relative path below `root`, refusing any that is a link.
///
/// # Errors
/// Whatever the file system says; `NotADirectory` for a symbolic link or file in the way.
pub fn create_parents_below(files: &dyn Files, root: &Path, relative: &Path) -> io::Result<()> {
    let mut folder = root.to_path_buf();
    files.create_dir(&folder)?;
    for part in relative.parent().into_iter().flat_map(Path::components) {
        folder.push(part);
        files.create_dir(&folder)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_has_the_new_content_and_leaves_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("inventory.toml");
        write_atomic(&SystemFiles, &path, b"one", PRIVATE_FILE).unwrap();
        write_atomic(&SystemFiles, &path, b"two", PRIVATE_FILE).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_at_the_temporary_name_is_replaced_and_never_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, b"precious").unwrap();
        std::os::unix::fs::symlink(&victim, dir.path().join("a.new")).unwrap();
        write_atomic(&SystemFiles, &dir.path().join("a"), b"x", PRIVATE_FILE).unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
    }

    #[test]
    fn a_linked_folder_in_a_path_is_refused() {
        // bad-inputs row 50
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("sub")).unwrap();
        assert!(
            create_parents_below(&SystemFiles, dir.path(), Path::new("sub/deep/file")).is_err()
        );
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
