//! The seam between the loop and a broker: what comes in, what goes out. The loop knows
//! nothing else of MQTT, so it runs in tests without a broker.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use hoist_orchestrator_core::engine::event::Session;

/// Deliveries waiting for the loop. A broker has at most 65 535 of ours unacknowledged
/// (packet ids have 16 bits), so a full channel can only be a flood at QoS 0; the task
/// that reads the socket must never wait for the loop, which may be waiting for it.
pub const INCOMING_MAX: usize = 65_535;

/// The connection a message was meant for is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection to the broker is lost")]
pub struct Lost;

/// One connection to a broker.
#[async_trait]
pub trait Connection: Send + Sync {
    /// Hands a message over for sending at QoS 1.
    ///
    /// # Errors
    /// [`Lost`]; what is desired is published again on the next connection.
    async fn publish(&self, message: Outgoing) -> Result<(), Lost>;

    /// Acknowledges a delivery of this very connection.
    ///
    /// # Errors
    /// [`Lost`]; the broker delivers it again.
    async fn acknowledge(&self, packet: u16) -> Result<(), Lost>;

    /// Asks for what is retained on a topic: it comes as a delivery, if there is anything.
    ///
    /// # Errors
    /// [`Lost`].
    async fn read(&self, topic: String) -> Result<(), Lost>;
}

/// A message to publish at QoS 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The whole topic.
    pub topic: String,
    /// Its content; empty and retained clears the topic.
    pub payload: Vec<u8>,
    /// True if the broker keeps it.
    pub retain: bool,
}

impl Outgoing {
    /// A message the broker keeps.
    #[must_use]
    pub fn retained(topic: String, payload: Vec<u8>) -> Self {
        Self {
            topic,
            payload,
            retain: true,
        }
    }

    /// A message for whoever listens now.
    #[must_use]
    pub fn passing(topic: String, payload: Vec<u8>) -> Self {
        Self {
            topic,
            payload,
            retain: false,
        }
    }
}

/// A message that arrived.
#[derive(Clone)]
pub struct Delivery {
    /// The whole topic.
    pub topic: String,
    /// Its content.
    pub payload: Bytes,
    /// True if the broker had kept it.
    pub retained: bool,
    /// True if it was delivered before and not acknowledged.
    pub again: bool,
    /// Its packet id, to acknowledge it on the connection that brought it; none at QoS 0.
    pub packet: Option<u16>,
}

/// A message of the connection to the loop, in order.
pub enum Incoming {
    /// A new connection; everything sent on the one before may be lost.
    Connected(Arc<dyn Connection>, Session),
    /// Every subscription of this connection is granted.
    Subscribed,
    /// A message.
    Delivery(Delivery),
    /// The connection is gone.
    Disconnected,
}

/// Where the connection's news go.
pub type IncomingSender = tokio::sync::mpsc::Sender<Incoming>;
/// Where the loop reads them.
pub type IncomingReceiver = tokio::sync::mpsc::Receiver<Incoming>;
