//! The content of an artifact, segment by segment: what is on disk and has its hash
//! counts, everything else is still to come.

use std::path::Path;

use hoist_protocol::bundle::{IndexEntry, Layout, segment_bytes, segment_count};
use hoist_protocol::id::sha256;
use hoist_protocol::release::ArtifactManifest;

use super::DownloadError;
use super::artifact::{payload_path, write_payload};
use super::start::{Position, index_entry};
use crate::agent::files::Files;

/// Where in an artifact's content the next bytes belong.
pub(super) struct Segments {
    layout: Box<Layout>,
    at: Position,
    /// Of the segment at hand; none after the last one.
    entry: Option<IndexEntry>,
}

impl Segments {
    /// Begins with the first segment.
    pub(super) fn new(
        files: &dyn Files,
        dir: &Path,
        layout: Box<Layout>,
    ) -> Result<Self, DownloadError> {
        let mut segments = Self {
            layout,
            at: Position::default(),
            entry: None,
        };
        segments.find_entry(files, dir)?;
        Ok(segments)
    }

    pub(super) fn manifest(&self) -> &ArtifactManifest {
        &self.layout.manifest
    }

    pub(super) fn into_manifest(self) -> ArtifactManifest {
        self.layout.manifest
    }

    /// First byte of the content in the artifact file.
    pub(super) fn offset(&self) -> u64 {
        self.layout.segments_offset
    }

    pub(super) fn is_done(&self) -> bool {
        self.entry.is_none()
    }

    /// Number of the segment at hand in the artifact.
    pub(super) fn number(&self) -> u64 {
        self.at.number
    }

    /// Stored bytes of the segment at hand.
    pub(super) fn wanted(&self) -> u64 {
        self.entry.map_or(0, |entry| entry.stored_bytes.into())
    }

    /// Steps over what is on disk and has its hash; returns how many stored bytes.
    pub(super) fn skip_proven(
        &mut self,
        files: &dyn Files,
        dir: &Path,
    ) -> Result<u64, DownloadError> {
        let mut proven = 0;
        while let Some(entry) = self.entry {
            let manifest = &self.layout.manifest;
            let payload = &manifest.payloads[self.at.payload];
            let path = payload_path(dir, manifest, self.at.payload);
            let bytes = segment_bytes(payload, self.at.segment);
            let start = self.at.segment * u64::from(payload.segment_size);
            let content = files.read_at(&path, start, bytes);
            if !content.is_ok_and(|content| sha256(&content) == entry.hash) {
                break;
            }
            proven += u64::from(entry.stored_bytes);
            self.step(files, dir)?;
        }
        Ok(proven)
    }

    /// Puts the content of the segment at hand in place, if it has its hash.
    pub(super) fn write(
        &mut self,
        files: &dyn Files,
        dir: &Path,
        content: &[u8],
    ) -> Result<(), DownloadError> {
        let Position {
            payload, segment, ..
        } = self.at;
        let manifest = &self.layout.manifest;
        if self.entry.is_none_or(|entry| sha256(content) != entry.hash) {
            let name = &manifest.payloads[payload].target;
            return Err(DownloadError::hash(&format!("segment {segment} of {name}")));
        }
        // Whatever followed is not proven: the file ends with this segment.
        let start = segment * u64::from(manifest.payloads[payload].segment_size);
        write_payload(files, dir, manifest, payload, start, content)?;
        self.step(files, dir)
    }

    /// A payload without content is a file all the same.
    pub(super) fn create_empty_files(
        &self,
        files: &dyn Files,
        dir: &Path,
    ) -> Result<(), DownloadError> {
        let manifest = &self.layout.manifest;
        let empty = |(_, payload): &(usize, &_)| segment_count(payload) == 0;
        let mut empty = manifest.payloads.iter().enumerate().filter(empty);
        empty.try_for_each(|(number, _)| write_payload(files, dir, manifest, number, 0, &[]))
    }

    fn step(&mut self, files: &dyn Files, dir: &Path) -> Result<(), DownloadError> {
        self.at.segment += 1;
        self.at.number += 1;
        self.find_entry(files, dir)
    }

    fn find_entry(&mut self, files: &dyn Files, dir: &Path) -> Result<(), DownloadError> {
        self.entry = None;
        while let Some(payload) = self.layout.manifest.payloads.get(self.at.payload) {
            if self.at.segment < segment_count(payload) {
                self.entry = Some(index_entry(files, dir, &self.layout, self.at)?);
                break;
            }
            self.at.payload += 1;
            self.at.segment = 0;
        }
        Ok(())
    }
}
