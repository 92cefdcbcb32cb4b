//! `.hoist` files: a signed release and its artifact files in one.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use hoist_protocol::bundle::{BUNDLE_MAGIC, LENGTH_BYTES, bundle_start, read_bundle_start};
use hoist_protocol::codec::Message;
use hoist_protocol::envelope::{Kind, PublicKey, SEAL_BYTES, open};
use hoist_protocol::release::{ArtifactRef, ReleaseManifest};

use super::{PackError, PackedRelease};

/// Writes a `.hoist` file with a manifest signed by [`PackedRelease::sign`].
///
/// # Errors
/// [`PackError`]; what was written then is to be thrown away.
pub fn write_hoist(
    release: &PackedRelease,
    signed: &[u8],
    into: &mut impl Write,
) -> Result<(), PackError> {
    let path = PathBuf::from("the .hoist file");
    into.write_all(&bundle_start(signed))
        .map_err(PackError::file(&path))?;
    release
        .artifacts
        .iter()
        .try_for_each(|artifact| artifact.write_to(into))
}

/// A `.hoist` file whose release is signed by a trusted key. Its artifacts are not
/// verified yet: that happens segment by segment when they are read.
#[derive(Debug, Clone)]
pub struct HoistFile {
    /// The release.
    pub manifest: ReleaseManifest,
    /// The manifest in its envelope.
    pub signed: Vec<u8>,
    path: PathBuf,
    artifacts_offset: u64,
}

impl HoistFile {
    /// Opens a `.hoist` file and verifies its release against the release keys.
    ///
    /// # Errors
    /// [`PackError`].
    pub fn open(path: &Path, keys: &[PublicKey]) -> Result<Self, PackError> {
        let most = BUNDLE_MAGIC.len() + LENGTH_BYTES + ReleaseManifest::BYTES_MAX + SEAL_BYTES;
        let file = File::open(path).map_err(PackError::file(path))?;
        let mut start = Vec::new();
        file.take(most as u64)
            .read_to_end(&mut start)
            .map_err(PackError::file(path))?;
        let (signed, rest) = read_bundle_start(&start)?;
        let opened = open::<ReleaseManifest>(keys, Kind::Release, "", signed)
            .map_err(PackError::Signature)?;
        Ok(Self {
            manifest: opened.message,
            signed: signed.to_vec(),
            path: path.to_path_buf(),
            artifacts_offset: (start.len() - rest.len()) as u64,
        })
    }

    /// The error of a reading of this file.
    pub(in crate::agent) fn failed(&self, source: std::io::Error) -> PackError {
        PackError::file(&self.path)(source)
    }

    /// The artifact at `index` of the manifest and its bytes as they are in the file,
    /// unproven.
    ///
    /// # Errors
    /// [`PackError::File`]; [`PackError::Invalid`] when the release has no such artifact.
    pub fn artifact(&self, index: usize) -> Result<(ArtifactRef, impl Read + use<>), PackError> {
        let artifacts = &self.manifest.artifacts;
        let reference = *artifacts.get(index).ok_or_else(|| PackError::Invalid {
            what: format!("the release has no artifact {index}"),
        })?;
        let before = artifacts[..index].iter().map(|artifact| artifact.size);
        let offset = before.fold(self.artifacts_offset, u64::saturating_add);
        let mut file = File::open(&self.path).map_err(PackError::file(&self.path))?;
        file.seek(SeekFrom::Start(offset))
            .map_err(PackError::file(&self.path))?;
        Ok((reference, file.take(reference.size)))
    }
}
