//! A release that somebody brought to the device, and how it is copied to where a download
//! would be.

use std::io::{self, Write};
use std::sync::Arc;

use hoist_protocol::codec::encode;
use hoist_protocol::reason::Reason;
use hoist_protocol::release::ReleaseManifest;

use super::bundle::{HoistFile, PackError, PackedRelease};
use super::download::{Artifact, ArtifactWriter, DownloadError};
use super::fetch_release::{FetchRelease, check};
use super::task::blocking;
use super::work::{Teller, Told};
use crate::machine::{FetchFailure, Retry};

/// A release on this machine.
pub(super) enum LocalRelease {
    Directory(PackedRelease),
    File(HoistFile),
}

impl LocalRelease {
    pub(super) fn manifest(&self) -> &ReleaseManifest {
        match self {
            Self::Directory(packed) => &packed.manifest,
            Self::File(file) => &file.manifest,
        }
    }

    /// The bytes that are kept to finish it: the manifest, in its envelope if it has one.
    pub(super) fn kept_bytes(&self) -> Vec<u8> {
        match self {
            Self::Directory(packed) => encode(&packed.manifest),
            Self::File(file) => file.signed.clone(),
        }
    }

    /// Gives a writer what it lacks, of its start only or of everything.
    fn copy(
        &self,
        index: usize,
        extent: Extent,
        writer: &mut ArtifactWriter,
    ) -> Result<(), DownloadError> {
        let mut into = Into {
            skip: writer.offset(),
            writer,
            extent,
            error: None,
        };
        if into.has_enough() {
            return Ok(());
        }
        let copied = match self {
            Self::Directory(packed) => packed.artifacts[index].write_to(&mut into),
            Self::File(file) => file.artifact(index).and_then(|(_, mut content)| {
                let copied = io::copy(&mut content, &mut into);
                copied.map(drop).map_err(|source| file.failed(source))
            }),
        };
        match (into.error.take(), copied) {
            (Some(error), _) => Err(error),
            (None, Err(error)) if !into.has_enough() => Err(unreadable(&error)),
            (None, _) => Ok(()),
        }
    }
}

/// The extent of a copy of an artifact.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Start,
    Everything,
}

fn unreadable(error: &PackError) -> DownloadError {
    let source = std::error::Error::source(error);
    let cause = source.map(|cause| format!(": {cause}")).unwrap_or_default();
    let reason = match error {
        PackError::Changed { .. } => Reason::HashMismatch,
        _ => Reason::StorageFailed,
    };
    DownloadError::refused(reason, format!("{error}{cause}"))
}

/// Gives a writer what it does not have yet.
struct Into<'a> {
    writer: &'a mut ArtifactWriter,
    skip: u64,
    extent: Extent,
    error: Option<DownloadError>,
}

impl Into<'_> {
    fn has_enough(&self) -> bool {
        match self.extent {
            Extent::Start => self.writer.manifest().is_some(),
            Extent::Everything => self.writer.is_complete(),
        }
    }
}

impl Write for Into<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.extent == Extent::Start && self.has_enough() {
            return Err(io::Error::other("that is enough"));
        }
        let had = usize::try_from(self.skip).unwrap_or(usize::MAX);
        let had = had.min(bytes.len());
        self.skip -= had as u64;
        let pushed = match self.extent {
            Extent::Start => self.writer.push_start(&bytes[had..]).map(drop),
            Extent::Everything => self.writer.push(&bytes[had..]),
        };
        pushed.map(|()| bytes.len()).map_err(|error| {
            let said = io::Error::other(error.to_string());
            self.error = Some(error);
            said
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Copies every artifact into its place, and proves it there: in the order that
/// [`super::download`] describes.
pub(super) async fn copy_release(work: FetchRelease, local: Arc<LocalRelease>, teller: Teller) {
    let told = match blocking(move || copy_artifacts(&work, &local)).await {
        Some(Ok(artifacts)) => Told::Fetched { artifacts },
        Some(Err(error)) => not_fetched(error),
        // The program ends.
        None => return,
    };
    teller.tell(told).await;
}

fn not_fetched(error: DownloadError) -> Told {
    tracing::error!(code = error.reason.code().as_str(), detail = %error.detail, "cannot copy the release");
    Told::NotFetched(FetchFailure {
        retry: Retry::Useless,
        ..error.into()
    })
}

fn copy_artifacts(
    work: &FetchRelease,
    local: &LocalRelease,
) -> Result<Vec<Artifact>, DownloadError> {
    let mut writers = Vec::new();
    let artifacts = work.release.artifacts.iter().zip(&work.dirs);
    for (index, (reference, dir)) in artifacts.enumerate() {
        let mut writer = ArtifactWriter::open(work.files.clone(), dir, *reference)?;
        // What a server sent of a segment is as quickly read here.
        writer.back_to(0);
        local.copy(index, Extent::Start, &mut writer)?;
        writers.push(writer);
    }
    check(work, &writers.iter().collect::<Vec<_>>())?;
    let writers = writers.into_iter().enumerate();
    let artifacts = writers.map(|(index, mut writer)| {
        local.copy(index, Extent::Everything, &mut writer)?;
        writer.finish()
    });
    artifacts.collect()
}
