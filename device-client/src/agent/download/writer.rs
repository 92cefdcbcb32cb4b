//! Takes the bytes of an artifact file in order and puts proven content in place. Nothing
//! counts as had before its hash is right, and nothing is written through a link. Holds
//! one segment in memory; what has arrived of it outlives a connection ([`super::part`]).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hoist_protocol::bundle::{LENGTH_BYTES, Layout};
use hoist_protocol::reason::Reason;
use hoist_protocol::release::{ArtifactManifest, ArtifactRef};

use super::part::Part;
use super::segments::Segments;
use super::start::{self, IndexWriter, Progress};
use super::{Artifact, DownloadError};
use crate::agent::files::Files;

/// An artifact file on its way to disk.
pub struct ArtifactWriter {
    files: Arc<dyn Files>,
    dir: PathBuf,
    reference: ArtifactRef,
    /// Of the segment, or the piece of the start, at hand.
    pending: Vec<u8>,
    /// The part of it that is on disk.
    part: Part,
    /// True if it comes from more than one connection.
    is_mixed: bool,
    stage: Stage,
    received: u64,
}

enum Stage {
    Length,
    Manifest { bytes: usize },
    Index(IndexWriter),
    Segments(Segments),
}

impl ArtifactWriter {
    /// Continues what is in `dir`, as far as it proves itself, or begins. Blocks.
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
            part: Part::default(),
            is_mixed: false,
            stage: Stage::Length,
            received: 0,
        };
        match writer.skip_proven() {
            // It changed while it was read: as good as not there.
            Err(error) if error.is_wrong_content() => {}
            result => result?,
        }
        Ok(writer)
    }

    /// The manifest, once the start is on disk and proven.
    #[must_use]
    pub fn manifest(&self) -> Option<&ArtifactManifest> {
        match &self.stage {
            Stage::Segments(segments) => Some(segments.manifest()),
            Stage::Length | Stage::Manifest { .. } | Stage::Index(_) => None,
        }
    }

    /// Bytes of content had, the unfinished segment's among them, and bytes still to be
    /// written; known with the manifest.
    #[must_use]
    pub fn content_bytes(&self) -> (u64, u64) {
        match &self.stage {
            Stage::Segments(segments) => (
                self.received.saturating_sub(segments.offset()),
                self.reference.size.saturating_sub(self.proven()),
            ),
            Stage::Length | Stage::Manifest { .. } | Stage::Index(_) => (0, self.reference.size),
        }
    }

    /// Where in the artifact file the next byte is expected.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.received
    }

    /// Bytes that are proven and on disk.
    pub(super) fn proven(&self) -> u64 {
        match &self.stage {
            Stage::Segments(_) => self.received - self.pending.len() as u64,
            Stage::Length | Stage::Manifest { .. } | Stage::Index(_) => 0,
        }
    }

    /// Another connection brings what follows.
    pub(super) fn goes_on(&mut self) {
        self.is_mixed = !self.pending.is_empty();
    }

    /// Keeps what has arrived of the segment at hand for the next connection.
    ///
    /// # Errors
    /// [`DownloadError`] when the file system refuses.
    pub fn keep_part(&mut self) -> Result<(), DownloadError> {
        let Stage::Segments(segments) = &self.stage else {
            return Ok(());
        };
        let number = segments.number();
        let files = self.files.as_ref();
        self.part.keep(files, &self.dir, number, &self.pending)
    }

    /// Takes nothing that is not proven and was received behind `offset` for had.
    pub fn back_to(&mut self, offset: u64) {
        let begins = self.received - self.pending.len() as u64;
        let keep = usize::try_from(offset.saturating_sub(begins)).unwrap_or(usize::MAX);
        if keep < self.pending.len() {
            self.pending.truncate(keep);
            self.received = begins + keep as u64;
            self.part.forget();
        }
    }

    /// True if every byte is there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(&self.stage, Stage::Segments(segments) if segments.is_done())
    }

    /// Where a request for the start should end: with the start, as soon as the manifest
    /// says where that is; before, some bytes on.
    pub(super) fn start_end(&self, some_bytes: u64) -> u64 {
        let some = self.received + some_bytes;
        match &self.stage {
            Stage::Length => some,
            Stage::Manifest { bytes } => some.max((LENGTH_BYTES + bytes) as u64),
            Stage::Index(index) => index.layout.segments_offset,
            Stage::Segments(segments) => segments.offset(),
        }
    }

    /// Takes the next bytes until the start is whole, and returns those that follow it:
    /// no content is written.
    ///
    /// # Errors
    /// As [`ArtifactWriter::push`].
    pub fn push_start<'a>(&mut self, mut bytes: &'a [u8]) -> Result<&'a [u8], DownloadError> {
        self.finish_empty()?;
        while !bytes.is_empty() && self.manifest().is_none() {
            bytes = self.take(bytes)?;
        }
        Ok(bytes)
    }

    /// Takes the next bytes; what follows the artifact's end is ignored (bad-inputs row 46).
    ///
    /// # Errors
    /// [`DownloadError`]. After a wrong hash (bad-inputs row 47) of a segment the writer is where that
    /// segment begins; of the start, it is good only for [`ArtifactWriter::reset`]. What was
    /// proven before is still on disk.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), DownloadError> {
        self.finish_empty()?;
        while !bytes.is_empty() && !self.is_complete() {
            bytes = self.take(bytes)?;
        }
        Ok(())
    }

    /// Makes everything durable and hands it over. Blocks.
    ///
    /// # Errors
    /// [`DownloadError`], also when bytes are missing.
    pub fn finish(mut self) -> Result<Artifact, DownloadError> {
        self.finish_empty()?;
        match self.stage {
            Stage::Segments(segments) if segments.is_done() => {
                self.part.remove(self.files.as_ref(), &self.dir)?;
                let artifact = Artifact {
                    manifest: segments.into_manifest(),
                    dir: self.dir,
                };
                artifact.verify(self.files.as_ref())?;
                artifact.sync(self.files.as_ref())?;
                Ok(artifact)
            }
            _ => Err(DownloadError::incomplete(
                self.received,
                self.reference.size,
            )),
        }
    }

    /// Forgets everything had, also on disk.
    ///
    /// # Errors
    /// [`DownloadError`] when the file system refuses.
    pub fn reset(&mut self) -> Result<(), DownloadError> {
        let storage = |error: io::Error| DownloadError::storage(&self.dir, &error);
        self.files.remove_dir(&self.dir).map_err(storage)?;
        self.files.create_dir(&self.dir).map_err(storage)?;
        self.pending.clear();
        self.part.forget();
        self.is_mixed = false;
        self.stage = Stage::Length;
        self.received = 0;
        Ok(())
    }

    fn skip_proven(&mut self) -> Result<(), DownloadError> {
        let files = self.files.as_ref();
        let Some(layout) = start::proven(files, &self.dir, &self.reference) else {
            return Ok(());
        };
        let mut segments = Segments::new(files, &self.dir, layout)?;
        let proven = segments.skip_proven(files, &self.dir)?;
        segments.create_empty_files(files, &self.dir)?;
        self.received = segments.offset() + proven;
        let wanted = usize::try_from(segments.wanted()).unwrap_or(usize::MAX);
        let part = Part::read(files, &self.dir, segments.number(), wanted);
        if let Some((part, content)) = part.filter(|_| !segments.is_done()) {
            self.received += content.len() as u64;
            self.pending = content;
            self.part = part;
        }
        self.stage = Stage::Segments(segments);
        Ok(())
    }

    /// Takes bytes of the part at hand and returns those that follow it.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], DownloadError> {
        let wanted = self.wanted().saturating_sub(self.pending.len());
        let (taken, rest) = bytes.split_at(wanted.min(bytes.len()));
        self.pending.extend_from_slice(taken);
        self.received += taken.len() as u64;
        if taken.len() == wanted {
            self.advance()?;
            self.finish_empty()?;
        }
        Ok(rest)
    }

    /// Bytes of the part at hand.
    fn wanted(&self) -> usize {
        let wanted = match &self.stage {
            Stage::Length => LENGTH_BYTES as u64,
            Stage::Manifest { bytes } => (LENGTH_BYTES + bytes) as u64,
            Stage::Index(index) => index.wanted(),
            Stage::Segments(segments) => segments.wanted(),
        };
        usize::try_from(wanted).unwrap_or(usize::MAX)
    }

    /// An index without entries is complete without a byte.
    fn finish_empty(&mut self) -> Result<(), DownloadError> {
        if matches!(&self.stage, Stage::Index(_)) && self.wanted() == self.pending.len() {
            self.advance()?;
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<(), DownloadError> {
        let files = self.files.as_ref();
        match &mut self.stage {
            Stage::Length => {
                let bytes = Layout::manifest_bytes(&self.pending)?;
                if (LENGTH_BYTES + bytes) as u64 > self.reference.size {
                    // The length is not signed, the size is (bad-inputs row 51).
                    return Err(DownloadError::hash("the manifest's length"));
                }
                self.stage = Stage::Manifest { bytes };
            }
            Stage::Manifest { .. } => {
                let layout = Layout::read_expected(&self.pending, &self.reference)?;
                self.stage = Stage::Index(IndexWriter::new(layout)?);
            }
            Stage::Index(index) => {
                let progress = index.write(files, &self.dir, &self.pending)?;
                self.pending.clear();
                if progress == Progress::Whole {
                    let layout = index.layout.clone();
                    let segments = Segments::new(files, &self.dir, layout)?;
                    segments.create_empty_files(files, &self.dir)?;
                    self.stage = Stage::Segments(segments);
                }
            }
            Stage::Segments(segments) => {
                let written = segments.write(files, &self.dir, &self.pending);
                return self.close_segment(written);
            }
        }
        Ok(())
    }

    /// The segment at hand is whole: it is on disk, or none of it is worth anything.
    fn close_segment(&mut self, written: Result<(), DownloadError>) -> Result<(), DownloadError> {
        let was_mixed = std::mem::take(&mut self.is_mixed);
        match written {
            Ok(()) => {
                self.pending.clear();
                self.part.forget();
                Ok(())
            }
            Err(error) if error.is_wrong_content() => {
                self.received -= self.pending.len() as u64;
                self.pending.clear();
                self.part.remove(self.files.as_ref(), &self.dir)?;
                Err(match was_mixed {
                    // The file may have changed between the two, and not be wrong now.
                    true => DownloadError::later(error.reason, error.detail),
                    false => error,
                })
            }
            Err(error) => Err(error),
        }
    }
}

/// The signed sizes leave no room for what the file must have.
pub(super) fn too_short(reference: &ArtifactRef) -> DownloadError {
    let detail = format!("the artifact has only {} signed bytes", reference.size);
    DownloadError::refused(Reason::LengthMismatch, detail)
}
