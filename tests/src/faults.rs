//! The libraries in `faults/` that are preloaded into programs under test, built by the C
//! compiler that Rust links with.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lets writes fail, or keeps what was written.
pub const WRITES: &str = "faults";
/// Ends a program at a named moment, and moves its clock.
pub const MOMENTS: &str = "moments";

/// Builds one of them into a folder, and says where it is.
///
/// # Errors
/// There is no C compiler, or it refuses.
pub fn build(name: &str, into: &Path) -> io::Result<PathBuf> {
    let path = into.join(name).with_extension("so");
    let source = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/faults"));
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&path)
        .arg(source.join(name).with_extension("c"))
        .arg("-ldl")
        .output()?;
    match built.status.success() {
        true => Ok(path),
        false => Err(io::Error::other(
            String::from_utf8_lossy(&built.stderr).into_owned(),
        )),
    }
}
