//! Messages that a session's client publishes. A command for which the orchestrator has no room
//! waits with its sender, who is read no further: nobody is closed for it, and nobody else waits.

use std::pin::Pin;
use std::task::{Context, Waker};

use bytes::Bytes;
use hoist_protocol::access::may_publish;
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{Packet, PubAck, Publish};
use tokio::time::Instant;

use super::super::code::Code;
use super::super::message::Message;
use super::super::way::Way;
use super::{Closed, Session};

/// A command that waits for room.
pub(super) struct Parked {
    way: Way,
    /// The packet that is acknowledged then.
    id: Option<u16>,
}

impl Session {
    pub(super) fn handle_publish(&mut self, publish: Publish) -> Result<(), Closed> {
        if publish.qos == QoS::ExactlyOnce {
            return Err(Code::Qos.into());
        }
        let allowed = may_publish(&self.principal, &self.hub.topics, &publish.topic);
        allowed.map_err(|denied| Code::from(&denied))?;
        let message = Message {
            topic: publish.topic,
            // A copy: the original would keep the whole read buffer alive.
            payload: Bytes::copy_from_slice(&publish.payload),
            qos: publish.qos,
            retain: publish.retain,
            share: None,
        };
        let id = (publish.qos == QoS::AtLeastOnce).then_some(publish.pkid);
        let share = self.paced.as_ref().map(|paced| &paced.commands);
        match self.hub.publish(&mut self.link, message, share)? {
            None => self.acknowledge(id),
            Some(way) => self.park(way, id),
        }
        Ok(())
    }

    fn acknowledge(&mut self, id: Option<u16>) {
        if let Some(id) = id {
            self.write(&Packet::PubAck(PubAck::new(id)));
        }
    }

    /// Sends a command on its way, and waits with its client if that has no end yet.
    fn park(&mut self, mut way: Way, id: Option<u16>) {
        let mut once = Context::from_waker(Waker::noop());
        if Future::poll(Pin::as_mut(&mut way), &mut once).is_ready() {
            return self.acknowledge(id);
        }
        self.parked = Some(Parked { way, id });
        if let Some(socket) = &mut self.socket {
            socket.attach.connection.park(true);
        }
    }

    /// Goes on with its client: its command has arrived.
    pub(super) fn unpark(&mut self) {
        let Some(Parked { id, .. }) = self.parked.take() else {
            return;
        };
        if let Some(socket) = &mut self.socket {
            socket.attach.connection.park(false);
            socket.deadline = Instant::now() + socket.attach.keep_alive;
        }
        self.acknowledge(id);
    }
}

/// Waits until a parked command has arrived; for ever without one. Cancel-safe.
pub(super) async fn arrived(parked: &mut Option<Parked>) {
    match parked {
        Some(Parked { way, .. }) => way.as_mut().await,
        None => std::future::pending().await,
    }
}
