//! An event as people read it in the history.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::kept::EventId;
use crate::model::row::EventRow;
use crate::model::time::format_time;

/// One event in `event-list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventItem {
    /// Its id: `afterEvent`, and `Last-Event-ID`, of whoever goes on behind it.
    pub id: String,
    /// When it was decided, RFC 3339.
    pub time: String,
    /// Its kind, as in its topic.
    pub kind: String,
    /// Its fields, by its kind.
    pub data: Map<String, Value>,
}

impl EventItem {
    /// The item of a row.
    #[must_use]
    pub fn new(id: EventId, row: &EventRow) -> Self {
        Self {
            id: id.to_string(),
            time: format_time(row.at_ms),
            kind: row.kind.clone(),
            data: serde_json::from_str(&row.data).unwrap_or_default(),
        }
    }
}
