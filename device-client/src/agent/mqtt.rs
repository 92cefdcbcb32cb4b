//! One connection to the broker, and what became of what was said on it. A connection is never
//! revived.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;
use hoist_net::mqtt::{self, Acks, Cause, Ended, Event, Message, Options, Reader, Refusal, Writer};
use hoist_protocol::id::DeviceId;
use hoist_protocol::limit::CLIENT_PACKET_BYTES_MAX;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::config::ServerConfig;
use super::task;
use crate::session::Carries;

/// Requests waiting for the poll task: a session's start needs fewer than ten.
const REQUESTS_MAX: usize = 32;
/// Deliveries waiting for the agent: it takes them at once, except while it syncs a file.
const EVENTS_MAX: usize = 32;

/// An event of the connection to the broker.
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
    /// The login is refused because the device was removed or revoked (CONNACK code 5), and the
    /// connection is over.
    Revoked,
    /// The connection is over.
    Lost { reason: String },
}

/// The agent's side of a connection.
pub(super) struct Connection {
    writer: Writer,
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
        let is_certified = server.trust.shown().is_some();
        let (writer, reader) = mqtt::open(Options {
            broker: server.broker.clone(),
            trust: server.trust.clone(),
            client_id: device.to_string(),
            user: device.to_string(),
            token: server.token.0.clone(),
            keep_alive: server.keep_alive,
            session: mqtt::Session::Clean,
            acks: Acks::Automatic,
            inflight_max: None,
            packet_bytes_max: CLIENT_PACKET_BYTES_MAX,
            requests_max: REQUESTS_MAX,
            will: Some(Message {
                topic: will_topic,
                payload: will,
                retain: true,
            }),
        });
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let task = task::start(read(reader, is_certified, sender));
        Self {
            writer,
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
        self.stuck |= self.writer.try_subscribe(topic).is_err();
    }

    pub(super) fn unsubscribe(&mut self, topic: &str) {
        self.stuck |= self.writer.try_unsubscribe(topic).is_err();
    }

    /// Publishes, retained.
    pub(super) fn publish(&mut self, topic: &str, payload: Vec<u8>, carries: Carries) {
        let message = Message {
            topic: topic.to_owned(),
            payload,
            retain: true,
        };
        match self.writer.try_publish(message) {
            Ok(()) => self.queued.push_back(carries),
            Err(_) => self.stuck = true,
        }
    }

    /// Publishes something that is not kept.
    #[cfg(feature = "tls")]
    pub(super) fn ask(&mut self, topic: &str, payload: Vec<u8>) {
        let message = Message {
            topic: topic.to_owned(),
            payload,
            retain: false,
        };
        match self.writer.try_publish(message) {
            Ok(()) => self.queued.push_back(Carries::Other),
            Err(_) => self.stuck = true,
        }
    }

    /// True if something could not be said: the connection is as good as lost.
    pub(super) fn is_stuck(&self) -> bool {
        self.stuck
    }

    /// Says goodbye after everything queued, and waits until it is written.
    pub(super) async fn close(mut self) {
        if self.writer.try_disconnect().is_ok() {
            while !matches!(self.next().await, Incoming::Revoked | Incoming::Lost { .. }) {}
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads until the connection ends: reading is not cancel-safe.
async fn read(mut reader: Reader, is_certified: bool, events: mpsc::Sender<Raw>) {
    loop {
        let event = match reader.next().await {
            Ok(Event::Connected { .. }) => Raw::Connected,
            Ok(Event::Delivered(message)) => Raw::Message(message.topic, message.payload),
            Ok(Event::Written(id)) => Raw::Written(id),
            Ok(Event::Acknowledged(id)) => Raw::Acknowledged(id),
            Ok(Event::Subscribed { granted: true }) => continue,
            Ok(Event::Subscribed { granted: false }) => Raw::Refused,
            Ok(Event::Closed) => Raw::Lost("closed".into()),
            Err(Ended {
                cause: Cause::Refused(Refusal::NotAuthorized),
                ..
            }) => Raw::Revoked,
            Err(ended) => Raw::Lost(why(&ended.cause, is_certified, &ended)),
        };
        let over = matches!(event, Raw::Revoked | Raw::Lost(_));
        if events.send(event).await.is_err() || over {
            return;
        }
    }
}

/// The end of a connection that the other side ended.
const CLOSED: &str = "the server closed the connection";
/// The end of one in which nothing comes any more.
const SILENT: &str = "the server does not answer";

/// The system's error about a connection, in our words where there are some.
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

/// The reason of the end of a connection, for whoever can do something about it. Who shows a
/// certificate has no token that could be another.
fn why(cause: &Cause, is_certified: bool, said: &impl std::fmt::Display) -> String {
    let refusal = match cause {
        Cause::Refused(refusal) => refusal,
        Cause::Network(error) => return of_io(error),
        Cause::Closed => return CLOSED.to_owned(),
        Cause::Silent => return SILENT.to_owned(),
        Cause::Tls(error) => return format!("{}: {error}", error.code()),
        Cause::Protocol => return format!("what came is not what a broker says ({said})"),
    };
    match refusal {
        Refusal::BadUserNamePassword if is_certified => {
            "the server takes this certificate no more: its time is over, its CA is not accepted any \
             more, or another board took the place of this one. The log of the server says which: ask \
             its operator"
        }
        Refusal::BadUserNamePassword => {
            "the server does not know this token, or not in this namespace, or has replaced it: get \
             a new agent.toml with `hoist device token rotate`, or `hoist device add` if it is not \
             registered"
        }
        Refusal::NotAuthorized => {
            "the server refuses this device: ask its operator whether it was removed or revoked"
        }
        Refusal::ServiceUnavailable => "the server is too busy, or just starting",
        Refusal::RefusedProtocolVersion => "the broker does not speak MQTT 3.1.1",
        Refusal::BadClientId => "the broker refuses this device's id as client id",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_connection_is_told_in_words_that_need_no_source() {
        let io = |kind: io::ErrorKind| Cause::Network(kind.into());
        for (cause, says) in [
            (
                io(io::ErrorKind::ConnectionRefused),
                "nothing listens at the server's address",
            ),
            (io(io::ErrorKind::ConnectionReset), CLOSED),
            (io(io::ErrorKind::TimedOut), SILENT),
            (Cause::Closed, CLOSED),
            (Cause::Silent, SILENT),
            (
                Cause::Protocol,
                "what came is not what a broker says (nonsense)",
            ),
        ] {
            assert_eq!(why(&cause, false, &"nonsense"), says);
        }
    }

    #[test]
    fn a_device_that_shows_a_certificate_is_not_sent_for_a_token() {
        let refused = Cause::Refused(Refusal::BadUserNamePassword);
        let by_token = why(&refused, false, &"refused");
        assert!(by_token.contains("hoist device token rotate"), "{by_token}");
        let by_certificate = why(&refused, true, &"refused");
        assert!(!by_certificate.contains("token"), "{by_certificate}");
        assert!(by_certificate.contains("certificate"), "{by_certificate}");
    }
}
