//! Takes the bytes of an artifact file in order and puts proven content in place. Nothing
//! counts as had before its hash is right, and nothing is written through a link.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hoist_protocol::bundle::{BundleError, IndexEntry, LENGTH_BYTES, Layout, segment_bytes};
use hoist_protocol::codec::DecodeError;
use hoist_protocol::id::sha256;
use hoist_protocol::reason::Reason;
use hoist_protocol::release::{ArtifactManifest, ArtifactRef, Payload, PayloadKind};
use hoist_protocol::status::ScriptKind;

use super::{Artifact, DownloadError};
use crate::agent::files::{Files, PRIVATE_DIR, PRIVATE_FILE, create_parents_below, write_atomic};

/// Manifest and segment index, kept to resume by: the file's own first bytes.
const START_FILE: &str = "start";
/// A segment is held in memory until it is proven, so a release may not choose it larger.
const SEGMENT_BYTES_MAX: u64 = 1024 * 1024;
/// Bounds the index in memory: enough for 64 GiB of content in default segments.
const INDEX_BYTES_MAX: u64 = 10 * 1024 * 1024;

/// An artifact file on its way to disk.
pub struct ArtifactWriter {
    files: Arc<dyn Files>,
    dir: PathBuf,
    reference: ArtifactRef,
    pending: Vec<u8>,
    stage: Stage,
    received: u64,
}

enum Stage {
    Length,
    Manifest { bytes: usize },
    Index(Box<Layout>),
    Segments(Box<Segments>),
}

struct Segments {
    manifest: ArtifactManifest,
    index: Vec<Vec<IndexEntry>>,
    payload: usize,
    segment: usize,
}

impl ArtifactWriter {
    /// Continues what is in `dir`, as far as it proves itself, or begins.
    ///
    /// # Errors
    /// [`DownloadError`] when the file system refuses.
    pub fn open(
        files: Arc<dyn Files>,
        dir: &Path,
        reference: ArtifactRef,
    ) -> Result<Self, DownloadError> {
        files
            .create_dir(dir)
            .map_err(|error| DownloadError::storage(dir, &error))?;
        let mut writer = Self {
            files,
            dir: dir.to_path_buf(),
            reference,
            pending: Vec::new(),
            stage: Stage::Length,
            received: 0,
        };
        if let Some((layout, index)) = writer.proven_start() {
            let mut segments = Segments::new(layout.manifest, index);
            let proven = segments.skip_proven(writer.files.as_ref(), dir);
            writer.received = layout.segments_offset + proven;
            writer.stage = Stage::Segments(Box::new(segments));
        }
        Ok(writer)
    }

    /// Where in the artifact file the next byte is expected.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.received
    }

    /// Whether every byte is there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(&self.stage, Stage::Segments(segments) if segments.is_done())
    }

    /// Takes the next bytes; what follows the artifact's end is ignored (row 46).
    ///
    /// # Errors
    /// [`DownloadError`]; everything had is removed when a hash is wrong (row 47).
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), DownloadError> {
        self.finish_empty()?;
        while !bytes.is_empty() && !self.is_complete() {
            let wanted = self.wanted().saturating_sub(self.pending.len());
            let (taken, rest) = bytes.split_at(wanted.min(bytes.len()));
            self.pending.extend_from_slice(taken);
            self.received += taken.len() as u64;
            bytes = rest;
            if taken.len() == wanted {
                self.advance()?;
                self.finish_empty()?;
            }
        }
        Ok(())
    }

    /// Makes everything durable and hands it over.
    ///
    /// # Errors
    /// [`DownloadError`], also when bytes are missing.
    pub fn finish(mut self) -> Result<Artifact, DownloadError> {
        self.finish_empty()?;
        match self.stage {
            Stage::Segments(segments) if segments.is_done() => {
                let artifact = Artifact {
                    manifest: segments.manifest,
                    dir: self.dir,
                };
                artifact.verify(self.files.as_ref())?;
                artifact.sync(self.files.as_ref())?;
                Ok(artifact)
            }
            _ => Err(DownloadError::length(self.received, self.reference.size)),
        }
    }

    /// Forgets everything had.
    ///
    /// # Errors
    /// [`DownloadError`] when the file system refuses.
    pub fn reset(&mut self) -> Result<(), DownloadError> {
        let storage = |error: io::Error| DownloadError::storage(&self.dir, &error);
        self.files.remove_dir(&self.dir).map_err(storage)?;
        self.files.create_dir(&self.dir).map_err(storage)?;
        self.pending.clear();
        self.stage = Stage::Length;
        self.received = 0;
        Ok(())
    }

    fn wanted(&self) -> usize {
        match &self.stage {
            Stage::Length => LENGTH_BYTES,
            Stage::Manifest { bytes } => *bytes + LENGTH_BYTES,
            Stage::Index(layout) => usize::try_from(layout.segments_offset).unwrap_or(usize::MAX),
            Stage::Segments(segments) => segments
                .entry()
                .map_or(0, |entry| entry.stored_bytes as usize),
        }
    }

    /// An index without entries is complete without a byte.
    fn finish_empty(&mut self) -> Result<(), DownloadError> {
        if matches!(&self.stage, Stage::Index(_)) && self.wanted() == self.pending.len() {
            self.advance()?;
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<(), DownloadError> {
        match &mut self.stage {
            Stage::Length => {
                let bytes = Layout::manifest_bytes(&self.pending)?;
                self.stage = Stage::Manifest { bytes };
            }
            Stage::Manifest { .. } => {
                let layout = Layout::read_expected(&self.pending, &self.reference)?;
                check_bounds(&layout)?;
                self.stage = Stage::Index(Box::new(layout));
            }
            Stage::Index(layout) => {
                let start = usize::try_from(layout.index_offset).unwrap_or(usize::MAX);
                let index = layout.read_index(self.pending.get(start..).unwrap_or_default())?;
                let path = self.dir.join(START_FILE);
                write_atomic(self.files.as_ref(), &path, &self.pending, PRIVATE_FILE)
                    .map_err(|error| DownloadError::storage(&path, &error))?;
                let segments = Segments::new(layout.manifest.clone(), index);
                segments.create_empty_files(self.files.as_ref(), &self.dir)?;
                self.pending.clear();
                self.stage = Stage::Segments(Box::new(segments));
            }
            Stage::Segments(segments) => {
                segments.write(self.files.as_ref(), &self.dir, &self.pending)?;
                self.pending.clear();
            }
        }
        Ok(())
    }

    fn proven_start(&self) -> Option<(Layout, Vec<Vec<IndexEntry>>)> {
        let bytes = read_start_file(self.files.as_ref(), &self.dir)?;
        let layout = Layout::read_expected(&bytes, &self.reference).ok()?;
        check_bounds(&layout).ok()?;
        let start = usize::try_from(layout.index_offset).ok()?;
        let index = layout.read_index(bytes.get(start..)?).ok()?;
        Some((layout, index))
    }
}

fn read_start_file(files: &dyn Files, dir: &Path) -> Option<Vec<u8>> {
    files.read(&dir.join(START_FILE), INDEX_BYTES_MAX).ok()
}

/// The manifest of an artifact that was fetched before, at least its start.
#[must_use]
pub fn read_start(
    files: &dyn Files,
    dir: &Path,
    reference: &ArtifactRef,
) -> Option<ArtifactManifest> {
    let layout = Layout::read_expected(&read_start_file(files, dir)?, reference);
    Some(layout.ok()?.manifest)
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

impl Segments {
    fn new(manifest: ArtifactManifest, index: Vec<Vec<IndexEntry>>) -> Self {
        let mut segments = Self {
            manifest,
            index,
            payload: 0,
            segment: 0,
        };
        segments.skip_empty_payloads();
        segments
    }

    fn is_done(&self) -> bool {
        self.payload >= self.index.len()
    }

    fn entry(&self) -> Option<&IndexEntry> {
        self.index.get(self.payload)?.get(self.segment)
    }

    fn step(&mut self) {
        self.segment += 1;
        self.skip_empty_payloads();
    }

    fn skip_empty_payloads(&mut self) {
        while self
            .index
            .get(self.payload)
            .is_some_and(|list| self.segment >= list.len())
        {
            self.payload += 1;
            self.segment = 0;
        }
    }

    /// Steps over what is on disk and has its hash; returns how many stored bytes.
    fn skip_proven(&mut self, files: &dyn Files, dir: &Path) -> u64 {
        let mut proven = 0;
        while let Some(entry) = self.entry().copied() {
            let payload = &self.manifest.payloads[self.payload];
            let path = payload_path(dir, &self.manifest, self.payload);
            let start = self.segment as u64 * u64::from(payload.segment_size);
            let bytes = segment_bytes(payload, self.segment as u64);
            let content = files.read_at(&path, start, bytes);
            if content.is_ok_and(|content| sha256(&content) == entry.hash) {
                proven += u64::from(entry.stored_bytes);
                self.step();
            } else {
                break;
            }
        }
        proven
    }

    fn create_empty_files(&self, files: &dyn Files, dir: &Path) -> Result<(), DownloadError> {
        for (number, list) in self.index.iter().enumerate() {
            if list.is_empty() {
                write_payload(files, dir, &self.manifest, number, 0, &[])?;
            }
        }
        Ok(())
    }

    fn write(
        &mut self,
        files: &dyn Files,
        dir: &Path,
        content: &[u8],
    ) -> Result<(), DownloadError> {
        let proven = self
            .entry()
            .is_some_and(|entry| sha256(content) == entry.hash);
        if !proven {
            let name = &self.manifest.payloads[self.payload].target;
            return Err(DownloadError::hash(&format!(
                "segment {} of {name}",
                self.segment
            )));
        }
        let segment_size = self.manifest.payloads[self.payload].segment_size;
        // Whatever followed is not proven: the file ends with this segment.
        let start = self.segment as u64 * u64::from(segment_size);
        write_payload(files, dir, &self.manifest, self.payload, start, content)?;
        self.step();
        Ok(())
    }
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

fn write_payload(
    files: &dyn Files,
    dir: &Path,
    manifest: &ArtifactManifest,
    number: usize,
    start: u64,
    content: &[u8],
) -> Result<(), DownloadError> {
    let relative = relative_path(manifest, number);
    let path = dir.join(&relative);
    let mode = match manifest.payloads[number].kind {
        PayloadKind::File => PRIVATE_FILE,
        PayloadKind::Executable | PayloadKind::Script => PRIVATE_DIR,
    };
    create_parents_below(files, dir, &relative)
        .and_then(|()| files.write_at(&path, start, content, mode))
        .map_err(|error| DownloadError::storage(&path, &error))
}

impl Artifact {
    fn sync(&self, files: &dyn Files) -> Result<(), DownloadError> {
        let mut folders = vec![self.dir.clone()];
        // The entry of the artifact's own folder is as much needed as what is in it.
        folders.extend(self.dir.parent().map(Path::to_path_buf));
        for number in 0..self.manifest.payloads.len() {
            let path = payload_path(&self.dir, &self.manifest, number);
            files
                .sync(&path)
                .map_err(|error| DownloadError::storage(&path, &error))?;
            let above = path
                .ancestors()
                .skip(1)
                .take_while(|folder| *folder != self.dir);
            folders.extend(above.map(Path::to_path_buf));
        }
        folders.sort_unstable();
        folders.dedup();
        folders.iter().try_for_each(|folder| {
            files
                .sync_dir(folder)
                .map_err(|error| DownloadError::storage(folder, &error))
        })
    }
}

impl From<BundleError> for DownloadError {
    fn from(error: BundleError) -> Self {
        let detail = error.to_string();
        match error {
            BundleError::Hash | BundleError::IndexHash | BundleError::Magic => Self::hash(&detail),
            BundleError::Truncated { .. } | BundleError::Size { .. } => {
                Self::refused(Reason::LengthMismatch, detail)
            }
            BundleError::Encoding { .. } => Self::refused(Reason::Unsupported, detail),
            // Only a body that is not the signed one announces such a length.
            BundleError::Manifest(DecodeError::TooLarge { .. }) => Self::hash(&detail),
            BundleError::Manifest(DecodeError::Version { .. }) => {
                Self::refused(Reason::Unsupported, detail)
            }
            // Signed, but with a path that leads outside, or malformed.
            BundleError::Manifest(_) => Self::refused(Reason::BadArchive, detail),
        }
    }
}
