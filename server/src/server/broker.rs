//! The broker of a running server: its own, or one that somebody else runs. The orchestrator
//! reaches both in the same way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use hoist_broker_config::credentials::SERVICE_USER;
use hoist_broker_config::{EmbeddedBroker, FrontDoorConfig, Limits, StartError};
use hoist_net::endpoint::{Endpoint, Scheme};
use hoist_net::tls::Trust;
use hoist_net::tls::server::Acceptor;
use hoist_orchestrator::mqtt::MqttLogin;
use hoist_protocol::code::Code;
use hoist_protocol::id::{Namespace, sha256};

use super::addresses::{Reached, port_taken};
use crate::broker::{BrokerConfig, External};
use crate::failure::Failure;
use crate::people::Registry;
use crate::token::random_token;

/// For the broker to say goodbye to its clients.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of a client id: MQTT 3.1.1 lets a broker refuse more than 23.
const CLIENT_ID_BYTES: usize = 8;

/// A broker in use.
pub(super) enum Broker {
    /// Its own.
    Embedded(EmbeddedBroker),
    /// One that somebody else runs, at this address.
    External(Endpoint),
}

impl Broker {
    /// Opens the front door, or says what an external broker is trusted with; and how the
    /// orchestrator comes in.
    pub(super) async fn start(
        config: &BrokerConfig,
        (namespace, tls): (&Namespace, Option<Acceptor>),
        registry: &Arc<Registry>,
        token_key: &[u8; 32],
    ) -> Result<(Self, MqttLogin), Failure> {
        let listen = match config {
            BrokerConfig::Embedded(listen) => *listen,
            BrokerConfig::External(external) => {
                tracing::info!(
                    broker = %external.broker,
                    "an external broker decides who comes in and who says what: tokens, removals \
                     and roles are not looked at there (docs/operations.md)"
                );
                let login = external_login(external, namespace, token_key);
                return Ok((Self::External(external.broker.clone()), login));
            }
        };
        let token = random_token()?;
        let broker = embedded((listen, tls), namespace, registry, &token).await?;
        registry.reached_by(broker.peers());
        let address = broker.service_addr();
        let login = MqttLogin {
            broker: Endpoint::at(Scheme::Mqtt, address),
            trust: Trust::default(),
            client_id: SERVICE_USER.to_owned(),
            user: SERVICE_USER.to_owned(),
            token: Some(token),
            commands_apart: true,
        };
        Ok((Self::Embedded(broker), login))
    }

    /// Where its clients come in.
    pub(super) fn endpoint(&self, reached: &Reached) -> Endpoint {
        match self {
            Self::Embedded(broker) => reached.at(Scheme::Mqtt, broker.local_addr()),
            Self::External(broker) => broker.clone(),
        }
    }

    /// True if somebody else runs the broker, and may be late.
    pub(super) fn is_external(&self) -> bool {
        matches!(self, Self::External(_))
    }

    /// Proves that its own broker works. What an external one holds was read back from it.
    pub(super) async fn self_probe(&self) -> Result<(), Failure> {
        match self {
            Self::Embedded(broker) => broker.self_probe().await.map_err(|error| {
                Failure::because(Code::Server, "the broker does not work", &error)
            }),
            Self::External(_) => Ok(()),
        }
    }

    /// Bytes of MQTT that devices and its own broker have exchanged.
    pub(super) fn device_bytes(&self) -> Option<u64> {
        match self {
            Self::Embedded(broker) => Some(broker.stats().device_bytes),
            Self::External(_) => None,
        }
    }

    /// Says goodbye to the clients of its own.
    pub(super) async fn stop(self) {
        if let Self::Embedded(broker) = self {
            let _ = tokio::time::timeout(STOP_TIMEOUT, broker.stop()).await;
        }
    }
}

/// The client id is this server's alone: two that share a broker do not take each other's
/// session, and no client knows it that could.
fn external_login(external: &External, namespace: &Namespace, key: &[u8; 32]) -> MqttLogin {
    let own = [&key[..], b"mqtt client id", namespace.as_str().as_bytes()].concat();
    MqttLogin {
        broker: match external.broker.scheme().is_encrypted() {
            true => external.broker.clone(),
            // Where it was found to be: on this machine.
            false => Endpoint::at(Scheme::Mqtt, external.socket),
        },
        trust: external.trust.clone(),
        client_id: format!(
            "hoist-{}",
            HEXLOWER.encode(&sha256(&own)[..CLIENT_ID_BYTES])
        ),
        user: external.user.clone(),
        token: external.token.clone(),
        commands_apart: false,
    }
}

async fn embedded(
    (listen, tls): (SocketAddr, Option<Acceptor>),
    namespace: &Namespace,
    registry: &Arc<Registry>,
    service_token: &str,
) -> Result<EmbeddedBroker, Failure> {
    let door = FrontDoorConfig {
        listen,
        namespace: namespace.clone(),
        limits: Limits::default(),
        tls,
    };
    let credentials = Arc::new(registry.credentials(service_token));
    EmbeddedBroker::start(door, credentials)
        .await
        .map_err(|error| match error {
            StartError::PortTaken { address } => port_taken("--mqtt", address),
            StartError::Listen { .. } => {
                Failure::because(Code::Port, "the broker cannot start", &error)
            }
        })
}
