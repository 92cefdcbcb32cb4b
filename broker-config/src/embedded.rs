//! The embedded broker as one thing to start, watch and stop.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use hoist_net::tls::server::Acceptor;
use hoist_protocol::id::{Namespace, UserId};
use hoist_protocol::topic::Topics;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::credentials::Credentials;
use crate::front_door::code::Code;
use crate::front_door::hub::Hub;
use crate::front_door::limits::Limits;
use crate::front_door::{Door, accept, inbox};

/// The time between two probes of the router, and the longest time of an answer: together below 5
/// s.
const CANARY_PERIOD: Duration = Duration::from_secs(2);
const CANARY_PATIENCE: Duration = Duration::from_secs(2);

/// The time between two questions whether everybody may stay: whoever was removed is out well
/// within a second. A device asks for itself before it says or hears anything more.
const REVIEW_PERIOD: Duration = Duration::from_millis(200);

/// The settings of a front door.
#[derive(Debug, Clone)]
pub struct FrontDoorConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// First level of every topic.
    pub namespace: Namespace,
    /// Limits of clients.
    pub limits: Limits,
    /// Speaks TLS with everybody who comes in; without it nothing is encrypted.
    pub tls: Option<Acceptor>,
}

/// Why the broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody else listens there (`E_PORT`).
    #[error("{address} is in use by another program")]
    PortTaken {
        /// The address wanted.
        address: SocketAddr,
    },
    /// The address cannot be listened on, or the router gets no thread.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address wanted.
        address: SocketAddr,
        /// The error of the system.
        source: std::io::Error,
    },
}

/// Why the broker does not work.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The front door does not answer a CONNECT.
    #[error("the front door does not answer")]
    FrontDoor,
    /// The router passes no message on.
    #[error("the router passes no message on")]
    Router,
}

/// Counters since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatsSnapshot {
    /// Sessions now.
    pub sessions: usize,
    /// Accepted connections.
    pub connects: u64,
    /// Connections refused or closed other than by a DISCONNECT, by the code of why.
    pub closed: BTreeMap<&'static str, u64>,
    /// Messages published.
    pub published: u64,
    /// Messages delivered.
    pub delivered: u64,
    /// Bytes that passed on devices' connections, both directions.
    pub device_bytes: u64,
}

/// A running broker.
pub struct EmbeddedBroker {
    hub: Arc<Hub>,
    address: SocketAddr,
    service_address: SocketAddr,
    accepting: Vec<Accepting>,
    watching: JoinHandle<()>,
    reviewing: JoinHandle<()>,
}

/// The addresses of a running broker's clients.
#[derive(Clone)]
pub struct Peers(Weak<Hub>);

impl Peers {
    /// The addresses that a user is connected from.
    #[must_use]
    pub fn of(&self, user: &UserId) -> BTreeSet<IpAddr> {
        let hub = self.0.upgrade();
        hub.map(|hub| hub.addresses_of(user)).unwrap_or_default()
    }
}

/// A door that is open.
struct Accepting {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Accepting {
    fn start(listener: TcpListener, door: Door, hub: &Arc<Hub>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(accept(listener, door, Arc::clone(hub), stopped));
        Self { stop, task }
    }
}

impl EmbeddedBroker {
    /// Binds, starts the router and accepts.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(
        config: FrontDoorConfig,
        credentials: Arc<dyn Credentials>,
    ) -> Result<Self, StartError> {
        let address = config.listen;
        let (listener, address) = bind(address).await?;
        let mut doors = Vec::new();
        let mut service_address = address;
        match config.tls {
            None => doors.push((listener, Door::Plain)),
            Some(acceptor) => {
                // The orchestrator needs no certificate to reach its own process.
                let inner = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                let (inner, bound) = bind(inner).await?;
                service_address = bound;
                doors.push((listener, Door::Encrypted(acceptor)));
                doors.push((inner, Door::Service));
            }
        }
        let hub = Hub::new(Topics::new(config.namespace), config.limits, credentials);
        let hub = Arc::new(hub.map_err(|source| StartError::Listen { address, source })?);
        let reviewing = tokio::spawn(review(Arc::clone(&hub)));
        let open = |(listener, door)| Accepting::start(listener, door, &hub);
        let accepting = doors.into_iter().map(open).collect();
        let watching = tokio::spawn(watch(Arc::clone(&hub)));
        Ok(Self {
            hub,
            address,
            service_address,
            accepting,
            watching,
            reviewing,
        })
    }

    /// Where it listens, with the port it really has.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Where the orchestrator of this process comes in.
    #[must_use]
    pub fn service_addr(&self) -> SocketAddr {
        self.service_address
    }

    /// Proves that the door answers and the router passes messages on.
    ///
    /// # Errors
    /// [`ProbeError`].
    pub async fn self_probe(&self) -> Result<(), ProbeError> {
        // A socket that closes without a word is closed in turn: only a live door does it.
        let ask = async {
            let mut stream = TcpStream::connect(self.address).await?;
            stream.shutdown().await?;
            stream.read(&mut [0]).await
        };
        let answered = tokio::time::timeout(self.hub.limits.handshake, ask).await;
        if !matches!(answered, Ok(Ok(0))) {
            return Err(ProbeError::FrontDoor);
        }
        if canary(&self.hub).await {
            Ok(())
        } else {
            Err(ProbeError::Router)
        }
    }

    /// The addresses of its clients.
    #[must_use]
    pub fn peers(&self) -> Peers {
        Peers(Arc::downgrade(&self.hub))
    }

    /// Counters since the start.
    #[must_use]
    pub fn stats(&self) -> StatsSnapshot {
        let counters = &self.hub.counters;
        StatsSnapshot {
            sessions: self.hub.count(),
            connects: counters.connects.load(Ordering::Relaxed),
            closed: counters.closed.snapshot(),
            published: counters.published.load(Ordering::Relaxed),
            delivered: counters.delivered.load(Ordering::Relaxed),
            device_bytes: counters.device_bytes.load(Ordering::Relaxed),
        }
    }

    #[cfg(test)]
    pub(crate) fn hub_for_tests(&self) -> Arc<Hub> {
        Arc::clone(&self.hub)
    }

    /// Stops accepting, ends every session and frees the port.
    pub async fn stop(self) {
        self.watching.abort();
        self.reviewing.abort();
        for Accepting { stop, task } in self.accepting {
            let _ = stop.send(());
            let _ = task.await;
        }
        let inboxes = self.hub.all();
        for inbox in &inboxes {
            inbox::end_soon(inbox.clone(), Code::Stopped);
        }
        for inbox in inboxes {
            inbox.closed().await;
        }
    }
}

/// Listens, and says where.
async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let listener = TcpListener::bind(address).await.map_err(|source| {
        if source.kind() == std::io::ErrorKind::AddrInUse {
            StartError::PortTaken { address }
        } else {
            StartError::Listen { address, source }
        }
    })?;
    let bound = listener.local_addr();
    let bound = bound.map_err(|source| StartError::Listen { address, source })?;
    Ok((listener, bound))
}

/// Restarts a dead router within 5 s.
async fn watch(hub: Arc<Hub>) {
    loop {
        tokio::time::sleep(CANARY_PERIOD).await;
        if !canary(&hub).await {
            tracing::error!("the router is dead: it is restarted and every session ends");
            hub.restart_router();
        }
    }
}

/// Ends the sessions of clients that were removed, or whose rights have changed.
async fn review(hub: Arc<Hub>) {
    let mut seen = hub.credentials.version();
    loop {
        tokio::time::sleep(REVIEW_PERIOD).await;
        let version = hub.credentials.version();
        if std::mem::replace(&mut seen, version) != version {
            hub.review();
        }
    }
}

/// True if a message passes through the router.
async fn canary(hub: &Hub) -> bool {
    const TOPIC: &str = "hoist-canary";
    let pass = async {
        let mut link = hub.router().link().await.ok()?;
        link.subscribe(TOPIC).ok()?;
        link.publish(TOPIC, vec![1]).ok()?;
        link.next().await.ok()
    };
    matches!(
        tokio::time::timeout(CANARY_PATIENCE, pass).await,
        Ok(Some(_))
    )
}
