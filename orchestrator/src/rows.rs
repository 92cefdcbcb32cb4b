//! Between the core's rows and the store's bytes: what a decision misses is loaded, and
//! what it wrote becomes a batch. It knows no row.

use hoist_orchestrator_core::model::key::{Key, Prefix};
use hoist_orchestrator_core::model::txn::{Stored, Txn, Undecided, Write};
use hoist_protocol::codec::{DecodeError, Message, decode};

use crate::store::{Change, Expected, Store, StoreError};

/// Rows read at once by a scan: large enough to be quick, small enough to stay polite.
const SCAN_MAX: usize = 512;

/// Why rows cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored row cannot be understood: someone must act (bad-inputs row 62).
    #[error("the row {key:?} cannot be read; restore a backup, or use the version that wrote it")]
    Corrupt {
        /// Which row.
        key: Key,
        /// What is wrong with it.
        #[source]
        source: DecodeError,
    },
}

/// Runs `decide` until it misses nothing, loading what it asks for.
///
/// # Errors
/// [`ReadError`].
pub(crate) async fn resolve<T>(
    store: &dyn Store,
    txn: &mut Txn,
    mut decide: impl FnMut(&mut Txn) -> Result<T, Undecided> + Send,
) -> Result<T, ReadError> {
    loop {
        match decide(txn) {
            Ok(value) => return Ok(value),
            Err(Undecided::Missing(keys)) => load(store, txn, keys).await?,
            Err(Undecided::Corrupt { key, source }) => {
                return Err(ReadError::Corrupt { key, source });
            }
        }
    }
}

/// Loads rows, or their absence.
pub(crate) async fn load(
    store: &dyn Store,
    txn: &mut Txn,
    keys: Vec<Key>,
) -> Result<(), StoreError> {
    let wanted: Vec<Key> = keys.into_iter().filter(|key| !txn.has(key)).collect();
    let found = store
        .load(wanted.iter().map(|key| key.0.clone()).collect())
        .await?;
    for (key, row) in wanted.into_iter().zip(found) {
        txn.load(
            key,
            row.map(|row| Stored {
                generation: row.generation,
                bytes: row.value,
            }),
        );
    }
    Ok(())
}

/// What to commit for these writes.
pub(crate) fn batch(writes: Vec<Write>) -> Vec<Change> {
    writes
        .into_iter()
        .map(|write| Change {
            key: write.key.0,
            expected: write
                .expected
                .map_or(Expected::Absent, Expected::Generation),
            value: write.bytes,
        })
        .collect()
}

/// Every key of a range, with its row.
///
/// # Errors
/// [`ReadError`].
pub(crate) async fn all<R: Message>(
    store: &dyn Store,
    prefix: &Prefix,
) -> Result<Vec<(Key, R)>, ReadError> {
    let mut rows = Vec::new();
    let mut after = None;
    loop {
        let page = store.scan(prefix.bytes().0, after.take(), SCAN_MAX).await?;
        for (key, row) in page.items {
            let key = Key(key);
            match decode(&row.value) {
                Ok(row) => rows.push((key, row)),
                Err(source) => return Err(ReadError::Corrupt { key, source }),
            }
        }
        match rows.last() {
            Some((key, _)) if page.more => after = Some(key.0.clone()),
            _ => return Ok(rows),
        }
    }
}
