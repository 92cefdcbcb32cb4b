//! What all sessions share: who is there, what is retained, and the way from a publisher
//! to its readers. Topics with one reader are handed over here; the rest goes through the
//! router, which never frees a topic or filter.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use hoist_protocol::access::{Principal, single_reader};
use hoist_protocol::id::{DeviceId, UserId};
use hoist_protocol::topic::{Topic, Topics, covers};
use rumqttc::QoS;
use tokio::sync::mpsc;

use super::limits::Limits;
use super::session::ToSession;
use crate::retained::Retained;
use crate::router::{Link, Router, RouterDead};

/// Whose sessions: nobody takes over another's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    Device(DeviceId),
    User(UserId),
    Service,
}

impl Owner {
    pub(crate) fn of(principal: &Principal) -> Self {
        match principal {
            Principal::Device(device) => Self::Device(device.clone()),
            Principal::User { user, .. } => Self::User(user.clone()),
            Principal::Service => Self::Service,
        }
    }
}

/// A session: its owner and client id.
pub(crate) type Key = (Owner, String);

/// A message on its way to readers.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
}

/// Counters since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connects: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) published: AtomicU64,
    pub(crate) delivered: AtomicU64,
    pub(crate) device_bytes: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}

#[derive(Clone)]
struct Handle {
    instance: u64,
    inbox: mpsc::Sender<ToSession>,
}

/// Shared by the acceptor and every session.
pub(crate) struct Hub {
    pub(crate) topics: Topics,
    pub(crate) limits: Limits,
    pub(crate) retained: Retained,
    pub(crate) counters: Counters,
    router: RwLock<Arc<Router>>,
    sessions: Mutex<HashMap<Owner, HashMap<String, Handle>>>,
    instances: AtomicU64,
}

impl Hub {
    pub(crate) fn new(topics: Topics, limits: Limits) -> Self {
        let router = Router::start(Self::links(&limits));
        Self {
            topics,
            limits,
            retained: Retained::default(),
            counters: Counters::default(),
            router: RwLock::new(router),
            sessions: Mutex::default(),
            instances: AtomicU64::new(0),
        }
    }

    /// A link per connection, and some for probes and sessions that are just ending.
    fn links(limits: &Limits) -> usize {
        limits.connections + 100
    }

    pub(crate) fn router(&self) -> Arc<Router> {
        Arc::clone(&self.router.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a new router in the place of a dead one and ends every session.
    pub(crate) fn restart_router(&self) {
        let fresh = Router::start(Self::links(&self.limits));
        *self.router.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        for inbox in self.all() {
            let _ = inbox.try_send(ToSession::End);
        }
    }

    /// Registers a session and returns the number that unregisters it.
    pub(crate) fn enter(&self, key: &Key, inbox: mpsc::Sender<ToSession>) -> u64 {
        let instance = self.instances.fetch_add(1, Ordering::Relaxed);
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let own = sessions.entry(key.0.clone()).or_default();
        own.insert(key.1.clone(), Handle { instance, inbox });
        instance
    }

    /// Unregisters a session, unless another has taken its place.
    pub(crate) fn leave(&self, key: &Key, instance: u64) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = sessions.get_mut(&key.0) {
            if own
                .get(&key.1)
                .is_some_and(|handle| handle.instance == instance)
            {
                own.remove(&key.1);
            }
            if own.is_empty() {
                sessions.remove(&key.0);
            }
        }
    }

    /// The session of a key, if there is one.
    pub(crate) fn find(&self, key: &Key) -> Option<mpsc::Sender<ToSession>> {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        Some(sessions.get(&key.0)?.get(&key.1)?.inbox.clone())
    }

    /// Every session's inbox.
    pub(crate) fn all(&self) -> Vec<mpsc::Sender<ToSession>> {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions
            .values()
            .flatten()
            .map(|(_, handle)| handle.inbox.clone())
            .collect()
    }

    /// A client id for a client that gave none.
    pub(crate) fn anonymous_id(&self) -> String {
        // Text ids of clients never hold a space.
        format!(
            "anonymous {}",
            self.instances.fetch_add(1, Ordering::Relaxed)
        )
    }

    /// Sessions that are there now.
    pub(crate) fn count(&self) -> usize {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.values().map(HashMap::len).sum()
    }

    /// Keeps a message if it is retained, and hands it to its readers. It was authorized
    /// before.
    pub(crate) fn publish(&self, link: &mut Link, message: Message) -> Result<(), RouterDead> {
        Counters::add(&self.counters.published, 1);
        let Ok(topic) = self.topics.parse(&message.topic) else {
            return Ok(());
        };
        let is_command = matches!(topic, Topic::Command { .. });
        // A command is never kept; its retain flag stays, so that it can be refused.
        if message.retain && !is_command {
            self.retained.set(&message.topic, &message.payload);
        }
        if single_reader(&topic) {
            let retain = message.retain && is_command;
            self.hand_over(&topic, &Message { retain, ..message });
            return Ok(());
        }
        let mut tagged = Vec::with_capacity(message.payload.len() + 1);
        tagged.push(message.qos as u8);
        tagged.extend_from_slice(&message.payload);
        link.publish(&message.topic, tagged)
    }

    /// Gives a message with one reader to that reader's sessions and the orchestrator's.
    fn hand_over(&self, topic: &Topic, message: &Message) {
        let owner = match topic {
            Topic::DeviceHead(device) => Some(Owner::Device(device.clone())),
            Topic::Reply { user, .. } => Some(Owner::User(user.clone())),
            _ => None,
        };
        let inboxes: Vec<_> = {
            let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            let own = owner
                .iter()
                .chain([&Owner::Service])
                .filter_map(|owner| sessions.get(owner));
            own.flat_map(HashMap::values)
                .map(|handle| handle.inbox.clone())
                .collect()
        };
        for inbox in inboxes {
            if let Err(mpsc::error::TrySendError::Full(_)) =
                inbox.try_send(ToSession::Deliver(message.clone()))
            {
                tracing::warn!(topic = %message.topic, "a session does not keep up and is ended");
                super::session::end_soon(inbox);
            }
        }
    }

    /// Whether a filter can match only topics that are handed over.
    pub(crate) fn is_handed_over(&self, filter: &str) -> bool {
        ["d/+", "reply/#", "cmd/#"]
            .iter()
            .any(|below| covers(&self.topics.filter(below), filter))
    }
}

/// Reads what [`Hub::publish`] gave the router.
pub(crate) fn untag(topic: &[u8], tagged: &[u8]) -> Option<Message> {
    let (qos, payload) = tagged.split_first()?;
    let qos = if *qos == 0 {
        QoS::AtMostOnce
    } else {
        QoS::AtLeastOnce
    };
    let topic = String::from_utf8(topic.to_vec()).ok()?;
    Some(Message {
        topic,
        payload: payload.to_vec(),
        qos,
        retain: false,
    })
}
