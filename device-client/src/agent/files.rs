//! Files of the agent: private folders, whole-file replacement that survives a power
//! cut, and opening without ever following a symbolic link.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Mode of files that only the agent reads.
pub const PRIVATE_FILE: u32 = 0o600;
/// Mode of folders and programs that only the agent uses.
pub const PRIVATE_DIR: u32 = 0o700;

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
        .create(path)?;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(PRIVATE_DIR))?;
    }
    Ok(())
}

/// Makes the entries of a folder durable.
///
/// # Errors
/// Whatever the file system says.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Replaces a file as a whole: after a power cut there is the old content or the new,
/// never a mixture.
///
/// # Errors
/// Whatever the file system says; the old content is then still there.
pub fn write_atomic(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    // Left over from a power cut; also gets rid of a link laid as a trap.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_dir(folder)
}

/// Creates the folders of a relative path below `root`, refusing any that is a link.
///
/// # Errors
/// Whatever the file system says; `NotADirectory` for a symbolic link or file in the way.
pub fn create_parents_below(root: &Path, relative: &Path) -> io::Result<()> {
    let mut folder = root.to_path_buf();
    require_real_dir(&folder)?;
    for part in relative.parent().into_iter().flat_map(Path::components) {
        folder.push(part);
        match DirBuilder::new().mode(PRIVATE_DIR).create(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => require_real_dir(&folder)?,
        }
    }
    Ok(())
}

fn require_real_dir(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::NotADirectory,
        format!("{} is not a folder of ours", path.display()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_has_the_new_content_and_leaves_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("inventory.toml");
        write_atomic(&path, b"one", PRIVATE_FILE).unwrap();
        write_atomic(&path, b"two", PRIVATE_FILE).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_at_the_temporary_name_is_replaced_and_never_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, b"precious").unwrap();
        std::os::unix::fs::symlink(&victim, dir.path().join("a.new")).unwrap();
        write_atomic(&dir.path().join("a"), b"x", PRIVATE_FILE).unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
    }

    #[test]
    fn a_linked_folder_in_a_path_is_refused() {
        // bad-inputs row 50
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("sub")).unwrap();
        assert!(create_parents_below(dir.path(), Path::new("sub/deep/file")).is_err());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
