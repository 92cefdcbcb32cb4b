//! Counts what goes over connections to the broker, and how long statuses wait until they are
//! durable.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use hoist_protocol::topic::{Topic, Topics};

use crate::metrics::{Direction, Metrics};

/// Counts on one connection. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Traffic {
    topics: Topics,
    metrics: Metrics,
    /// When each status came that is not acknowledged yet, by its packet id.
    waiting: Arc<Mutex<HashMap<u16, Instant>>>,
}

impl Traffic {
    /// Counts in these.
    pub(super) fn new(topics: Topics, metrics: Metrics) -> Self {
        let waiting = Arc::default();
        Self {
            topics,
            metrics,
            waiting,
        }
    }

    /// The same on another connection: what was not acknowledged is delivered again.
    pub(super) fn begin(&self) -> Self {
        Self::new(self.topics.clone(), self.metrics.clone())
    }

    /// The broker grants every subscription, or is gone.
    pub(super) fn connected(&self, connected: bool) {
        self.metrics.connected(connected);
    }

    /// A message came.
    pub(super) fn came(&self, topic: &str, packet: Option<u16>) {
        let topic = self.topics.parse(topic).ok();
        self.metrics.message(Direction::In, topic.as_ref());
        if let (Some(Topic::Status(_)), Some(packet)) = (topic, packet) {
            self.lock().insert(packet, Instant::now());
        }
    }

    /// A message goes out.
    pub(super) fn goes(&self, topic: &str) {
        let topic = self.topics.parse(topic).ok();
        self.metrics.message(Direction::Out, topic.as_ref());
    }

    /// A message that came is acknowledged.
    pub(super) fn acknowledged(&self, packet: u16) {
        if let Some(came) = self.lock().remove(&packet) {
            self.metrics.status_taken(came.elapsed());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u16, Instant>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
