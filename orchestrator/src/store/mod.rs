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
use std::path::Path;

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

/// Why the store could not do something: the fault, where it is, and its particulars.
#[derive(Debug, Clone, thiserror::Error)]
pub struct StoreError {
    fault: Fault,
    /// The folder of the store.
    path: Box<Path>,
    /// What is known beyond the fault; empty where that says everything.
    why: Box<str>,
}

/// A kind of failure of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The files are of another version or none of ours.
    Format,
    /// No store is there, nor a part of one (`E_RECOVER`).
    Missing,
    /// A store that was there lost something (`E_STORE_DAMAGED`).
    Damaged,
    /// The file system failed.
    Io(Trouble),
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
    /// A fault of the store in a folder, with its particulars: what the FORMAT file says, what is
    /// lost, or what the system said.
    #[must_use]
    pub fn new(fault: Fault, path: &Path, why: &str) -> Self {
        Self {
            fault,
            path: path.into(),
            why: why.into(),
        }
    }

    /// There is no store in a folder.
    #[must_use]
    pub fn missing(path: &Path) -> Self {
        Self::new(Fault::Missing, path, "")
    }

    /// The kind of the failure.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// The particulars of the fault.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }

    /// True if it may be over after a while: nothing is damaged.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(self.fault, Fault::Io(_))
    }

    /// True if waiting is of no use for ever: a disk that fails is to be replaced. The others end
    /// when somebody gives space, permission or the right to write.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.fault == Fault::Io(Trouble::Failing)
    }

    /// The code that people and scripts see.
    #[must_use]
    pub fn code(&self) -> Code {
        match self.fault {
            Fault::Missing => Code::Recover,
            Fault::Damaged => Code::StoreDamaged,
            Fault::Format => Code::Store,
            Fault::Io(Trouble::Full) => Code::Space,
            Fault::Io(_) => Code::Storage,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, why) = (self.path.display(), &self.why);
        match self.fault {
            Fault::Format => write!(
                f,
                "{} is not a store this version can read: {why:?}; use the version that wrote it, or restore a backup",
                self.path.join("FORMAT").display()
            ),
            Fault::Missing => write!(f, "there is no store in {path}"),
            Fault::Damaged => write!(f, "the store in {path} is damaged: {why}"),
            Fault::Io(trouble) => {
                write!(f, "the store in {path} cannot be used, {trouble}: {why}")
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_where_and_why_and_its_code_goes_with_its_fault() {
        let said = |fault, why| {
            let error = StoreError::new(fault, Path::new("/data/store"), why);
            (error.to_string(), error.code())
        };
        assert_eq!(
            said(Fault::Format, "hoist-store 9\n"),
            (
                r#"/data/store/FORMAT is not a store this version can read: "hoist-store 9\n"; use the version that wrote it, or restore a backup"#
                    .to_owned(),
                Code::Store
            )
        );
        assert_eq!(
            said(Fault::Missing, ""),
            ("there is no store in /data/store".to_owned(), Code::Recover)
        );
        assert_eq!(
            said(Fault::Damaged, "a row is gone"),
            (
                "the store in /data/store is damaged: a row is gone".to_owned(),
                Code::StoreDamaged
            )
        );
        assert_eq!(
            said(Fault::Io(Trouble::Full), "no space left on device"),
            (
                "the store in /data/store cannot be used, its file system is full: no space left \
                 on device"
                    .to_owned(),
                Code::Space
            )
        );
    }
}
