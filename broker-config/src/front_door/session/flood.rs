//! What becomes of a client that sends more than it may: a device is closed, since nothing that
//! it has to say is so much; a user is read more slowly, since programs send commands as fast as
//! they can.

use hoist_protocol::access::Principal;
use rumqttc::mqttbytes::v4::Packet;
use tokio::time::Instant;

use super::super::code::Code;
use super::{Closed, Session};

/// What a packet counts as that others get.
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
            // It answers what was sent to it.
            Packet::PubAck(_) => Ok(()),
            _ => self.count_as(1, 0),
        }
    }

    /// Counts what a filter brought that was retained.
    pub(super) fn count_retained(&mut self, messages: usize) -> Result<(), Closed> {
        self.count_as(messages / RETAINED, 0)
    }

    fn count_as(&mut self, packets: usize, bytes: usize) -> Result<(), Closed> {
        let sent = self.paced.as_ref().map(|paced| paced.send(packets, bytes));
        let Some(Err(wait)) = sent else {
            return Ok(());
        };
        if matches!(self.principal, Principal::Device(_)) {
            return Err(Code::Flood.into());
        }
        if let Some(socket) = &mut self.socket {
            let until = Instant::now() + wait;
            socket.attach.connection.pause(until);
            socket.deadline = until + socket.attach.keep_alive;
        }
        Ok(())
    }
}
