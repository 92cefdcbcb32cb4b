//! Why an artifact was not fetched, for the outcome and for people, and whether time can
//! cure it (S8, S9):
//!
//! | what | code | again |
//! |---|---|---|
//! | no source, no answer, silence, a broken connection, a status other than 2xx, a redirect elsewhere or in circles, another range than asked for | `E_DOWNLOAD` | later: servers, portals and uploads change |
//! | wrong bytes in an answer that does not even declare the signed length: a portal's page | `E_DOWNLOAD` | later |
//! | the body ends early, or the server's file does | `E_LENGTH` | later: the upload may still run |
//! | wrong bytes, twice in a row from the beginning | `E_HASH` | useless |
//! | a source that is no http address | `E_DOWNLOAD` | useless |
//! | signed, but malformed or with paths that lead outside or collide | `E_ARCHIVE` | useless |
//! | signed, but its sizes do not add up | `E_LENGTH` | useless |
//! | signed, but of a newer format or in larger parts than this device takes | `E_VERSION` | useless |
//! | the file system fails, is full or read-only in the middle (row 58) | `E_STORAGE`, `E_SPACE` | later: somebody may clear it |
//!
//! Space that is missing before anything began is refused for good by `preflight`.

use std::io;
use std::path::Path;

use hoist_protocol::bundle::BundleError;
use hoist_protocol::codec::DecodeError;
use hoist_protocol::reason::Reason;

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
    pub(super) fn network(detail: impl Into<String>) -> Self {
        Self::later(Reason::DownloadFailed, detail.into())
    }

    pub(super) fn length(had: u64, signed: u64) -> Self {
        let detail = format!("the body ends after {had} of {signed} signed bytes");
        Self::later(Reason::LengthMismatch, detail)
    }

    pub(crate) fn hash(what: &str) -> Self {
        let detail = format!("{what} does not have the signed hash");
        Self::refused(Reason::HashMismatch, detail)
    }

    pub(crate) fn refused(reason: Reason, detail: String) -> Self {
        Self {
            reason,
            retry: Retry::Useless,
            detail,
        }
    }

    pub(crate) fn later(reason: Reason, detail: String) -> Self {
        Self {
            reason,
            retry: Retry::Later,
            detail,
        }
    }

    pub(crate) fn storage(path: &Path, error: &io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Reason::NoSpace,
            _ => Reason::StorageFailed,
        };
        Self::later(reason, format!("cannot use {}: {error}", path.display()))
    }

    /// Whether the bytes were not the signed ones: a fetch from the beginning may help.
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
