//! The store: bytes under ordered keys, written in atomic, durable batches that hold only
//! when everything they were decided on is still as it was. It knows nothing of rows.

#[cfg(test)]
mod contract;
pub mod memory;
mod seal;
pub mod sled;
pub mod snapshot;

use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;

use async_trait::async_trait;
use hoist_protocol::code::Code;

/// A stored value with the number of times its key has been written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// 1 for the first write, rising by one with each.
    pub generation: u64,
    /// The bytes.
    pub value: Vec<u8>,
}

/// The condition on a key for a batch to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing is stored under it.
    Absent,
    /// It was last written with this generation.
    Generation(u64),
}

/// One key's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: Vec<u8>,
    /// The state of the key when the change was decided.
    pub expected: Expected,
    /// The new value, or `None` to delete.
    pub value: Option<Vec<u8>>,
}

/// Changes that are written all or none; no key twice.
pub type Batch = Vec<Change>;

/// A page of a scan, in key order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Keys and values.
    pub items: Vec<(Vec<u8>, Versioned)>,
    /// True if more follow; scan again after the last key.
    pub more: bool,
}

/// Why the store could not do something.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The files are of another version or none of ours.
    #[error("{path} is not a store this version can read: {found:?}; use the version that wrote it, or restore a backup", path = path.display())]
    Format {
        /// The FORMAT file.
        path: PathBuf,
        /// The text found in it.
        found: String,
    },
    /// No store is there, nor a part of one (`E_RECOVER`).
    #[error("there is no store in {path}", path = path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A store that was there lost something (`E_STORE_DAMAGED`).
    #[error("the store in {path} is damaged: {why}", path = path.display())]
    Damaged {
        /// Its folder.
        path: PathBuf,
        /// The fault.
        why: String,
    },
    /// The file system failed.
    #[error("the store in {path} cannot be used, {trouble}: {why}", path = path.display())]
    Io {
        /// Its folder.
        path: PathBuf,
        /// What it is.
        trouble: Trouble,
        /// What the system said.
        why: String,
    },
}

/// A trouble of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// There is no space, or the quota is used up: it is over when there is some again.
    Full,
    /// It is mounted read-only.
    ReadOnly,
    /// Permission is missing.
    Denied,
    /// Anything else, such as a failing disk.
    Failing,
}

impl Trouble {
    /// Of an error of the system.
    #[must_use]
    pub fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full,
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            ErrorKind::PermissionDenied => Self::Denied,
            _ => Self::Failing,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "its file system is full",
            Self::ReadOnly => "its file system is read-only",
            Self::Denied => "permission is missing",
            Self::Failing => "its file system fails",
        })
    }
}

impl StoreError {
    /// True if it may be over after a while: nothing is damaged.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(self, Self::Io { .. })
    }

    /// True if waiting is of no use for ever: a disk that fails is to be replaced. The others end
    /// when somebody gives space, permission or the right to write.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        matches!(
            self,
            Self::Io {
                trouble: Trouble::Failing,
                ..
            }
        )
    }

    /// The code that people and scripts see.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Missing { .. } => Code::Recover,
            Self::Damaged { .. } => Code::StoreDamaged,
            Self::Format { .. } => Code::Store,
            Self::Io {
                trouble: Trouble::Full,
                ..
            } => Code::Space,
            Self::Io { .. } => Code::Storage,
        }
    }
}

/// Why a batch was not written.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A key is not as expected; nothing was written. Decide again.
    #[error("a key was written by somebody else since it was read")]
    Conflict,
    /// The store failed; nothing may be acknowledged.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Ordered keys, atomic durable batches with compare-and-set, paged scans.
#[async_trait]
pub trait Store: Send + Sync {
    /// Reads keys, in their order.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn load(&self, keys: Vec<Vec<u8>>) -> Result<Vec<Option<Versioned>>, StoreError>;

    /// Writes all of a batch durably, or nothing.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when a key is not as expected.
    async fn commit(&self, batch: Batch) -> Result<(), CommitError>;

    /// Reads up to `limit` keys with a prefix, after a key.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn scan(
        &self,
        prefix: Vec<u8>,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> Result<Page, StoreError>;
}

fn holds(expected: Expected, found: Option<u64>) -> bool {
    match expected {
        Expected::Absent => found.is_none(),
        Expected::Generation(generation) => found == Some(generation),
    }
}
