//! One server per data directory: a file lock that the system releases however the
//! process ends, with the pid inside for whoever is refused.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use hoist_protocol::code::Code;

use crate::failure::Failure;

/// A held lock; released when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a data directory.
    ///
    /// # Errors
    /// `E_LOCKED` naming the pid of the holder, `E_DATA_DIR` when the file cannot be used.
    pub fn take(data_dir: &Path) -> Result<Self, Failure> {
        let path = data_dir.join("lock");
        let unusable =
            |error: std::io::Error| Failure::because(Code::DataDir, path.display(), &error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let what = format!(
                    "data directory {} is used by process {}",
                    data_dir.display(),
                    holder.trim()
                );
                return Err(Failure::new(Code::Locked, what)
                    .help("stop that server first, or choose another --data-dir"));
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let write = |file: &mut File| -> std::io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(unusable)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_is_refused_by_the_pid_of_the_first_until_it_ends() {
        // bad-inputs row 63
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::take(dir.path()).unwrap();
        let refused = Lock::take(dir.path()).unwrap_err();
        assert_eq!(refused.code, "E_LOCKED");
        assert!(
            refused.what.ends_with(&std::process::id().to_string()),
            "{refused}"
        );
        drop(first);
        assert!(Lock::take(dir.path()).is_ok());
    }
}
