//! Floods of a client that sends more than it may: a device is closed, since nothing that it has to
//! say is so much; a user is read more slowly, on all connections together, since programs send
//! commands as fast as they can.

use hoist_protocol::access::Principal;
use rumqttc::mqttbytes::v4::Packet;

use super::super::code::Code;
use super::{Closed, Session};

/// The weight of a packet that others get.
const PUBLISH: usize = 2;
/// The same of a filter with a wildcard.
const WILDCARD: usize = 10;
/// Retained messages that count as one packet.
const RETAINED: usize = 32;

impl Session {
    /// Counts what its client sent.
    pub(super) fn count(&mut self, packet: &Packet) -> Result<(), Closed> {
        match packet {
            Packet::Publish(publish) => {
                self.count_as(PUBLISH, publish.topic.len() + publish.payload.len())
            }
            Packet::Subscribe(subscribe) => {
                let cost = |path: &str| match path.contains(['+', '#']) {
                    true => WILDCARD,
                    false => 1,
                };
                let filters = subscribe.filters.iter();
                self.count_as(filters.map(|filter| cost(&filter.path)).sum(), 0)
            }
            // One answers what was sent to it, the other is the last: a client that says
            // goodbye must not be taken for one that is gone.
            Packet::PubAck(_) | Packet::Disconnect => Ok(()),
            // It keeps the connection of one who waits; no more of them are taken.
            Packet::PingReq if self.is_held() => Ok(()),
            _ => self.count_as(1, 0),
        }
    }

    fn is_held(&self) -> bool {
        let socket = self.socket.as_ref();
        socket.is_some_and(|socket| socket.attach.connection.is_held())
    }

    /// Counts what a filter brought that was retained.
    pub(super) fn count_retained(&mut self, messages: usize) -> Result<(), Closed> {
        self.count_as(messages / RETAINED, 0)
    }

    fn count_as(&mut self, packets: usize, bytes: usize) -> Result<(), Closed> {
        match (&self.paced, &self.principal) {
            (None, _) => Ok(()),
            (Some(paced), Principal::Device(_)) => {
                let sent = paced.send(packets, bytes);
                sent.map_err(|_| Code::Flood.into())
            }
            (Some(paced), _) => {
                paced.owe(packets, bytes);
                Ok(())
            }
        }
    }
}
