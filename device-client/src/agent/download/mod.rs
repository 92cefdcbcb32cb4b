//! Fetches an artifact over HTTP/1.1 and proves it. Nothing is used before its hash is
//! right; a partial download resumes by proof, never by trust in what a server says. No
//! ETag is kept for that reason: a changed file fails its segment's hash and is fetched
//! again from 0.

mod http;
mod writer;

pub use writer::{ArtifactWriter, read_start};

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hoist_protocol::reason::Reason;
use hoist_protocol::release::{ArtifactManifest, ArtifactRef};
use hoist_protocol::status::ScriptKind;
use sha2::{Digest, Sha256};

use super::files::Files;

/// Bytes of a file in memory while it is hashed.
const HASHED_BYTES: u64 = 256 * 1024;

/// One download.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// Where it is kept.
    pub files: Arc<dyn Files>,
    /// What to fetch.
    pub artifact: ArtifactRef,
    /// Base URL: the artifact is at `<source>/<artifact-id>`.
    pub source: String,
    /// Its own folder, used by nobody else.
    pub dir: PathBuf,
    /// How long to wait for whom.
    pub limits: Limits,
}

/// How long a download waits for a server.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For a connection, and for the head of an answer.
    pub answer: Duration,
    /// For the next bytes of a body.
    pub idle: Duration,
}

impl Default for Limits {
    /// Long enough for a slow radio, short enough to notice a dead one.
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(30),
            idle: Duration::from_secs(60),
        }
    }
}

/// A fetched and proven artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Its manifest.
    pub manifest: ArtifactManifest,
    /// Its folder, with `payload/` and `scripts/`.
    pub dir: PathBuf,
}

impl Artifact {
    /// Where its payloads are: `HOIST_PAYLOAD_DIR`.
    #[must_use]
    pub fn payload_dir(&self) -> PathBuf {
        self.dir.join("payload")
    }

    /// The file of a script, if the artifact has one of the kind.
    #[must_use]
    pub fn script_path(&self, kind: ScriptKind) -> Option<PathBuf> {
        let script = self.manifest.script(kind)?;
        let number = usize::from(script.payload);
        (number < self.manifest.payloads.len())
            .then(|| writer::payload_path(&self.dir, &self.manifest, number))
    }

    /// Hashes everything again, just before it is used (row 55). Blocks.
    ///
    /// # Errors
    /// [`DownloadError`] with [`Reason::HashMismatch`] when anything is not as signed.
    pub fn verify(&self, files: &dyn Files) -> Result<(), DownloadError> {
        for (number, payload) in self.manifest.payloads.iter().enumerate() {
            let path = writer::payload_path(&self.dir, &self.manifest, number);
            let hash = hash(files, &path, payload.size);
            if hash.map_err(|error| DownloadError::storage(&path, &error))? != payload.hash {
                return Err(DownloadError::hash(&payload.target));
            }
        }
        Ok(())
    }
}

/// Hashes a file, and one byte more than expected so that a longer one differs.
fn hash(files: &dyn Files, path: &Path, size: u64) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut offset = 0;
    let end = size.saturating_add(1);
    while offset < end {
        let part = files.read_at(path, offset, HASHED_BYTES.min(end - offset))?;
        if part.is_empty() {
            break;
        }
        hash.update(&part);
        offset += part.len() as u64;
    }
    Ok(hash.finalize().into())
}

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Yes: it uses time, not attempts (S9).
    Later,
    /// No (S8).
    Useless,
}

/// Why an artifact was not fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct DownloadError {
    /// For the outcome.
    pub reason: Reason,
    /// Whether trying again can help.
    pub retry: Retry,
    /// For people.
    pub detail: String,
}

impl DownloadError {
    fn network(detail: impl Into<String>) -> Self {
        Self {
            reason: Reason::DownloadFailed,
            retry: Retry::Later,
            detail: detail.into(),
        }
    }

    fn length(had: u64, signed: u64) -> Self {
        let detail = format!("the body ends after {had} of {signed} signed bytes");
        Self {
            reason: Reason::LengthMismatch,
            retry: Retry::Later,
            detail,
        }
    }

    pub(super) fn hash(what: &str) -> Self {
        let detail = format!("{what} does not have the signed hash");
        Self::refused(Reason::HashMismatch, detail)
    }

    fn refused(reason: Reason, detail: String) -> Self {
        Self {
            reason,
            retry: Retry::Useless,
            detail,
        }
    }

    pub(super) fn storage(path: &Path, error: &io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Reason::NoSpace,
            _ => Reason::StorageFailed,
        };
        Self::refused(reason, format!("cannot use {}: {error}", path.display()))
    }
}

/// Fetches an artifact, or the rest of it. `progress` gets percent done whenever it
/// rises. Dropping the future keeps what is proven.
///
/// # Errors
/// [`DownloadError`]. After a wrong hash everything is removed and fetched once more.
pub async fn fetch(fetch: &Fetch, mut progress: impl FnMut(u8)) -> Result<Artifact, DownloadError> {
    let (files, dir, reference) = (fetch.files.clone(), fetch.dir.clone(), fetch.artifact);
    let mut writer = blocking(move || ArtifactWriter::open(files, &dir, reference)).await?;
    let url = format!("{}/{}", fetch.source.trim_end_matches('/'), reference.id());
    if let Err(error) = http::receive(&url, fetch, &mut writer, &mut progress).await {
        if !is_wrong_content(error.reason) {
            return Err(error);
        }
        writer.reset()?;
        let again = http::receive(&url, fetch, &mut writer, &mut progress).await;
        if again
            .as_ref()
            .is_err_and(|error| is_wrong_content(error.reason))
        {
            writer.reset()?;
        }
        again?;
    }
    let (files, dir) = (fetch.files.clone(), fetch.dir.clone());
    blocking(move || {
        let result = writer.finish();
        if result
            .as_ref()
            .is_err_and(|error| is_wrong_content(error.reason))
        {
            // Something on disk changed under us: the next download begins at 0.
            files
                .remove_dir(&dir)
                .map_err(|error| DownloadError::storage(&dir, &error))?;
        }
        result
    })
    .await
}

fn is_wrong_content(reason: Reason) -> bool {
    reason == Reason::HashMismatch
}

/// Hashing gigabytes must not stop the agent's keep-alive.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DownloadError> + Send + 'static,
) -> Result<T, DownloadError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(DownloadError::network(format!(
            "the download was stopped: {error}"
        ))),
    }
}

#[cfg(test)]
mod tests;
