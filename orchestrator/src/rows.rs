//! Between the core's rows and the store's bytes: what a decision misses is loaded, and
//! what it wrote becomes a batch. It knows no row.

use hoist_orchestrator_core::api::response::Decision;
use hoist_orchestrator_core::engine::decide::decide;
use hoist_orchestrator_core::engine::event::{Page, Scan};
use hoist_orchestrator_core::engine::input::Input;
use hoist_orchestrator_core::model::damage::Damage;
use hoist_orchestrator_core::model::error::Rejection;
use hoist_orchestrator_core::model::key::{Key, Prefix};
use hoist_orchestrator_core::model::now::Now;
use hoist_orchestrator_core::model::row::InstanceRow;
use hoist_orchestrator_core::model::txn::{Stored, Txn, Undecided, Write};
use hoist_protocol::codec::{DecodeError, Message, decode};

use crate::store::{Change, CommitError, Expected, Store, StoreError, Versioned};

/// Rows read at once by a scan: large enough to be quick, small enough to stay polite.
const SCAN_MAX: usize = 512;

/// Why rows cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored row is damaged: someone must act (bad-inputs row 62).
    #[error("a stored row is damaged; restore a backup, or use the version that wrote it")]
    Damaged(#[from] Damage),
}

impl ReadError {
    /// A row cannot be read.
    pub(crate) fn unreadable(key: Key, source: DecodeError) -> Self {
        Damage::Unreadable { key, source }.into()
    }

    /// The refusal of whatever needed the rows.
    pub(crate) fn rejection(&self) -> Rejection {
        match self {
            Self::Store(error) => Rejection::new(error.code(), error.to_string()),
            Self::Damaged(damage) => damage.into(),
        }
    }
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
            Err(Undecided::Damaged(damage)) => return Err(damage.into()),
        }
    }
}

/// The row of the orchestrator that runs on this store.
///
/// # Errors
/// [`ReadError`].
pub(crate) async fn instance(store: &dyn Store) -> Result<InstanceRow, ReadError> {
    resolve(store, &mut Txn::default(), |txn| txn.instance()).await
}

/// Loads rows, or their absence.
pub(crate) async fn load(
    store: &dyn Store,
    txn: &mut Txn,
    keys: Vec<Key>,
) -> Result<(), StoreError> {
    let wanted: Vec<Key> = keys.into_iter().filter(|key| !txn.has(key)).collect();
    let found = read(store, &wanted).await?;
    for (key, row) in wanted.into_iter().zip(found) {
        txn.load(key, row);
    }
    Ok(())
}

/// These rows, or their absence, in the same order.
pub(crate) async fn read(
    store: &dyn Store,
    keys: &[Key],
) -> Result<Vec<Option<Stored>>, StoreError> {
    let keys = keys.iter().map(|key| key.0.clone()).collect();
    let stored = |row: Versioned| Stored {
        generation: row.generation,
        bytes: row.value,
    };
    let found = store.load(keys).await?;
    Ok(found.into_iter().map(|row| row.map(stored)).collect())
}

/// The rows of a part of a range.
pub(crate) async fn scan(store: &dyn Store, scan: &Scan) -> Result<Page, StoreError> {
    let after = scan.after.as_ref().map(|key| key.0.clone());
    let prefix = scan.prefix.0.clone();
    let page = store.scan(prefix, after, scan.limit).await?;
    let row = |(key, row): (Vec<u8>, Versioned)| (Key(key), row.value);
    Ok(Page {
        rows: page.items.into_iter().map(row).collect(),
        more: page.more,
    })
}

/// Decides one input beside the loop, and makes it durable. Nothing follows from it.
///
/// # Errors
/// [`ReadError`].
pub(crate) async fn decide_alone(
    store: &dyn Store,
    input: &Input,
    now: Now,
) -> Result<(), ReadError> {
    decided_alone(store, input, now).await.map(drop)
}

/// The same; what follows from it is whoever calls's.
///
/// # Errors
/// [`ReadError`].
pub(crate) async fn decided_alone(
    store: &dyn Store,
    input: &Input,
    now: Now,
) -> Result<Decision, ReadError> {
    loop {
        let mut txn = Txn::default();
        let decision = resolve(store, &mut txn, |txn| decide(txn, input, now)).await?;
        if txn.is_unchanged() {
            return Ok(decision);
        }
        match store.commit(batch(txn.writes())).await {
            Ok(()) => return Ok(decision),
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(error)) => return Err(error.into()),
        }
    }
}

/// The changes to commit for these writes.
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

/// Every key of a range.
///
/// # Errors
/// [`ReadError`].
pub(crate) async fn keys(store: &dyn Store, prefix: &Prefix) -> Result<Vec<Key>, ReadError> {
    let mut keys: Vec<Key> = Vec::new();
    loop {
        let after = keys.last().map(|key| key.0.clone());
        let page = store.scan(prefix.bytes().0, after, SCAN_MAX).await?;
        let is_empty = page.items.is_empty();
        keys.extend(page.items.into_iter().map(|(key, _)| Key(key)));
        if !page.more || is_empty {
            return Ok(keys);
        }
    }
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
                Err(source) => return Err(Damage::Unreadable { key, source }.into()),
            }
        }
        match rows.last() {
            Some((key, _)) if page.more => after = Some(key.0.clone()),
            _ => return Ok(rows),
        }
    }
}
