//! One MQTT connection. Packets and their state are rumqttc's, whose types appear nowhere else; the
//! loop around them is ours, so that any stream can be under it. A connection is never revived; who
//! needs another opens another.
//!
//! Who opens one owns its [`Reader`] and does nothing but read it: reading is not cancel-safe.
//! [`Writer`]s are for everybody else.

mod ended;
mod reader;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::{Disconnect, PubAck, Publish, QoS, Request, Subscribe, Unsubscribe};
use tokio::sync::mpsc;

pub use ended::{Cause, Ended, Refusal};
pub use reader::Reader;

use crate::endpoint::Endpoint;
use crate::tls::Trust;

/// The terms on which a connection is opened.
#[derive(Clone)]
pub struct Options {
    /// The broker.
    pub broker: Endpoint,
    /// The certificates that it is believed by, for `mqtts`.
    pub trust: Trust,
    /// The name of the session.
    pub client_id: String,
    /// User name.
    pub user: String,
    /// Password; never shown.
    pub token: String,
    /// The time between two questions whether the broker is there; one that is silent is noticed
    /// at the second.
    pub keep_alive: Duration,
    /// The memory of the broker.
    pub session: Session,
    /// The side that acknowledges what arrives.
    pub acks: Acks,
    /// Unacknowledged publishes at a time; absent = 100.
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
        write!(f, "Options({} at {})", self.user, self.broker)
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
    let (requests, handed_over) = mpsc::channel(options.requests_max.max(1));
    (Writer { requests }, Reader::new(options, handed_over))
}

/// A request that was not handed over: the connection is gone, or too slow to be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection to the broker is lost")]
pub struct Lost;

/// The side of a connection that says something. What is `try_` never waits.
#[derive(Clone)]
pub struct Writer {
    requests: mpsc::Sender<Request>,
}

impl Writer {
    fn hand_over(&self, request: Request) -> Result<(), Lost> {
        self.requests.try_send(request).map_err(|_| Lost)
    }

    async fn hand_over_later(&self, request: Request) -> Result<(), Lost> {
        self.requests.send(request).await.map_err(|_| Lost)
    }

    /// Hands a message over for publishing at QoS 1.
    ///
    /// # Errors
    /// [`Lost`].
    pub fn try_publish(&self, message: Message) -> Result<(), Lost> {
        self.hand_over(publish(message))
    }

    /// The same, and waits for room.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn publish(&self, message: Message) -> Result<(), Lost> {
        self.hand_over_later(publish(message)).await
    }

    /// Subscribes at QoS 1; the answer is [`Event::Subscribed`].
    ///
    /// # Errors
    /// [`Lost`].
    pub fn try_subscribe(&self, filter: &str) -> Result<(), Lost> {
        self.hand_over(subscribe(filter))
    }

    /// The same, and waits for room.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn subscribe(&self, filter: &str) -> Result<(), Lost> {
        self.hand_over_later(subscribe(filter)).await
    }

    /// Ends a subscription.
    ///
    /// # Errors
    /// [`Lost`].
    pub fn try_unsubscribe(&self, filter: &str) -> Result<(), Lost> {
        self.hand_over(Request::Unsubscribe(Unsubscribe::new(filter)))
    }

    /// The same, and waits for room.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn unsubscribe(&self, filter: &str) -> Result<(), Lost> {
        let request = Request::Unsubscribe(Unsubscribe::new(filter));
        self.hand_over_later(request).await
    }

    /// Acknowledges a delivery, by its packet.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn acknowledge(&self, packet: u16) -> Result<(), Lost> {
        let request = Request::PubAck(PubAck::new(packet));
        self.hand_over_later(request).await
    }

    /// Says goodbye behind everything handed over; [`Event::Closed`] says that it is written.
    ///
    /// # Errors
    /// [`Lost`].
    pub fn try_disconnect(&self) -> Result<(), Lost> {
        self.hand_over(Request::Disconnect(Disconnect))
    }

    /// The same, and waits for room.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn disconnect(&self) -> Result<(), Lost> {
        self.hand_over_later(Request::Disconnect(Disconnect)).await
    }
}

fn publish(message: Message) -> Request {
    let mut publish = Publish::new(message.topic, QoS::AtLeastOnce, message.payload);
    publish.retain = message.retain;
    Request::Publish(publish)
}

fn subscribe(filter: &str) -> Request {
    Request::Subscribe(Subscribe::new(filter, QoS::AtLeastOnce))
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
