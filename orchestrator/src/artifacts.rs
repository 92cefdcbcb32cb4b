//! Artifact files in a directory, addressed by content: what is there was verified when it
//! came in, whoever sent it. Nothing is ever changed in place.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use hoist_protocol::bundle::{BundleError, INDEX_ENTRY_BYTES, Layout, segment_bytes};
use hoist_protocol::codec::encode;
use hoist_protocol::id::{ArtifactId, sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

/// Largest artifact file accepted: more than any device here installs, less than a disk.
pub const ARTIFACT_BYTES_MAX: u64 = 16 << 30;

/// Why an artifact was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The file is not the artifact of its id, or damaged (`E_HASH`).
    #[error("this is not artifact {id}: {why}; pack and upload it again")]
    Content {
        /// The id it was sent under.
        id: ArtifactId,
        /// What does not fit.
        why: String,
    },
    /// More bytes than [`ARTIFACT_BYTES_MAX`] (`E_SIZE`).
    #[error("an artifact has at most {ARTIFACT_BYTES_MAX} bytes")]
    TooLarge,
    /// The disk failed or is full (`E_SPACE`).
    #[error("cannot store the artifact in {path}", path = path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The directory; `tmp` in it holds what is arriving.
#[derive(Debug, Clone)]
pub struct ArtifactDirectory {
    root: PathBuf,
}

impl ArtifactDirectory {
    /// Opens a directory, making it where it is missing, and sweeps what never arrived.
    ///
    /// # Errors
    /// [`ArtifactError::Io`].
    pub fn open(root: &Path) -> Result<Self, ArtifactError> {
        let tmp = root.join("tmp");
        let io = |source| ArtifactError::Io {
            path: tmp.clone(),
            source,
        };
        match std::fs::remove_dir_all(&tmp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
            _ => std::fs::create_dir_all(&tmp).map_err(io)?,
        }
        Ok(Self {
            root: root.to_owned(),
        })
    }

    /// Where an artifact is, whether there or not.
    #[must_use]
    pub fn path(&self, id: ArtifactId) -> PathBuf {
        self.root.join(id.to_string())
    }

    /// Whether an artifact is there.
    #[must_use]
    pub fn contains(&self, id: ArtifactId) -> bool {
        self.path(id).is_file()
    }

    /// Begins to take an artifact.
    ///
    /// # Errors
    /// [`ArtifactError::Io`].
    pub async fn receive(&self, id: ArtifactId) -> Result<Incoming, ArtifactError> {
        let directory = self.root.join("tmp");
        let named = tokio::task::spawn_blocking(move || tempfile::NamedTempFile::new_in(directory));
        let io = |source| ArtifactError::Io {
            path: self.root.clone(),
            source,
        };
        let named = named
            .await
            .map_err(io::Error::other)
            .and_then(|named| named)
            .map_err(io)?;
        let file = File::from_std(named.as_file().try_clone().map_err(io)?);
        Ok(Incoming {
            id,
            target: self.path(id),
            named,
            file,
            bytes: 0,
        })
    }
}

/// An artifact that is arriving; dropped, it leaves nothing behind.
pub struct Incoming {
    id: ArtifactId,
    target: PathBuf,
    named: tempfile::NamedTempFile,
    file: File,
    bytes: u64,
}

impl Incoming {
    /// Takes more bytes.
    ///
    /// # Errors
    /// [`ArtifactError`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), ArtifactError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > ARTIFACT_BYTES_MAX {
            return Err(ArtifactError::TooLarge);
        }
        let path = &self.target;
        let written = self.file.write_all(bytes).await;
        written.map_err(|source| ArtifactError::Io {
            path: path.clone(),
            source,
        })
    }

    /// Verifies everything and keeps it; the same artifact again is fine.
    ///
    /// # Errors
    /// [`ArtifactError`]; nothing is kept then.
    pub async fn finish(mut self) -> Result<(), ArtifactError> {
        let target = self.target.clone();
        let io = move |source| ArtifactError::Io {
            path: target.clone(),
            source,
        };
        self.file.flush().await.map_err(&io)?;
        self.file.sync_all().await.map_err(&io)?;
        drop(self.file);
        let (id, bytes, named, target) = (self.id, self.bytes, self.named, self.target);
        let keeping = tokio::task::spawn_blocking(move || {
            let mut file = named.reopen()?;
            if let Err(why) = verify(&mut file, id, bytes)? {
                return Ok(Err(ArtifactError::Content { id, why }));
            }
            named.persist(&target).map_err(|error| error.error)?;
            let folder = target.parent().unwrap_or(Path::new("."));
            std::fs::File::open(folder)?.sync_all()?;
            Ok(Ok(()))
        });
        keeping
            .await
            .map_err(io::Error::other)
            .and_then(|kept| kept)
            .map_err(io)?
    }
}

/// Checks an artifact file against its id, down to every segment. The inner error says
/// what does not fit.
fn verify(file: &mut impl Read, id: ArtifactId, bytes: u64) -> io::Result<Result<(), String>> {
    let mut start = vec![0; 4];
    let opened = (|| {
        file.read_exact(&mut start)?;
        let length = match Layout::manifest_bytes(&start) {
            Ok(length) => length,
            Err(error) => return Ok(Err(error)),
        };
        start.resize(4 + length, 0);
        file.read_exact(&mut start[4..])?;
        Ok(Layout::read(&start))
    })();
    let layout = match short(opened)? {
        Ok(Ok(layout)) => layout,
        Ok(Err(error)) => return Ok(Err(error.to_string())),
        Err(why) => return Ok(Err(why)),
    };
    if ArtifactId::of(&encode(&layout.manifest)) != id {
        return Ok(Err("its manifest has another hash".to_owned()));
    }
    if layout.raw_bytes != bytes {
        return Ok(Err(format!(
            "it has {bytes} bytes where its manifest says {}",
            layout.raw_bytes
        )));
    }
    short(verify_content(file, &layout)).map(|content| match content {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(why) => Err(why),
    })
}

fn verify_content(file: &mut impl Read, layout: &Layout) -> io::Result<Result<(), BundleError>> {
    let index_bytes = usize::try_from(layout.segments_offset - layout.index_offset);
    let mut index = vec![0; index_bytes.map_err(io::Error::other)?];
    debug_assert_eq!(index.len() % INDEX_ENTRY_BYTES, 0);
    file.read_exact(&mut index)?;
    let lists = match layout.read_index(&index) {
        Ok(lists) => lists,
        Err(error) => return Ok(Err(error)),
    };
    let mut segment = Vec::new();
    for (payload, entries) in layout.manifest.payloads.iter().zip(lists) {
        for (number, entry) in entries.iter().enumerate() {
            segment.clear();
            let wanted = segment_bytes(payload, number as u64);
            file.take(wanted).read_to_end(&mut segment)?;
            if sha256(&segment) != entry.hash {
                return Ok(Err(BundleError::Hash));
            }
        }
    }
    Ok(Ok(()))
}

/// A file that ends too early is a fault of the sender, not of the disk.
fn short<T>(read: io::Result<T>) -> io::Result<Result<T, String>> {
    match read {
        Ok(value) => Ok(Ok(value)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Ok(Err("it ends too early".to_owned()))
        }
        Err(error) => Err(error),
    }
}
