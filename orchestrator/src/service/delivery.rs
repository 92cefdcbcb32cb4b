//! What comes from the broker.

use hoist_orchestrator_core::engine::input::Input;
use hoist_orchestrator_core::model::error::Code;

use super::Service;
use crate::arrival::{Arrival, Content};
use crate::transport::Delivery;

impl Service {
    /// What a delivery asks to be decided. Our own topics are reconcile's.
    pub(super) async fn arrival(&mut self, delivery: Delivery) -> Arrival {
        let Ok(topic) = self.topics.parse(&delivery.topic) else {
            let (device, code) = (None, Code::Topic);
            let mut arrival = Arrival::of(Content::Input(Input::Refused { device, code }));
            arrival.receipt = delivery.receipt;
            return arrival;
        };
        if crate::reconcile::is_own(&topic) {
            let named = self.reconciler.seen(&topic, &delivery);
            let content = named.map_or(Content::Nothing, Content::Input);
            let mut arrival = Arrival::of(content);
            arrival.receipt = delivery.receipt;
            return arrival;
        }
        if delivery.payload.is_empty() && self.clearing.remove(&delivery.topic) {
            let mut arrival = Arrival::of(Content::Nothing);
            arrival.receipt = delivery.receipt;
            return arrival;
        }
        let again = delivery.again;
        let mut arrival = Arrival::delivered(topic, delivery);
        if let Content::Command(asked) = &mut arrival.content {
            if self.was_refused(asked, again) {
                arrival.content = Content::Nothing;
                return arrival;
            }
            self.look_at_release(asked).await;
        }
        arrival
    }
}
