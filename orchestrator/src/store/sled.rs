//! The store on disk: sled, with our own `fdatasync` after each flush, because on Linux
//! sled's flush does not reach the disk and a power cut would lose acknowledged batches.
//! A value is its generation (8 bytes, big-endian) and the bytes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::{Batch, CommitError, Page, Store, StoreError, Versioned, holds};

/// What `FORMAT` says.
const FORMAT: &str = "hoist-store 1";

/// A sled database in a folder of its own.
#[derive(Debug, Clone)]
pub struct SledStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    db: sled::Db,
    /// A second descriptor of sled's data file, for `fdatasync`.
    data: File,
    /// Checking generations and writing must be one step.
    commit: Mutex<()>,
}

impl SledStore {
    /// Opens the store in `path`, or makes one where nothing is.
    ///
    /// # Errors
    /// [`StoreError::Format`] for what this version does not know, and
    /// [`StoreError::Damaged`] for a store that lost its data: it never starts empty.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let io = |error: std::io::Error| StoreError::Io {
            path: path.to_owned(),
            why: error.to_string(),
        };
        let format = path.join("FORMAT");
        let data = path.join("db");
        match std::fs::read_to_string(&format) {
            Ok(found) if found.trim_end() != FORMAT => {
                return Err(StoreError::Format {
                    path: format,
                    found,
                });
            }
            Ok(_) if !data.is_file() => {
                let why = "its FORMAT file is there, its data file `db` is not".to_owned();
                return Err(StoreError::Damaged {
                    path: path.to_owned(),
                    why,
                });
            }
            Ok(_) => {}
            Err(_) if data.exists() => {
                return Err(StoreError::Format {
                    path: format,
                    found: String::new(),
                });
            }
            Err(_) => std::fs::create_dir_all(path).map_err(io)?,
        }
        let db = sled::Config::new().path(path).flush_every_ms(None).open();
        let db = db.map_err(|error| StoreError::Damaged {
            path: path.to_owned(),
            why: error.to_string(),
        })?;
        let data = File::open(&data).map_err(io)?;
        // Last, so that an unfinished creation is never taken for a store.
        std::fs::write(&format, format!("{FORMAT}\n")).map_err(io)?;
        File::open(path)
            .and_then(|folder| folder.sync_all())
            .map_err(io)?;
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                db,
                data,
                commit: Mutex::new(()),
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
                why: error.to_string(),
            })?
    }
}

impl Inner {
    fn io(&self, error: impl std::fmt::Display) -> StoreError {
        StoreError::Io {
            path: self.path.clone(),
            why: error.to_string(),
        }
    }

    fn read(&self, bytes: &[u8]) -> Result<Versioned, StoreError> {
        let (generation, value) = bytes
            .split_first_chunk()
            .ok_or_else(|| StoreError::Damaged {
                path: self.path.clone(),
                why: "a value without its generation".to_owned(),
            })?;
        Ok(Versioned {
            generation: u64::from_be_bytes(*generation),
            value: value.to_vec(),
        })
    }

    fn get(&self, key: &[u8]) -> Result<Option<Versioned>, StoreError> {
        let found = self.db.get(key).map_err(|error| self.io(error))?;
        found.map(|bytes| self.read(&bytes)).transpose()
    }

    fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        let _one_at_a_time = self.commit.lock().unwrap_or_else(PoisonError::into_inner);
        let mut writes = sled::Batch::default();
        for change in batch {
            let found = self.get(&change.key)?.map(|row| row.generation);
            if !holds(change.expected, found) {
                return Err(CommitError::Conflict);
            }
            match change.value {
                Some(value) => {
                    let mut bytes = (found.unwrap_or(0) + 1).to_be_bytes().to_vec();
                    bytes.extend_from_slice(&value);
                    writes.insert(change.key, bytes);
                }
                None => writes.remove(change.key),
            }
        }
        self.db
            .apply_batch(writes)
            .map_err(|error| self.io(error))?;
        self.db.flush().map_err(|error| self.io(error))?;
        self.data.sync_data().map_err(|error| self.io(error))?;
        Ok(())
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let mut page = Page::default();
        let start = after.filter(|key| key.as_slice() >= prefix);
        let range = match &start {
            Some(key) => self.db.range((
                std::ops::Bound::Excluded(key.clone()),
                std::ops::Bound::Unbounded,
            )),
            None => self.db.range(prefix.to_vec()..),
        };
        for entry in range {
            let (key, bytes) = entry.map_err(|error| self.io(error))?;
            if !key.starts_with(prefix) {
                break;
            }
            if page.items.len() == limit {
                page.more = true;
                break;
            }
            page.items.push((key.to_vec(), self.read(&bytes)?));
        }
        Ok(page)
    }
}

#[async_trait]
impl Store for SledStore {
    async fn load(&self, keys: Vec<Vec<u8>>) -> Result<Vec<Option<Versioned>>, StoreError> {
        self.blocking(move |inner| keys.iter().map(|key| inner.get(key)).collect())
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
        self.blocking(move |inner| inner.scan(&prefix, after, limit))
            .await
    }
}
