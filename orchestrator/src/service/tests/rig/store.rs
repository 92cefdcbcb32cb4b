//! A store that can be made to fail, and to be slow.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hoist_orchestrator_core::model::key::Prefix;
use tokio::sync::watch;

use super::{Happened, Log};
use crate::store::memory::MemoryStore;
use crate::store::{Batch, CommitError, Fault, Page, Store, StoreError, Trouble, Versioned};

/// A store that logs its commits and can be made to fail.
#[derive(Default)]
pub(in crate::service::tests) struct Watched {
    inner: MemoryStore,
    pub(in crate::service::tests) log: Arc<Log>,
    pub(in crate::service::tests) conflicts: AtomicUsize,
    /// The next so many commits become durable, and fail nevertheless.
    pub(in crate::service::tests) untold: AtomicUsize,
    /// Every commit fails by this.
    pub(in crate::service::tests) trouble: Mutex<Option<Trouble>>,
    /// While it is shut, nobody reads along the devices.
    pub(in crate::service::tests) shut: watch::Sender<bool>,
}

fn take_one(count: &AtomicUsize) -> bool {
    let less = |count: usize| count.checked_sub(1);
    count
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
        .is_ok()
}

fn failure(trouble: Trouble) -> CommitError {
    let fault = Fault::Io(trouble);
    CommitError::Store(StoreError::new(fault, Path::new("store"), "a test"))
}

#[async_trait]
impl Store for Watched {
    async fn load(&self, keys: Vec<Vec<u8>>) -> Result<Vec<Option<Versioned>>, StoreError> {
        self.inner.load(keys).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        let refused = if take_one(&self.conflicts) {
            Some(CommitError::Conflict)
        } else if let Some(trouble) = *self.trouble.lock().unwrap() {
            Some(failure(trouble))
        } else if take_one(&self.untold) {
            self.inner.commit(batch).await?;
            Some(failure(Trouble::Failing))
        } else {
            self.inner.commit(batch).await.err()
        };
        match refused {
            Some(error) => {
                self.log.add(Happened::Refused);
                Err(error)
            }
            None => {
                self.log.add(Happened::Committed);
                Ok(())
            }
        }
    }

    async fn scan(
        &self,
        prefix: Vec<u8>,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        if prefix == Prefix::Devices.bytes().0 {
            let mut shut = self.shut.subscribe();
            shut.wait_for(|shut| !*shut).await.unwrap();
        }
        self.inner.scan(prefix, after, limit).await
    }
}
