//! The store on disk. What sled keeps in memory may not be on the disk when a write has
//! failed: after that, a handle shows what was durable before, and takes no write. The next
//! commit opens it anew, from what the disk holds, once files can be written there again.

mod failure;
mod open;
mod room;

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use self::failure::failing;
use self::open::Open;
use self::room::{check_space, probe};
use super::snapshot::SnapshotWriter;
use super::{Batch, CommitError, Fault, Page, Store, StoreError, Trouble, Versioned};

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
    /// A write failed: it is only read.
    Failed {
        open: Box<Open>,
        /// When it was last tried whether the disk can be written, and what that said.
        tried: Option<(Instant, StoreError)>,
    },
    /// It is being opened anew.
    Between,
    /// It could not be opened again.
    Closed {
        at: Instant,
        why: StoreError,
    },
}

impl SledStore {
    /// Opens the store in `path`. All of it is read and compared with what its last commit
    /// left.
    ///
    /// # Errors
    /// [`Fault::Missing`] where there is none, [`Fault::Format`] for what this
    /// version does not know, and [`Fault::Damaged`] for a store that lost anything: it
    /// never starts empty, nor with less than it had.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::of(path, Open::existing(path)?))
    }

    /// Makes an empty store in `path`: for a server that has no past, or whose past comes from
    /// elsewhere.
    ///
    /// # Errors
    /// [`Fault::Io`], also where a store or a part of one is.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::of(path, Open::create(path)?))
    }

    fn of(path: &Path, open: Open) -> Self {
        Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                handle: RwLock::new(Handle::Open(Box::new(open))),
            }),
        }
    }

    /// Looks at all rows of one moment, keys and values in order; writing waits meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(
            &mut dyn Iterator<Item = Result<(Vec<u8>, Vec<u8>), StoreError>>,
        ) -> Result<T, StoreError>
        + Send
        + 'static,
    ) -> Result<T, StoreError> {
        self.blocking(move |inner| {
            let mut look = Some(look);
            inner.read(|open| match look.take() {
                Some(look) => look(&mut open.everything()),
                None => Err(failing(&inner.path, &ErrorKind::Other.into())),
            })
        })
        .await
    }

    /// Writes all rows of one moment; how many there are. Writing to the store waits
    /// meanwhile.
    ///
    /// # Errors
    /// Those of the store, and of `out`.
    pub async fn snapshot(&self, out: impl Write + Send + 'static) -> io::Result<u64> {
        let written = self.look(|rows| {
            let write = || {
                let mut writer = SnapshotWriter::new(out)?;
                for row in rows {
                    let (key, value) = row.map_err(io::Error::other)?;
                    writer.row(&key, &value)?;
                }
                writer.finish()
            };
            Ok(write())
        });
        written.await.map_err(io::Error::other)?
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
        let done = tokio::task::spawn_blocking(move || work(&inner)).await;
        done.map_err(|error| {
            let fault = Fault::Io(Trouble::Failing);
            StoreError::new(fault, &self.inner.path, &error.to_string())
        })?
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let handle = self
            .handle
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(handle, Handle::Between) {
            Handle::Open(open) | Handle::Failed { open, .. } => open.close(),
            Handle::Between | Handle::Closed { .. } => {}
        }
    }
}

impl Inner {
    /// Reads; writing waits meanwhile.
    fn read<T>(&self, work: impl FnOnce(&Open) -> Result<T, StoreError>) -> Result<T, StoreError> {
        loop {
            let handle = self.handle.read().unwrap_or_else(PoisonError::into_inner);
            if let Handle::Open(open) | Handle::Failed { open, .. } = &*handle {
                return work(open);
            }
            drop(handle);
            let mut handle = self.handle.write().unwrap_or_else(PoisonError::into_inner);
            self.open_anew(&mut handle)?;
        }
    }

    /// Writes. Reading waits until it is durable, or has failed.
    fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        let mut handle = self.handle.write().unwrap_or_else(PoisonError::into_inner);
        let open = self.open_anew(&mut handle)?;
        check_space(&self.path)?;
        let done = open.commit(batch);
        if let Err(CommitError::Store(error)) = &done
            && let Handle::Open(open) = std::mem::replace(&mut *handle, Handle::Between)
        {
            tracing::debug!(%error, "a write failed, the store is only read until it is opened anew");
            let tried = None;
            *handle = Handle::Failed { open, tried };
        }
        done
    }

    /// The handle, open for writing; after a failure it is opened anew, not too often.
    fn open_anew<'a>(&self, handle: &'a mut Handle) -> Result<&'a mut Open, StoreError> {
        match handle {
            Handle::Closed { at, why }
            | Handle::Failed {
                tried: Some((at, why)),
                ..
            } if at.elapsed() < REOPEN_PAUSE => return Err(why.clone()),
            Handle::Failed { tried, .. } => {
                // It can still be read, which is not given up for a disk that is still full.
                if let Err(why) = probe(&self.path) {
                    *tried = Some((Instant::now(), why.clone()));
                    return Err(why);
                }
                if let Handle::Failed { open, .. } = std::mem::replace(handle, Handle::Between) {
                    open.close();
                }
                *handle = self.reopened();
            }
            Handle::Closed { .. } | Handle::Between => *handle = self.reopened(),
            Handle::Open(_) => {}
        }
        match handle {
            Handle::Open(open) => Ok(open),
            Handle::Closed { why, .. } => Err(why.clone()),
            Handle::Failed { .. } | Handle::Between => {
                Err(failing(&self.path, &ErrorKind::Other.into()))
            }
        }
    }

    fn reopened(&self) -> Handle {
        match Open::reopen(&self.path) {
            Ok(open) => {
                tracing::debug!(path = %self.path.display(), "the store is open again");
                Handle::Open(Box::new(open))
            }
            Err(why) => Handle::Closed {
                at: Instant::now(),
                why,
            },
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
