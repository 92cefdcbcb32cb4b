//! Artifact files in a directory, addressed by content: what is there was proven when it
//! came in, whoever sent it. Nothing is ever changed in place; what was changed all the same
//! is noticed, told, and replaced by the next upload of it.

pub(crate) mod check;
mod incoming;
mod ledger;
mod owners;
mod proof;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use hoist_protocol::code::Code;
use hoist_protocol::id::{ArtifactId, UserId};

use self::ledger::{Ledger, Stamp};
use self::owners::Owners;
use crate::health::{Health, Stops};
use crate::space::{self, amount};

pub use incoming::Incoming;

/// Largest artifact file accepted: more than any device here installs, less than a disk.
pub const ARTIFACT_BYTES_MAX: u64 = 16 << 30;

/// The limits by which uploads leave room to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadLimits {
    /// Space that is left to the store, in bytes.
    pub reserve_bytes: u64,
    /// Uploads of one user that no release names, in bytes.
    pub quota_bytes: u64,
    /// The time for which an artifact that no release names is kept; none = for ever.
    pub keep_unused: Option<Duration>,
}

impl Default for UploadLimits {
    /// Room for what the store writes in a day of much to do; more than the largest artifact.
    fn default() -> Self {
        Self {
            reserve_bytes: 64 << 20,
            quota_bytes: 20 << 30,
            keep_unused: None,
        }
    }
}

/// Why an artifact was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The file is not the artifact of its id, or damaged (`E_HASH`).
    #[error("this is not artifact {id}: {why}; pack and upload it again")]
    Content {
        /// The id it was sent under.
        id: ArtifactId,
        /// The reason why it does not fit.
        why: String,
    },
    /// Another number of bytes than its manifest says (`E_LENGTH`).
    #[error("{announced} bytes are announced where the artifact's manifest says {total}")]
    Length {
        /// By the sender.
        announced: u64,
        /// By the manifest.
        total: u64,
    },
    /// More bytes than [`ARTIFACT_BYTES_MAX`] (`E_SIZE`).
    #[error("an artifact has at most {ARTIFACT_BYTES_MAX} bytes")]
    TooLarge,
    /// What would be left is the store's (`E_SPACE`).
    #[error(
        "{} are left on the server's disk, {} are wanted, and {} are kept for its store; free \
         some space there",
        amount(*left), amount(*wanted), amount(*reserve)
    )]
    NoSpace {
        /// On the disk.
        left: u64,
        /// By this artifact.
        wanted: u64,
        /// For the store.
        reserve: u64,
    },
    /// The user has uploaded too much that no release names (`E_SPACE`).
    #[error(
        "{} that {user} has uploaded are in no release, and it may be {} at most; add their \
         releases first, with `hoist release create`",
        amount(*unused), amount(*quota)
    )]
    Quota {
        /// The user who uploads.
        user: UserId,
        /// So far.
        unused: u64,
        /// At most.
        quota: u64,
    },
    /// The disk failed or is full (`E_SPACE`).
    #[error("cannot store the artifact in {path}", path = path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

/// The state of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Whole, as far as it was looked at.
    Whole,
    /// It is known to be damaged, or missing though a release names it.
    Damaged,
    /// It could not be read now, which says nothing about it.
    Unread,
    /// There is none.
    Nothing,
}

impl Seen {
    fn of(whole: bool) -> Self {
        if whole { Self::Whole } else { Self::Damaged }
    }
}

/// The directory; `tmp` in it holds what is arriving. Clones are the same.
#[derive(Debug, Clone)]
pub struct ArtifactDirectory {
    root: PathBuf,
    limits: UploadLimits,
    ledger: Arc<Mutex<Ledger>>,
    owners: Owners,
    /// Held while a file is read as a whole.
    proving: Arc<tokio::sync::Mutex<()>>,
    health: Health,
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
        let bytes = |id: ArtifactId| Stamp::of(&root.join(id.to_string())).map(|it| it.bytes());
        let owners = Owners::open(root).map_err(io)?;
        let mut ledger = Ledger::default();
        for (id, user) in owners.all(|id| bytes(id).is_some()).map_err(io)? {
            ledger.uploaded(id, user, bytes(id).unwrap_or_default());
        }
        Ok(Self {
            root: root.to_owned(),
            limits: UploadLimits::default(),
            ledger: Arc::new(Mutex::new(ledger)),
            owners,
            proving: Arc::default(),
            health: Health::default(),
        })
    }

    /// With these limits.
    #[must_use]
    pub fn limited(self, limits: UploadLimits) -> Self {
        Self { limits, ..self }
    }

    /// Tells there which artifacts are damaged.
    #[must_use]
    pub fn telling(self, health: Health) -> Self {
        Self { health, ..self }
    }

    /// Where an artifact is, whether there or not.
    #[must_use]
    pub fn path(&self, id: ArtifactId) -> PathBuf {
        self.root.join(id.to_string())
    }

    /// Bytes that are left to the store.
    pub(crate) fn reserve_bytes(&self) -> u64 {
        self.limits.reserve_bytes
    }

    /// True if an artifact is there, and not known to be damaged.
    #[must_use]
    pub fn contains(&self, id: ArtifactId) -> bool {
        self.path(id).is_file() && !self.is_damaged(id)
    }

    /// True if it was found to be damaged or missing.
    #[must_use]
    pub fn is_damaged(&self, id: ArtifactId) -> bool {
        self.ledger().is_damaged(id)
    }

    /// True if any was.
    pub(crate) fn has_damaged(&self) -> bool {
        self.ledger().has_damaged()
    }

    /// A release names it.
    pub(crate) fn claim(&self, id: ArtifactId, release: &str) {
        if self.ledger().released(id, release) {
            self.owners.forget(id);
        }
    }

    /// A release that named it was removed. When none does any more, it is kept as long as what
    /// none ever named.
    pub(crate) fn unclaim(&self, id: ArtifactId, by: Option<&str>) {
        if let Some(release) = by {
            self.ledger().renamed(id, release);
            return;
        }
        let path = self.path(id);
        let file = std::fs::File::options().write(true).open(&path);
        if let Err(error) = file.and_then(|file| file.set_modified(SystemTime::now())) {
            tracing::debug!(artifact = %id, %error, "the age of an artifact stays");
        }
        self.ledger().unclaimed(id, Stamp::of(&path));
        self.health.end(&format!("artifact {id}"));
    }

    /// The word for an artifact that no device could fetch: damaged, or missing.
    pub(crate) fn state_of(&self, id: ArtifactId) -> Option<&'static str> {
        match Stamp::of(&self.path(id)) {
            None => Some("missing"),
            Some(_) => self.is_damaged(id).then_some("damaged"),
        }
    }

    /// The file to be served: one that is not as it was when it was proven is proven anew.
    pub(crate) async fn look(&self, id: ArtifactId) -> Seen {
        let stamp = Stamp::of(&self.path(id));
        let (known, changed, released) = {
            let ledger = self.ledger();
            let released = ledger.release_of(id).is_some();
            (ledger.known(id, stamp), ledger.has_changed(id), released)
        };
        match (known, stamp) {
            (Some(whole), _) => Seen::of(whole),
            (None, None) if !released => Seen::Nothing,
            (None, Some(_)) if !changed => Seen::Whole,
            (None, _) => {
                let wanted = Arc::new(());
                self.prove(id, Arc::downgrade(&wanted)).await
            }
        }
    }

    /// Begins to take an artifact of a user, of so many bytes as far as it was announced.
    ///
    /// # Errors
    /// [`ArtifactError::Io`].
    pub async fn receive(
        &self,
        id: ArtifactId,
        user: UserId,
        announced: Option<u64>,
    ) -> Result<Incoming, ArtifactError> {
        Incoming::begin(self.clone(), (id, user), announced).await
    }

    /// Says in the log that an upload was refused: at most once a minute for each user and code,
    /// since a program may try again without a pause.
    pub(crate) fn say_refused(
        &self,
        (artifact, user): (ArtifactId, &UserId),
        code: Code,
        error: &ArtifactError,
    ) {
        if let Some(count) = self.ledger().refused(user, code) {
            let code = code.as_str();
            tracing::warn!(%user, %artifact, code, count, %error, "upload refused");
        }
    }

    /// Ok if so many bytes more leave the store its own.
    fn check_space(&self, wanted: u64) -> Result<(), ArtifactError> {
        let left = space::left(&self.root).map_err(|source| ArtifactError::Io {
            path: self.root.clone(),
            source,
        })?;
        let reserve = self.limits.reserve_bytes;
        // Others are arriving; a part of them is there already, which makes this no smaller.
        let arriving = if wanted == 0 {
            0
        } else {
            self.ledger().arriving()
        };
        let needed = reserve.saturating_add(wanted).saturating_add(arriving);
        if left >= needed {
            return Ok(());
        }
        Err(ArtifactError::NoSpace {
            left,
            wanted,
            reserve,
        })
    }

    /// A file could not be read: people are told, and nothing is known of it.
    fn unread(&self, id: ArtifactId, error: &io::Error) {
        tracing::warn!(artifact = %id, %error, "an artifact cannot be read");
        if let Some(release) = self.ledger().release_of(id) {
            let about = format!("artifact {id}");
            let detail = format!("{release} cannot be installed: its file cannot be read: {error}");
            self.health
                .begin(&about, Code::Storage, &detail, Stops::Part);
        }
    }

    /// Notes a verdict about a file that was like this then; true if that file is the one there
    /// now. Another one has come meanwhile otherwise, of which nothing was found out.
    fn found(&self, id: ArtifactId, stamp: Option<Stamp>, verdict: Result<(), String>) -> bool {
        let mut ledger = self.ledger();
        if Stamp::of(&self.path(id)) != stamp {
            return false;
        }
        ledger.found(id, stamp, verdict.is_ok());
        let about = format!("artifact {id}");
        match (verdict, ledger.release_of(id)) {
            (Err(why), Some(release)) => {
                tracing::error!(artifact = %id, release, why, "an artifact is damaged");
                let detail = format!(
                    "{release} cannot be installed: {why}; `hoist release create` of the same \
                     directory repairs it"
                );
                self.health
                    .begin(&about, Code::Artifact, &detail, Stops::Part);
            }
            _ => self.health.end(&about),
        }
        true
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
