//! The retained store: complete delivery for every wildcard, unlike the router's. Payloads
//! are copies of what was read, so that no connection's buffer is pinned. A device's share
//! is bounded by the access rules: there are only four topics it may write.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use hoist_protocol::topic::matches;
use rumqttc::QoS;

/// A retained message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) payload: Bytes,
    /// The quality of service that it came at.
    pub(crate) qos: QoS,
    /// Its number, if it is a report.
    pub(crate) report: Option<u64>,
}

/// The last retained message of every topic.
#[derive(Default)]
pub(crate) struct Retained {
    topics: Mutex<BTreeMap<String, Kept>>,
}

impl Retained {
    /// Keeps a message; an empty payload clears the topic.
    pub(crate) fn set(&self, topic: &str, message: Kept) {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if message.payload.is_empty() {
            topics.remove(topic);
        } else {
            topics.insert(topic.to_owned(), message);
        }
    }

    /// The topics a filter matches; values are fetched when their turn to be sent comes.
    pub(crate) fn matching(&self, filter: &str) -> Vec<String> {
        let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if !filter.contains(['+', '#']) {
            return topics
                .contains_key(filter)
                .then(|| filter.to_owned())
                .into_iter()
                .collect();
        }
        // Whatever matches begins like the filter, up to the level of its first wildcard.
        let literal = filter.split(['+', '#']).next().unwrap_or_default();
        let literal = literal.strip_suffix('/').unwrap_or(literal);
        let like = topics.range::<str, _>((Bound::Included(literal), Bound::Unbounded));
        like.map(|(topic, _)| topic)
            .take_while(|topic| topic.starts_with(literal))
            .filter(|topic| matches(filter, topic))
            .cloned()
            .collect()
    }

    /// The message that is retained on a topic now.
    pub(crate) fn get(&self, topic: &str) -> Option<Kept> {
        self.topics
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(topic)
            .cloned()
    }
}
