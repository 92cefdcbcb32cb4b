//! What the orchestrator subscribes to, and what it does once that is granted.

use std::time::Instant;

use hoist_orchestrator_core::engine::input::Input;
use hoist_orchestrator_core::model::key::{Key, Prefix};
use hoist_orchestrator_core::model::row::GroupRow;
use hoist_protocol::topic::Topics;

use super::{Service, ServiceError};
use crate::arrival::{Arrival, Content};
use crate::rows;
use crate::transport::Session;

/// What devices and operators write, and our own retained topics, to see when somebody
/// overwrites them.
pub(super) fn filters(topics: &Topics) -> Vec<String> {
    let below = [
        "g/+",
        "d/+",
        "r/+",
        "k/+",
        "s/+/+",
        "p/+/+",
        "i/+/+",
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
            self.decide_one(Input::Connected).await?;
        }
        if self.session == Session::Fresh {
            self.doubt_all().await?;
        }
        self.refresh = true;
        self.read_all_anew().await?;
        tracing::info!("connected to the broker, all subscriptions granted");
        Ok(())
    }

    /// The broker lost what it retained: every group's roll is called (W6).
    async fn doubt_all(&mut self) -> Result<(), ServiceError> {
        let groups = rows::all::<GroupRow>(&*self.store, &Prefix::Groups).await;
        let groups = self.passing(groups)?.unwrap_or_default();
        let named = |(key, _): (Key, GroupRow)| Prefix::Groups.rest(&key)?.parse().ok();
        let doubts = groups.into_iter().filter_map(named).map(Input::Doubt);
        let arrivals = doubts.map(|input| Arrival::of(Content::Input(input)));
        self.decide(arrivals.collect()).await
    }
}
