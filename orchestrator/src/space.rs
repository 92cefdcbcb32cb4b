//! How much can still be written where the server's files are.

use std::io;
use std::path::Path;

/// Bytes that this process can still write to the file system of a folder that exists.
///
/// # Errors
/// Those of the file system.
pub(crate) fn left(folder: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(folder)?;
    if found.f_blocks == 0 {
        // It keeps no account.
        return Ok(u64::MAX);
    }
    let privileged = rustix::process::geteuid().is_root();
    let blocks = if privileged {
        found.f_bfree
    } else {
        found.f_bavail
    };
    Ok(blocks.saturating_mul(found.f_frsize))
}
