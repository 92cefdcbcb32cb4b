//! One MQTT connection: the only file that knows rumqttc. A connection is never revived;
//! who needs another opens another, because a reused event loop hands out what the old
//! connection had received.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use hoist_protocol::id::UserId;
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, EventLoop, LastWill, MqttOptions, Outgoing,
    Packet, QoS, SubscribeReasonCode,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Requests waiting for the socket: far more than anybody here has open at a time.
const REQUESTS_MAX: usize = 64;
/// Events waiting for their reader; the socket waits when the reader is slower.
const EVENTS_MAX: usize = 64;
/// Views and replies fit in 64 KiB; an unlimited packet would be an unlimited buffer.
const PACKET_BYTES_MAX: usize = 64 * 1024;
/// Longest wait for a CONNACK.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for a farewell to be written.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// `host:port` of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// Parses `mqtt://host:port` or `host:port`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("mqtt://").unwrap_or(text);
        let (host, port) = rest.trim_end_matches('/').rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains('/') {
            return None;
        }
        Some(Self {
            host: host.to_owned(),
            port: port.parse().ok()?,
        })
    }
}

impl Address {
    /// `host:port`, as the resolver takes it.
    pub(crate) fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mqtt://{}", self.authority())
    }
}

/// A message to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) retain: bool,
}

/// The login of a client, and the address it connects to.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) address: Address,
    pub(crate) client_id: String,
    pub(crate) user: String,
    pub(crate) token: String,
    pub(crate) keep_alive: Duration,
    pub(crate) will: Option<Message>,
}

impl Login {
    /// A person's or program's login: a fresh random client id, no will.
    pub(crate) fn operator(
        address: Address,
        user: &UserId,
        token: &str,
        client_id: String,
    ) -> Self {
        Self {
            address,
            client_id,
            user: user.to_string(),
            token: token.to_owned(),
            keep_alive: Duration::from_secs(30),
            will: None,
        }
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectError {
    /// Wrong user or token.
    #[error("the broker at {address} refused the user name or token")]
    Refused {
        /// Which broker.
        address: String,
    },
    /// The broker has no place for this client, or heard of it too often.
    #[error("the broker at {address} takes no more connections now, or no more of this client")]
    Busy {
        /// Which broker.
        address: String,
    },
    /// No broker answers there.
    #[error("no broker answers at {address}: {reason}")]
    Unreachable {
        /// Where.
        address: String,
        /// The error of the network.
        reason: String,
    },
}

/// The connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection to the broker is lost")]
pub(crate) struct Lost;

/// An event on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A message arrived.
    Message { topic: String, payload: Bytes },
    /// The oldest unanswered SUBSCRIBE was granted, or not.
    Subscribed { granted: bool },
    /// The oldest unacknowledged PUBLISH was acknowledged.
    Acknowledged,
}

/// An open connection. Dropping it says goodbye, so no will is published.
pub(crate) struct Connection {
    client: AsyncClient,
    events: mpsc::Receiver<Event>,
    task: JoinHandle<()>,
}

impl Connection {
    /// Connects and waits for the CONNACK.
    pub(crate) async fn open(login: &Login) -> Result<Self, ConnectError> {
        let address = &login.address;
        let mut options = MqttOptions::new(&login.client_id, &address.host, address.port);
        options
            .set_credentials(&login.user, &login.token)
            .set_keep_alive(login.keep_alive)
            .set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX);
        if let Some(will) = &login.will {
            let payload = will.payload.clone();
            options.set_last_will(LastWill::new(
                &will.topic,
                payload,
                QoS::AtLeastOnce,
                will.retain,
            ));
        }
        let (client, mut event_loop) = AsyncClient::new(options, REQUESTS_MAX);
        // One segment per message: acknowledgments must not wait for each other.
        let mut network = event_loop.network_options();
        network.set_tcp_nodelay(true);
        event_loop.set_network_options(network);
        let (events_in, events) = mpsc::channel(EVENTS_MAX);
        let (connected_in, connected) = oneshot::channel();
        let task = tokio::spawn(poll(event_loop, connected_in, events_in));
        let connection = Self {
            client,
            events,
            task,
        };
        let unreachable = |reason: &str| ConnectError::Unreachable {
            address: address.to_string(),
            reason: reason.to_owned(),
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, connected).await {
            Ok(Ok(Ok(()))) => Ok(connection),
            Ok(Ok(Err(Rejection::Credentials))) => Err(ConnectError::Refused {
                address: address.to_string(),
            }),
            Ok(Ok(Err(Rejection::Busy))) => Err(ConnectError::Busy {
                address: address.to_string(),
            }),
            Ok(Ok(Err(Rejection::Network(reason)))) => Err(unreachable(&reason)),
            Ok(Err(_)) => Err(unreachable("the connection task ended")),
            Err(_) => {
                connection.task.abort();
                Err(unreachable("no answer in time"))
            }
        }
    }

    /// Hands a message over for publishing at QoS 1. A socket so slow that requests pile
    /// up counts as lost: waiting for it here could wait for ourselves.
    pub(crate) fn publish(&self, message: Message) -> Result<(), Lost> {
        let Message {
            topic,
            payload,
            retain,
        } = message;
        self.client
            .try_publish(topic, QoS::AtLeastOnce, retain, payload)
            .map_err(|_| Lost)
    }

    /// Subscribes at QoS 1; the answer comes as [`Event::Subscribed`].
    pub(crate) fn subscribe(&self, filter: &str) -> Result<(), Lost> {
        self.client
            .try_subscribe(filter, QoS::AtLeastOnce)
            .map_err(|_| Lost)
    }

    /// Unsubscribes.
    pub(crate) fn unsubscribe(&self, filter: &str) -> Result<(), Lost> {
        self.client.try_unsubscribe(filter).map_err(|_| Lost)
    }

    /// The next event. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Event, Lost> {
        self.events.recv().await.ok_or(Lost)
    }

    /// Says goodbye and waits until it is written.
    pub(crate) async fn close(mut self) {
        let goodbye = async {
            let _ = self.client.disconnect().await;
            while self.events.recv().await.is_some() {}
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, goodbye).await;
    }

    /// Drops the socket without a word, as a broken network would.
    pub(crate) fn cut(self) {
        self.task.abort();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.client.try_disconnect().is_err() {
            self.task.abort();
        }
    }
}

enum Rejection {
    Credentials,
    Busy,
    Network(String),
}

impl From<ConnectionError> for Rejection {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::ConnectionRefused(
                ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized,
            ) => Self::Credentials,
            ConnectionError::ConnectionRefused(ConnectReturnCode::ServiceUnavailable) => Self::Busy,
            ConnectionError::Io(error) => Self::Network(error.to_string()),
            other => Self::Network(other.to_string()),
        }
    }
}

/// Owns the event loop until its connection ends. Polling is not cancel-safe, so nothing
/// else may happen here.
async fn poll(
    mut event_loop: EventLoop,
    connected: oneshot::Sender<Result<(), Rejection>>,
    events: mpsc::Sender<Event>,
) {
    let mut connected = Some(connected);
    loop {
        let event = match event_loop.poll().await {
            Ok(rumqttc::Event::Incoming(packet)) => incoming(packet, &mut connected),
            Ok(rumqttc::Event::Outgoing(Outgoing::Disconnect)) => return,
            Ok(rumqttc::Event::Outgoing(_)) => None,
            Err(error) => {
                if let Some(connected) = connected.take() {
                    let _ = connected.send(Err(error.into()));
                }
                return;
            }
        };
        if let Some(event) = event {
            // Without a reader only the goodbye is still to be written.
            let _ = events.send(event).await;
        }
    }
}

fn incoming(
    packet: Packet,
    connected: &mut Option<oneshot::Sender<Result<(), Rejection>>>,
) -> Option<Event> {
    match packet {
        Packet::ConnAck(_) => {
            if let Some(connected) = connected.take() {
                let _ = connected.send(Ok(()));
            }
            None
        }
        Packet::Publish(publish) => Some(Event::Message {
            topic: publish.topic,
            payload: publish.payload,
        }),
        Packet::SubAck(ack) => Some(Event::Subscribed {
            granted: ack
                .return_codes
                .iter()
                .all(|code| matches!(code, SubscribeReasonCode::Success(_))),
        }),
        Packet::PubAck(_) => Some(Event::Acknowledged),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_host_and_port_with_or_without_scheme() {
        let shown = |text| Address::parse(text).map(|address| address.to_string());
        assert_eq!(
            shown("mqtt://127.0.0.1:1883").as_deref(),
            Some("mqtt://127.0.0.1:1883")
        );
        assert_eq!(
            shown("broker.example:1").as_deref(),
            Some("mqtt://broker.example:1")
        );
        for wrong in [
            "",
            "host",
            "mqtts://host:8883",
            "http://host:1",
            ":1",
            "host:99999",
        ] {
            assert_eq!(shown(wrong), None, "{wrong}");
        }
    }
}
