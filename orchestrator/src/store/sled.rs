//! The store on disk. What sled keeps in memory may not be on the disk when a write has
//! failed, so that nothing is ever answered from a handle after that: it is closed, and the
//! next use opens it anew, from what the disk holds.

mod open;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use self::open::{Open, failing};
use super::{Batch, CommitError, Page, Store, StoreError, Trouble, Versioned};

/// Opening is not tried again sooner after it failed.
const REOPEN_PAUSE: Duration = Duration::from_millis(200);

/// A sled database in a folder of its own.
#[derive(Debug, Clone)]
pub struct SledStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    /// Checking generations, writing and making durable are one step, alone.
    handle: RwLock<Handle>,
}

#[derive(Debug)]
enum Handle {
    Open(Box<Open>),
    /// A write failed.
    Failed,
    /// It could not be opened again.
    Closed {
        at: Instant,
        why: StoreError,
    },
}

impl SledStore {
    /// Opens the store in `path`, or makes one where nothing is. All of it is read and
    /// compared with what its last commit left.
    ///
    /// # Errors
    /// [`StoreError::Format`] for what this version does not know, and
    /// [`StoreError::Damaged`] for a store that lost anything: it never starts empty, nor
    /// with less than it had.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let open = Box::new(Open::create_or_open(path)?);
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                handle: RwLock::new(Handle::Open(open)),
            }),
        })
    }

    /// Runs file work off the async threads.
    async fn blocking<T, E>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        let path = inner.path.clone();
        tokio::task::spawn_blocking(move || work(&inner))
            .await
            .map_err(|error| StoreError::Io {
                path,
                trouble: Trouble::Failing,
                why: error.to_string(),
            })?
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let handle = self
            .handle
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Handle::Open(open) = std::mem::replace(handle, Handle::Failed) {
            open.close();
        }
    }
}

impl Inner {
    /// Reads; writing waits meanwhile.
    fn read<T>(&self, work: impl FnOnce(&Open) -> Result<T, StoreError>) -> Result<T, StoreError> {
        loop {
            let handle = self.handle.read().unwrap_or_else(PoisonError::into_inner);
            if let Handle::Open(open) = &*handle {
                return work(open);
            }
            drop(handle);
            let mut handle = self.handle.write().unwrap_or_else(PoisonError::into_inner);
            self.open_anew(&mut handle)?;
        }
    }

    /// Writes. Reading waits until it is durable, or has failed and is forgotten.
    fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        let mut handle = self.handle.write().unwrap_or_else(PoisonError::into_inner);
        let done = self.open_anew(&mut handle)?.commit(batch);
        if let Err(CommitError::Store(error)) = &done {
            tracing::warn!(%error, "the store is closed, and what it holds is read anew");
            if let Handle::Open(open) = std::mem::replace(&mut *handle, Handle::Failed) {
                open.close();
            }
        }
        done
    }

    /// The open handle; after a failure it is opened anew, not too often.
    fn open_anew<'a>(&self, handle: &'a mut Handle) -> Result<&'a mut Open, StoreError> {
        match handle {
            Handle::Closed { at, why } if at.elapsed() < REOPEN_PAUSE => return Err(why.clone()),
            Handle::Failed | Handle::Closed { .. } => match Open::reopen(&self.path) {
                Ok(open) => {
                    tracing::info!(path = %self.path.display(), "the store is open again");
                    *handle = Handle::Open(Box::new(open));
                }
                Err(why) => {
                    let at = Instant::now();
                    *handle = Handle::Closed {
                        at,
                        why: why.clone(),
                    };
                    return Err(why);
                }
            },
            Handle::Open(_) => {}
        }
        match handle {
            Handle::Open(open) => Ok(open),
            Handle::Failed => Err(failing(&self.path, &ErrorKind::Other.into())),
            Handle::Closed { why, .. } => Err(why.clone()),
        }
    }
}

#[async_trait]
impl Store for SledStore {
    async fn load(&self, keys: Vec<Vec<u8>>) -> Result<Vec<Option<Versioned>>, StoreError> {
        self.blocking(move |inner| {
            inner.read(|open| keys.iter().map(|key| open.get(key)).collect())
        })
        .await
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.blocking(move |inner| inner.commit(batch)).await
    }

    async fn scan(
        &self,
        prefix: Vec<u8>,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.blocking(move |inner| inner.read(|open| open.scan(&prefix, after, limit)))
            .await
    }
}
