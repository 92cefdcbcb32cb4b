//! The names that belong in a backup, and the list at its end by which it is proven whole.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use hoist_protocol::id::ArtifactId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The first file of a backup.
pub const ABOUT: &str = "backup.json";
/// The rows of the store.
pub const ROWS: &str = "store.rows";
/// The last file of a backup: what is before it.
pub const SUMS: &str = "backup.sums";
/// Files of a data directory beside its folders.
const FILES: [&str; 3] = ["users.toml", "client.toml", "tls.enrolled"];
/// Key files that a backup may hold.
const KEYS: [&str; 9] = [
    "keys/orchestrator.key",
    "keys/release.key",
    "keys/root.bin",
    "keys/root.key",
    "keys/token.key",
    "tls/ca.key",
    "tls/ca.pem",
    "tls/devices.key",
    "tls/devices.pem",
];
/// Root documents that went before the newest.
const EARLIER_ROOTS: &str = "keys/root.";
/// Key files without which no server starts.
const NEEDED: [&str; 3] = ["keys/orchestrator.key", "keys/root.bin", "keys/token.key"];
const ARTIFACTS: &str = "artifacts";

/// Where a file of a backup belongs below a data directory; nowhere when it is none of ours.
pub fn place(name: &str) -> Option<PathBuf> {
    let ours = is_key(name) || FILES.contains(&name) || is_artifact(name);
    ours.then(|| PathBuf::from(name))
}

/// True if the file is one of the keys.
pub fn is_key(name: &str) -> bool {
    KEYS.contains(&name) || is_earlier_root(name)
}

fn is_earlier_root(name: &str) -> bool {
    let number = name
        .strip_prefix(EARLIER_ROOTS)
        .and_then(|rest| rest.strip_suffix(".bin"));
    number.is_some_and(|text| {
        text.parse::<u32>()
            .is_ok_and(|number| number.to_string() == text)
    })
}

/// True if the file is content that devices download. Only such files may go while a backup is
/// made.
pub fn is_artifact(name: &str) -> bool {
    let id = name
        .strip_prefix(ARTIFACTS)
        .and_then(|name| name.strip_prefix('/'));
    id.is_some_and(|id| {
        id.parse::<ArtifactId>()
            .is_ok_and(|parsed| parsed.to_string() == id)
    })
}

/// A key file without which no server starts and that is not there.
pub fn needed(has: impl Fn(&str) -> bool) -> Option<&'static str> {
    NEEDED.into_iter().find(|name| !has(name))
}

/// The files of a data directory that go into a backup, users and keys first. What else lies
/// there, such as an upload that is not whole or an editor's copy, does not.
pub fn names(root: &Path) -> io::Result<Vec<String>> {
    let small = FILES.into_iter().chain(KEYS);
    let mut names: Vec<String> = small
        .filter(|name| root.join(name).is_file())
        .map(str::to_owned)
        .collect();
    names.extend(earlier_roots(root)?);
    let mut artifacts = Vec::new();
    for entry in std::fs::read_dir(root.join(ARTIFACTS))? {
        let entry = entry?;
        let name = format!("{ARTIFACTS}/{}", entry.file_name().to_string_lossy());
        if is_artifact(&name) {
            artifacts.push(name);
        }
    }
    artifacts.sort();
    names.extend(artifacts);
    Ok(names)
}

fn earlier_roots(root: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root.join("keys"))? {
        let name = format!("keys/{}", entry?.file_name().to_string_lossy());
        if is_earlier_root(&name) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// A file of a backup, as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// Below the data directory.
    pub name: String,
    size: u64,
    sha256: String,
}

/// Counts and hashes what is read through it.
pub struct Summing<R> {
    from: R,
    hash: Sha256,
    size: u64,
}

impl<R: Read> Summing<R> {
    /// Reads from there; nothing was read so far.
    pub fn new(from: R) -> Self {
        let (hash, size) = (Sha256::new(), 0);
        Self { from, hash, size }
    }

    /// Of what was read.
    pub fn sum(self, name: &str) -> Sum {
        Sum {
            name: name.to_owned(),
            size: self.size,
            sha256: data_encoding::HEXLOWER.encode(&self.hash.finalize()),
        }
    }
}

impl<R: Read> Read for Summing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.size += u64::try_from(read).unwrap_or_default();
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_and_foreign_files_are_no_part_of_a_backup() {
        let dir = tempfile::tempdir().unwrap();
        let id = "0123456789abcdef0123456789abcdef";
        for folder in ["keys", "artifacts"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let long = format!("artifacts/{}", "x".repeat(120));
        for name in [
            "users.toml",
            "users.toml~",
            "tls.enrolled",
            "keys/token.key",
            "keys/.token.key.swp",
            "keys/root.1.bin",
            "keys/root.next.bin",
            "artifacts/notes",
            &long,
            &format!("artifacts/{id}.new"),
            &format!("artifacts/{id}"),
        ] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let listed = names(dir.path()).unwrap();
        assert_eq!(
            listed,
            [
                "users.toml",
                "tls.enrolled",
                "keys/token.key",
                "keys/root.1.bin",
                &format!("artifacts/{id}")
            ]
        );
        assert!(listed.iter().all(|name| place(name).is_some()));
        assert_eq!(place("../users.toml"), None);
        assert_eq!(place(&format!("artifacts/{}", id.to_uppercase())), None);
    }
}
