//! The state that all sessions share: the clients that are there, the retained messages, and the
//! way from a publisher to its readers. Topics with one reader are handed over here; the rest goes
//! through the router, which never frees a topic or filter.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use hoist_protocol::access::{
    Principal, REPORTS, Role, SINGLE_READER, is_report, passes, single_reader,
};
use hoist_protocol::filter::{Family, Filter};
use hoist_protocol::id::UserId;
use hoist_protocol::topic::{Topic, Topics, covers};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::code::{Code, CodeCounters};
use super::inbox::{Handle, ToSession, end_soon};
use super::limits::Limits;
use super::message::Message;
use super::owner::{Key, Owner};
use super::pace::{Paced, Paces};
use super::places::Places;
use super::quiet::Quiet;
use super::readers::{Readers, RouterFilters};
use super::reports::Reports;
use super::way::{Way, command, hand_over, report};
use crate::credentials::{Credentials, Pass};
use crate::retained::{Kept, Retained};
use crate::router::{Link, Router, RouterDead};

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

/// The way by which the messages of a filter come to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// By the router.
    Router,
    /// By the owner that the topic names; nothing is to be registered.
    Owner,
    /// By the hub: an exact topic, whatever a device reads, and what would be too much for the
    /// router.
    Hub,
}

/// Shared by the acceptor and every session.
pub(crate) struct Hub {
    pub(crate) topics: Topics,
    pub(crate) limits: Limits,
    /// The judge of who may come in, and stay.
    pub(crate) credentials: Arc<dyn Credentials>,
    pub(crate) retained: Retained,
    pub(crate) reports: Reports,
    pub(crate) counters: Counters,
    /// The refusals that the log has said lately.
    pub(crate) quiet: Quiet,
    router: RwLock<Arc<Router>>,
    sessions: Mutex<HashMap<Owner, HashMap<String, Handle>>>,
    /// The sessions that read from the hub, by filter.
    readers: Mutex<Readers>,
    /// The filters that the router was given.
    router_filters: Mutex<RouterFilters>,
    /// The amount that each client may still send.
    paces: Paces,
    /// The places that clients take.
    pub(crate) places: Places,
    began: Instant,
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
            places: Places::new(&limits),
            limits,
            credentials,
            retained: Retained::default(),
            reports: Reports::default(),
            counters: Counters::default(),
            quiet: Quiet::default(),
            router: RwLock::new(router),
            sessions: Mutex::default(),
            readers: Mutex::default(),
            router_filters: Mutex::default(),
            paces: Paces::default(),
            began: Instant::now(),
            instances: AtomicU64::new(0),
        })
    }

    /// A link per connection, and some for the orchestrator, probes and sessions that are
    /// just ending.
    fn links(limits: &Limits) -> usize {
        limits.connections + limits.operator_connections + 100
    }

    pub(crate) fn router(&self) -> Arc<Router> {
        Arc::clone(&self.router.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a new router in the place of a dead one and ends every session.
    pub(crate) fn restart_router(&self) {
        match Router::start(Self::links(&self.limits)) {
            Ok(fresh) => {
                *self.router.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
                let mut filters = self.lock_router_filters();
                *filters = RouterFilters::default();
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
            from: None,
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

    /// Notes where the socket of a session comes from.
    pub(crate) fn comes_from(&self, key: &Key, peer: Option<SocketAddr>) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let own = sessions.get_mut(&key.0);
        if let Some(handle) = own.and_then(|own| own.get_mut(&key.1)) {
            handle.from = peer.map(|peer| peer.ip().to_canonical());
        }
    }

    /// The addresses that a user is connected from.
    pub(crate) fn addresses_of(&self, user: &UserId) -> BTreeSet<IpAddr> {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let own = sessions.get(&Owner::User(user.clone())).into_iter();
        let handles = own.flat_map(HashMap::values);
        handles.filter_map(|handle| handle.from).collect()
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
                end_soon(handle.inbox, refusal.into());
            }
        }
    }

    /// The pace of a client; the orchestrator has none, and sends as much as it likes.
    pub(crate) fn pace(&self, principal: &Principal) -> Option<Paced> {
        let pace = match principal {
            Principal::Device(_) => self.limits.device_pace,
            Principal::User {
                role: Role::Viewer, ..
            } => self.limits.viewer_pace,
            Principal::User { .. } | Principal::Enrolling { .. } => self.limits.operator_pace,
            Principal::Service => return None,
        };
        Some(self.paces.of(&Owner::of(principal), pace))
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
    /// before. A command, with a place in its sender's share, and a report are still to be sent on
    /// their way to the orchestrator.
    ///
    /// # Errors
    /// [`Code::Router`].
    pub(crate) fn publish(
        &self,
        link: &mut Link,
        message: Message,
        share: Option<&Arc<Semaphore>>,
    ) -> Result<Option<Way>, Code> {
        Counters::add(&self.counters.published, 1);
        let Ok(topic) = self.topics.parse(&message.topic) else {
            return Ok(None);
        };
        let is_command = matches!(topic, Topic::Command { .. });
        let number = || message.report.unwrap_or_else(|| self.reports.number());
        let message = Message {
            report: is_report(&topic).then(number),
            ..message
        };
        // A command is never kept; its retain flag stays, so that it can be refused.
        if message.retain && !is_command && !passes(&topic) {
            let kept = Kept {
                payload: message.payload.clone(),
                qos: message.qos,
                report: message.report,
            };
            self.retained.set(&message.topic, kept);
        }
        let message = Message {
            retain: message.retain && is_command,
            ..message
        };
        if single_reader(&topic) {
            let readers = self.readers_by_owner(&topic);
            if is_command {
                return Ok(Some(Box::pin(command(readers, message, share.cloned()))));
            }
            hand_over(&readers, &message);
            return Ok(None);
        }
        hand_over(&self.readers_by_topic(&message.topic), &message);
        if passes(&topic) {
            // Devices that enroll make up names, and the router never forgets a topic.
            return Ok(None);
        }
        let mut tagged = Vec::with_capacity(message.payload.len() + 1);
        tagged.push(message.qos as u8);
        tagged.extend_from_slice(&message.payload);
        let given = link.publish(&message.topic, tagged);
        given.map_err(|RouterDead| Code::Router)?;
        let is_report = message.report.is_some();
        Ok(is_report.then(|| Box::pin(report(self.reports.readers(), message)) as Way))
    }

    /// The sessions of the only client that reads a topic, and the orchestrator's.
    fn readers_by_owner(&self, topic: &Topic) -> Vec<mpsc::Sender<ToSession>> {
        let owner = match topic {
            Topic::DeviceSpec(device) => Some(Owner::Device(device.clone())),
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
        self.lock_readers().of(topic)
    }

    fn lock_readers(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_router_filters(&self) -> MutexGuard<'_, RouterFilters> {
        let filters = self.router_filters.lock();
        filters.unwrap_or_else(PoisonError::into_inner)
    }

    /// The way by which the messages of a filter come to a session of this principal.
    pub(crate) fn route(&self, filter: &str, principal: &Principal) -> Route {
        let covered = |ours: &Filter| covers(&self.topics.filter(*ours), filter);
        let takes_reports = *principal == Principal::Service;
        if SINGLE_READER.iter().any(covered) || takes_reports && REPORTS.iter().any(covered) {
            return Route::Owner;
        }
        let is_device = matches!(principal, Principal::Device(_));
        let enrolls = covers(
            &self.topics.filter(Filter::Below(Family::EnrollRequest)),
            filter,
        );
        let by_hub = is_device
            || enrolls
            || !filter.contains(['+', '#'])
            || !self.may_route(filter, &Owner::of(principal));
        match by_hub {
            true => Route::Hub,
            false => Route::Router,
        }
    }

    /// True if the router is given a filter by this owner.
    fn may_route(&self, filter: &str, owner: &Owner) -> bool {
        let limits = &self.limits;
        let most = (limits.router_filters_per_hour, limits.router_filters);
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.lock_router_filters()
            .allow(filter, owner, most, now_ms)
    }

    /// Makes a session a reader of a filter.
    pub(crate) fn read(&self, filter: &str, handle: &Handle) {
        self.lock_readers().add(filter, handle);
    }

    /// Ends what [`Hub::read`] began.
    pub(crate) fn forget(&self, filter: &str, instance: u64) {
        self.lock_readers().remove(filter, instance);
    }

    /// Filters that the hub serves, and those that the router has ever been given.
    #[cfg(test)]
    pub(crate) fn filters(&self) -> (usize, usize) {
        (self.lock_readers().len(), self.lock_router_filters().len())
    }
}
