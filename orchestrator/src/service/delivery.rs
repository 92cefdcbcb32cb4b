//! Deliveries of the broker.

use std::time::Instant;

use hoist_orchestrator_core::engine::arrival::{Arrival, Content};
use hoist_orchestrator_core::engine::delivery::{self, Receipt};
use hoist_orchestrator_core::engine::publish::Ahead;

use super::{Service, ServiceError};
use crate::transport::Delivery;

impl Service {
    /// What a delivery asks to be decided.
    ///
    /// # Errors
    /// [`ServiceError::Older`].
    pub(super) fn receive(&mut self, delivery: Delivery) -> Result<Vec<Arrival>, ServiceError> {
        let again = delivery.again;
        let connection = self.connections;
        let receipt = |packet| Receipt { connection, packet };
        let mut arrivals = self.engine.receive(delivery::Delivery {
            topic: self.topics.parse(&delivery.topic).ok(),
            payload: delivery.payload,
            retained: delivery.retained,
            again,
            receipt: delivery.packet.map(receipt),
        });
        self.config.metrics.reported(&arrivals, Instant::now());
        if let Some((topic, shows)) = self.engine.ahead() {
            return Err(ServiceError::Older(Ahead {
                place: self.topics.format(topic),
                shows: shows.clone(),
            }));
        }
        for arrival in &mut arrivals {
            if let Content::Command(asked) = &arrival.content
                && self.was_refused(asked, again)
            {
                arrival.content = Content::Nothing;
            }
        }
        Ok(arrivals)
    }
}
