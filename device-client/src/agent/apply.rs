//! `hoist-agent apply`: installs what somebody brought to the device, with the same
//! machine, journal and scripts, and without a server. Nothing of it is ever reported but
//! by the inventory.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hoist_protocol::code::Code;
use hoist_protocol::envelope::PublicKey;
use hoist_protocol::id::DeploymentId;
use hoist_protocol::release::ReleaseManifest;
use hoist_protocol::root::{KeyRole, RootDocument};
use hoist_protocol::status::FinalResult;

use super::bundle::{HoistFile, PackError, read_release_dir};
use super::config::{HostConfig, ServerConfig};
use super::confirm;
use super::local_release::LocalRelease;
use super::preflight::Downgrade;
use super::program::CANNOT_EXECUTE;
use super::root_chain::newest_root;
use super::runner::{Agent, AgentError};
use super::storage::Candidate;
use super::work::check_release;
use crate::machine::{Event, LOCAL, Verdict};

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

/// The result of an application.
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
    if let Some(job) = agent.session.machine().job().filter(|job| !job.is_local()) {
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
    let root = newest_root(&agent.storage, &pin).or_else(|| beside().and_then(open));
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
        while self.session.machine().is_working() || self.session.owed() > 0 {
            self.turn().await;
        }
        let release = self.local.as_ref()?.manifest().clone();
        let result = self.applied.take()?;
        Some(Applied::Ended { release, result })
    }
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
}
