//! One connection to the broker, as the operator's commands and simulated devices have it. A
//! connection is never revived; who needs another opens another.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use hoist_net::endpoint::{Endpoint, EndpointError, Scheme};
use hoist_net::mqtt::{self, Acks, Cause, Ended, Options, Reader, Refusal, Session, Writer};
use hoist_net::tls::{TlsError, Trust};
use hoist_protocol::code::Code;
use hoist_protocol::id::UserId;
use hoist_server::client_file::ClientFile;
use hoist_server::failure::Failure;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

pub(crate) use hoist_net::mqtt::{Lost, Message};

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

/// A broker, and the CA that it is believed by.
#[derive(Debug, Clone)]
pub(crate) struct Broker {
    pub(crate) at: Endpoint,
    pub(crate) trust: Trust,
}

impl Broker {
    /// The broker of a client file.
    ///
    /// # Errors
    /// `E_CONFIG`, or `E_CERT` for a CA that is none.
    pub(crate) fn of(file: &ClientFile) -> Result<Self, Failure> {
        Self::at(file, &file.mqtt)
    }

    /// The same as devices reach it.
    ///
    /// # Errors
    /// Those.
    pub(crate) fn of_devices(file: &ClientFile) -> Result<Self, Failure> {
        Self::at(file, file.device_mqtt())
    }

    fn at(file: &ClientFile, at: &str) -> Result<Self, Failure> {
        let at = broker(at).map_err(|_| {
            let what = format!("{at:?} is not mqtt://host:port or mqtts://host:port");
            Failure::new(Code::Config, what).help("set mqtt in client.toml, or HOIST_BROKER")
        })?;
        let trust = file.trust()?;
        Ok(Self { at, trust })
    }
}

/// The broker at `mqtt[s]://host:port` or `host:port`.
///
/// # Errors
/// [`EndpointError`], also for an address that names no port or more than that.
fn broker(text: &str) -> Result<Endpoint, EndpointError> {
    let broker = Endpoint::parse_as(Scheme::Mqtt, text)?;
    let is_plain = broker.written_port().is_some() && broker.path().trim_matches('/').is_empty();
    is_plain.then_some(broker).ok_or(EndpointError::Other)
}

/// The login of a client, and the address it connects to.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) broker: Broker,
    pub(crate) client_id: String,
    pub(crate) user: String,
    pub(crate) token: String,
    pub(crate) keep_alive: Duration,
    pub(crate) will: Option<Message>,
}

impl Login {
    /// A person's or program's login: a fresh random client id, no will.
    pub(crate) fn operator(broker: Broker, user: &UserId, token: &str, client_id: String) -> Self {
        Self {
            broker,
            client_id,
            user: user.to_string(),
            token: token.to_owned(),
            keep_alive: Duration::from_secs(30),
            will: None,
        }
    }

    fn options(&self) -> Options {
        Options {
            broker: self.broker.at.clone(),
            trust: self.broker.trust.clone(),
            client_id: self.client_id.clone(),
            user: self.user.clone(),
            token: self.token.clone(),
            keep_alive: self.keep_alive,
            session: Session::Clean,
            acks: Acks::Automatic,
            inflight_max: None,
            packet_bytes_max: PACKET_BYTES_MAX,
            requests_max: REQUESTS_MAX,
            will: self.will.clone(),
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
    /// It answers, and not by TLS as it should, or it is not who it should be.
    #[error("{0}")]
    Tls(TlsError),
    /// No broker answers there.
    #[error("no broker answers at {address}: {reason}")]
    Unreachable {
        /// Where.
        address: String,
        /// The error of the network.
        reason: String,
    },
}

impl ConnectError {
    fn of(ended: &Ended, address: String) -> Self {
        match &ended.cause {
            Cause::Refused(Refusal::BadUserNamePassword | Refusal::NotAuthorized) => {
                Self::Refused { address }
            }
            Cause::Refused(Refusal::ServiceUnavailable) => Self::Busy { address },
            Cause::Tls(error) => Self::Tls(error.clone()),
            Cause::Network(error) => Self::Unreachable {
                address,
                reason: error.to_string(),
            },
            _ => Self::Unreachable {
                address,
                reason: ended.to_string(),
            },
        }
    }
}

/// An event on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A message arrived.
    Message { topic: String, payload: Bytes },
    /// A SUBSCRIBE was granted, or not.
    Subscribed { filter: String, granted: bool },
    /// The oldest unacknowledged PUBLISH was acknowledged.
    Acknowledged,
}

/// An open connection. Dropping it says goodbye, so no will is published.
pub(crate) struct Connection {
    writer: Writer,
    events: mpsc::Receiver<Event>,
    task: JoinHandle<()>,
    /// The filters whose SUBSCRIBE is not answered, in their order.
    asked: VecDeque<String>,
}

impl Connection {
    /// Connects and waits for the CONNACK.
    pub(crate) async fn open(login: &Login) -> Result<Self, ConnectError> {
        let (writer, reader) = mqtt::open(login.options());
        let (events_in, events) = mpsc::channel(EVENTS_MAX);
        let (connected_in, connected) = oneshot::channel();
        let task = tokio::spawn(read(reader, connected_in, events_in));
        let connection = Self {
            writer,
            events,
            task,
            asked: VecDeque::new(),
        };
        let address = login.broker.at.to_string();
        let unreachable = |address, reason: &str| ConnectError::Unreachable {
            address,
            reason: reason.to_owned(),
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, connected).await {
            Ok(Ok(Ok(()))) => Ok(connection),
            Ok(Ok(Err(ended))) => Err(ConnectError::of(&ended, address)),
            Ok(Err(_)) => Err(unreachable(address, "the connection task ended")),
            Err(_) => {
                connection.task.abort();
                Err(unreachable(address, "no answer in time"))
            }
        }
    }

    /// Hands a message over for publishing at QoS 1. A socket so slow that requests pile
    /// up counts as lost: waiting for it here could wait for ourselves.
    pub(crate) fn publish(&self, message: Message) -> Result<(), Lost> {
        self.writer.try_publish(message)
    }

    /// Subscribes at QoS 1; the answer comes as [`Event::Subscribed`].
    pub(crate) fn subscribe(&mut self, filter: &str) -> Result<(), Lost> {
        self.asked.push_back(filter.to_owned());
        self.writer.try_subscribe(filter)
    }

    /// Unsubscribes.
    pub(crate) fn unsubscribe(&self, filter: &str) -> Result<(), Lost> {
        self.writer.try_unsubscribe(filter)
    }

    /// The next event. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Event, Lost> {
        let mut event = self.events.recv().await.ok_or(Lost)?;
        if let Event::Subscribed { filter, .. } = &mut event {
            *filter = self.asked.pop_front().unwrap_or_default();
        }
        Ok(event)
    }

    /// Says goodbye and waits until it is written.
    pub(crate) async fn close(mut self) {
        let goodbye = async {
            let _ = self.writer.disconnect().await;
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
        if self.writer.try_disconnect().is_err() {
            self.task.abort();
        }
    }
}

/// Reads until the connection ends.
async fn read(
    mut reader: Reader,
    connected: oneshot::Sender<Result<(), Ended>>,
    events: mpsc::Sender<Event>,
) {
    let mut connected = Some(connected);
    loop {
        let event = match reader.next().await {
            Ok(mqtt::Event::Connected { .. }) => {
                if let Some(connected) = connected.take() {
                    let _ = connected.send(Ok(()));
                }
                continue;
            }
            Ok(mqtt::Event::Delivered(message)) => Event::Message {
                topic: message.topic,
                payload: message.payload,
            },
            Ok(mqtt::Event::Subscribed { granted }) => Event::Subscribed {
                filter: String::new(),
                granted,
            },
            Ok(mqtt::Event::Acknowledged(_)) => Event::Acknowledged,
            Ok(mqtt::Event::Written(_)) => continue,
            Ok(mqtt::Event::Closed) => return,
            Err(ended) => {
                if let Some(connected) = connected.take() {
                    let _ = connected.send(Err(ended));
                }
                return;
            }
        };
        // Without a reader only the goodbye is still to be written.
        let _ = events.send(event).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_host_and_port_with_or_without_scheme() {
        let shown = |text| broker(text).ok().map(|broker| broker.to_string());
        assert_eq!(
            shown("mqtt://127.0.0.1:1883").as_deref(),
            Some("mqtt://127.0.0.1:1883")
        );
        assert_eq!(
            shown("broker.example:1").as_deref(),
            Some("mqtt://broker.example:1")
        );
        let encrypted = "mqtts://broker.example:1";
        assert_eq!(shown(encrypted).as_deref(), Some(encrypted));
        for wrong in ["", "host", "http://host:1", ":1", "host:99999"] {
            assert_eq!(shown(wrong), None, "{wrong}");
        }
    }
}
