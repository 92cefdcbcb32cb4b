//! The history of events: what people were told, in its order, for as long as it is kept. What is
//! told is kept as the JSON that went out, so that a later version repeats the same.

use hoist_protocol::codec::Message;
use hoist_protocol::id::GroupId;
use serde::{Deserialize, Serialize};

/// Bytes of an event's JSON at most: names, and a sentence.
pub(crate) const EVENT_DATA_BYTES_MAX: usize = 4_096;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    /// Unix time at which it was decided, in ms.
    pub at_ms: u64,
    /// Its kind, a kebab-case word.
    pub kind: String,
    /// The group that it is about, where it is about one.
    pub group: Option<GroupId>,
    /// Its fields, as JSON.
    pub data: String,
}

/// Both ends of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EventHeadRow {
    /// Unix time of the first event ever, in ms: it tells this history from one of another store.
    pub origin_ms: u64,
    /// The number of the newest event; the first is 1.
    pub number: u64,
    /// The number of the oldest one that is kept.
    pub first: u64,
}

impl Message for EventRow {
    const VERSION: u8 = 1;
    const BYTES_MAX: usize = EVENT_DATA_BYTES_MAX + 256;

    fn check(&self) -> Result<(), &'static str> {
        Ok(())
    }
}

impl Message for EventHeadRow {
    const VERSION: u8 = 1;
    const BYTES_MAX: usize = 64;

    fn check(&self) -> Result<(), &'static str> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::row::tests::golden;

    #[test]
    fn events_and_the_ends_of_their_history_keep_their_bytes() {
        let event = EventRow {
            at_ms: 300,
            kind: "frozen".into(),
            group: Some("eu".parse().unwrap()),
            data: "{}".into(),
        };
        golden(&event, "01ac020666726f7a656e01026575027b7d");
        let head = EventHeadRow {
            origin_ms: 300,
            number: 2,
            first: 1,
        };
        golden(&head, "01ac020201");
    }
}
