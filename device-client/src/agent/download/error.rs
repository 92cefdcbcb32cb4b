//! Why an artifact was not fetched, for the outcome and for people, and whether time can
//! cure it (S8, S9):
//!
//! | what | code | again |
//! |---|---|---|
//! | no source, no answer, silence, a broken connection, a status other than 2xx, a redirect elsewhere or in circles, another range or encoding than asked for | `E_DOWNLOAD` | later: servers, portals and uploads change |
//! | wrong bytes in an answer that does not even declare the signed length: a portal's page | `E_DOWNLOAD` | later |
//! | the body ends early, or the server's file does | `E_LENGTH` | later: the upload may still run |
//! | wrong bytes, twice in a row from where they begin | `E_HASH` | useless |
//! | the same, of a segment that came in several connections: the file may be changing | `E_HASH` | later |
//! | a source that is no http address | `E_DOWNLOAD` | useless |
//! | signed, but malformed or with paths that lead outside or collide | `E_ARCHIVE` | useless |
//! | signed, but its sizes do not add up | `E_LENGTH` | useless |
//! | signed, but of a newer format or in larger parts than this device takes | `E_VERSION` | useless |
//! | the file system fails, is full or read-only in the middle (bad-inputs row 58) | `E_STORAGE`, `E_SPACE` | later: somebody may clear it |
//!
//! Space that is missing before anything began is refused for good by `preflight`.
//!
//! What is said names hosts and never whole addresses: they may hold secrets.

use std::io;
use std::path::Path;
use std::time::Duration;

use hoist_protocol::bundle::BundleError;
use hoist_protocol::codec::DecodeError;
use hoist_protocol::reason::Reason;
use hoist_protocol::release::ArtifactRef;
use hoist_protocol::status::RetryCause;

use crate::machine::Retry;

/// Digits of an artifact's id that people compare.
const SHOWN_DIGITS: usize = 8;

/// Why an artifact was not fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct DownloadError {
    /// For the outcome.
    pub reason: Reason,
    /// The answer to the question whether another try can help.
    pub retry: Retry,
    /// The reason that people are told while the device waits.
    pub cause: RetryCause,
    /// The time in which the server does not want to be asked.
    pub after: Option<Duration>,
    /// True if new bytes were proven before it: the back-off begins again.
    pub gained: bool,
    /// For people.
    pub detail: String,
}

impl DownloadError {
    pub(super) fn network(cause: RetryCause, detail: impl Into<String>) -> Self {
        Self {
            cause,
            ..Self::later(Reason::DownloadFailed, detail.into())
        }
    }

    pub(super) fn length(host: &str, had: u64, signed: u64) -> Self {
        let detail = format!("the file of {host} ends after {had} of {signed} signed bytes");
        Self {
            cause: RetryCause::Cut,
            ..Self::later(Reason::LengthMismatch, detail)
        }
    }

    /// Less than the signed bytes were given to a writer.
    pub(super) fn incomplete(had: u64, signed: u64) -> Self {
        let detail = format!("only {had} of {signed} signed bytes are there");
        Self::later(Reason::LengthMismatch, detail)
    }

    pub(crate) fn hash(what: &str) -> Self {
        let detail = format!("{what} does not have the signed hash");
        Self::refused(Reason::HashMismatch, detail)
    }

    pub(crate) fn refused(reason: Reason, detail: String) -> Self {
        Self {
            retry: Retry::Useless,
            ..Self::later(reason, detail)
        }
    }

    /// An error that time may cure.
    #[must_use]
    pub fn later(reason: Reason, detail: String) -> Self {
        Self {
            reason,
            retry: Retry::Later,
            cause: RetryCause::Failed(reason),
            after: None,
            gained: false,
            detail,
        }
    }

    /// The same, naming the artifact.
    pub(super) fn of(mut self, artifact: &ArtifactRef) -> Self {
        let id = artifact.id().to_string();
        let id = id.get(..SHOWN_DIGITS).unwrap_or(&id);
        if !matches!(self.reason, Reason::NoSpace | Reason::StorageFailed) {
            self.detail = format!("{} for artifact {id}…", self.detail);
        }
        self
    }

    pub(crate) fn storage(path: &Path, error: &io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Reason::NoSpace,
            _ => Reason::StorageFailed,
        };
        Self::later(reason, format!("cannot use {}: {error}", path.display()))
    }

    /// True if a connection brought less than was asked for.
    pub(super) fn is_link(&self) -> bool {
        let reasons = [Reason::DownloadFailed, Reason::LengthMismatch];
        self.retry == Retry::Later && reasons.contains(&self.reason)
    }

    /// True if the bytes were not the signed ones: another fetch may help.
    pub(super) fn is_wrong_content(&self) -> bool {
        self.reason == Reason::HashMismatch
    }
}

impl From<BundleError> for DownloadError {
    fn from(error: BundleError) -> Self {
        let detail = error.to_string();
        match error {
            BundleError::Hash | BundleError::IndexHash | BundleError::Magic => Self::hash(&detail),
            BundleError::Truncated { .. } | BundleError::Size { .. } => {
                Self::refused(Reason::LengthMismatch, detail)
            }
            BundleError::Encoding { .. } => Self::refused(Reason::Unsupported, detail),
            // Only a body that is not the signed one announces such a length.
            BundleError::Manifest(DecodeError::TooLarge { .. }) => Self::hash(&detail),
            BundleError::Manifest(DecodeError::Version { .. }) => {
                Self::refused(Reason::Unsupported, detail)
            }
            // Signed, but with a path that leads outside, or malformed.
            BundleError::Manifest(_) => Self::refused(Reason::BadArchive, detail),
        }
    }
}
