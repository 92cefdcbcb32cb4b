//! Subscriptions of a session's client.

use hoist_protocol::access::{Principal, may_subscribe};
use hoist_protocol::topic::covers;
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{
    Packet, SubAck, Subscribe, SubscribeReasonCode, UnsubAck, Unsubscribe,
};

use super::super::code::Code;
use super::super::hub::Route;
use super::super::outbox::lower;
use super::{Closed, Session};

/// A subscription of a client.
pub(super) struct Read {
    pub(super) filter: String,
    pub(super) qos: QoS,
    pub(super) route: Route,
}

impl Session {
    pub(super) fn handle_subscribe(&mut self, subscribe: &Subscribe) -> Result<(), Closed> {
        let mut codes = Vec::with_capacity(subscribe.filters.len());
        let mut granted = Vec::new();
        for wanted in &subscribe.filters {
            let qos = lower(wanted.qos, QoS::AtLeastOnce);
            if self.grant(&wanted.path, qos)? {
                codes.push(SubscribeReasonCode::Success(qos));
                granted.push((&wanted.path, qos));
            } else {
                codes.push(SubscribeReasonCode::Failure);
            }
        }
        let refused = codes.len() - granted.len();
        if refused > 0
            && let Some(unsaid) = self.says(Code::Access.word())
        {
            let client = &self.key.1;
            tracing::warn!(client, refused, unsaid, "subscriptions refused");
        }
        self.write(&Packet::SubAck(SubAck::new(subscribe.pkid, codes)));
        // After the router knows the filter: nothing falls between retained and live.
        for (filter, qos) in granted {
            let topics = self.hub.retained.matching(filter);
            self.count_retained(topics.len())?;
            self.outbox.push_retained(topics, qos);
        }
        Ok(())
    }

    fn grant(&mut self, filter: &str, qos: QoS) -> Result<bool, Closed> {
        let most = match self.principal {
            Principal::Device(_) | Principal::Enrolling { .. } => {
                self.hub.limits.device_subscriptions
            }
            _ => self.hub.limits.user_subscriptions,
        };
        if may_subscribe(&self.principal, &self.hub.topics, filter).is_err() {
            return Ok(false);
        }
        if let Some(known) = self.filters.iter_mut().find(|known| known.filter == filter) {
            known.qos = qos;
            return Ok(true);
        }
        if self.filters.len() >= most {
            return Ok(false);
        }
        if self.principal == Principal::Service && !self.reads(filter) {
            self.hub.reports.give_up(filter, &self.hub.retained);
        }
        let route = self.hub.route(filter, &self.principal);
        match route {
            Route::Router => self.link.subscribe(filter)?,
            Route::Hub => self.hub.read(filter, &self.handle),
            Route::Owner => {}
        }
        self.filters.push(Read {
            filter: filter.to_owned(),
            qos,
            route,
        });
        Ok(true)
    }

    /// True if everything that a filter matches is read already.
    fn reads(&self, filter: &str) -> bool {
        let mut known = self.filters.iter();
        known.any(|known| covers(&known.filter, filter))
    }

    pub(super) fn handle_unsubscribe(&mut self, unsubscribe: &Unsubscribe) -> Result<(), Closed> {
        for filter in &unsubscribe.topics {
            let Some(index) = self
                .filters
                .iter()
                .position(|known| known.filter == *filter)
            else {
                continue;
            };
            match self.filters.remove(index).route {
                Route::Router => self.link.unsubscribe(filter)?,
                Route::Hub => self.hub.forget(filter, self.handle.instance),
                Route::Owner => {}
            }
        }
        self.write(&Packet::UnsubAck(UnsubAck::new(unsubscribe.pkid)));
        Ok(())
    }
}
