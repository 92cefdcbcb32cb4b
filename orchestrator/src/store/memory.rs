//! A store in memory: for tests, and the reference for the others' behavior.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::{Batch, CommitError, Page, Store, StoreError, Versioned, holds};

/// Everything is gone with the value.
#[derive(Debug, Default)]
pub struct MemoryStore {
    rows: Mutex<BTreeMap<Vec<u8>, Versioned>>,
}

#[async_trait]
impl Store for MemoryStore {
    async fn load(&self, keys: Vec<Vec<u8>>) -> Result<Vec<Option<Versioned>>, StoreError> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(keys.iter().map(|key| rows.get(key).cloned()).collect())
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let found = |key| rows.get(key).map(|row: &Versioned| row.generation);
        if !batch
            .iter()
            .all(|change| holds(change.expected, found(&change.key)))
        {
            return Err(CommitError::Conflict);
        }
        for change in batch {
            let generation = rows.get(&change.key).map_or(0, |row| row.generation) + 1;
            match change.value {
                Some(value) => rows.insert(change.key, Versioned { generation, value }),
                None => rows.remove(&change.key),
            };
        }
        Ok(())
    }

    async fn scan(
        &self,
        prefix: Vec<u8>,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let start = match after {
            Some(key) if key >= prefix => Bound::Excluded(key),
            _ => Bound::Included(prefix.clone()),
        };
        let mut found = rows
            .range((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(&prefix))
            .map(|(key, row)| (key.clone(), row.clone()));
        let items = found.by_ref().take(limit).collect();
        Ok(Page {
            items,
            more: found.next().is_some(),
        })
    }
}
