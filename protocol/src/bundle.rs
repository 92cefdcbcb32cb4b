//! Files: an artifact file is `length u32 LE ‖ artifact manifest ‖ segment index ‖
//! segments`; a `.hoist` file is `HOISTPK1 ‖ length u32 LE ‖ signed release manifest ‖
//! artifact files` in manifest order. The index of a payload is one entry per segment:
//! `stored length u32 LE ‖ encoding u8 ‖ SHA-256 of the output`.

use alloc::vec::Vec;

use crate::codec::{DecodeError, Message, decode, encode};
use crate::id::sha256;
use crate::release::{ArtifactManifest, ArtifactRef, Payload};

/// First bytes of a `.hoist` file.
pub const BUNDLE_MAGIC: &[u8; 8] = b"HOISTPK1";
/// Bytes of content per segment by default.
pub const SEGMENT_BYTES: u32 = 256 * 1024;
/// Bytes of one entry of the segment index.
pub const INDEX_ENTRY_BYTES: usize = 4 + 1 + 32;
/// Bytes of a length prefix.
pub const LENGTH_BYTES: usize = 4;

/// The form in which a segment is stored. Append-only; `Raw` is understood by every device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// The output itself.
    Raw = 0,
}

/// One entry of the segment index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexEntry {
    /// Bytes stored in the artifact file.
    pub stored_bytes: u32,
    /// The form in which they are stored.
    pub encoding: Encoding,
    /// SHA-256 of the output.
    pub hash: [u8; 32],
}

/// Why bytes are not an artifact file or a bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Fewer bytes than announced (`E_LENGTH`).
    #[error("the file ends before its {what}")]
    Truncated {
        /// The missing part.
        what: &'static str,
    },
    /// The manifest does not decode.
    #[error("the artifact manifest does not decode: {0}")]
    Manifest(#[from] DecodeError),
    /// The manifest is not the one the release names (`E_HASH`).
    #[error("the artifact manifest does not have the signed hash")]
    Hash,
    /// The segment index is not the one the manifest names (`E_HASH`).
    #[error("the segment index does not have the signed hash")]
    IndexHash,
    /// An encoding this version does not know (`E_VERSION`).
    #[error("segment encoding {encoding} is not known")]
    Encoding {
        /// The byte found.
        encoding: u8,
    },
    /// Sizes that do not add up (`E_LENGTH`).
    #[error("the artifact's sizes do not add up: {what}")]
    Size {
        /// Which.
        what: &'static str,
    },
    /// Not a `.hoist` file.
    #[error("the file does not start with HOISTPK1")]
    Magic,
}

/// The signed hash of a payload's index: SHA-256 of its output hashes in order.
#[must_use]
pub fn index_hash(hashes: impl IntoIterator<Item = [u8; 32]>) -> [u8; 32] {
    let joined: Vec<u8> = hashes.into_iter().flatten().collect();
    sha256(&joined)
}

/// The number of segments of a payload.
#[must_use]
pub fn segment_count(payload: &Payload) -> u64 {
    payload
        .size
        .div_ceil(u64::from(payload.segment_size.max(1)))
}

/// Bytes of output of segment `index`, 0 past the end.
#[must_use]
pub fn segment_bytes(payload: &Payload, index: u64) -> u64 {
    let start = index.saturating_mul(u64::from(payload.segment_size));
    payload
        .size
        .saturating_sub(start)
        .min(u64::from(payload.segment_size))
}

/// Where everything is in an artifact file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The manifest.
    pub manifest: ArtifactManifest,
    /// First byte of the segment index.
    pub index_offset: u64,
    /// First byte of the segments.
    pub segments_offset: u64,
    /// Bytes of the whole file with every segment raw.
    pub raw_bytes: u64,
}

impl Layout {
    /// Reads the length prefix of an artifact file: bytes of its manifest.
    ///
    /// # Errors
    /// [`BundleError`] when truncated, empty or larger than a manifest may be.
    pub fn manifest_bytes(start: &[u8]) -> Result<usize, BundleError> {
        let (length, _) = start.split_first_chunk().ok_or(BundleError::Truncated {
            what: "manifest length",
        })?;
        let length = u32::from_le_bytes(*length) as usize;
        if length == 0 {
            return Err(BundleError::Manifest(DecodeError::Empty));
        }
        if length > ArtifactManifest::BYTES_MAX {
            return Err(BundleError::Manifest(DecodeError::TooLarge {
                length,
                limit: ArtifactManifest::BYTES_MAX,
            }));
        }
        Ok(length)
    }

    /// Reads the manifest at the start of an artifact file.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn read(start: &[u8]) -> Result<Self, BundleError> {
        let length = Self::manifest_bytes(start)?;
        let body = start
            .get(LENGTH_BYTES..LENGTH_BYTES + length)
            .ok_or(BundleError::Truncated { what: "manifest" })?;
        Self::of(decode(body)?, length)
    }

    /// The same, for the artifact that a release names.
    ///
    /// # Errors
    /// [`BundleError::Hash`] when the manifest is another; otherwise as [`Layout::read`].
    pub fn read_expected(start: &[u8], expected: &ArtifactRef) -> Result<Self, BundleError> {
        let length = Self::manifest_bytes(start)?;
        let body = start
            .get(LENGTH_BYTES..LENGTH_BYTES + length)
            .ok_or(BundleError::Truncated { what: "manifest" })?;
        if sha256(body) != expected.hash {
            return Err(BundleError::Hash);
        }
        let layout = Self::of(decode(body)?, length)?;
        if layout.raw_bytes != expected.size {
            return Err(BundleError::Size {
                what: "the release names another file size",
            });
        }
        Ok(layout)
    }

    fn of(manifest: ArtifactManifest, manifest_bytes: usize) -> Result<Self, BundleError> {
        let overflow = BundleError::Size {
            what: "larger than any file",
        };
        let mut segments: u64 = 0;
        let mut content: u64 = 0;
        for payload in &manifest.payloads {
            segments = segments
                .checked_add(segment_count(payload))
                .ok_or(overflow.clone())?;
            content = content.checked_add(payload.size).ok_or(overflow.clone())?;
        }
        let index_offset = (LENGTH_BYTES + manifest_bytes) as u64;
        let index_bytes = segments
            .checked_mul(INDEX_ENTRY_BYTES as u64)
            .ok_or(overflow.clone())?;
        let segments_offset = index_offset
            .checked_add(index_bytes)
            .ok_or(overflow.clone())?;
        let raw_bytes = segments_offset.checked_add(content).ok_or(overflow)?;
        Ok(Self {
            manifest,
            index_offset,
            segments_offset,
            raw_bytes,
        })
    }

    /// Reads and proves the segment index: one list of entries per payload.
    ///
    /// # Errors
    /// [`BundleError`] when it is not the one the manifest names.
    pub fn read_index(&self, index: &[u8]) -> Result<Vec<Vec<IndexEntry>>, BundleError> {
        if index.len() as u64 != self.segments_offset - self.index_offset {
            return Err(BundleError::Truncated {
                what: "segment index",
            });
        }
        let mut entries = index.chunks_exact(INDEX_ENTRY_BYTES).map(IndexEntry::read);
        let mut lists = Vec::with_capacity(self.manifest.payloads.len());
        for payload in &self.manifest.payloads {
            let count = usize::try_from(segment_count(payload)).unwrap_or(usize::MAX);
            let list = entries
                .by_ref()
                .take(count)
                .collect::<Result<Vec<_>, _>>()?;
            if index_hash(list.iter().map(|entry| entry.hash)) != payload.index_hash {
                return Err(BundleError::IndexHash);
            }
            for (number, entry) in list.iter().enumerate() {
                let output = segment_bytes(payload, number as u64);
                if entry.encoding == Encoding::Raw && u64::from(entry.stored_bytes) != output {
                    return Err(BundleError::Size {
                        what: "a raw segment of another length",
                    });
                }
            }
            lists.push(list);
        }
        Ok(lists)
    }
}

impl IndexEntry {
    /// Reads one entry, which is not proven by that: of an index, only the hashes are signed.
    ///
    /// # Errors
    /// [`BundleError`] when it is truncated or its encoding is not known.
    pub fn read(bytes: &[u8]) -> Result<Self, BundleError> {
        let truncated = || BundleError::Truncated {
            what: "segment index",
        };
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(truncated)?;
        let (encoding, hash) = rest.split_first().ok_or_else(truncated)?;
        let encoding = match encoding {
            0 => Encoding::Raw,
            &encoding => return Err(BundleError::Encoding { encoding }),
        };
        let hash = hash.try_into().map_err(|_| truncated())?;
        Ok(Self {
            stored_bytes: u32::from_le_bytes(*length),
            encoding,
            hash,
        })
    }

    fn write(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.stored_bytes.to_le_bytes());
        into.push(self.encoding as u8);
        into.extend_from_slice(&self.hash);
    }
}

/// The index entries of content stored raw in segments of `segment_size`.
#[must_use]
pub fn raw_index(content: &[u8], segment_size: u32) -> Vec<IndexEntry> {
    content
        .chunks((segment_size as usize).max(1))
        .map(|segment| IndexEntry {
            stored_bytes: u32::try_from(segment.len()).unwrap_or(u32::MAX),
            encoding: Encoding::Raw,
            hash: sha256(segment),
        })
        .collect()
}

/// Everything of an artifact file before its segments: length, manifest and index. The
/// raw content of every payload follows, in manifest order.
#[must_use]
pub fn artifact_start(manifest: &ArtifactManifest, index: &[IndexEntry]) -> Vec<u8> {
    let body = encode(manifest);
    let mut start = Vec::with_capacity(LENGTH_BYTES + body.len() + index.len() * INDEX_ENTRY_BYTES);
    start.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    start.extend_from_slice(&body);
    index.iter().for_each(|entry| entry.write(&mut start));
    start
}

/// The start of a `.hoist` file; the artifact files follow in manifest order.
#[must_use]
pub fn bundle_start(signed_manifest: &[u8]) -> Vec<u8> {
    let mut start = BUNDLE_MAGIC.to_vec();
    let length = u32::try_from(signed_manifest.len()).unwrap_or(u32::MAX);
    start.extend_from_slice(&length.to_le_bytes());
    start.extend_from_slice(signed_manifest);
    start
}

/// Splits the signed release manifest from the start of a `.hoist` file.
///
/// # Errors
/// [`BundleError`] when this is no bundle or it is truncated.
pub fn read_bundle_start(bytes: &[u8]) -> Result<(&[u8], &[u8]), BundleError> {
    let rest = bytes.strip_prefix(BUNDLE_MAGIC).ok_or(BundleError::Magic)?;
    let (length, rest) = rest.split_first_chunk().ok_or(BundleError::Truncated {
        what: "manifest length",
    })?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
        .ok_or(BundleError::Truncated {
            what: "release manifest",
        })
}
