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
//! segments on disk are hashed again, and what follows the last right one is fetched. Of a
//! segment that a connection left unfinished, what came is kept beside them: it counts once
//! the whole segment has its hash, and is thrown away if it has not. So it does not matter
//! whether a kill, a reset connection, a power cut that tore a file or a server that changed
//! its file came between. No ETag is kept for that reason. Wrong bytes are fetched once more,
//! from where they begin, before they are final ([`DownloadError`]).

mod address;
mod artifact;
mod error;
mod http;
mod part;
mod receive;
mod segments;
mod start;
mod writer;

pub use address::{Address, Proxies, ProxyError, UrlError};
pub use artifact::Artifact;
pub use error::DownloadError;
pub use start::read_start;
pub use writer::ArtifactWriter;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hoist_net::tls::Trust;
use hoist_protocol::reason::Reason;
use hoist_protocol::release::ArtifactRef;

use super::files::Files;
use super::task;
use crate::machine::Retry;
use receive::{pause, receive, receive_start};

/// One download.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// Where it is kept.
    pub files: Arc<dyn Files>,
    /// The artifact to fetch.
    pub artifact: ArtifactRef,
    /// Base URL: the artifact is at `<source>/<artifact-id>`. Without one only what is on
    /// disk can be used.
    pub source: Option<String>,
    /// The way to it.
    pub proxies: Proxies,
    /// The CA that its server is believed by, for `https`.
    pub trust: Trust,
    /// Its own folder, used by nobody else.
    pub dir: PathBuf,
    /// The longest waits.
    pub limits: Limits,
}

/// The longest waits of a download for a server.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For a connection, and for the head of an answer.
    pub answer: Duration,
    /// For the next bytes of a body.
    pub idle: Duration,
    /// Before a server that broke off is asked again, and at most twice as long.
    pub pause: Duration,
}

impl Default for Limits {
    /// Long enough for a slow radio, short enough to notice a dead one.
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            pause: Duration::from_secs(1),
        }
    }
}

/// An artifact whose start is proven and on disk; its content is still to come.
pub struct Started {
    fetch: Fetch,
    writer: ArtifactWriter,
    /// First bytes of the content, not proven.
    ahead: Vec<u8>,
    /// The start was fetched now.
    gained: bool,
}

/// Fetches the start of an artifact, unless it is on disk. Dropping the future keeps what
/// is proven.
///
/// # Errors
/// [`DownloadError`]. After a wrong hash everything is removed and fetched once more.
pub async fn fetch_start(fetch: Fetch) -> Result<Started, DownloadError> {
    let (files, dir, reference) = (fetch.files.clone(), fetch.dir.clone(), fetch.artifact);
    let mut writer = blocking(move || ArtifactWriter::open(files, &dir, reference)).await?;
    let was_there = writer.manifest().is_some();
    let mut received = receive_start(&fetch, &mut writer).await;
    if is_wrong_content(&received) {
        writer.reset()?;
        pause(fetch.limits).await;
        received = receive_start(&fetch, &mut writer).await;
        if is_wrong_content(&received) {
            writer.reset()?;
        }
    }
    Ok(Started {
        ahead: received.map_err(|error| error.of(&reference))?,
        gained: !was_there,
        fetch,
        writer,
    })
}

impl Started {
    /// The writer of the artifact, whose manifest is known.
    #[must_use]
    pub fn writer(&self) -> &ArtifactWriter {
        &self.writer
    }

    /// True if its start was fetched now.
    pub(in crate::agent) fn gained(&self) -> bool {
        self.gained
    }

    /// Fetches the content, or the rest of it, and proves everything. `progress` gets the
    /// bytes of the artifact file had so far. Dropping the future keeps what is proven.
    ///
    /// # Errors
    /// [`DownloadError`], which says whether new bytes were proven. Of wrong bytes the
    /// segment is fetched once more, and everything when a whole file is wrong; what is
    /// wrong again is removed.
    pub async fn fetch_content(
        self,
        mut progress: impl FnMut(u64),
    ) -> Result<Artifact, DownloadError> {
        let Self {
            fetch,
            mut writer,
            ahead,
            gained,
        } = self;
        let before = writer.proven();
        let wrong = match writer.push(&ahead) {
            Ok(()) => None,
            Err(error) if error.is_wrong_content() => {
                pause(fetch.limits).await;
                Some(writer.proven())
            }
            Err(error) => return Err(error.of(&fetch.artifact)),
        };
        drop(ahead);
        let received = receive(&fetch, &mut writer, wrong, &mut progress).await;
        let gained = gained || writer.proven() > before;
        let came = received.is_ok();
        let mut finished = finish(writer, received).await;
        if came && is_wrong_content(&finished) {
            // Something on the device has changed it since.
            let mut writer = begin_again(&fetch).await?;
            pause(fetch.limits).await;
            let received = receive(&fetch, &mut writer, None, &mut progress).await;
            finished = finish(writer, received).await;
        }
        if let Err(error) = &finished
            && error.is_wrong_content()
            && error.retry == Retry::Useless
        {
            begin_again(&fetch).await?;
        }
        finished.map_err(|error| DownloadError {
            gained,
            ..error.of(&fetch.artifact)
        })
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

fn is_wrong_content<T>(result: &Result<T, DownloadError>) -> bool {
    result.as_ref().is_err_and(DownloadError::is_wrong_content)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DownloadError> + Send + 'static,
) -> Result<T, DownloadError> {
    let ended = DownloadError::later(Reason::DownloadFailed, "the agent ends".to_owned());
    task::blocking(work).await.unwrap_or(Err(ended))
}

#[cfg(test)]
pub(super) mod test_server;
#[cfg(test)]
mod tests;
