//! Subscriptions of the orchestrator, and the work once they are granted.

use std::time::Instant;

use hoist_orchestrator_core::engine::event::Event;
use hoist_orchestrator_core::model::effect::Event as Happening;
use hoist_protocol::filter::{Family, Filter};
use hoist_protocol::topic::Topics;

use super::{Service, ServiceError};

/// The filters of what devices and operators write, and of our own retained topics, to see when
/// somebody overwrites them.
pub(super) fn filters(topics: &Topics) -> Vec<String> {
    let heard = [
        Family::GroupSpec,
        Family::DeviceSpec,
        Family::Release,
        Family::Root,
        Family::Status,
        Family::Presence,
        Family::Info,
        Family::EnrollRequest,
        Family::Command,
    ];
    let heard = heard.into_iter().map(Filter::Every);
    heard.map(|filter| topics.filter(filter)).collect()
}

impl Service {
    /// Tells people once that the server works.
    async fn tell_started(&mut self) -> Result<(), ServiceError> {
        if std::mem::replace(&mut self.has_started, true) {
            return Ok(());
        }
        let version = env!("CARGO_PKG_VERSION").to_owned();
        self.event(Happening::ServerStarted { version }).await
    }

    /// Everything can be heard now.
    pub(super) async fn subscribed(&mut self) -> Result<(), ServiceError> {
        self.subscribed = Some(Instant::now());
        if self.outage.is_none() {
            self.clock.start();
        }
        self.happened(Event::Subscribed).await?;
        self.read_views_anew().await?;
        tracing::info!("connected to the broker, all subscriptions granted");
        self.tell_started().await
    }
}
