//! Messages that a session's client publishes. A command or a report for which the orchestrator has
//! no room waits with its sender, who is read no further: nobody is closed for it, and nobody else
//! waits.

use std::pin::Pin;
use std::task::{Context, Waker};

use bytes::Bytes;
use hoist_protocol::access::{Principal, is_report, may_publish};
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::Publish;

use super::super::code::Code;
use super::super::message::Message;
use super::super::way::Way;
use super::{Closed, Session};

/// A command or report that waits for room.
pub(super) struct Parked {
    way: Way,
    /// The packet of a command, which is acknowledged then.
    id: Option<u16>,
}

impl Session {
    pub(super) fn handle_publish(&mut self, publish: Publish) -> Result<(), Closed> {
        if publish.qos == QoS::ExactlyOnce {
            return Err(Code::Qos.into());
        }
        let allowed = may_publish(&self.principal, &self.hub.topics, &publish.topic);
        allowed.map_err(|denied| Code::from(&denied))?;
        let id = (publish.qos == QoS::AtLeastOnce).then_some(publish.pkid);
        let held = id.filter(|_| self.reports_on(&publish.topic));
        let held = held.map(|_| self.hub.reports.hold(&publish.topic, &self.owed.wake));
        let (report, receipt) = held.unzip();
        let message = Message {
            topic: publish.topic,
            // A copy: the original would keep the whole read buffer alive.
            payload: Bytes::copy_from_slice(&publish.payload),
            qos: publish.qos,
            retain: publish.retain,
            share: None,
            report,
        };
        let share = self.paced.as_ref().map(|paced| &paced.commands);
        let way = self.hub.publish(&mut self.link, message, share)?;
        let way = way.and_then(begun);
        match (way, receipt) {
            // A command is acknowledged when the orchestrator has room for it: its answer is
            // its reply.
            (Some(way), None) => self.parked = Some(Parked { way, id }),
            (way, receipt) => {
                self.parked = way.map(|way| Parked { way, id: None });
                if let Some(id) = id {
                    self.owed.push(id, receipt);
                }
            }
        }
        self.acknowledge_due()
    }

    /// True if what this client says there is a report, which it is told of when it is durable.
    fn reports_on(&self, topic: &str) -> bool {
        matches!(self.principal, Principal::Device(_))
            && (self.hub.topics.parse(topic)).is_ok_and(|topic| is_report(&topic))
    }

    /// Goes on with its client: its message has arrived.
    pub(super) fn unpark(&mut self) -> Result<(), Closed> {
        if let Some(id) = self.parked.take().and_then(|parked| parked.id) {
            self.owed.push(id, None);
        }
        self.acknowledge_due()
    }

    /// Leaves what its client, who is gone, waited with. A report finds its way alone; a command is
    /// sent again by whoever wants it.
    pub(super) fn let_go(&mut self) {
        if let (Some(parked), Principal::Device(_)) = (self.parked.take(), &self.principal) {
            tokio::spawn(parked.way);
        }
    }

    /// Publishes what its client says without being there.
    pub(super) fn send_off(&mut self, message: Message) {
        // A dead router only keeps it from being seen at once: it is retained.
        let published = self.hub.publish(&mut self.link, message, None);
        if let Some(way) = published.ok().flatten().and_then(begun) {
            tokio::spawn(way);
        }
    }
}

/// The way, if it has not ended at once: it has its place in the line by then.
fn begun(mut way: Way) -> Option<Way> {
    let mut once = Context::from_waker(Waker::noop());
    let is_there = Future::poll(Pin::as_mut(&mut way), &mut once).is_ready();
    (!is_there).then_some(way)
}

/// Waits until a parked message has arrived; for ever without one. Cancel-safe.
pub(super) async fn arrived(parked: &mut Option<Parked>) {
    match parked {
        Some(Parked { way, .. }) => {
            way.as_mut().await;
            // Whoever lets go of it now may still wait for it.
            *way = Box::pin(std::future::ready(()));
        }
        None => std::future::pending().await,
    }
}
