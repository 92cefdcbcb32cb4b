//! Files that a crash leaves with their old content or with the new, never a part of it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Writes or replaces a file with this mode durably: beside it, synced, renamed, and the
/// rename synced too.
///
/// # Errors
/// Those of the file system; then the old content stands.
pub fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    write_but_folder(path, content, mode)?;
    folder_of(path).map_or(Ok(()), sync_folder)
}

/// The same for one of several files: durable when their folder is synced once for all of them
/// ([`sync_folder`]), and whole whatever happens before.
///
/// # Errors
/// Those of the file system; then the old content stands.
pub fn write_but_folder(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    replace(path, |file| file.write_all(content), mode, File::sync_all)
}

/// The same, of content that is too large for memory.
///
/// # Errors
/// Those of the file system and of `content`; then the old content stands.
pub fn write_from(path: &Path, content: &mut impl io::Read, mode: u32) -> io::Result<()> {
    let fill = |file: &mut File| io::copy(content, file).map(drop);
    replace(path, fill, mode, File::sync_all)?;
    folder_of(path).map_or(Ok(()), sync_folder)
}

/// The same for one of very many files that can be written again: a crash of the machine
/// soon after may leave it empty.
///
/// # Errors
/// Those of the file system.
pub fn write_unsynced(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    replace(path, |file| file.write_all(content), mode, |_| Ok(()))
}

/// Ok if a file could be written there: nothing but a file is in its place, neither a link nor a
/// device, and its folder takes new ones. Leaves nothing behind.
///
/// # Errors
/// Why it could not.
pub fn check(path: &Path) -> io::Result<()> {
    if path == Path::new("-") {
        let what = "`-` is no name of a file; one that is called so is `./-`";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    if std::fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
        let kind = io::ErrorKind::AlreadyExists;
        return Err(io::Error::new(kind, "something that is no file is there"));
    }
    let new = beside(path);
    create(&new, 0o600)?;
    std::fs::remove_file(&new)
}

/// Makes what was created, renamed or removed in a folder durable.
///
/// # Errors
/// Those of the file system.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The folder that a file's name stands in.
fn folder_of(path: &Path) -> Option<&Path> {
    let folder = path.parent()?;
    Some(match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    })
}

/// Where a file is written before it takes its name.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

fn create(new: &Path, mode: u32) -> io::Result<File> {
    // A leftover of a crash may have another mode: a new file gets the right one.
    match std::fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode).open(new)
}

fn replace(
    path: &Path,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
    mode: u32,
    sync: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<()> {
    let new = beside(path);
    let replace = || -> io::Result<()> {
        let mut file = create(&new, mode)?;
        fill(&mut file)?;
        sync(&file)?;
        std::fs::rename(&new, path)
    };
    replace().inspect_err(|_| {
        // Nothing of a secret lies about under a name that nobody looks at.
        let _left = std::fs::remove_file(&new);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_leftover_of_a_crash_lends_neither_its_content_nor_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users.toml");
        std::fs::write(dir.path().join("users.toml.new"), b"torn").unwrap();
        write(&path, b"whole", 0o600).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert!(!dir.path().join("users.toml.new").exists());
    }

    #[test]
    fn what_could_not_be_written_is_known_before_it_is_tried() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir(path("folder")).unwrap();
        std::fs::create_dir(path("beside.new")).unwrap();
        std::fs::write(path("file"), b"kept").unwrap();
        std::os::unix::fs::symlink(path("file"), path("link")).unwrap();
        std::os::unix::fs::symlink("/dev/full", path("device")).unwrap();
        for blocked in [
            "folder",
            "beside",
            "nowhere/file",
            "file/below",
            "link",
            "device",
        ] {
            assert!(check(&path(blocked)).is_err(), "{blocked}");
        }
        assert!(check(Path::new("-")).is_err() && check(Path::new("/dev/full")).is_err());
        check(&path("file")).unwrap();
        check(&path("new")).unwrap();
        assert_eq!(std::fs::read(path("file")).unwrap(), b"kept");
        assert!(!path("new").exists() && !path("new.new").exists());
    }

    #[test]
    fn what_cannot_be_written_leaves_the_old_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kept");
        write(&path, b"old", 0o600).unwrap();
        // A folder in the way of the new file cannot be removed as a file.
        std::fs::create_dir(dir.path().join("kept.new")).unwrap();
        assert!(write(&path, b"new", 0o600).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
    }
}
