//! The rows one batch of decisions sees: what was loaded, and what has been written over
//! it. A row that was not loaded is a value ([`Undecided::Missing`]), never a read.

use std::collections::{BTreeMap, BTreeSet};

use hoist_protocol::codec::{decode, encode_checked};
use hoist_protocol::id::DeploymentId;

use crate::model::damage::Damage;
use crate::model::instance::InstanceId;
use crate::model::key::{DeploymentKey, ForgottenKey, InstanceKey, Key, RowKey};
use crate::model::row::{DeploymentRow, InstanceRow, StartsEmpty};

/// A stored row with the generation a commit must find unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The store's generation of this row.
    pub generation: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Why no decision could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecided {
    /// Load these, then decide again.
    #[error("{} rows are not loaded", .0.len())]
    Missing(Vec<Key>),
    /// Loading helps nothing: a stored row is damaged.
    #[error(transparent)]
    Damaged(#[from] Damage),
}

/// One row to write, if its generation is still what was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Which row.
    pub key: Key,
    /// The generation loaded; `None` = there was no row.
    pub expected: Option<u64>,
    /// The new bytes; `None` deletes the row.
    pub bytes: Option<Vec<u8>>,
}

/// Loaded rows with an overlay of writes.
#[derive(Debug, Clone, Default)]
pub struct Txn {
    /// The orchestrator that decides.
    instance: InstanceId,
    loaded: BTreeMap<Key, Option<Stored>>,
    written: BTreeMap<Key, Option<Vec<u8>>>,
    undo: Vec<(Key, Option<Option<Vec<u8>>>)>,
    /// The first row that could not be written since [`Txn::keep`].
    unwritable: Option<Damage>,
}

impl Txn {
    /// No rows yet, for decisions of this orchestrator.
    #[must_use]
    pub fn of(instance: InstanceId) -> Self {
        Self {
            instance,
            ..Self::default()
        }
    }

    /// Adds a row as loaded, or its absence.
    pub fn load(&mut self, key: Key, row: Option<Stored>) {
        self.loaded.insert(key, row);
    }

    /// Forgets that a row was loaded.
    pub(crate) fn unload(&mut self, key: &Key) {
        self.loaded.remove(key);
    }

    /// True if a row needs no loading.
    #[must_use]
    pub fn has(&self, key: &Key) -> bool {
        self.written.contains_key(key) || self.loaded.contains_key(key)
    }

    /// Reads a row through the overlay.
    ///
    /// # Errors
    /// [`Undecided::Missing`] when it is not loaded, [`Undecided::Damaged`] when it cannot
    /// be read.
    pub fn read<K: RowKey>(&self, key: &K) -> Result<Option<K::Row>, Undecided> {
        let key = key.key();
        let bytes = match (self.written.get(&key), self.loaded.get(&key)) {
            (Some(written), _) => written.as_ref(),
            (None, Some(loaded)) => loaded.as_ref().map(|stored| &stored.bytes),
            (None, None) => return Err(Undecided::Missing(vec![key])),
        };
        bytes
            .map(|bytes| decode(bytes))
            .transpose()
            .map_err(|source| Damage::Unreadable { key, source }.into())
    }

    /// Reads a row that must be there, because another one says so.
    ///
    /// # Errors
    /// Those of [`Txn::read`], and [`Damage::Lost`].
    pub fn require<K: RowKey>(&self, key: &K) -> Result<K::Row, Undecided> {
        let lost = || Damage::Lost { key: key.key() };
        self.read(key)?.ok_or_else(|| lost().into())
    }

    /// Reads a row that must be there, for a reader that goes on without it and tells of the damage.
    ///
    /// # Errors
    /// [`Undecided::Missing`].
    pub fn require_or_damage<K: RowKey>(
        &self,
        key: &K,
    ) -> Result<Result<K::Row, Damage>, Undecided> {
        match self.require(key) {
            Ok(row) => Ok(Ok(row)),
            Err(Undecided::Damaged(damage)) => Ok(Err(damage)),
            Err(missing) => Err(missing),
        }
    }

    /// Reads a row that is written with the first thing it notes: without it there is nothing yet.
    ///
    /// # Errors
    /// Those of [`Txn::read`].
    pub fn read_or_empty<K: RowKey<Row: StartsEmpty>>(&self, key: &K) -> Result<K::Row, Undecided> {
        Ok(self.read(key)?.unwrap_or_else(StartsEmpty::empty))
    }

    /// Reads a deployment that was there: none if it was removed since, which leaves its number.
    ///
    /// # Errors
    /// Those of [`Txn::read`], and [`Damage::Lost`] without a trace of its removal.
    pub fn read_unless_removed(
        &self,
        id: DeploymentId,
    ) -> Result<Option<DeploymentRow>, Undecided> {
        let key = DeploymentKey(id);
        match self.read(&key)? {
            Some(row) => Ok(Some(row)),
            None if self.read(&ForgottenKey(id))?.is_some() => Ok(None),
            None => Err(Damage::Lost { key: key.key() }.into()),
        }
    }

    /// Reads the row of the orchestrator that decides: without it, it has never run on this store.
    ///
    /// # Errors
    /// Those of [`Txn::read`].
    pub fn instance(&self) -> Result<InstanceRow, Undecided> {
        self.read_or_empty(&self.instance_key())
    }

    /// The key of the row of the orchestrator that decides.
    #[must_use]
    pub fn instance_key(&self) -> InstanceKey {
        InstanceKey(self.instance)
    }

    /// Asks for several rows at once, so that a decision takes few rounds of loading.
    ///
    /// # Errors
    /// [`Undecided::Missing`] naming all that are not loaded.
    pub fn want(&self, keys: impl IntoIterator<Item = Key>) -> Result<(), Undecided> {
        let missing: BTreeSet<Key> = keys.into_iter().filter(|key| !self.has(key)).collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(Undecided::Missing(missing.into_iter().collect()))
        }
    }

    /// Writes a row. One that nobody could read stops the decision when that is over
    /// ([`Txn::keep`]).
    pub(crate) fn put<K: RowKey>(&mut self, key: &K, row: &K::Row) {
        let key = key.key();
        match encode_checked(row) {
            Ok(bytes) => self.set(key, Some(bytes)),
            Err(source) => {
                let damage = Damage::Unwritable { key, source };
                self.unwritable.get_or_insert(damage);
            }
        }
    }

    /// Writes the row of the orchestrator that decides.
    pub(crate) fn put_instance(&mut self, row: &InstanceRow) {
        self.put(&self.instance_key(), row);
    }

    /// Deletes a row.
    pub(crate) fn delete<K: RowKey>(&mut self, key: &K) {
        self.set(key.key(), None);
    }

    /// Deletes a row of whatever kind.
    pub(crate) fn delete_key(&mut self, key: &Key) {
        self.set(key.clone(), None);
    }

    fn set(&mut self, key: Key, bytes: Option<Vec<u8>>) {
        let before = self.written.insert(key.clone(), bytes);
        self.undo.push((key, before));
    }

    /// Makes the writes so far part of the batch.
    ///
    /// # Errors
    /// [`Damage::Unwritable`], when a row of them could not be read again: then none of them is.
    pub(crate) fn keep(&mut self) -> Result<(), Damage> {
        match self.unwritable.take() {
            None => {
                self.undo.clear();
                Ok(())
            }
            Some(damage) => {
                self.take_back();
                Err(damage)
            }
        }
    }

    /// Takes back every write since [`Txn::keep`].
    pub(crate) fn take_back(&mut self) {
        self.unwritable = None;
        while let Some((key, before)) = self.undo.pop() {
            match before {
                Some(bytes) => self.written.insert(key, bytes),
                None => self.written.remove(&key),
            };
        }
    }

    /// The writes to commit: every row that differs from what was loaded. A row written without
    /// having been loaded is expected to be absent.
    #[must_use]
    pub fn writes(&self) -> Vec<Write> {
        let write = |(key, bytes, stored): (&Key, &Option<Vec<u8>>, Option<&Stored>)| Write {
            key: key.clone(),
            expected: stored.map(|stored| stored.generation),
            bytes: bytes.clone(),
        };
        self.changed().map(write).collect()
    }

    /// True if there is nothing to commit.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.changed().next().is_none()
    }

    fn changed(&self) -> impl Iterator<Item = (&Key, &Option<Vec<u8>>, Option<&Stored>)> {
        let rows = self.written.iter().map(|(key, bytes)| {
            let stored = self.loaded.get(key).and_then(Option::as_ref);
            (key, bytes, stored)
        });
        rows.filter(|(_, bytes, stored)| stored.map(|stored| &stored.bytes) != bytes.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::key::GroupKey;
    use crate::model::row::GroupRow;

    #[test]
    fn a_row_that_nobody_could_read_again_is_not_written_and_is_named() {
        let mut txn = Txn::default();
        let eu = GroupKey("eu".parse().unwrap());
        let mut row = GroupRow::new(0);
        txn.put(&eu, &row);
        assert_eq!(txn.keep(), Ok(()));
        row.active = vec![DeploymentId(u32::MAX); 4_096];
        txn.put(&eu, &row);
        let damage = txn.keep().unwrap_err();
        assert_eq!(damage.key(), &eu.key());
        assert!(damage.sentence().contains("group eu"), "{damage}");
        assert_eq!(txn.read(&eu), Ok(Some(GroupRow::new(0))));
        assert_eq!(txn.keep(), Ok(()), "it is over");
    }
}
