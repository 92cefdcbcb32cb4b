//! A fetched and proven artifact on disk, and where each of its payloads is.

use std::io;
use std::path::{Path, PathBuf};

use hoist_protocol::release::{ArtifactManifest, PayloadKind};
use hoist_protocol::status::ScriptKind;
use sha2::{Digest, Sha256};

use super::DownloadError;
use crate::agent::files::{Files, PRIVATE_DIR, PRIVATE_FILE, create_parents_below};

/// Bytes of a file in memory while it is hashed.
const HASHED_BYTES: u64 = 256 * 1024;

/// A fetched and proven artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Its manifest.
    pub manifest: ArtifactManifest,
    /// Its folder, with `payload/` and `scripts/`.
    pub dir: PathBuf,
}

impl Artifact {
    /// Where its payloads are: `HOIST_PAYLOAD_DIR`.
    #[must_use]
    pub fn payload_dir(&self) -> PathBuf {
        self.dir.join("payload")
    }

    /// The file of a script, if the artifact has one of the kind.
    #[must_use]
    pub fn script_path(&self, kind: ScriptKind) -> Option<PathBuf> {
        let script = self.manifest.script(kind)?;
        let number = usize::from(script.payload);
        (number < self.manifest.payloads.len())
            .then(|| payload_path(&self.dir, &self.manifest, number))
    }

    /// Hashes everything again, just before it is used (bad-inputs row 55), and puts right what has
    /// another mode than its manifest says. Blocks.
    ///
    /// # Errors
    /// [`DownloadError`], for the reason `HashMismatch` when anything is not as signed.
    pub fn verify(&self, files: &dyn Files) -> Result<(), DownloadError> {
        for (number, payload) in self.manifest.payloads.iter().enumerate() {
            let path = payload_path(&self.dir, &self.manifest, number);
            let hash = hash(files, &path, payload.size);
            if hash.map_err(|error| DownloadError::storage(&path, &error))? != payload.hash {
                return Err(DownloadError::hash(&payload.target));
            }
        }
        self.set_modes(files)
    }

    /// Content is written into private files: each gets its own mode once it is whole.
    fn set_modes(&self, files: &dyn Files) -> Result<(), DownloadError> {
        for (number, payload) in self.manifest.payloads.iter().enumerate() {
            let path = payload_path(&self.dir, &self.manifest, number);
            let mode = payload.kind.mode().map_or(PRIVATE_DIR, u32::from);
            set_mode(files, &path, mode).map_err(|error| DownloadError::storage(&path, &error))?;
        }
        Ok(())
    }

    /// Makes every file and every folder's entries durable.
    pub(super) fn sync(&self, files: &dyn Files) -> Result<(), DownloadError> {
        // The entry of the artifact's own folder is as much needed as what is in it. A folder
        // comes after the one above it, or what is in it may be of no folder yet.
        let mut folders = Vec::from_iter(self.dir.parent().map(Path::to_path_buf));
        folders.push(self.dir.clone());
        for number in 0..self.manifest.payloads.len() {
            let path = payload_path(&self.dir, &self.manifest, number);
            files
                .sync(&path)
                .map_err(|error| DownloadError::storage(&path, &error))?;
            let above = path
                .ancestors()
                .skip(1)
                .take_while(|folder| *folder != self.dir);
            for folder in above.map(Path::to_path_buf) {
                if let Err(place) = folders.binary_search(&folder) {
                    folders.insert(place, folder);
                }
            }
        }
        folders.iter().try_for_each(|folder| {
            files
                .sync_dir(folder)
                .map_err(|error| DownloadError::storage(folder, &error))
        })
    }
}

/// Hashes a file, and one byte more than expected so that a longer one differs.
fn hash(files: &dyn Files, path: &Path, size: u64) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut offset = 0;
    let end = size.saturating_add(1);
    while offset < end {
        let part = files.read_at(path, offset, HASHED_BYTES.min(end - offset))?;
        if part.is_empty() {
            break;
        }
        hash.update(&part);
        offset += part.len() as u64;
    }
    Ok(hash.finalize().into())
}

/// Where a payload is below an artifact's folder: `scripts/<kind>` for a script,
/// `payload/<target>` for everything else.
pub(super) fn payload_path(dir: &Path, manifest: &ArtifactManifest, number: usize) -> PathBuf {
    dir.join(relative_path(manifest, number))
}

fn relative_path(manifest: &ArtifactManifest, number: usize) -> PathBuf {
    let payload = &manifest.payloads[number];
    let kind = manifest
        .scripts
        .iter()
        .find(|script| usize::from(script.payload) == number);
    match (payload.kind, kind.map(|script| script.kind)) {
        (PayloadKind::Script, Some(kind)) => Path::new("scripts").join(ScriptKind::word(kind)),
        (PayloadKind::Script, None) => Path::new("unused").join(number.to_string()),
        _ => Path::new("payload").join(&payload.target),
    }
}

/// Writes content of a payload from `start` on; its file ends there.
pub(super) fn write_payload(
    files: &dyn Files,
    dir: &Path,
    manifest: &ArtifactManifest,
    number: usize,
    start: u64,
    content: &[u8],
) -> Result<(), DownloadError> {
    let relative = relative_path(manifest, number);
    let path = dir.join(&relative);
    // One that was whole once may be read-only.
    let writable = || match files.exists(&path) {
        true => set_mode(files, &path, PRIVATE_FILE),
        false => Ok(()),
    };
    create_parents_below(files, dir, &relative)
        .and_then(|()| writable())
        .and_then(|()| files.write_at(&path, start, content, PRIVATE_FILE))
        .map_err(|error| DownloadError::storage(&path, &error))
}

fn set_mode(files: &dyn Files, path: &Path, mode: u32) -> io::Result<()> {
    match files.has_mode(path, mode)? {
        true => Ok(()),
        false => files.set_mode(path, mode),
    }
}
