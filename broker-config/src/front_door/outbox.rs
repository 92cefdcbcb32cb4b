//! What waits for one client and what it has not acknowledged yet. Everything goes out in
//! the order it came in; nothing here touches a socket.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{Packet, Publish};

use super::code::Code;
use super::message::Message;
use crate::retained::Retained;

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Unacknowledged deliveries.
    pub(crate) window: usize,
    /// Live messages waiting.
    pub(crate) messages: usize,
    /// Bytes of their payloads.
    pub(crate) bytes: usize,
    /// Live messages waiting above which only the newest of each topic is kept. A topic that
    /// is retained says all there is to say each time; whoever writes commands repeats them.
    pub(crate) newest_above: usize,
}

enum Waiting {
    Live(Message),
    /// Whatever is retained on the topic when its turn comes, at most at this QoS: values
    /// of many topics need not be held, and an old one never follows a newer one.
    Retained(String, QoS),
    /// A newer message on the same topic waits behind it.
    Outdated,
}

/// A client's queue and in-flight table.
pub(crate) struct Outbox {
    bounds: Bounds,
    waiting: VecDeque<Waiting>,
    /// Of the live messages waiting. Retained ones are not counted: there is at most one
    /// entry for each topic of the retained store.
    messages: usize,
    bytes: usize,
    /// Entries that are outdated.
    outdated: usize,
    /// The number of the first entry that waits.
    first: u64,
    /// The number of each topic's newest live message; kept only where it is asked for.
    newest: HashMap<String, u64>,
    in_flight: VecDeque<(u16, Message)>,
    last_id: u16,
}

impl Outbox {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            waiting: VecDeque::new(),
            messages: 0,
            bytes: 0,
            outdated: 0,
            first: 0,
            newest: HashMap::new(),
            in_flight: VecDeque::new(),
            last_id: 0,
        }
    }

    /// Takes a live message. When much waits, those on the same topic are given up for it.
    ///
    /// # Errors
    /// [`Code::Overflow`] when too much waits already.
    pub(crate) fn push(&mut self, message: Message) -> Result<(), Code> {
        if self.messages >= self.bounds.newest_above {
            self.give_up(&message.topic);
        }
        let bytes = self.bytes + message.payload.len();
        if self.messages >= self.bounds.messages || bytes > self.bounds.bytes {
            return Err(Code::Overflow);
        }
        self.messages += 1;
        self.bytes = bytes;
        if self.bounds.newest_above < usize::MAX {
            let number = self.first + self.waiting.len() as u64;
            self.newest.insert(message.topic.clone(), number);
        }
        self.waiting.push_back(Waiting::Live(message));
        Ok(())
    }

    /// Gives up what waits on a topic, as far as it is known.
    fn give_up(&mut self, topic: &str) {
        let number = self.newest.remove(topic);
        let index = number.and_then(|number| number.checked_sub(self.first));
        let index = index.and_then(|index| usize::try_from(index).ok());
        let Some(waiting) = index.and_then(|index| self.waiting.get_mut(index)) else {
            return;
        };
        if let Waiting::Live(message) = waiting
            && message.topic == topic
        {
            self.messages -= 1;
            self.bytes -= message.payload.len();
            self.outdated += 1;
            *waiting = Waiting::Outdated;
        }
        if self.outdated > self.waiting.len() / 2 {
            self.renumber();
        }
    }

    /// Drops outdated entries.
    fn renumber(&mut self) {
        self.waiting
            .retain(|waiting| !matches!(waiting, Waiting::Outdated));
        self.outdated = 0;
        self.first = 0;
        self.newest.clear();
        if self.bounds.newest_above < usize::MAX {
            let live = self.waiting.iter().zip(0_u64..);
            let live = live.filter_map(|(waiting, number)| match waiting {
                Waiting::Live(message) => Some((message.topic.clone(), number)),
                _ => None,
            });
            self.newest.extend(live);
        }
    }

    fn pop(&mut self) -> Option<Waiting> {
        let waiting = self.waiting.pop_front()?;
        self.first += 1;
        match &waiting {
            Waiting::Live(message) => {
                self.messages -= 1;
                self.bytes -= message.payload.len();
                if self.newest.get(&message.topic) == Some(&(self.first - 1)) {
                    self.newest.remove(&message.topic);
                }
            }
            Waiting::Outdated => self.outdated -= 1,
            Waiting::Retained(..) => {}
        }
        Some(waiting)
    }

    /// Takes topics whose retained value is to be sent once each, however often they are
    /// asked for.
    pub(crate) fn push_retained(&mut self, topics: Vec<String>, qos: QoS) {
        // Both are sorted or small: a set is built only when something waits already.
        if self.waiting.len() > self.messages + self.outdated {
            let again: std::collections::HashSet<&String> = topics.iter().collect();
            self.waiting.retain(
                |waiting| !matches!(waiting, Waiting::Retained(topic, _) if again.contains(topic)),
            );
            self.renumber();
        }
        let retained = topics
            .into_iter()
            .map(|topic| Waiting::Retained(topic, qos));
        self.waiting.extend(retained);
    }

    /// The next packet to send, if the window has room.
    pub(crate) fn next(&mut self, retained: &Retained) -> Option<Packet> {
        while self.in_flight.len() < self.bounds.window {
            let message = match self.pop()? {
                Waiting::Live(message) => message,
                Waiting::Outdated => continue,
                Waiting::Retained(topic, qos) => match retained.get(&topic) {
                    None => continue,
                    Some((payload, stored)) => Message {
                        topic,
                        payload,
                        qos: lower(stored, qos),
                        retain: true,
                        share: None,
                    },
                },
            };
            if message.qos == QoS::AtMostOnce {
                return Some(packet(&message, 0, false));
            }
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            let packet = packet(&message, self.last_id, false);
            self.in_flight.push_back((self.last_id, message));
            return Some(packet);
        }
        None
    }

    /// Takes an acknowledgment, which must be for the oldest unacknowledged message
    /// (MQTT 3.1.1, 4.6).
    ///
    /// # Errors
    /// [`Code::Ack`] for any other.
    pub(crate) fn acknowledge(&mut self, id: u16) -> Result<(), Code> {
        match self.in_flight.front() {
            Some((oldest, _)) if *oldest == id => {
                self.in_flight.pop_front();
                Ok(())
            }
            _ => Err(Code::Ack),
        }
    }

    /// What a new socket gets first: everything unacknowledged, in order, as duplicates.
    pub(crate) fn again(&self) -> impl Iterator<Item = Packet> {
        let unacknowledged = self.in_flight.iter();
        unacknowledged.map(|(id, message)| packet(message, *id, true))
    }
}

/// The lower of two qualities of service.
pub(crate) fn lower(one: QoS, other: QoS) -> QoS {
    if one == QoS::AtMostOnce { one } else { other }
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

    const BOUNDS: Bounds = Bounds {
        window: 2,
        messages: 3,
        bytes: 10,
        newest_above: usize::MAX,
    };

    fn message(payload: &'static [u8], qos: QoS) -> Message {
        Message {
            topic: "t".to_owned(),
            payload: Bytes::from_static(payload),
            qos,
            retain: false,
            share: None,
        }
    }

    fn ids(outbox: &mut Outbox, retained: &Retained) -> Vec<u16> {
        std::iter::from_fn(|| match outbox.next(retained)? {
            Packet::Publish(publish) => Some(publish.pkid),
            other => panic!("{other:?}"),
        })
        .collect()
    }

    #[test]
    fn the_window_bounds_what_is_unacknowledged_and_acks_open_it() {
        let retained = Retained::default();
        let mut outbox = Outbox::new(BOUNDS);
        for _ in 0..3 {
            outbox.push(message(b"x", QoS::AtLeastOnce)).unwrap();
        }
        assert_eq!(ids(&mut outbox, &retained), [1, 2]);
        assert_eq!(outbox.acknowledge(1), Ok(()));
        assert_eq!(ids(&mut outbox, &retained), [3]);
        assert_eq!(outbox.again().count(), 2);
    }

    #[test]
    fn an_ack_out_of_order_or_for_nothing_is_refused() {
        // bad-inputs row 73
        let mut outbox = Outbox::new(BOUNDS);
        assert_eq!(outbox.acknowledge(1), Err(Code::Ack));
        for _ in 0..2 {
            outbox.push(message(b"x", QoS::AtLeastOnce)).unwrap();
        }
        ids(&mut outbox, &Retained::default());
        assert_eq!(outbox.acknowledge(2), Err(Code::Ack));
        assert_eq!(outbox.acknowledge(1), Ok(()));
        assert_eq!(outbox.acknowledge(1), Err(Code::Ack));
    }

    #[test]
    fn messages_and_bytes_that_wait_are_bounded() {
        let mut outbox = Outbox::new(BOUNDS);
        for _ in 0..3 {
            outbox.push(message(b"x", QoS::AtMostOnce)).unwrap();
        }
        let fourth = outbox.push(message(b"x", QoS::AtMostOnce));
        assert_eq!(fourth, Err(Code::Overflow));
        let mut outbox = Outbox::new(BOUNDS);
        let large = outbox.push(message(b"eleven bytes", QoS::AtMostOnce));
        assert_eq!(large, Err(Code::Overflow));
    }

    #[test]
    fn a_retained_topic_waits_once_however_often_it_is_asked_for() {
        let retained = Retained::default();
        let topics = || vec!["a".to_owned(), "b".to_owned()];
        for topic in topics() {
            retained.set(&topic, &Bytes::from_static(b"v"), QoS::AtMostOnce);
        }
        let mut outbox = Outbox::new(BOUNDS);
        for _ in 0..5 {
            outbox.push_retained(topics(), QoS::AtLeastOnce);
        }
        // Stored at QoS 0, so not sent at more.
        assert_eq!(ids(&mut outbox, &retained), [0, 0]);
    }

    #[test]
    fn packet_ids_wrap_past_0() {
        let mut outbox = Outbox::new(BOUNDS);
        outbox.last_id = u16::MAX;
        outbox.push(message(b"x", QoS::AtLeastOnce)).unwrap();
        assert_eq!(ids(&mut outbox, &Retained::default()), [1]);
    }

    #[test]
    fn when_much_waits_the_newest_of_each_topic_is_kept_and_a_flood_ends_nothing() {
        let bounds = Bounds {
            newest_above: 2,
            ..BOUNDS
        };
        let mut outbox = Outbox::new(bounds);
        let on = |topic: &str, payload: &str| Message {
            topic: topic.to_owned(),
            payload: Bytes::copy_from_slice(payload.as_bytes()),
            qos: QoS::AtMostOnce,
            retain: false,
            share: None,
        };
        outbox.push(on("a", "1")).unwrap();
        outbox.push(on("b", "1")).unwrap();
        for number in 0..10_000 {
            outbox.push(on("a", &number.to_string())).unwrap();
        }
        assert!(outbox.waiting.len() < 10, "{}", outbox.waiting.len());
        let retained = Retained::default();
        let sent = std::iter::from_fn(|| match outbox.next(&retained)? {
            Packet::Publish(publish) => Some((publish.topic, publish.payload)),
            other => panic!("{other:?}"),
        });
        let sent: Vec<_> = sent.collect();
        let wanted = [("b", "1"), ("a", "9999")];
        let wanted = wanted.map(|(topic, text)| (topic.to_owned(), Bytes::from(text)));
        assert_eq!(sent, wanted, "in the order of the newest");
        assert_eq!(
            (outbox.messages, outbox.bytes, outbox.newest.len()),
            (0, 0, 0)
        );
    }
}
