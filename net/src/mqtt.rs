//! One MQTT connection: the only file that knows rumqttc's client. A connection is never revived;
//! who needs another opens another, because a reused event loop hands out what the old connection
//! had received.
//!
//! Who opens one owns its [`Reader`] and does nothing but read it: reading is not cancel-safe.
//! [`Writer`]s are for everybody else.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, EventLoop, LastWill, MqttOptions, Outgoing,
    Packet, Publish, QoS, StateError, SubscribeReasonCode, mqttbytes,
};

/// The terms on which a connection is opened.
#[derive(Clone)]
pub struct Options {
    /// Host name or address of the broker.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// The name of the session.
    pub client_id: String,
    /// User name.
    pub user: String,
    /// Password; never shown.
    pub token: String,
    /// A silent broker is noticed within 1.5 times this.
    pub keep_alive: Duration,
    /// The memory of the broker.
    pub session: Session,
    /// The side that acknowledges what arrives.
    pub acks: Acks,
    /// Unacknowledged publishes at a time; absent = as many as the library allows.
    pub inflight_max: Option<u16>,
    /// Bytes of the largest packet in either direction: a larger one ends the connection.
    pub packet_bytes_max: usize,
    /// Requests handed over and not yet written.
    pub requests_max: usize,
    /// The message that the broker publishes when the connection breaks.
    pub will: Option<Message>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Options({} at {}:{})", self.user, self.host, self.port)
    }
}

/// The memory of the broker of an earlier connection of the same client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// Nothing: it forgets subscriptions and messages with the connection.
    Clean,
    /// Everything, as far as it can.
    Kept,
}

/// The side that acknowledges what arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// The library, before anybody has read it.
    Automatic,
    /// [`Writer::acknowledge`], in the order of delivery.
    Manual,
}

/// A message to publish at QoS 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The place.
    pub topic: String,
    /// The content.
    pub payload: Vec<u8>,
    /// True if the broker keeps it for later subscribers.
    pub retain: bool,
}

/// Opens a connection: it begins with the first [`Reader::next`].
#[must_use]
pub fn open(options: Options) -> (Writer, Reader) {
    let mut with = MqttOptions::new(options.client_id, options.host, options.port);
    with.set_credentials(options.user, options.token)
        .set_keep_alive(options.keep_alive)
        .set_clean_session(options.session == Session::Clean)
        .set_manual_acks(options.acks == Acks::Manual)
        .set_max_packet_size(options.packet_bytes_max, options.packet_bytes_max);
    if let Some(most) = options.inflight_max {
        with.set_inflight(most);
    }
    if let Some(will) = options.will {
        let will = LastWill::new(will.topic, will.payload, QoS::AtLeastOnce, will.retain);
        with.set_last_will(will);
    }
    let (client, mut event_loop) = AsyncClient::new(with, options.requests_max);
    // Small messages must not wait for each other's acknowledgment.
    event_loop.network_options.set_tcp_nodelay(true);
    (Writer { client }, Reader { event_loop })
}

/// A request that was not handed over: the connection is gone, or too slow to be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection to the broker is lost")]
pub struct Lost;

/// The side of a connection that says something. What is `try_` never waits.
#[derive(Clone)]
pub struct Writer {
    client: AsyncClient,
}

impl Writer {
    /// Hands a message over for publishing at QoS 1.
    ///
    /// # Errors
    /// [`Lost`].
    pub fn try_publish(&self, message: Message) -> Result<(), Lost> {
        let Message {
            topic,
            payload,
            retain,
        } = message;
        let sent = self
            .client
            .try_publish(topic, QoS::AtLeastOnce, retain, payload);
        sent.map_err(|_| Lost)
    }

    /// The same, and waits for room.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn publish(&self, message: Message) -> Result<(), Lost> {
        let Message {
            topic,
            payload,
            retain,
        } = message;
        let sent = self
            .client
            .publish(topic, QoS::AtLeastOnce, retain, payload);
        sent.await.map_err(|_| Lost)
    }

    /// Subscribes at QoS 1; the answer is [`Event::Subscribed`].
    ///
    /// # Errors
    /// [`Lost`].
    pub fn try_subscribe(&self, filter: &str) -> Result<(), Lost> {
        let asked = self.client.try_subscribe(filter, QoS::AtLeastOnce);
        asked.map_err(|_| Lost)
    }

    /// The same, and waits for room.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn subscribe(&self, filter: &str) -> Result<(), Lost> {
        let asked = self.client.subscribe(filter, QoS::AtLeastOnce);
        asked.await.map_err(|_| Lost)
    }

    /// Ends a subscription.
    ///
    /// # Errors
    /// [`Lost`].
    pub fn try_unsubscribe(&self, filter: &str) -> Result<(), Lost> {
        self.client.try_unsubscribe(filter).map_err(|_| Lost)
    }

    /// The same, and waits for room.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn unsubscribe(&self, filter: &str) -> Result<(), Lost> {
        self.client.unsubscribe(filter).await.map_err(|_| Lost)
    }

    /// Acknowledges a delivery, by its packet.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn acknowledge(&self, packet: u16) -> Result<(), Lost> {
        let mut delivered = Publish::new("", QoS::AtLeastOnce, Vec::new());
        delivered.pkid = packet;
        self.client.ack(&delivered).await.map_err(|_| Lost)
    }

    /// Says goodbye behind everything handed over; [`Event::Closed`] says that it is written.
    ///
    /// # Errors
    /// [`Lost`].
    pub fn try_disconnect(&self) -> Result<(), Lost> {
        self.client.try_disconnect().map_err(|_| Lost)
    }

    /// The same, and waits for room.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn disconnect(&self) -> Result<(), Lost> {
        self.client.disconnect().await.map_err(|_| Lost)
    }
}

/// Something that happened on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// CONNACK: the broker lets this client in.
    Connected {
        /// True if it remembers the session.
        resumed: bool,
    },
    /// A message arrived.
    Delivered(Delivered),
    /// The oldest unanswered SUBSCRIBE was granted as a whole, or not.
    Subscribed {
        /// Granted.
        granted: bool,
    },
    /// The oldest PUBLISH handed over was written as this packet.
    Written(u16),
    /// A PUBLISH was acknowledged.
    Acknowledged(u16),
    /// The goodbye was written.
    Closed,
}

/// A message that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The place.
    pub topic: String,
    /// The content.
    pub payload: Bytes,
    /// True if the broker had kept it.
    pub retained: bool,
    /// True if it may have arrived before.
    pub again: bool,
    /// The packet to acknowledge; absent at QoS 0.
    pub packet: Option<u16>,
}

/// The side of a connection that hears something, and drives it.
pub struct Reader {
    event_loop: EventLoop,
}

impl Reader {
    /// The next event. Not cancel-safe: only the end of the connection may interrupt it.
    ///
    /// # Errors
    /// [`Ended`], after which there is nothing more.
    pub async fn next(&mut self) -> Result<Event, Ended> {
        loop {
            let event = match self.event_loop.poll().await? {
                rumqttc::Event::Incoming(packet) => incoming(packet),
                rumqttc::Event::Outgoing(Outgoing::Publish(packet)) => Some(Event::Written(packet)),
                rumqttc::Event::Outgoing(Outgoing::Disconnect) => Some(Event::Closed),
                rumqttc::Event::Outgoing(_) => None,
            };
            if let Some(event) = event {
                return Ok(event);
            }
        }
    }
}

fn incoming(packet: Packet) -> Option<Event> {
    Some(match packet {
        Packet::ConnAck(ack) => Event::Connected {
            resumed: ack.session_present,
        },
        Packet::Publish(publish) => Event::Delivered(Delivered {
            packet: (publish.qos != QoS::AtMostOnce).then_some(publish.pkid),
            topic: publish.topic,
            payload: publish.payload,
            retained: publish.retain,
            again: publish.dup,
        }),
        Packet::SubAck(ack) => {
            let granted =
                |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
            Event::Subscribed {
                granted: ack.return_codes.iter().all(granted),
            }
        }
        Packet::PubAck(ack) => Event::Acknowledged(ack.pkid),
        _ => return None,
    })
}

/// A connection is over, or never was.
#[derive(Debug, thiserror::Error)]
#[error("{said}")]
pub struct Ended {
    /// For whoever can do something about it.
    pub cause: Cause,
    /// The library's words.
    said: String,
}

/// The cause of an end.
#[derive(Debug)]
pub enum Cause {
    /// The broker refuses to let this client in.
    Refused(Refusal),
    /// The network, or nobody listens there.
    Network(io::Error),
    /// The broker closed the connection.
    Closed,
    /// The broker does not answer.
    Silent,
    /// A packet that no broker sends, or that this client may not send.
    Protocol,
}

/// The reason of a broker that does not let somebody in (MQTT 3.1.1, 3.2.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It does not speak this version of MQTT.
    RefusedProtocolVersion,
    /// The client id is not allowed.
    BadClientId,
    /// It has no place now.
    ServiceUnavailable,
    /// The user name or password is wrong.
    BadUserNamePassword,
    /// This client may not come in.
    NotAuthorized,
}

impl From<ConnectionError> for Ended {
    fn from(error: ConnectionError) -> Self {
        let said = error.to_string();
        let cause = match error {
            ConnectionError::ConnectionRefused(code) => {
                refusal(code).map_or(Cause::Protocol, Cause::Refused)
            }
            ConnectionError::Io(error)
            | ConnectionError::MqttState(
                StateError::Io(error) | StateError::Deserialization(mqttbytes::Error::Io(error)),
            ) => Cause::Network(error),
            ConnectionError::MqttState(StateError::ConnectionAborted) => Cause::Closed,
            ConnectionError::MqttState(StateError::AwaitPingResp)
            | ConnectionError::NetworkTimeout
            | ConnectionError::FlushTimeout => Cause::Silent,
            _ => Cause::Protocol,
        };
        Self { cause, said }
    }
}

fn refusal(code: ConnectReturnCode) -> Option<Refusal> {
    Some(match code {
        ConnectReturnCode::Success => return None,
        ConnectReturnCode::RefusedProtocolVersion => Refusal::RefusedProtocolVersion,
        ConnectReturnCode::BadClientId => Refusal::BadClientId,
        ConnectReturnCode::ServiceUnavailable => Refusal::ServiceUnavailable,
        ConnectReturnCode::BadUserNamePassword => Refusal::BadUserNamePassword,
        ConnectReturnCode::NotAuthorized => Refusal::NotAuthorized,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_known_by_its_cause() {
        let cause = |error: ConnectionError| Ended::from(error).cause;
        let kind = io::ErrorKind::ConnectionReset;
        let reset = || io::Error::from(kind);
        let state = |error| cause(ConnectionError::MqttState(error));
        let written = StateError::Deserialization(mqttbytes::Error::Io(reset()));
        let plain = cause(ConnectionError::Io(reset()));
        for cause in [plain, state(StateError::Io(reset())), state(written)] {
            assert!(matches!(cause, Cause::Network(error) if error.kind() == kind));
        }
        let closed = state(StateError::ConnectionAborted);
        assert!(matches!(closed, Cause::Closed));
        assert!(matches!(state(StateError::WrongPacket), Cause::Protocol));
        for silent in [
            ConnectionError::NetworkTimeout,
            ConnectionError::FlushTimeout,
            ConnectionError::MqttState(StateError::AwaitPingResp),
        ] {
            assert!(matches!(cause(silent), Cause::Silent));
        }
        let refused = ConnectionError::ConnectionRefused(ConnectReturnCode::NotAuthorized);
        assert!(matches!(
            cause(refused),
            Cause::Refused(Refusal::NotAuthorized)
        ));
    }
}
