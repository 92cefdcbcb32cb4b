//! One connection to the broker: the only file that knows rumqttc. A connection is never
//! revived: a reused event loop hands out old deliveries after the new CONNACK.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;
use hoist_protocol::id::DeviceId;
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, EventLoop, LastWill, MqttOptions, Outgoing,
    Packet, QoS, StateError, SubscribeReasonCode,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::config::ServerConfig;
use super::task;
use crate::session::Carries;

/// Requests waiting for the poll task: a session's start needs fewer than ten.
const REQUESTS_MAX: usize = 32;
/// Deliveries waiting for the agent: it takes them at once, except while it syncs a file.
const EVENTS_MAX: usize = 32;
/// The largest message to a device is a release manifest; the broker allows 20 kB.
const PACKET_BYTES_MAX: usize = 20_000;

/// What comes from the broker.
#[derive(Debug)]
pub(super) enum Incoming {
    /// CONNACK.
    Connected,
    /// A message.
    Message { topic: String, payload: Bytes },
    /// A publish was acknowledged.
    Acknowledged(Carries),
    /// A subscription was refused.
    Refused,
    /// The login is refused because the token was revoked (CONNACK code 5), and the
    /// connection is over.
    Revoked,
    /// The connection is over.
    Lost { reason: String },
}

/// The agent's side of a connection.
pub(super) struct Connection {
    client: AsyncClient,
    events: mpsc::Receiver<Raw>,
    task: JoinHandle<()>,
    /// Publishes not yet written, in order, and those waiting for their acknowledgment.
    queued: VecDeque<Carries>,
    in_flight: Vec<(u16, Carries)>,
    stuck: bool,
}

enum Raw {
    Connected,
    Message(String, Bytes),
    Written(u16),
    Acknowledged(u16),
    Refused,
    Revoked,
    Lost(String),
}

impl Connection {
    /// Begins to connect; the will is fixed at CONNECT.
    pub(super) fn connect(
        device: &DeviceId,
        server: &ServerConfig,
        will_topic: String,
        will: Vec<u8>,
    ) -> Self {
        let broker = &server.broker;
        let mut options = MqttOptions::new(device.as_str(), &broker.host, broker.port);
        options
            .set_keep_alive(server.keep_alive)
            .set_clean_session(true)
            .set_credentials(device.as_str(), &server.token.0)
            .set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX)
            .set_last_will(LastWill::new(will_topic, will, QoS::AtLeastOnce, true));
        let (client, mut event_loop) = AsyncClient::new(options, REQUESTS_MAX);
        // Small messages must not wait for each other's acknowledgment.
        event_loop.network_options.set_tcp_nodelay(true);
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let task = task::start(poll(event_loop, sender));
        Self {
            client,
            events,
            task,
            queued: VecDeque::new(),
            in_flight: Vec::new(),
            stuck: false,
        }
    }

    /// The next thing that concerns the agent. Cancel-safe.
    pub(super) async fn next(&mut self) -> Incoming {
        loop {
            match self.events.recv().await {
                Some(Raw::Connected) => return Incoming::Connected,
                Some(Raw::Message(topic, payload)) => return Incoming::Message { topic, payload },
                Some(Raw::Refused) => return Incoming::Refused,
                Some(Raw::Revoked) => return Incoming::Revoked,
                Some(Raw::Lost(reason)) => return Incoming::Lost { reason },
                None => {
                    return Incoming::Lost {
                        reason: "the connection ended".into(),
                    };
                }
                Some(Raw::Written(id)) => {
                    let carries = self.queued.pop_front().unwrap_or(Carries::Other);
                    self.in_flight.push((id, carries));
                }
                Some(Raw::Acknowledged(id)) => {
                    let place = self.in_flight.iter().position(|(sent, _)| *sent == id);
                    let carried = place.map(|place| self.in_flight.remove(place).1);
                    if let Some(carried) = carried {
                        return Incoming::Acknowledged(carried);
                    }
                }
            }
        }
    }

    pub(super) fn subscribe(&mut self, topic: &str) {
        self.stuck |= self.client.try_subscribe(topic, QoS::AtLeastOnce).is_err();
    }

    pub(super) fn unsubscribe(&mut self, topic: &str) {
        self.stuck |= self.client.try_unsubscribe(topic).is_err();
    }

    /// Publishes, retained.
    pub(super) fn publish(&mut self, topic: &str, payload: Vec<u8>, carries: Carries) {
        match self
            .client
            .try_publish(topic, QoS::AtLeastOnce, true, payload)
        {
            Ok(()) => self.queued.push_back(carries),
            Err(_) => self.stuck = true,
        }
    }

    /// Whether something could not be said: the connection is as good as lost.
    pub(super) fn is_stuck(&self) -> bool {
        self.stuck
    }

    /// Says goodbye after everything queued, and waits until it is written.
    pub(super) async fn close(mut self) {
        if self.client.try_disconnect().is_ok() {
            while !matches!(self.next().await, Incoming::Revoked | Incoming::Lost { .. }) {}
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Owns the event loop until its connection ends: polling is not cancel-safe.
async fn poll(mut event_loop: EventLoop, events: mpsc::Sender<Raw>) {
    loop {
        let event = match event_loop.poll().await {
            Ok(rumqttc::Event::Incoming(packet)) => incoming(packet),
            Ok(rumqttc::Event::Outgoing(Outgoing::Publish(id))) => Some(Raw::Written(id)),
            Ok(rumqttc::Event::Outgoing(Outgoing::Disconnect)) => Some(Raw::Lost("closed".into())),
            Ok(rumqttc::Event::Outgoing(_)) => None,
            Err(ConnectionError::ConnectionRefused(ConnectReturnCode::NotAuthorized)) => {
                Some(Raw::Revoked)
            }
            Err(error) => Some(Raw::Lost(why(&error))),
        };
        let Some(event) = event else { continue };
        let over = matches!(event, Raw::Revoked | Raw::Lost(_));
        if events.send(event).await.is_err() || over {
            return;
        }
    }
}

/// How a connection ends that the other side ended.
const CLOSED: &str = "the server closed the connection";
/// How one ends in which nothing comes any more.
const SILENT: &str = "the server does not answer";

/// What the system says of a connection, in our words where there are some.
fn of_io(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nothing listens at the server's address".to_owned(),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => CLOSED.to_owned(),
        io::ErrorKind::TimedOut => SILENT.to_owned(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "no network leads to the server".to_owned()
        }
        _ => error.to_string(),
    }
}

/// What the end of a connection means for whoever can do something about it.
fn why(error: &ConnectionError) -> String {
    let code = match error {
        ConnectionError::ConnectionRefused(code) => code,
        ConnectionError::Io(error) | ConnectionError::MqttState(StateError::Io(error)) => {
            return of_io(error);
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => return CLOSED.to_owned(),
        ConnectionError::MqttState(StateError::AwaitPingResp)
        | ConnectionError::NetworkTimeout
        | ConnectionError::FlushTimeout => return SILENT.to_owned(),
        other => return format!("what came is not what a broker says ({other})"),
    };
    match code {
        ConnectReturnCode::BadUserNamePassword => {
            "the server does not know this token, or not in this namespace: get a new agent.toml \
             with `hoist device add`"
        }
        ConnectReturnCode::NotAuthorized => {
            "the server refuses this device: ask its operator whether it was removed or revoked"
        }
        ConnectReturnCode::ServiceUnavailable => "the server is too busy, or just starting",
        ConnectReturnCode::RefusedProtocolVersion => "the broker does not speak MQTT 3.1.1",
        ConnectReturnCode::BadClientId | ConnectReturnCode::Success => {
            "the broker refuses this device's id as client id"
        }
    }
    .to_owned()
}

fn incoming(packet: Packet) -> Option<Raw> {
    match packet {
        Packet::ConnAck(_) => Some(Raw::Connected),
        Packet::Publish(publish) => Some(Raw::Message(publish.topic, publish.payload)),
        Packet::PubAck(ack) => Some(Raw::Acknowledged(ack.pkid)),
        Packet::SubAck(ack) => ack
            .return_codes
            .contains(&SubscribeReasonCode::Failure)
            .then_some(Raw::Refused),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_connection_is_told_in_words_that_need_no_source() {
        let io = |kind: io::ErrorKind| ConnectionError::Io(kind.into());
        for (error, says) in [
            (
                io(io::ErrorKind::ConnectionRefused),
                "nothing listens at the server's address",
            ),
            (io(io::ErrorKind::ConnectionReset), CLOSED),
            (io(io::ErrorKind::TimedOut), SILENT),
            (
                ConnectionError::MqttState(StateError::ConnectionAborted),
                CLOSED,
            ),
            (
                ConnectionError::MqttState(StateError::AwaitPingResp),
                SILENT,
            ),
            (ConnectionError::NetworkTimeout, SILENT),
        ] {
            assert_eq!(why(&error), says);
        }
    }
}
