//! Messages that are on their way to one client and were not acknowledged yet: sent in order,
//! acknowledged in order, under packet ids that nothing else of the client has.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use bytes::Bytes;
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{Packet, Publish};

use super::code::Code;
use super::message::Message;

/// Deliveries under the packet ids of a range, far fewer at once than it has.
pub(crate) struct Lane {
    ids: RangeInclusive<u16>,
    last_id: u16,
    in_flight: VecDeque<(u16, Message)>,
    window: usize,
}

impl Lane {
    /// With at most so many unacknowledged, and never as many as there are ids.
    pub(crate) fn new(ids: RangeInclusive<u16>, window: usize) -> Self {
        Self {
            last_id: *ids.end(),
            window: window.min(ids.len() - 1),
            ids,
            in_flight: VecDeque::new(),
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.in_flight.len() < self.window
    }

    /// The packet of a message, which is remembered until it is acknowledged.
    pub(crate) fn send(&mut self, message: Message) -> Packet {
        if message.qos == QoS::AtMostOnce {
            return packet(&message, 0, false);
        }
        self.last_id = match self.last_id {
            last if last == *self.ids.end() => *self.ids.start(),
            last => last + 1,
        };
        let packet = packet(&message, self.last_id, false);
        self.in_flight.push_back((self.last_id, message));
        packet
    }

    /// True if an id is one of this lane.
    pub(crate) fn has(&self, id: u16) -> bool {
        self.ids.contains(&id)
    }

    /// Takes an acknowledgment, which must be for the oldest unacknowledged message
    /// (MQTT 3.1.1, 4.6): the message.
    ///
    /// # Errors
    /// [`Code::Ack`] for any other.
    pub(crate) fn acknowledge(&mut self, id: u16) -> Result<Message, Code> {
        let oldest = self.in_flight.pop_front_if(|(oldest, _)| *oldest == id);
        oldest.map(|(_, message)| message).ok_or(Code::Ack)
    }

    /// Everything unacknowledged, in order, as duplicates.
    pub(crate) fn again(&self) -> impl Iterator<Item = Packet> {
        let unacknowledged = self.in_flight.iter();
        unacknowledged.map(|(id, message)| packet(message, *id, true))
    }
}

fn packet(message: &Message, id: u16, dup: bool) -> Packet {
    Packet::Publish(Publish {
        dup,
        qos: message.qos,
        retain: message.retain,
        topic: message.topic.clone(),
        pkid: id,
        payload: Bytes::clone(&message.payload),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packet_ids_stay_in_their_range() {
        let mut lane = Lane::new(0x8000..=0xffff, 2);
        let mut send = || {
            let message = Message {
                topic: "t".to_owned(),
                payload: Bytes::new(),
                qos: QoS::AtLeastOnce,
                retain: false,
                share: None,
                report: None,
            };
            let Packet::Publish(publish) = lane.send(message) else {
                panic!("another packet")
            };
            lane.acknowledge(publish.pkid).unwrap();
            publish.pkid
        };
        let ids: Vec<u16> = std::iter::repeat_with(&mut send).take(0x8001).collect();
        assert_eq!((ids[0], ids[1]), (0x8000, 0x8001));
        assert_eq!((ids[0x7fff], ids[0x8000]), (0xffff, 0x8000));
    }
}
