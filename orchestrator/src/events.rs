//! Events as people get them: CloudEvents in structured JSON, live and from the history, and the
//! news that there are more.

mod tail;

use std::sync::Arc;

use hoist_orchestrator_core::model::kept::EventId;
use hoist_orchestrator_core::model::key::{EventHeadKey, EventKey, Key, Prefix, RowKey};
use hoist_orchestrator_core::model::row::{EventHeadRow, EventRow};
use hoist_orchestrator_core::model::time::format_time;
use hoist_orchestrator_core::model::txn::Txn;
use hoist_protocol::codec::decode;
use hoist_protocol::id::{GroupId, Namespace};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::rows::{self, ReadError};
use crate::store::Store;

pub(crate) use tail::Tail;

/// Tells whoever follows the history that it has grown. Clones are the same.
#[derive(Debug, Clone)]
pub struct EventNews(Arc<watch::Sender<u64>>);

impl Default for EventNews {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl EventNews {
    /// The history goes up to this number.
    pub(crate) fn tell(&self, number: u64) {
        self.0.send_replace(number);
    }

    /// Whoever is told. It only wakes: what there is, the history says.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

/// A kept event with its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptEvent {
    /// Its place in the history.
    pub id: EventId,
    /// As it was told.
    pub row: EventRow,
}

impl KeptEvent {
    /// True for whoever is limited to these groups: one of theirs, or of no group. Nobody is limited
    /// by none.
    #[must_use]
    pub fn is_for(&self, groups: &[GroupId]) -> bool {
        let group = self.row.group.as_ref();
        groups.is_empty() || group.is_none_or(|group| groups.contains(group))
    }

    /// The event in the words of CloudEvents.
    #[must_use]
    pub fn cloud_event(&self, namespace: &Namespace) -> Value {
        let data: Value = serde_json::from_str(&self.row.data).unwrap_or_default();
        let id = self.id.to_string();
        cloud_event(namespace, (&id, self.row.at_ms), &self.row.kind, &data)
    }
}

/// An event in the words of CloudEvents 1.0.
pub(crate) fn cloud_event(
    namespace: &Namespace,
    (id, at_ms): (&str, u64),
    kind: &str,
    data: &Value,
) -> Value {
    json!({
        "specversion": "1.0",
        "id": id,
        "source": namespace.as_str(),
        "type": kind,
        "time": format_time(at_ms),
        "datacontenttype": "application/json",
        "data": data,
    })
}

/// The ends of the history as they are.
///
/// # Errors
/// [`ReadError`].
pub async fn ends(store: &dyn Store) -> Result<EventHeadRow, ReadError> {
    let read = |txn: &mut Txn| txn.read_or_empty(&EventHeadKey);
    rows::resolve(store, &mut Txn::default(), read).await
}

/// Up to so many events behind a number, oldest first.
///
/// # Errors
/// [`ReadError`].
pub async fn behind(
    store: &dyn Store,
    head: &EventHeadRow,
    (number, most): (u64, usize),
) -> Result<Vec<KeptEvent>, ReadError> {
    let (prefix, after) = (Prefix::Events.bytes().0, EventKey(number).key().0);
    let page = store.scan(prefix, Some(after), most).await?;
    let kept = page.items.into_iter().map(|(key, value)| {
        let number = key.get(1..).and_then(|bytes| bytes.try_into().ok());
        let id = EventId {
            origin_ms: head.origin_ms,
            number: number.map_or(0, u64::from_be_bytes),
        };
        match decode(&value.value) {
            Ok(row) => Ok(KeptEvent { id, row }),
            Err(source) => Err(ReadError::unreadable(Key(key), source)),
        }
    });
    kept.collect()
}
