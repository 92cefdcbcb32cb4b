//! The modelled broker: retained messages, order per topic only, QoS 1 duplicates, and
//! sessions that lose what was on its way when they end.

use std::collections::{BTreeMap, VecDeque};

use fastrand::Rng;
use hoist_protocol::topic::matches;

/// A client of the modelled broker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// The orchestrator; its session is persistent.
    Server,
    /// A device, by its number.
    Device(usize),
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: Vec<u8>,
}

#[derive(Default)]
struct Session {
    filters: Vec<String>,
    /// One queue per topic: order is kept inside a topic only.
    queues: BTreeMap<String, VecDeque<Vec<u8>>>,
}

/// Retained messages and sessions.
#[derive(Default)]
pub struct Broker {
    /// Rises with every publish.
    pub version: u64,
    retained: BTreeMap<String, Vec<u8>>,
    sessions: BTreeMap<Party, Session>,
}

impl Broker {
    /// Opens a session without subscriptions, unless there is one.
    pub fn connect(&mut self, party: Party) {
        self.sessions.entry(party).or_default();
    }

    /// Ends a session; what was on its way to it is lost.
    pub fn disconnect(&mut self, party: &Party) {
        self.sessions.remove(party);
    }

    /// Subscribes, and delivers what is retained.
    pub fn subscribe(&mut self, party: &Party, filter: &str) {
        let Some(session) = self.sessions.get_mut(party) else {
            return;
        };
        if !session.filters.iter().any(|known| known == filter) {
            session.filters.push(filter.to_owned());
        }
        for (topic, payload) in &self.retained {
            if matches(filter, topic) {
                session
                    .queues
                    .entry(topic.clone())
                    .or_default()
                    .push_back(payload.clone());
            }
        }
    }

    /// Publishes a retained message; an empty one clears the topic.
    pub fn publish(&mut self, topic: &str, payload: Vec<u8>) {
        self.version += 1;
        for session in self.sessions.values_mut() {
            if session.filters.iter().any(|filter| matches(filter, topic)) {
                session
                    .queues
                    .entry(topic.to_owned())
                    .or_default()
                    .push_back(payload.clone());
            }
        }
        if payload.is_empty() {
            self.retained.remove(topic);
        } else {
            self.retained.insert(topic.to_owned(), payload);
        }
    }

    /// A message waiting for a party, from a topic chosen by chance. It stays until
    /// [`Broker::acknowledge`]: taking it twice is the duplicate of QoS 1.
    pub fn peek(&self, party: &Party, rng: &mut Rng) -> Option<Message> {
        let queues = &self.sessions.get(party)?.queues;
        let waiting: Vec<_> = queues
            .iter()
            .filter(|(_, queue)| !queue.is_empty())
            .collect();
        let (topic, queue) = waiting.get(rng.usize(0..waiting.len().max(1)))?;
        Some(Message {
            topic: (*topic).clone(),
            payload: queue.front()?.clone(),
        })
    }

    /// Takes the front message of a topic away from a party's queue.
    pub fn acknowledge(&mut self, party: &Party, topic: &str) {
        if let Some(session) = self.sessions.get_mut(party)
            && let Some(queue) = session.queues.get_mut(topic)
        {
            queue.pop_front();
        }
    }

    /// Whether nothing is on its way to anybody.
    pub fn is_quiet(&self) -> bool {
        self.sessions
            .values()
            .all(|session| session.queues.values().all(VecDeque::is_empty))
    }

    /// What is retained on a topic.
    pub fn retained(&self, topic: &str) -> Option<&[u8]> {
        self.retained.get(topic).map(Vec::as_slice)
    }

    /// Every retained topic that a filter matches.
    pub fn retained_matching(&self, filter: &str) -> Vec<(&str, &[u8])> {
        let matching = self
            .retained
            .iter()
            .filter(|(topic, _)| matches(filter, topic));
        matching
            .map(|(topic, payload)| (topic.as_str(), payload.as_slice()))
            .collect()
    }

    /// Restarts with nothing: every retained message and session is gone.
    pub fn restart_empty(&mut self) {
        self.retained.clear();
        self.sessions.clear();
    }
}
