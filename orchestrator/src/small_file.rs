//! Files of ours that somebody else may have changed: a name can lead to a pipe, a device or
//! something without an end by now. Whatever is there, reading it ends.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// The content of a file.
#[derive(Debug)]
pub struct SmallFile {
    /// All of it.
    pub content: Vec<u8>,
    /// The permission bits.
    pub mode: u32,
}

/// Reads a regular file of at most so many bytes. Never waits for another program.
///
/// # Errors
/// Those of the file system; `InvalidInput` for anything but a regular file, and
/// `FileTooLarge` for a longer one.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<SmallFile> {
    // A pipe without a writer would be waited for.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let mut options = File::options();
    options.read(true).custom_flags(flags.cast_signed());
    let file = options.open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        let kind = io::ErrorKind::InvalidInput;
        return Err(io::Error::new(kind, "it is no regular file"));
    }
    Ok(SmallFile {
        content: bounded(file, bytes_max)?,
        mode: meta.mode() & 0o7777,
    })
}

/// Reads what somebody names on a command line, which may be a pipe: at most so many bytes.
///
/// # Errors
/// Those of the file system; `FileTooLarge` for more.
pub fn read_named(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    bounded(File::open(path)?, bytes_max)
}

fn bounded(file: File, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(bytes_max.saturating_add(1))
        .read_to_end(&mut content)?;
    if content.len() as u64 > bytes_max {
        let what = format!("it has more than {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_a_regular_file_of_no_more_than_so_many_bytes_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("file"), b"12345").unwrap();
        assert_eq!(read(&path("file"), 5).unwrap().content, b"12345");
        symlink(path("file"), path("link")).unwrap();
        assert_eq!(read(&path("link"), 5).unwrap().content, b"12345");
        let kind = |name: &str| read(&path(name), 4).unwrap_err().kind();
        assert_eq!(kind("file"), io::ErrorKind::FileTooLarge);
        let fifo = std::process::Command::new("mkfifo")
            .arg(path("fifo"))
            .status();
        assert!(fifo.unwrap().success());
        symlink("/dev/zero", path("endless")).unwrap();
        for odd in ["fifo", "endless", "."] {
            // Without these flags the first would be waited for, the second never end.
            assert_eq!(kind(odd), io::ErrorKind::InvalidInput, "{odd}");
        }
        let endless = read_named(Path::new("/dev/zero"), 4).unwrap_err();
        assert_eq!(endless.kind(), io::ErrorKind::FileTooLarge);
    }
}
