//! `hoist-agent apply`: installs what somebody brought to the device, with the same
//! machine, journal and scripts, and without a server. Nothing of it is ever reported but
//! by the inventory.

use std::future::Future;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hoist_protocol::code::Code;
use hoist_protocol::codec::encode;
use hoist_protocol::envelope::PublicKey;
use hoist_protocol::id::DeploymentId;
use hoist_protocol::reason::Reason;
use hoist_protocol::release::ReleaseManifest;
use hoist_protocol::root::{KeyRole, RootDocument};
use hoist_protocol::status::FinalResult;

use super::bundle::{HoistFile, PackError, PackedRelease, read_release_dir};
use super::config::{HostConfig, ServerConfig};
use super::confirm;
use super::download::{Artifact, ArtifactWriter, DownloadError};
use super::fetch_release::{FetchRelease, check};
use super::preflight::Downgrade;
use super::program::CANNOT_EXECUTE;
use super::runner::{Agent, AgentError};
use super::storage::Candidate;
use super::task::blocking;
use super::work::{Teller, Told, check_release};
use crate::machine::{Event, FetchFailure, LOCAL, Retry, Verdict};

/// Why nothing was begun.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The agent's state cannot be used.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// It is not a release, or not one to be trusted.
    #[error(transparent)]
    Release(#[from] PackError),
    /// Nothing pins the root document that names the key of a `.hoist` file.
    #[error("{} must be signed by the release key, and without an agent.toml nothing says whose: name one with --config (`hoist device add` prints it), and on a device that was never connected put root.bin, from keys/ of the server's data directory, beside the file", path.display())]
    NoPin {
        /// The file.
        path: PathBuf,
    },
    /// There is no key to verify a `.hoist` file with.
    #[error("{} must be signed by the release key, and this device does not have the root document that names it: let it connect once, or put root.bin, from keys/ of the server's data directory, beside the file", path.display())]
    NoRoot {
        /// The file.
        path: PathBuf,
    },
    /// A deployment has started and comes first (S11).
    #[error("deployment {deployment} has started: run the agent until it has ended")]
    Busy {
        /// Which.
        deployment: DeploymentId,
    },
    /// Its scripts could not be executed.
    #[error("nothing can be installed with {}: {CANNOT_EXECUTE}", path.display())]
    CannotExecute {
        /// The state directory.
        path: PathBuf,
    },
    /// The `hold` file vetoes new starts.
    #[error("{} vetoes new starts: remove it first", path.display())]
    Held {
        /// The file.
        path: PathBuf,
    },
}

impl ApplyError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Agent(error) => error.code(),
            Self::Release(error) => error.code(),
            Self::NoPin { .. } | Self::NoRoot { .. } => Code::Root,
            Self::Busy { .. } => Code::Busy,
            Self::CannotExecute { .. } => Code::Script,
            Self::Held { .. } => Code::Held,
        }
    }
}

/// How it went.
#[derive(Debug)]
pub(super) enum Applied {
    /// The release ended so.
    Ended {
        release: ReleaseManifest,
        result: FinalResult,
    },
    /// Stopped before its end; the journal knows how far it came.
    Interrupted,
}

/// Installs the release at `path`: a directory is its owner's own word, a `.hoist` file
/// must be signed by the release key of the pinned root.
///
/// # Errors
/// [`ApplyError`] when nothing was begun.
pub(super) async fn apply(
    host: HostConfig,
    server: Option<ServerConfig>,
    path: &Path,
    shutdown: impl Future<Output = ()>,
) -> Result<Applied, ApplyError> {
    let mut agent = Agent::open(host, None)?;
    if let Some(job) = agent.machine.job().filter(|job| !job.is_local()) {
        let deployment = job.deployment;
        return Err(ApplyError::Busy { deployment });
    }
    if let Some(path) = agent.dir.held_by() {
        return Err(ApplyError::Held { path });
    }
    if !(agent.can_execute)(agent.dir.path()) {
        let path = agent.dir.path().to_path_buf();
        return Err(ApplyError::CannotExecute { path });
    }
    let keys = release_keys(&agent, server.as_ref(), path);
    let local = LocalRelease::open(path, keys)?;
    let work = async {
        agent.handle(Event::Started);
        // What an earlier one left unfinished is finished or rolled back first.
        agent.until_applied().await;
        agent.bring(local).await;
        agent.until_applied().await
    };
    tokio::pin!(shutdown);
    tokio::select! {
        ended = work => Ok(ended.unwrap_or(Applied::Interrupted)),
        () = shutdown => Ok(Applied::Interrupted),
    }
}

fn release_keys(
    agent: &Agent,
    server: Option<&ServerConfig>,
    path: &Path,
) -> Result<Vec<PublicKey>, ApplyError> {
    let named = || path.to_path_buf();
    let pin = server.map(|server| server.root_sha256);
    let pin = pin.ok_or_else(|| ApplyError::NoPin { path: named() })?;
    // The pin is a hash: it does not matter who brought the document.
    let beside = || std::fs::read(path.with_file_name("root.bin")).ok();
    let open = |sealed: Vec<u8>| RootDocument::open_pinned(&sealed, &pin).ok();
    let root = agent.storage.root().and_then(open);
    let root = root.or_else(|| beside().and_then(open));
    let root = root.ok_or_else(|| ApplyError::NoRoot { path: named() })?;
    Ok(root.keys_of(KeyRole::Release).collect())
}

impl Agent {
    async fn bring(&mut self, local: LocalRelease) {
        let release = local.manifest().clone();
        let id = release.id();
        let inventory = &self.storage.inventory;
        let mut verdict = check_release(&self.host, inventory, &release, Downgrade::Refused);
        if verdict == Verdict::Already {
            verdict = confirm::verdict(&self.installed(&release, LOCAL)).await;
        }
        self.storage.candidate = Some(Candidate {
            id,
            bytes: local.kept_bytes(),
            release,
        });
        self.local = Some(Arc::new(local));
        self.handle(Event::Apply {
            release: id,
            verdict,
            allow_downgrade: false,
        });
    }

    /// Works until nothing is started any more; what ended last, if anything did.
    async fn until_applied(&mut self) -> Option<Applied> {
        while self.machine.is_working() || !self.todo.is_empty() {
            self.turn().await;
        }
        let release = self.local.as_ref()?.manifest().clone();
        let result = self.applied.take()?;
        Some(Applied::Ended { release, result })
    }
}

/// A release on this machine.
pub(super) enum LocalRelease {
    Directory(PackedRelease),
    File(HoistFile),
}

impl LocalRelease {
    fn open(path: &Path, keys: Result<Vec<PublicKey>, ApplyError>) -> Result<Self, ApplyError> {
        // What is not there at all needs no key to say so.
        let found = std::fs::metadata(path).map_err(|source| PackError::File {
            path: path.to_path_buf(),
            source,
        })?;
        if found.is_dir() {
            return Ok(Self::Directory(read_release_dir(path)?));
        }
        Ok(Self::File(HoistFile::open(path, &keys?)?))
    }

    fn manifest(&self) -> &ReleaseManifest {
        match self {
            Self::Directory(packed) => &packed.manifest,
            Self::File(file) => &file.manifest,
        }
    }

    /// What is kept to finish it: the manifest, in its envelope if it has one.
    fn kept_bytes(&self) -> Vec<u8> {
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

/// How much of an artifact is copied.
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
