//! A packed release: manifests in memory, content still in its files.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;

use hoist_protocol::bundle::{Encoding, IndexEntry, SEGMENT_BYTES, artifact_start, index_hash};
use hoist_protocol::codec::encode;
use hoist_protocol::envelope::{Kind, PrivateKey, seal};
use hoist_protocol::id::{ArtifactId, ReleaseId, sha256};
use hoist_protocol::release::{
    ArtifactManifest, ArtifactRef, Payload, PayloadKind, ReleaseManifest,
};
use sha2::{Digest, Sha256};

use super::PackError;
use crate::agent::program::START_BYTES;

/// A release read from a directory.
#[derive(Debug, Clone)]
pub struct PackedRelease {
    /// The manifest that will be signed.
    pub manifest: ReleaseManifest,
    /// Its artifacts, in manifest order.
    pub artifacts: Vec<PackedArtifact>,
}

impl PackedRelease {
    /// The release's id.
    #[must_use]
    pub fn id(&self) -> ReleaseId {
        self.manifest.id()
    }

    /// The manifest in its envelope, signed by the release key.
    #[must_use]
    pub fn sign(&self, key: &PrivateKey) -> Vec<u8> {
        seal(key, Kind::Release, "", &self.manifest)
    }
}

/// An artifact whose content is still in its files.
#[derive(Debug, Clone)]
pub struct PackedArtifact {
    /// Its manifest.
    pub manifest: ArtifactManifest,
    /// As its release names it.
    pub reference: ArtifactRef,
    start: Vec<u8>,
    files: Vec<PathBuf>,
}

impl PackedArtifact {
    /// Builds the artifact whose payloads are `files`, index by index.
    pub(super) fn new(
        manifest: ArtifactManifest,
        index: &[IndexEntry],
        files: Vec<PathBuf>,
    ) -> Self {
        let start = artifact_start(&manifest, index);
        let content: u64 = manifest.payloads.iter().map(|payload| payload.size).sum();
        let reference = ArtifactRef {
            size: start.len() as u64 + content,
            hash: sha256(&encode(&manifest)),
        };
        Self {
            manifest,
            reference,
            start,
            files,
        }
    }

    /// The artifact's id.
    #[must_use]
    pub fn id(&self) -> ArtifactId {
        self.reference.id()
    }

    /// Writes the artifact file: exactly `reference.size` bytes.
    ///
    /// # Errors
    /// [`PackError::File`], or [`PackError::Changed`] when a file is no longer what was
    /// hashed; what was written then is to be thrown away.
    pub fn write_to(&self, into: &mut impl Write) -> Result<(), PackError> {
        let target = PathBuf::from("the artifact file");
        let failed = |source| PackError::File {
            path: target.clone(),
            source,
        };
        into.write_all(&self.start).map_err(failed)?;
        for (payload, path) in self.manifest.payloads.iter().zip(&self.files) {
            let file = File::open(path).map_err(PackError::file(path))?;
            // One byte more than hashed shows a file that grew.
            let mut content = file.take(payload.size + 1);
            let mut hash = Sha256::new();
            let mut buffer = vec![0; SEGMENT_BYTES as usize];
            loop {
                let count = content.read(&mut buffer).map_err(PackError::file(path))?;
                if count == 0 {
                    break;
                }
                hash.update(&buffer[..count]);
                into.write_all(&buffer[..count]).map_err(failed)?;
            }
            if <[u8; 32]>::from(hash.finalize()) != payload.hash {
                return Err(PackError::Changed { path: path.clone() });
            }
        }
        Ok(())
    }

    /// The artifact file in memory.
    ///
    /// # Errors
    /// As [`PackedArtifact::write_to`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, PackError> {
        let mut bytes = Vec::new();
        self.write_to(&mut bytes)?;
        Ok(bytes)
    }
}

/// A file as a payload.
pub(super) struct Hashed {
    pub(super) payload: Payload,
    pub(super) index: Vec<IndexEntry>,
    /// Its first bytes, as hashed: enough to say what starts it.
    pub(super) start: Vec<u8>,
}

/// Hashes one file as a payload.
pub(super) fn hash_file(
    path: &std::path::Path,
    kind: PayloadKind,
    target: String,
) -> Result<Hashed, PackError> {
    let mut file = File::open(path).map_err(PackError::file(path))?;
    let mut whole = Sha256::new();
    let mut size = 0;
    let mut entries: Vec<IndexEntry> = Vec::new();
    let mut start = Vec::new();
    loop {
        let mut segment = Vec::new();
        let mut part = (&mut file).take(u64::from(SEGMENT_BYTES));
        part.read_to_end(&mut segment)
            .map_err(PackError::file(path))?;
        if segment.is_empty() {
            break;
        }
        if entries.is_empty() {
            start.extend(segment.iter().take(START_BYTES));
        }
        whole.update(&segment);
        size += segment.len() as u64;
        entries.push(IndexEntry {
            stored_bytes: u32::try_from(segment.len()).unwrap_or(u32::MAX),
            encoding: Encoding::Raw,
            hash: sha256(&segment),
        });
    }
    let payload = Payload {
        kind,
        target,
        size,
        hash: whole.finalize().into(),
        segment_size: SEGMENT_BYTES,
        index_hash: index_hash(entries.iter().map(|entry| entry.hash)),
    };
    Ok(Hashed {
        payload,
        index: entries,
        start,
    })
}
