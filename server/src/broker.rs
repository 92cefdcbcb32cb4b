//! The broker of a server: its own, or one that somebody else runs. Nothing is started or
//! connected here.

use std::net::SocketAddr;

pub use hoist_broker_config::credentials::SERVICE_USER;
use hoist_net::endpoint::Endpoint;
use hoist_net::tls::Trust;

/// The word for the broker inside the server.
pub const EMBEDDED: &str = "embedded";

/// The broker of a server.
#[derive(Debug, Clone)]
pub enum BrokerConfig {
    /// Its own, listening there; port 0 takes a free one.
    Embedded(SocketAddr),
    /// One that somebody else runs.
    External(Box<External>),
}

impl BrokerConfig {
    /// Where its clients come in, as far as it is known before the start.
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Embedded(listen) => *listen,
            Self::External(external) => external.socket,
        }
    }
}

impl BrokerConfig {
    /// Where devices come in, when it is not where people do.
    pub(crate) fn devices(&self) -> Option<String> {
        match self {
            Self::Embedded(_) => None,
            Self::External(external) => external.devices.as_ref().map(ToString::to_string),
        }
    }

    /// The CA of an external broker, as PEM.
    pub(crate) fn ca(&self) -> Option<&str> {
        match self {
            Self::Embedded(_) => None,
            Self::External(external) => external.ca.as_deref(),
        }
    }
}

/// The orchestrator's way into a broker that somebody else runs.
#[derive(Clone)]
pub struct External {
    /// As people and devices are told it.
    pub broker: Endpoint,
    /// As devices are told it, when it is another address.
    pub devices: Option<Endpoint>,
    /// Where that is.
    pub socket: SocketAddr,
    /// The CA that it is believed by, for `mqtts`.
    pub trust: Trust,
    /// The same as PEM, for its other clients.
    pub ca: Option<String>,
    /// The orchestrator's name there.
    pub user: String,
    /// Its password there; a broker without passwords wants none.
    pub token: Option<String>,
}

impl std::fmt::Debug for External {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "External({} at {})", self.user, self.broker)
    }
}
