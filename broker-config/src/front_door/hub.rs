//! What all sessions share: who is there, what is retained, and the way from a publisher
//! to its readers. Topics with one reader are handed over here; the rest goes through the
//! router, which never frees a topic or filter.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use hoist_protocol::access::{Principal, single_reader};
use hoist_protocol::id::{DeviceId, UserId};
use hoist_protocol::topic::{Topic, Topics, covers};
use rumqttc::QoS;
use tokio::sync::mpsc;

use super::code::{Code, CodeCounters};
use super::limits::Limits;
use super::quiet::Quiet;
use super::session::{ToSession, end_soon};
use crate::credentials::{Credentials, Pass};
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
    pub(crate) payload: Bytes,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
}

/// Counters since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connects: AtomicU64,
    pub(crate) closed: CodeCounters,
    pub(crate) published: AtomicU64,
    pub(crate) delivered: AtomicU64,
    pub(crate) device_bytes: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// A session's number, which is never used again, and the way to it.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) instance: u64,
    pub(crate) inbox: mpsc::Sender<ToSession>,
    /// What its client came in with.
    pub(crate) pass: Arc<Pass>,
}

/// How the messages of a filter come to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// By the router.
    Router,
    /// By the owner that the topic names; nothing is to be registered.
    Owner,
    /// By the exact topic: one device's, which the router would never forget.
    Exact,
}

/// Shared by the acceptor and every session.
pub(crate) struct Hub {
    pub(crate) topics: Topics,
    pub(crate) limits: Limits,
    /// Who may come in, and stay.
    pub(crate) credentials: Arc<dyn Credentials>,
    pub(crate) retained: Retained,
    pub(crate) counters: Counters,
    /// What of refusals is said.
    pub(crate) quiet: Quiet,
    router: RwLock<Arc<Router>>,
    sessions: Mutex<HashMap<Owner, HashMap<String, Handle>>>,
    /// Sessions that read one device's topic.
    readers: Mutex<HashMap<String, Vec<Handle>>>,
    instances: AtomicU64,
}

impl Hub {
    pub(crate) fn new(
        topics: Topics,
        limits: Limits,
        credentials: Arc<dyn Credentials>,
    ) -> std::io::Result<Self> {
        let router = Arc::new(Router::start(Self::links(&limits))?);
        Ok(Self {
            topics,
            limits,
            credentials,
            retained: Retained::default(),
            counters: Counters::default(),
            quiet: Quiet::default(),
            router: RwLock::new(router),
            sessions: Mutex::default(),
            readers: Mutex::default(),
            instances: AtomicU64::new(0),
        })
    }

    /// A link per connection, and some for the orchestrator, probes and sessions that are
    /// just ending.
    fn links(limits: &Limits) -> usize {
        limits.connections + 100
    }

    pub(crate) fn router(&self) -> Arc<Router> {
        Arc::clone(&self.router.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a new router in the place of a dead one and ends every session.
    pub(crate) fn restart_router(&self) {
        match Router::start(Self::links(&self.limits)) {
            Ok(fresh) => {
                *self.router.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
            }
            // The next probe fails again and comes back here.
            Err(error) => tracing::error!(%error, "no new router could be started"),
        }
        for inbox in self.all() {
            end_soon(inbox, Code::Router);
        }
    }

    /// Registers a session. One that came in at the same moment under the same key loses.
    pub(crate) fn enter(&self, key: &Key, inbox: mpsc::Sender<ToSession>, pass: Pass) -> Handle {
        let instance = self.instances.fetch_add(1, Ordering::Relaxed);
        let pass = Arc::new(pass);
        let handle = Handle {
            instance,
            inbox,
            pass,
        };
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let own = sessions.entry(key.0.clone()).or_default();
        if let Some(replaced) = own.insert(key.1.clone(), handle.clone()) {
            end_soon(replaced.inbox, Code::TakenOver);
        }
        handle
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

    /// Ends every session whose client would not come in any more.
    pub(crate) fn review(&self) {
        let handles: Vec<Handle> = {
            let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            sessions
                .values()
                .flat_map(HashMap::values)
                .cloned()
                .collect()
        };
        for handle in handles {
            if let Err(refusal) = self.credentials.review(&handle.pass) {
                let who = &handle.pass.principal;
                tracing::info!(%who, reason = %refusal, "session ended");
                end_soon(handle.inbox, Code::Revoked);
            }
        }
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
            let Message { topic, payload, .. } = &message;
            self.retained.set(topic, payload, message.qos);
        }
        let message = Message {
            retain: message.retain && is_command,
            ..message
        };
        if single_reader(&topic) {
            hand_over(&self.readers_by_owner(&topic), &message);
            return Ok(());
        }
        hand_over(&self.readers_by_topic(&message.topic), &message);
        let mut tagged = Vec::with_capacity(message.payload.len() + 1);
        tagged.push(message.qos as u8);
        tagged.extend_from_slice(&message.payload);
        link.publish(&message.topic, tagged)
    }

    /// The sessions of the only client that reads a topic, and the orchestrator's.
    fn readers_by_owner(&self, topic: &Topic) -> Vec<mpsc::Sender<ToSession>> {
        let owner = match topic {
            Topic::DeviceHead(device) => Some(Owner::Device(device.clone())),
            Topic::Reply { user, .. } => Some(Owner::User(user.clone())),
            _ => None,
        };
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let owners = owner.iter().chain([&Owner::Service]);
        let own = owners.filter_map(|owner| sessions.get(owner));
        own.flat_map(HashMap::values)
            .map(|handle| handle.inbox.clone())
            .collect()
    }

    fn readers_by_topic(&self, topic: &str) -> Vec<mpsc::Sender<ToSession>> {
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let handles = readers.get(topic).into_iter().flatten();
        handles.map(|handle| handle.inbox.clone()).collect()
    }

    /// How the messages of a filter come to a session.
    pub(crate) fn route(&self, filter: &str) -> Route {
        let by_owner = ["d/+", "reply/#", "cmd/#"];
        let covered = |below: &&str| covers(&self.topics.filter(below), filter);
        if by_owner.iter().any(covered) {
            return Route::Owner;
        }
        match self.topics.parse(filter) {
            Ok(Topic::Status(_) | Topic::Presence(_) | Topic::Info(_) | Topic::Needs(_)) => {
                Route::Exact
            }
            _ => Route::Router,
        }
    }

    /// Makes a session a reader of one topic.
    pub(crate) fn read_topic(&self, topic: &str, handle: &Handle) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let handles = readers.entry(topic.to_owned()).or_default();
        handles.push(handle.clone());
    }

    /// Ends what [`Hub::read_topic`] began.
    pub(crate) fn forget_topic(&self, topic: &str, instance: u64) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handles) = readers.get_mut(topic) {
            handles.retain(|handle| handle.instance != instance);
            if handles.is_empty() {
                readers.remove(topic);
            }
        }
    }
}

/// Gives a message to sessions; whether a filter of theirs matches, they know themselves.
fn hand_over(inboxes: &[mpsc::Sender<ToSession>], message: &Message) {
    for inbox in inboxes {
        let given = inbox.try_send(ToSession::Deliver(message.clone()));
        if let Err(mpsc::error::TrySendError::Full(_)) = given {
            end_soon(inbox.clone(), Code::Overflow);
        }
    }
}

/// Reads what [`Hub::publish`] gave the router.
pub(crate) fn untag(topic: &[u8], mut tagged: Bytes) -> Option<Message> {
    let topic = String::from_utf8(topic.to_vec()).ok()?;
    let qos = match tagged.first()? {
        0 => QoS::AtMostOnce,
        _ => QoS::AtLeastOnce,
    };
    Some(Message {
        topic,
        payload: tagged.split_off(1),
        qos,
        retain: false,
    })
}
