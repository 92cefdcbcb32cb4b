//! Where a server listens, and by what it is reached.

use std::net::SocketAddr;
use std::time::Duration;

use hoist_broker_config::Limits;
use hoist_net::endpoint::{Endpoint, Scheme};
use hoist_net::stream::{Unreached, connect};
use hoist_net::tls::Trust;
use hoist_orchestrator::http::{Hosts, HttpLimits};
use hoist_protocol::code::Code;
use tokio::net::TcpListener;

use crate::broker::BrokerConfig;
use crate::failure::Failure;
use crate::tls::Shown;

/// A server that is there answers sooner, on its own machine.
const REACHED_TIMEOUT: Duration = Duration::from_secs(5);

/// The way in which clients are told to come.
#[derive(Debug, Clone, Default)]
pub(super) struct Reached {
    /// The host, where it has a name.
    host: Option<String>,
    is_encrypted: bool,
}

impl Reached {
    /// By the certificate that is shown, if one is.
    pub(super) fn by(shown: Option<&Shown>) -> Self {
        Self {
            host: shown.and_then(|shown| shown.host.clone()),
            is_encrypted: shown.is_some(),
        }
    }

    /// What clients of a door are told.
    pub(super) fn at(&self, scheme: Scheme, bound: SocketAddr) -> Endpoint {
        let scheme = match self.is_encrypted {
            true => scheme.encrypted(),
            false => scheme,
        };
        match &self.host {
            Some(host) => Endpoint::of(scheme, host, bound.port()),
            None => Endpoint::at(scheme, bound),
        }
    }
}

/// Warns when the address that clients are told leads nowhere from this machine, or to somebody
/// else: then the CLI here does not get in, and others perhaps neither.
pub(super) async fn warn_if_not_here(told: Endpoint, trust: Trust) {
    let reached = connect(&told, &trust);
    let why = match tokio::time::timeout(REACHED_TIMEOUT, reached).await {
        Ok(Ok(_)) => return,
        Ok(Err(Unreached::Name(error) | Unreached::Connection(error))) => error.to_string(),
        Ok(Err(Unreached::Tls(error))) => error.to_string(),
        Err(_) => format!("nobody answered in {REACHED_TIMEOUT:?}"),
    };
    tracing::warn!(
        host = told.host(),
        why,
        "the first --name does not lead to this server from its own machine: enter it into DNS or \
         /etc/hosts, or name first what does"
    );
}

/// Connections that may be open at once.
pub(super) fn connections(broker: &BrokerConfig) -> usize {
    let http = HttpLimits::default().connections;
    match broker {
        BrokerConfig::Embedded(_) => {
            let mqtt = Limits::default();
            mqtt.connections + mqtt.operator_connections + mqtt.opening + http
        }
        BrokerConfig::External(_) => http,
    }
}

/// The hosts that HTTP is answered for: those that are named, and those of the certificate that is
/// shown.
pub(super) fn hosts(bound: SocketAddr, names: &[String], shown: Option<&Shown>) -> Hosts {
    let hosts = Hosts::new(bound.ip(), names.iter().cloned());
    let certified = shown.iter().flat_map(|shown| &shown.certified);
    hosts.certify(certified.cloned());
    hosts
}

/// Listens for HTTP, and says where.
pub(super) async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let bind = async {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    bind.await
        .map_err(|error: std::io::Error| match error.kind() {
            std::io::ErrorKind::AddrInUse => port_taken("--http", address),
            _ => Failure::because(Code::Port, format!("cannot listen on {address}"), &error),
        })
}

/// The failure of a door whose address is taken.
pub(super) fn port_taken(flag: &str, address: SocketAddr) -> Failure {
    Failure::new(
        Code::Port,
        format!("{address} is in use by another program"),
    )
    .help(format!(
        "stop that program, or choose another address with {flag}; port 0 takes a free one"
    ))
}
