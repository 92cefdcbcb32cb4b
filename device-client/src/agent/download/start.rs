//! The start of an artifact file: length, manifest and segment index. It is kept as the
//! file `start`, proven whole before it gets that name. Only the manifest is in memory:
//! the index of a large artifact would not fit a small device.

use std::path::Path;

use hoist_protocol::bundle::{
    BundleError, INDEX_ENTRY_BYTES, IndexEntry, LENGTH_BYTES, Layout, segment_bytes, segment_count,
};
use hoist_protocol::codec::Message;
use hoist_protocol::reason::Reason;
use hoist_protocol::release::{ArtifactManifest, ArtifactRef, Payload};
use sha2::{Digest, Sha256};

use super::DownloadError;
use crate::agent::files::{Files, PRIVATE_FILE};

const START_FILE: &str = "start";
/// While it is not proven.
const NEW_START_FILE: &str = "start.new";
/// A segment is held in memory until it is proven, so a release may not choose it larger.
const SEGMENT_BYTES_MAX: u64 = 1024 * 1024;
/// Bounds the index on disk: enough for 64 GiB of content in default segments.
const INDEX_BYTES_MAX: u64 = 10 * 1024 * 1024;
/// Bytes of the index in memory at a time.
const PART_BYTES: u64 = (INDEX_ENTRY_BYTES * 1024) as u64;

/// A segment index on its way to disk.
pub(super) struct IndexWriter {
    pub(super) layout: Box<Layout>,
    proof: IndexProof,
    written: u64,
}

impl IndexWriter {
    pub(super) fn new(layout: Layout) -> Result<Self, DownloadError> {
        check_bounds(&layout)?;
        Ok(Self {
            proof: IndexProof::new(&layout.manifest)?,
            layout: Box::new(layout),
            written: 0,
        })
    }

    /// Bytes to collect for the next [`IndexWriter::write`]: the first ones are length and
    /// manifest.
    pub(super) fn wanted(&self) -> u64 {
        let end = self.written.max(self.layout.index_offset) + PART_BYTES;
        end.min(self.layout.segments_offset) - self.written
    }

    /// Proves the next part and keeps it. The file gets its name with the last part.
    pub(super) fn write(
        &mut self,
        files: &dyn Files,
        dir: &Path,
        part: &[u8],
    ) -> Result<Progress, DownloadError> {
        let head = self.layout.index_offset.saturating_sub(self.written);
        let head = usize::try_from(head).unwrap_or(usize::MAX);
        let entries = part.get(head..).unwrap_or_default();
        self.proof.take(&self.layout.manifest, entries)?;
        let path = dir.join(NEW_START_FILE);
        let failed = |error| DownloadError::storage(&path, &error);
        if self.written == 0 {
            // Left over, or a link laid as a trap.
            files.remove(&path).map_err(failed)?;
        }
        files
            .write_at(&path, self.written, part, PRIVATE_FILE)
            .map_err(failed)?;
        self.written += part.len() as u64;
        if self.written < self.layout.segments_offset {
            return Ok(Progress::More);
        }
        let named = files
            .sync(&path)
            .and_then(|()| files.rename(&path, &dir.join(START_FILE)))
            .and_then(|()| files.sync_dir(dir));
        named.map_err(failed)?;
        Ok(Progress::Whole)
    }
}

/// The progress of a start.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// More is to come.
    More,
    /// It is on disk and proven.
    Whole,
}

/// Proves a segment index entry by entry against the manifest.
struct IndexProof {
    payload: usize,
    segment: u64,
    hash: Sha256,
}

impl IndexProof {
    fn new(manifest: &ArtifactManifest) -> Result<Self, DownloadError> {
        let mut proof = Self {
            payload: 0,
            segment: 0,
            hash: Sha256::new(),
        };
        proof.close_payloads(manifest)?;
        Ok(proof)
    }

    fn take(&mut self, manifest: &ArtifactManifest, part: &[u8]) -> Result<(), DownloadError> {
        for entry in part.chunks_exact(INDEX_ENTRY_BYTES) {
            let payload = manifest
                .payloads
                .get(self.payload)
                .ok_or(BundleError::IndexHash)?;
            let entry = read_entry(entry, payload, self.segment)?;
            self.hash.update(entry.hash);
            self.segment += 1;
            self.close_payloads(manifest)?;
        }
        Ok(())
    }

    fn close_payloads(&mut self, manifest: &ArtifactManifest) -> Result<(), DownloadError> {
        while let Some(payload) = manifest.payloads.get(self.payload) {
            if self.segment < segment_count(payload) {
                break;
            }
            let hash: [u8; 32] = std::mem::take(&mut self.hash).finalize().into();
            if hash != payload.index_hash {
                return Err(BundleError::IndexHash.into());
            }
            self.payload += 1;
            self.segment = 0;
        }
        Ok(())
    }
}

fn read_entry(bytes: &[u8], payload: &Payload, segment: u64) -> Result<IndexEntry, DownloadError> {
    // Only the hashes are signed: a wrong encoding or length is as wrong as any other byte,
    // and must not decide how much is held in memory.
    let wrong = |error| DownloadError::hash(&format!("the segment index ({error})"));
    let entry = IndexEntry::read(bytes).map_err(wrong)?;
    if u64::from(entry.stored_bytes) != segment_bytes(payload, segment) {
        return Err(DownloadError::hash("the segment index"));
    }
    Ok(entry)
}

/// The start that is on disk, if it proves itself.
pub(super) fn proven(
    files: &dyn Files,
    dir: &Path,
    reference: &ArtifactRef,
) -> Option<Box<Layout>> {
    let layout = read_layout(files, dir, reference)?;
    check_bounds(&layout).ok()?;
    let mut proof = IndexProof::new(&layout.manifest).ok()?;
    let path = dir.join(START_FILE);
    let mut offset = layout.index_offset;
    while offset < layout.segments_offset {
        let bytes = PART_BYTES.min(layout.segments_offset - offset);
        let part = files.read_at(&path, offset, bytes).ok()?;
        if part.len() as u64 != bytes {
            return None;
        }
        proof.take(&layout.manifest, &part).ok()?;
        offset += bytes;
    }
    Some(Box::new(layout))
}

/// The manifest of an artifact that was fetched before, at least its start.
#[must_use]
pub fn read_start(
    files: &dyn Files,
    dir: &Path,
    reference: &ArtifactRef,
) -> Option<ArtifactManifest> {
    Some(read_layout(files, dir, reference)?.manifest)
}

fn read_layout(files: &dyn Files, dir: &Path, reference: &ArtifactRef) -> Option<Layout> {
    let most = (LENGTH_BYTES + ArtifactManifest::BYTES_MAX) as u64;
    let bytes = files.read(&dir.join(START_FILE), most).ok()?;
    Layout::read_expected(&bytes, reference).ok()
}

/// The index entry of a segment, counted over all payloads.
pub(super) fn index_entry(
    files: &dyn Files,
    dir: &Path,
    layout: &Layout,
    at: Position,
) -> Result<IndexEntry, DownloadError> {
    let path = dir.join(START_FILE);
    let offset = layout.index_offset + at.number * INDEX_ENTRY_BYTES as u64;
    let bytes = files
        .read_at(&path, offset, INDEX_ENTRY_BYTES as u64)
        .map_err(|error| DownloadError::storage(&path, &error))?;
    if bytes.len() != INDEX_ENTRY_BYTES {
        // It was whole before: something changed it under us.
        return Err(DownloadError::hash("the segment index"));
    }
    read_entry(&bytes, &layout.manifest.payloads[at.payload], at.segment)
}

/// Names one segment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Position {
    /// Of which payload.
    pub(super) payload: usize,
    /// Which one in it.
    pub(super) segment: u64,
    /// Which one in the artifact.
    pub(super) number: u64,
}

fn check_bounds(layout: &Layout) -> Result<(), DownloadError> {
    let large = |payload: &Payload| u64::from(payload.segment_size) > SEGMENT_BYTES_MAX;
    if layout.segments_offset > INDEX_BYTES_MAX || layout.manifest.payloads.iter().any(large) {
        return Err(DownloadError::refused(
            Reason::Unsupported,
            "the artifact's segments or their index are larger than this device takes".to_owned(),
        ));
    }
    Ok(())
}
