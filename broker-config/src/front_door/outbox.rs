//! Messages that wait for one client, and those that it has not acknowledged yet. Everything goes
//! out in the order it came in, but commands, which have room of their own: what devices report may
//! wait for long to be acknowledged. Nothing here touches a socket.

use std::collections::{HashMap, VecDeque};

use rumqttc::QoS;
use rumqttc::mqttbytes::v4::Packet;

use super::code::Code;
use super::lane::Lane;
use super::message::Message;
use crate::retained::Retained;

/// The bounds of a queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Unacknowledged deliveries.
    pub(crate) window: usize,
    /// Unacknowledged commands besides.
    pub(crate) commands: usize,
    /// Live messages waiting.
    pub(crate) messages: usize,
    /// Bytes of their payloads.
    pub(crate) bytes: usize,
    /// Live messages waiting above which only the newest of each topic is kept. A topic that
    /// is retained says all there is to say each time; whoever writes commands repeats them.
    pub(crate) newest_above: usize,
    /// True if reports come at the quality of service that was asked for, however they were sent.
    pub(crate) acknowledges_reports: bool,
}

enum Waiting {
    Live(Message),
    /// The message that is retained on the topic when its turn comes, at most at this QoS: values
    /// of many topics need not be held, and an old one never follows a newer one.
    Retained(String, QoS),
}

/// A client's queue and in-flight table.
pub(crate) struct Outbox {
    bounds: Bounds,
    waiting: VecDeque<Waiting>,
    /// Of the live messages waiting. Retained ones are not counted: there is at most one
    /// entry for each topic of the retained store.
    messages: usize,
    bytes: usize,
    /// The number of the first entry that waits.
    first: u64,
    /// Each topic's newest live message; only where it is asked for.
    newest: HashMap<String, u64>,
    on_way: Lane,
    /// Commands that wait: each has a place in its sender's share, so they are not too many.
    commands: VecDeque<Message>,
    commands_on_way: Lane,
    /// The lane whose turn it is.
    turn: Turn,
}

/// The lane that may send next, if both can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Command,
    Other,
}

impl Outbox {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            waiting: VecDeque::new(),
            messages: 0,
            bytes: 0,
            first: 0,
            newest: HashMap::new(),
            on_way: Lane::new(1..=0x7fff, bounds.window),
            commands: VecDeque::new(),
            commands_on_way: Lane::new(0x8000..=0xffff, bounds.commands),
            turn: Turn::Command,
        }
    }

    /// Takes a live message. When much waits, it takes the place of the one before it on the
    /// same topic: however often somebody speaks, its turn comes.
    ///
    /// # Errors
    /// [`Code::Overflow`] when too much waits already.
    pub(crate) fn push(&mut self, message: Message) -> Result<(), Code> {
        if message.share.is_some() {
            self.commands.push_back(message);
            return Ok(());
        }
        let is_much = self.messages >= self.bounds.newest_above;
        if is_much && let Some(index) = self.outdated_by(&message.topic) {
            return self.replace(index, message);
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

    /// The entry that a newer message on a topic makes worthless. A status tells whatever was not
    /// acknowledged before, and none that waits here was.
    fn outdated_by(&self, topic: &str) -> Option<usize> {
        let index = usize::try_from(self.newest.get(topic)?.checked_sub(self.first)?).ok()?;
        matches!(self.waiting.get(index)?, Waiting::Live(_)).then_some(index)
    }

    fn replace(&mut self, index: usize, message: Message) -> Result<(), Code> {
        let Some(Waiting::Live(old)) = self.waiting.get_mut(index) else {
            return Ok(());
        };
        let bytes = self.bytes - old.payload.len() + message.payload.len();
        if bytes > self.bounds.bytes {
            return Err(Code::Overflow);
        }
        self.bytes = bytes;
        *old = message;
        Ok(())
    }

    /// Counts anew after entries were taken out of the middle.
    fn renumber(&mut self) {
        self.first = 0;
        for (waiting, number) in self.waiting.iter().zip(0_u64..) {
            if let Waiting::Live(message) = waiting
                && let Some(newest) = self.newest.get_mut(&message.topic)
            {
                *newest = number;
            }
        }
    }

    fn pop(&mut self) -> Option<Waiting> {
        let waiting = self.waiting.pop_front()?;
        self.first += 1;
        match &waiting {
            Waiting::Live(message) => {
                self.messages -= 1;
                self.bytes -= message.payload.len();
                let newest = self.newest.get(&message.topic);
                if newest.is_some_and(|newest| *newest == self.first - 1) {
                    self.newest.remove(&message.topic);
                }
            }
            Waiting::Retained(..) => {}
        }
        Some(waiting)
    }

    /// Takes topics whose retained value is to be sent once each, however often they are
    /// asked for.
    pub(crate) fn push_retained(&mut self, topics: Vec<String>, qos: QoS) {
        // Both are sorted or small: a set is built only when something waits already.
        if self.waiting.len() > self.messages {
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

    /// The next packet to send, if there is room for one on its way. Commands and all else
    /// take turns, so that neither waits behind much of the other.
    pub(crate) fn next(&mut self, retained: &Retained) -> Option<Packet> {
        match self.turn {
            Turn::Command => {
                self.turn = Turn::Other;
                let command = self.next_command();
                command.or_else(|| self.next_other(retained))
            }
            Turn::Other => {
                self.turn = Turn::Command;
                let other = self.next_other(retained);
                other.or_else(|| self.next_command())
            }
        }
    }

    fn next_command(&mut self) -> Option<Packet> {
        if !self.commands_on_way.has_room() {
            return None;
        }
        let command = self.commands.pop_front()?;
        Some(self.commands_on_way.send(command))
    }

    fn next_other(&mut self, retained: &Retained) -> Option<Packet> {
        while self.on_way.has_room() {
            let message = match self.pop()? {
                Waiting::Live(message) => message,
                Waiting::Retained(topic, qos) => match retained.get(&topic) {
                    None => continue,
                    Some(kept) => Message {
                        topic,
                        payload: kept.payload,
                        // Whoever waits for a report to be acknowledged may have sent one before.
                        qos: match kept.report {
                            Some(_) if self.bounds.acknowledges_reports => qos,
                            _ => lower(kept.qos, qos),
                        },
                        retain: true,
                        share: None,
                        report: kept.report,
                    },
                },
            };
            return Some(self.on_way.send(message));
        }
        None
    }

    /// Takes an acknowledgment, which must be for the oldest unacknowledged command, or for
    /// the oldest unacknowledged message of all others: that message.
    ///
    /// # Errors
    /// [`Code::Ack`] for any other.
    pub(crate) fn acknowledge(&mut self, id: u16) -> Result<Message, Code> {
        match self.commands_on_way.has(id) {
            true => self.commands_on_way.acknowledge(id),
            false => self.on_way.acknowledge(id),
        }
    }

    /// Everything that is unacknowledged, as duplicates: a new socket gets this first.
    pub(crate) fn again(&self) -> impl Iterator<Item = Packet> {
        self.on_way.again().chain(self.commands_on_way.again())
    }
}

/// The lower of two qualities of service.
pub(crate) fn lower(one: QoS, other: QoS) -> QoS {
    if one == QoS::AtMostOnce { one } else { other }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
