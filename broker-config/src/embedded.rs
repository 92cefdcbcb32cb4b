//! The embedded broker as one thing to start, watch and stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hoist_protocol::id::Namespace;
use hoist_protocol::topic::Topics;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::credentials::Credentials;
use crate::front_door::hub::Hub;
use crate::front_door::limits::Limits;
use crate::front_door::{accept, session};

/// How often the router is probed, and how long an answer may take: together below 5 s.
const CANARY_PERIOD: Duration = Duration::from_secs(2);
const CANARY_PATIENCE: Duration = Duration::from_secs(2);

/// How to start.
#[derive(Debug, Clone)]
pub struct FrontDoorConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// First level of every topic.
    pub namespace: Namespace,
    /// Limits of clients.
    pub limits: Limits,
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
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address wanted.
        address: SocketAddr,
        /// What the system said.
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatsSnapshot {
    /// Sessions now.
    pub sessions: usize,
    /// Accepted connections.
    pub connects: u64,
    /// Refused connections, and connections closed for what the client did.
    pub refused: u64,
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
    tasks: Vec<JoinHandle<()>>,
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
        let listener = TcpListener::bind(address).await.map_err(|source| {
            if source.kind() == std::io::ErrorKind::AddrInUse {
                StartError::PortTaken { address }
            } else {
                StartError::Listen { address, source }
            }
        })?;
        let bound = listener.local_addr();
        let address = bound.map_err(|source| StartError::Listen { address, source })?;
        let hub = Arc::new(Hub::new(Topics::new(config.namespace), config.limits));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&hub), credentials));
        let watching = tokio::spawn(watch(Arc::clone(&hub)));
        Ok(Self {
            hub,
            address,
            tasks: vec![accepting, watching],
        })
    }

    /// Where it listens, with the port it really has.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Proves that the door answers and the router passes messages on.
    ///
    /// # Errors
    /// [`ProbeError`].
    pub async fn self_probe(&self) -> Result<(), ProbeError> {
        // A CONNECT of MQTT 5 needs no credentials and has a certain answer.
        const CONNECT_V5: [u8; 15] = [0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0, 60, 0, 0, 0];
        let ask = async {
            let mut stream = TcpStream::connect(self.address).await.ok()?;
            stream.write_all(&CONNECT_V5).await.ok()?;
            let mut answer = [0];
            stream.read_exact(&mut answer).await.ok()
        };
        let answered = tokio::time::timeout(self.hub.limits.handshake, ask).await;
        if !matches!(answered, Ok(Some(_))) {
            return Err(ProbeError::FrontDoor);
        }
        if canary(&self.hub).await {
            Ok(())
        } else {
            Err(ProbeError::Router)
        }
    }

    /// Counters since the start.
    #[must_use]
    pub fn stats(&self) -> StatsSnapshot {
        let counters = &self.hub.counters;
        StatsSnapshot {
            sessions: self.hub.count(),
            connects: counters.connects.load(Ordering::Relaxed),
            refused: counters.refused.load(Ordering::Relaxed),
            published: counters.published.load(Ordering::Relaxed),
            delivered: counters.delivered.load(Ordering::Relaxed),
            device_bytes: counters.device_bytes.load(Ordering::Relaxed),
        }
    }

    #[cfg(test)]
    pub(crate) fn hub_for_tests(&self) -> &Hub {
        &self.hub
    }

    /// Stops accepting and ends every session.
    pub async fn stop(self) {
        for task in &self.tasks {
            task.abort();
        }
        for task in self.tasks {
            let _ = task.await;
        }
        for inbox in self.hub.all() {
            session::end(inbox).await;
        }
    }
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

/// Whether a message passes through the router.
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
