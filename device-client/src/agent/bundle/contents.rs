//! The files of an artifact's folder: what they hold, and whether they may be packed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hoist_protocol::bundle::IndexEntry;
use hoist_protocol::release::{Payload, PayloadKind};

use super::PackError;
use super::pack::hash_file;

/// Files in manifest order, with their hashes.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) payloads: Vec<Payload>,
    pub(super) index: Vec<IndexEntry>,
    pub(super) files: Vec<PathBuf>,
}

impl Contents {
    /// Adds a file; returns its first bytes.
    pub(super) fn add(
        &mut self,
        file: PathBuf,
        kind: PayloadKind,
        target: String,
    ) -> Result<Vec<u8>, PackError> {
        let hashed = hash_file(&file, kind, target)?;
        self.payloads.push(hashed.payload);
        self.index.extend(hashed.index);
        self.files.push(file);
        Ok(hashed.start)
    }
}

/// The mode of a file below an artifact's folder, to which no link leads: neither the file nor
/// a folder on the way is one, or what lies elsewhere on this machine would be packed.
pub(super) fn regular_file_mode(dir: &Path, path: &Path) -> Result<u32, PackError> {
    let file = dir.join(path);
    let below = file.ancestors().skip(1).take_while(|folder| *folder != dir);
    for folder in below {
        let metadata = fs::symlink_metadata(folder).map_err(PackError::file(folder))?;
        if metadata.is_symlink() {
            return Err(PackError::NotAFile {
                path: folder.to_path_buf(),
            });
        }
    }
    let metadata = fs::symlink_metadata(&file).map_err(PackError::file(&file))?;
    if !metadata.is_file() {
        return Err(PackError::NotAFile { path: file });
    }
    Ok(metadata.permissions().mode())
}

pub(super) fn invalid(what: impl Into<String>) -> PackError {
    PackError::Invalid { what: what.into() }
}
