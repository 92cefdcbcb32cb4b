//! Decides a batch and makes it durable with one commit: decide in order on one overlay,
//! load what is missing, commit, and begin again when somebody else wrote in between.
//! Nothing is published or acknowledged here.

use std::time::Duration;

use hoist_orchestrator_core::api::response::Decision;
use hoist_orchestrator_core::engine::decide::{decide, hint};
use hoist_orchestrator_core::engine::input::Input;
use hoist_orchestrator_core::model::key::Key;
use hoist_orchestrator_core::model::now::Now;
use hoist_orchestrator_core::model::txn::Txn;

use crate::arrival::{Arrival, Content};
use crate::config::Directory;
use crate::rows::{self, ReadError};
use crate::store::{CommitError, Store, StoreError};

/// Deliveries decided together: sled is at its best from 64 on and no better above.
pub(crate) const BATCH_MAX: usize = 512;
/// Conflicts in a row after which something is wrong: another writer never lasts so long.
const CONFLICTS_MAX: u32 = 16;
/// Pause before a batch is tried again that was refused too often.
const CONFLICT_PAUSE: Duration = Duration::from_secs(1);

/// The effects of each arrival, in order.
pub(crate) type Decided = Vec<Decision>;

/// Decides and commits; returns only when everything is durable.
///
/// # Errors
/// [`ReadError`] when a row is corrupt or the store is damaged: going on would lose something;
/// and when it failed twice in a row, with nothing or, as far as nobody can tell, all of it
/// written.
pub(crate) async fn commit(
    store: &dyn Store,
    directory: &dyn Directory,
    arrivals: &[Arrival],
    now: Now,
) -> Result<Decided, ReadError> {
    let (mut conflicts, mut again) = (0, false);
    loop {
        match attempt(store, directory, arrivals, now).await {
            Ok(decided) => return Ok(decided),
            Err(Failed::Conflict) if conflicts < CONFLICTS_MAX => {
                conflicts += 1;
                tracing::debug!(batch = arrivals.len(), "conflict, deciding again");
            }
            Err(Failed::Conflict) => {
                tracing::error!(
                    batch = arrivals.len(),
                    "the store refuses the batch every time"
                );
                tokio::time::sleep(CONFLICT_PAUSE).await;
            }
            Err(Failed::Store(error)) => {
                // A failure may have been the only one: what is on the disk is read anew.
                if again || !error.passes() {
                    return Err(error.into());
                }
                again = true;
            }
            Err(Failed::Corrupt(error)) => return Err(error),
        }
    }
}

enum Failed {
    Conflict,
    Store(StoreError),
    Corrupt(ReadError),
}

impl From<ReadError> for Failed {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => Self::Store(error),
            corrupt @ ReadError::Corrupt { .. } => Self::Corrupt(corrupt),
        }
    }
}

async fn attempt(
    store: &dyn Store,
    directory: &dyn Directory,
    arrivals: &[Arrival],
    now: Now,
) -> Result<Decided, Failed> {
    let mut txn = Txn::default();
    rows::load(store, &mut txn, obvious(arrivals))
        .await
        .map_err(Failed::Store)?;
    let mut decided = Decided::with_capacity(arrivals.len());
    for arrival in arrivals {
        let one = |txn: &mut Txn| match arrival.input(txn, directory)? {
            Some(input) => decide(txn, &input, now),
            None => Ok(Decision::default()),
        };
        decided.push(rows::resolve(store, &mut txn, one).await?);
    }
    let writes = txn.writes();
    if writes.is_empty() {
        return Ok(decided);
    }
    // A batch that carries anything also carries the time attended so far (S7).
    let _none = rows::resolve(store, &mut txn, |txn| decide(txn, &Input::Attended, now)).await?;
    match store.commit(rows::batch(txn.writes())).await {
        Ok(()) => Ok(decided),
        Err(CommitError::Conflict) => Err(Failed::Conflict),
        Err(CommitError::Store(error)) => Err(Failed::Store(error)),
    }
}

/// Rows that the batch will surely look at, loaded at once.
fn obvious(arrivals: &[Arrival]) -> Vec<Key> {
    let keys = arrivals.iter().flat_map(|arrival| match &arrival.content {
        Content::Input(input) => hint(input),
        Content::Status {
            device, payload, ..
        } => status_hint(device, payload),
        Content::Command(_) | Content::Nothing => Vec::new(),
    });
    let keys: std::collections::BTreeSet<Key> = keys.collect();
    keys.into_iter().collect()
}

fn status_hint(device: &hoist_protocol::id::DeviceId, payload: &[u8]) -> Vec<Key> {
    use hoist_orchestrator_core::model::evidence::{Delivered, SignatureEvidence};
    use hoist_protocol::status::DeviceStatus;
    let Ok(received) = DeviceStatus::receive(payload) else {
        return Vec::new();
    };
    hint(&Input::Status {
        device: device.clone(),
        status: received.status,
        evidence: SignatureEvidence::Absent,
        delivered: Delivered::Live,
    })
}
