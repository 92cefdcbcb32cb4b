//! Subscriptions of the orchestrator, and the work once they are granted.

use std::time::Instant;

use hoist_orchestrator_core::engine::event::Event;
use hoist_protocol::topic::Topics;

use super::{Service, ServiceError};

/// The filters of what devices and operators write, and of our own retained topics, to see when
/// somebody overwrites them.
pub(super) fn filters(topics: &Topics) -> Vec<String> {
    let below = [
        "g/+",
        "d/+",
        "r/+",
        "k/+",
        "s/+/+",
        "p/+/+",
        "i/+/+",
        "e/+/+",
        "cmd/+/+/+",
    ];
    below.iter().map(|below| topics.filter(below)).collect()
}

impl Service {
    /// Everything can be heard now.
    pub(super) async fn subscribed(&mut self) -> Result<(), ServiceError> {
        self.subscribed = Some(Instant::now());
        if self.outage.is_none() {
            self.clock.start();
        }
        self.happened(Event::Subscribed).await?;
        self.read_views_anew().await?;
        tracing::info!("connected to the broker, all subscriptions granted");
        Ok(())
    }
}
