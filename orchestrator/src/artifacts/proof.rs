//! Proves an artifact file piece by piece: its manifest by its id, its index by the manifest,
//! each segment by the index. What does not fit is known at the first segment that does not,
//! and how large the file will be before any of its content.

use std::collections::VecDeque;
use std::io::{self, Read};

use hoist_protocol::bundle::{LENGTH_BYTES, Layout, segment_bytes};
use hoist_protocol::codec::encode;
use hoist_protocol::id::ArtifactId;
use sha2::{Digest, Sha256};

/// Bytes read at once.
const PIECE_BYTES: usize = 256 * 1024;
/// Largest index kept in memory: of 16 GiB in segments of 20 KiB.
const INDEX_BYTES_MAX: u64 = 32 << 20;

/// An artifact file that is being read from its beginning.
pub(super) struct Proof {
    id: ArtifactId,
    stage: Stage,
    /// Bytes of the whole file, once its manifest is read.
    total: Option<u64>,
}

enum Stage {
    /// Length and manifest.
    Manifest(Vec<u8>),
    Index {
        layout: Box<Layout>,
        read: Vec<u8>,
        wanted: usize,
    },
    Content(Content),
}

/// Segments still to come, the first of them begun.
struct Content {
    segments: VecDeque<(u64, [u8; 32])>,
    begun: Sha256,
    /// Bytes of the first that were read.
    read: u64,
}

impl Proof {
    pub(super) fn new(id: ArtifactId) -> Self {
        Self {
            id,
            stage: Stage::Manifest(Vec::new()),
            total: None,
        }
    }

    /// Bytes of the whole file, once its manifest was read.
    pub(super) fn total(&self) -> Option<u64> {
        self.total
    }

    /// Takes the next bytes; the error says what does not fit.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while !bytes.is_empty() {
            bytes = match &mut self.stage {
                Stage::Manifest(read) => {
                    let wanted = match Layout::manifest_bytes(read) {
                        _ if read.len() < LENGTH_BYTES => LENGTH_BYTES,
                        Ok(length) => LENGTH_BYTES + length,
                        Err(error) => return Err(error.to_string()),
                    };
                    let rest = fill(read, wanted, bytes);
                    if read.len() == wanted && wanted > LENGTH_BYTES {
                        let layout = Layout::read(read).map_err(|error| error.to_string())?;
                        self.manifest(layout)?;
                    }
                    rest
                }
                Stage::Index {
                    layout,
                    read,
                    wanted,
                } => {
                    let rest = fill(read, *wanted, bytes);
                    if read.len() == *wanted {
                        self.stage = Stage::Content(Content::of(layout, read)?);
                    }
                    rest
                }
                Stage::Content(content) => content.take(bytes)?,
            };
        }
        Ok(())
    }

    /// Ok if that was all of it.
    pub(super) fn finish(self) -> Result<(), String> {
        match self.stage {
            Stage::Content(content) if content.segments.is_empty() => Ok(()),
            _ => Err("it ends too early".to_owned()),
        }
    }

    fn manifest(&mut self, layout: Layout) -> Result<(), String> {
        if ArtifactId::of(&encode(&layout.manifest)) != self.id {
            return Err("its manifest has another hash".to_owned());
        }
        let index = layout.segments_offset - layout.index_offset;
        if index > INDEX_BYTES_MAX {
            return Err(format!(
                "its index has {index} bytes, more than {INDEX_BYTES_MAX}"
            ));
        }
        self.total = Some(layout.raw_bytes);
        let wanted = usize::try_from(index).map_err(|error| error.to_string())?;
        self.stage = match wanted {
            0 => Stage::Content(Content::of(&layout, &[])?),
            wanted => Stage::Index {
                layout: Box::new(layout),
                read: Vec::new(),
                wanted,
            },
        };
        Ok(())
    }
}

impl Content {
    fn of(layout: &Layout, index: &[u8]) -> Result<Self, String> {
        let lists = layout
            .read_index(index)
            .map_err(|error| error.to_string())?;
        let mut segments = VecDeque::new();
        for (payload, entries) in layout.manifest.payloads.iter().zip(lists) {
            let numbered = (0..).zip(entries);
            segments.extend(
                numbered.map(|(number, entry)| (segment_bytes(payload, number), entry.hash)),
            );
        }
        Ok(Self {
            segments,
            begun: Sha256::new(),
            read: 0,
        })
    }

    /// Takes bytes of one segment, and returns the rest.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], String> {
        let Some((length, hash)) = self.segments.front() else {
            return Err("it is longer than its manifest says".to_owned());
        };
        let left = usize::try_from(length - self.read).unwrap_or(usize::MAX);
        let (these, rest) = bytes.split_at(left.min(bytes.len()));
        self.begun.update(these);
        self.read += these.len() as u64;
        if self.read == *length {
            let found: [u8; 32] = std::mem::take(&mut self.begun).finalize().into();
            if found != *hash {
                return Err("a segment does not have the hash of the index".to_owned());
            }
            self.segments.pop_front();
            self.read = 0;
        }
        Ok(rest)
    }
}

/// Adds bytes up to `wanted`, and returns those that are left.
fn fill<'a>(read: &mut Vec<u8>, wanted: usize, bytes: &'a [u8]) -> &'a [u8] {
    let (these, rest) = bytes.split_at((wanted - read.len()).min(bytes.len()));
    read.extend_from_slice(these);
    rest
}

/// Checks a whole artifact file; the inner error says what does not fit.
pub(super) fn verify(file: &mut impl Read, id: ArtifactId) -> io::Result<Result<(), String>> {
    let mut proof = Proof::new(id);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(proof.finish()),
            read => {
                if let Err(why) = proof.take(piece.get(..read).unwrap_or_default()) {
                    return Ok(Err(why));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_whose_manifest_is_empty_is_refused_however_it_comes() {
        let id = ArtifactId::of(b"");
        for pieces in [&[&[0; 9][..]][..], &[&[0; 4], &[0]], &[&[0], &[0; 3], &[7]]] {
            let mut proof = Proof::new(id);
            let refused = pieces.iter().any(|piece| proof.take(piece).is_err());
            assert!(refused, "{pieces:?}");
        }
        let verified = verify(&mut &[0; 4][..], id).unwrap();
        assert!(verified.is_err());
    }
}
