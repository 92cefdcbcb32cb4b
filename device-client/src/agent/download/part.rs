//! The part of an unfinished segment that has arrived when a connection breaks, in the file `part`:
//! the next connection goes on behind it, also after a restart. It is not proven, and counts as
//! nothing before its segment is whole and has its hash. It is not synced for the same reason: what
//! a power cut made of it shows then, and is thrown away.

use std::path::{Path, PathBuf};

use super::DownloadError;
use crate::agent::files::{Files, PRIVATE_FILE};

const PART_FILE: &str = "part";
/// Before the bytes: the number of their segment in the artifact, little-endian.
const NUMBER_BYTES: usize = size_of::<u64>();

/// The part of the segment at hand that is in the file.
#[derive(Debug, Default)]
pub(super) struct Part {
    kept: usize,
}

impl Part {
    /// The bytes kept of this segment, which has `wanted` bytes.
    pub(super) fn read(
        files: &dyn Files,
        dir: &Path,
        number: u64,
        wanted: usize,
    ) -> Option<(Self, Vec<u8>)> {
        let most = NUMBER_BYTES + wanted;
        let mut bytes = files.read(&path(dir), most as u64).ok()?;
        // A whole segment is never kept here.
        if bytes.len() <= NUMBER_BYTES || bytes.len() >= most {
            return None;
        }
        let content = bytes.split_off(NUMBER_BYTES);
        let kept = content.len();
        (bytes == number.to_le_bytes()).then_some((Self { kept }, content))
    }

    /// Keeps what the segment has more than before: flash is written once.
    pub(super) fn keep(
        &mut self,
        files: &dyn Files,
        dir: &Path,
        number: u64,
        content: &[u8],
    ) -> Result<(), DownloadError> {
        let path = path(dir);
        let failed = |error| DownloadError::storage(&path, &error);
        let more = content.get(self.kept..).unwrap_or_default();
        if more.is_empty() {
            return Ok(());
        }
        if self.kept == 0 {
            // Another segment's, or a link laid as a trap.
            files.remove(&path).map_err(failed)?;
            let bytes = [&number.to_le_bytes(), more].concat();
            files.write_at(&path, 0, &bytes, PRIVATE_FILE)
        } else {
            let end = (NUMBER_BYTES + self.kept) as u64;
            files.write_at(&path, end, more, PRIVATE_FILE)
        }
        .map_err(failed)?;
        self.kept = content.len();
        Ok(())
    }

    /// Its segment is whole, or worth nothing: the file is not about the one at hand.
    pub(super) fn forget(&mut self) {
        self.kept = 0;
    }

    /// Removes the file, if there is one.
    pub(super) fn remove(&mut self, files: &dyn Files, dir: &Path) -> Result<(), DownloadError> {
        self.kept = 0;
        let path = path(dir);
        if !files.exists(&path) {
            return Ok(());
        }
        let removed = files.remove(&path);
        removed.map_err(|error| DownloadError::storage(&path, &error))
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join(PART_FILE)
}
