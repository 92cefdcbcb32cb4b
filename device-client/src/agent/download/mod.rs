//! Fetches the artifacts of a release over HTTP/1.1 and proves them. The order:
//!
//! 1. **Starts**: of every artifact length, manifest and segment index, by a range request
//!    of a few KiB, continued as lengths become known ([`fetch_start`]). A start that is on
//!    disk proves itself and needs no request.
//! 2. **Checks**: what the manifests say (scripts, counters, dependencies), by `preflight`.
//! 3. **Space**, by `preflight`: for the content still missing, for what the scripts
//!    declare, for the rollback scripts' copies, and a reserve. What is proven on disk and
//!    old payloads are in the free space's figure already.
//! 4. **Content** ([`Started::fetch_content`]). Only now is content asked for or written;
//!    what of it rode along in the first few KiB was held in memory.
//! 5. **Proof**: every segment before it is written, every file again when all are there,
//!    and once more just before scripts run ([`Artifact::verify`]).
//!
//! A download resumes by proof, never by trust in what a server or a file system says:
//! segments on disk are hashed again, and what follows the last right one is fetched. So
//! it does not matter whether a kill, a reset connection, a power cut that tore a file or
//! a server that changed its file came between. No ETag is kept for that reason. Wrong
//! bytes are fetched once more from 0 before they are final ([`DownloadError`]).

mod artifact;
mod error;
mod exchange;
mod http;
mod segments;
mod start;
mod writer;

pub use artifact::Artifact;
pub use error::{DownloadError, Retry};
pub use start::read_start;
pub use writer::ArtifactWriter;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hoist_protocol::release::ArtifactRef;

use super::files::Files;
use http::Answer;

/// Asked for before any length is known: a manifest with a few payloads, and their index.
const START_BYTES: usize = 4 * 1024;

/// One download.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// Where it is kept.
    pub files: Arc<dyn Files>,
    /// What to fetch.
    pub artifact: ArtifactRef,
    /// Base URL: the artifact is at `<source>/<artifact-id>`. Without one only what is on
    /// disk can be used.
    pub source: Option<String>,
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

impl Fetch {
    fn url(&self) -> Result<String, DownloadError> {
        let source = self.source.as_ref().ok_or_else(|| {
            DownloadError::network(
                "nothing says where artifacts are: set `artifacts` in agent.toml, or the server's source",
            )
        })?;
        let source = source.trim_end_matches('/');
        Ok(format!("{source}/{}", self.artifact.id()))
    }
}

/// An artifact whose start is proven and on disk; its content is still to come.
pub struct Started {
    fetch: Fetch,
    writer: ArtifactWriter,
    /// First bytes of the content, not proven.
    ahead: Vec<u8>,
}

/// Fetches the start of an artifact, unless it is on disk. Dropping the future keeps what
/// is proven.
///
/// # Errors
/// [`DownloadError`]. After a wrong hash everything is removed and fetched once more.
pub async fn fetch_start(fetch: Fetch) -> Result<Started, DownloadError> {
    let (files, dir, reference) = (fetch.files.clone(), fetch.dir.clone(), fetch.artifact);
    let mut writer = blocking(move || ArtifactWriter::open(files, &dir, reference)).await?;
    let mut received = receive_start(&fetch, &mut writer).await;
    if is_wrong_content(&received) {
        writer.reset()?;
        received = receive_start(&fetch, &mut writer).await;
        if is_wrong_content(&received) {
            writer.reset()?;
        }
    }
    Ok(Started {
        fetch,
        writer,
        ahead: received?,
    })
}

impl Started {
    /// What is known and had of it; the manifest is.
    #[must_use]
    pub fn writer(&self) -> &ArtifactWriter {
        &self.writer
    }

    /// Fetches the content, or the rest of it, and proves everything. `progress` gets the
    /// bytes of the artifact file had so far. Dropping the future keeps what is proven.
    ///
    /// # Errors
    /// [`DownloadError`]. After a wrong hash everything is removed and fetched once more.
    pub async fn fetch_content(
        self,
        mut progress: impl FnMut(u64),
    ) -> Result<Artifact, DownloadError> {
        let Self {
            fetch,
            mut writer,
            ahead,
        } = self;
        let received = match writer.push(&ahead) {
            Ok(()) => receive(&fetch, &mut writer, &mut progress).await,
            wrong => wrong,
        };
        drop(ahead);
        let finished = finish(writer, received).await;
        if !is_wrong_content(&finished) {
            return finished;
        }
        let mut writer = begin_again(&fetch).await?;
        let received = receive(&fetch, &mut writer, &mut progress).await;
        let finished = finish(writer, received).await;
        if is_wrong_content(&finished) {
            begin_again(&fetch).await?;
        }
        finished
    }
}

async fn finish(
    writer: ArtifactWriter,
    received: Result<(), DownloadError>,
) -> Result<Artifact, DownloadError> {
    received?;
    blocking(move || writer.finish()).await
}

/// Forgets everything, also what something on the device has changed since.
async fn begin_again(fetch: &Fetch) -> Result<ArtifactWriter, DownloadError> {
    let (files, dir, reference) = (fetch.files.clone(), fetch.dir.clone(), fetch.artifact);
    blocking(move || {
        let removed = files.remove_dir(&dir);
        removed.map_err(|error| DownloadError::storage(&dir, &error))?;
        ArtifactWriter::open(files, &dir, reference)
    })
    .await
}

/// Fetches a whole artifact, or the rest of it.
///
/// # Errors
/// As [`fetch_start`] and [`Started::fetch_content`].
pub async fn fetch(fetch: Fetch, progress: impl FnMut(u64)) -> Result<Artifact, DownloadError> {
    fetch_start(fetch).await?.fetch_content(progress).await
}

/// Returns what of the content came with the start.
async fn receive_start(
    fetch: &Fetch,
    writer: &mut ArtifactWriter,
) -> Result<Vec<u8>, DownloadError> {
    let mut ahead = Vec::new();
    let size = fetch.artifact.size;
    while writer.manifest().is_none() {
        let from = writer.offset();
        let to = writer.start_end(START_BYTES as u64).min(size);
        if from >= to {
            return Err(writer::too_short(&fetch.artifact));
        }
        let mut answer = Answer::ask(&fetch.url()?, fetch.limits, from..to).await?;
        while writer.manifest().is_none() || ahead.len() < START_BYTES {
            let data = match answer.next().await {
                Ok(Some(data)) => data,
                Err(error) if writer.manifest().is_none() => return Err(error),
                Ok(None) | Err(_) => break,
            };
            let rest = writer.push_start(&data);
            let rest = rest.map_err(|error| answer.judge(error, size))?;
            let room = START_BYTES - ahead.len();
            ahead.extend_from_slice(&rest[..rest.len().min(room)]);
        }
        if writer.offset() == from {
            return Err(DownloadError::length(from, size));
        }
    }
    Ok(ahead)
}

/// Asks for what the writer lacks and gives it what comes.
async fn receive(
    fetch: &Fetch,
    writer: &mut ArtifactWriter,
    progress: &mut impl FnMut(u64),
) -> Result<(), DownloadError> {
    if writer.is_complete() {
        return Ok(());
    }
    let size = fetch.artifact.size;
    let url = fetch.url()?;
    let mut answer = Answer::ask(&url, fetch.limits, writer.offset()..size).await?;
    if answer.file_bytes.is_some_and(|bytes| bytes > size) {
        tracing::warn!(
            url,
            "the server has more bytes than were signed; stopping at the signed length"
        );
    }
    while !writer.is_complete() {
        let Some(data) = answer.next().await? else {
            return Err(DownloadError::length(writer.offset(), size));
        };
        let pushed = writer.push(&data);
        pushed.map_err(|error| answer.judge(error, size))?;
        progress(writer.offset());
    }
    Ok(())
}

fn is_wrong_content<T>(result: &Result<T, DownloadError>) -> bool {
    result.as_ref().is_err_and(DownloadError::is_wrong_content)
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
pub(super) mod test_server;
#[cfg(test)]
mod tests;
