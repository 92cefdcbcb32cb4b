//! One client of the broker that is examined.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use hoist_net::endpoint::Endpoint;
use hoist_net::mqtt::{
    self, Acks, Cause, Delivered, Ended, Event, Lost, Message, Options, Session, Writer,
};
use hoist_protocol::id::sha256;
use hoist_protocol::topic::TOPIC_BYTES_MAX;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::{Form, Login, Subject};

/// For an answer that a broker owes, and what it must deliver: a busy one is no bad one.
const PATIENCE: Duration = Duration::from_secs(10);
/// The time in which what a broker must not let through would arrive.
const QUIET: Duration = Duration::from_millis(500);
/// The same where there is no time.
const QUIET_SHORT: Duration = Duration::from_millis(150);
/// Nobody is there for as long.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// More than the largest message that is tried.
const PACKET_BYTES_MAX: usize = 4 << 20;
/// Events that wait for their reader; the broker waits when there are more.
const EVENTS_MAX: usize = 1_024;
/// Messages that are remembered: one alone tells.
const HEARD_MAX: usize = 4_096;
/// Events that are kept for later while a request waits for room; of more, a broker that floods has the
/// rest lost.
const WAITING_MAX: usize = 16_384;
/// Publishes under way.
const INFLIGHT_MAX: u16 = 100;

/// A canary's connection ended, so that nothing is known.
pub(super) const LOST: &str =
    "the connection of a canary ended meanwhile: perhaps somebody else examines the broker too";

/// No canary is let in, or not any more.
pub(super) const NO_CANARY: &str = "no canary comes in";

/// The terms of one connection.
pub(super) struct Terms<'a> {
    pub(super) at: &'a Endpoint,
    pub(super) login: &'a Login,
    pub(super) client_id: &'a str,
    pub(super) acks: Acks,
    pub(super) will: Option<Message>,
}

impl<'a> Terms<'a> {
    /// A device under its own id.
    pub(super) fn device(subject: &'a Subject, login: &'a Login) -> Self {
        Self {
            at: &subject.devices,
            login,
            client_id: &login.user,
            acks: Acks::Automatic,
            will: None,
        }
    }

    /// A user, or the orchestrator, under some id.
    pub(super) fn person(subject: &'a Subject, login: &'a Login, client_id: &'a str) -> Self {
        Self {
            at: &subject.broker,
            client_id,
            ..Self::device(subject, login)
        }
    }
}

/// A client that is connected, or was.
pub(super) struct Peer {
    writer: Writer,
    events: mpsc::Receiver<Event>,
    /// Those that came while a request waited for room, oldest first.
    waiting: VecDeque<Event>,
    task: JoinHandle<()>,
    /// The topics and the hashes of the payloads.
    heard: Vec<(String, Bytes)>,
    acknowledged: usize,
    acks: Acks,
    quiet: Duration,
}

impl Peer {
    /// Connects.
    pub(super) async fn connect(subject: &Subject, terms: Terms<'_>) -> Result<Self, Ended> {
        let (writer, mut reader) = mqtt::open(Options {
            broker: terms.at.clone(),
            trust: subject.trust.clone(),
            client_id: terms.client_id.to_owned(),
            user: terms.login.user.clone(),
            token: terms.login.token.clone(),
            keep_alive: KEEP_ALIVE,
            session: Session::Clean,
            acks: terms.acks,
            inflight_max: Some(INFLIGHT_MAX),
            packet_bytes_max: PACKET_BYTES_MAX,
            requests_max: EVENTS_MAX,
            will: terms.will,
        });
        reader.next().await?;
        let (events_in, events) = mpsc::channel(EVENTS_MAX);
        let task = tokio::spawn(async move {
            while let Ok(event) = reader.next().await {
                if events_in.send(small(event)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            writer,
            events,
            waiting: VecDeque::new(),
            task,
            heard: Vec::new(),
            acknowledged: 0,
            acks: terms.acks,
            quiet: match subject.form {
                Form::Quick => QUIET_SHORT,
                Form::Whole => QUIET,
            },
        })
    }

    /// The next event; none when the connection is over, or not in time.
    async fn next(&mut self, until: Instant) -> Option<Event> {
        if let Some(event) = self.waiting.pop_front() {
            return Some(event);
        }
        let event = timeout_at(until, self.events.recv()).await.ok()??;
        self.note(&event);
        Some(event)
    }

    /// Remembers what an event says.
    fn note(&mut self, event: &Event) {
        match event {
            Event::Delivered(Delivered { topic, payload, .. }) if self.heard.len() < HEARD_MAX => {
                self.heard.push((topic.clone(), payload.clone()));
            }
            Event::Acknowledged(_) => self.acknowledged += 1,
            _ => {}
        }
    }

    /// Keeps an event for whoever asks for the next one.
    fn keep(&mut self, event: Event) {
        self.note(&event);
        if !matches!(event, Event::Acknowledged(_)) && self.waiting.len() < WAITING_MAX {
            self.waiting.push_back(event);
        }
    }

    /// Hands a request over, and takes in meanwhile what arrives: the reader takes no request while
    /// there is no room for its events, and each would wait for the other.
    async fn hand_over(&mut self, request: impl Future<Output = Result<(), Lost>>) -> bool {
        let mut request = pin!(request);
        loop {
            tokio::select! {
                biased;
                handed = &mut request => return handed.is_ok(),
                event = self.events.recv() => match event {
                    Some(event) => self.keep(event),
                    // The reader is gone, and with it the request.
                    None => return false,
                },
            }
        }
    }

    /// Subscribes; true if it was granted, false if not or the connection is over.
    pub(super) async fn subscribe(&mut self, filter: &str) -> bool {
        // On a connection that is over it goes nowhere, and the events say that it is.
        let writer = self.writer.clone();
        let _gone = self.hand_over(writer.subscribe(filter)).await;
        let until = Instant::now() + PATIENCE;
        while let Some(event) = self.next(until).await {
            if let Event::Subscribed { granted } = event {
                return granted;
            }
        }
        false
    }

    /// Publishes and waits until that is acknowledged; false if the connection is over.
    pub(super) async fn publish(&mut self, topic: &str, payload: &[u8], retain: bool) -> bool {
        let message = Message {
            topic: topic.to_owned(),
            payload: payload.to_vec(),
            retain,
        };
        self.publish_all(std::iter::once(message)).await
    }

    /// The same of many.
    pub(super) async fn publish_all(&mut self, messages: impl Iterator<Item = Message>) -> bool {
        let writer = self.writer.clone();
        let before = self.acknowledged;
        let mut sent = 0;
        for message in messages {
            if !self.hand_over(writer.publish(message)).await {
                return false;
            }
            sent += 1;
        }
        let until = Instant::now() + PATIENCE;
        while self.acknowledged < before + sent {
            match timeout_at(until, self.events.recv()).await {
                Ok(Some(event)) => self.keep(event),
                Ok(None) | Err(_) => return false,
            }
        }
        true
    }

    /// Hears what arrives within a moment.
    pub(super) async fn listen(&mut self) {
        let until = Instant::now() + self.quiet;
        while let Some(event) = self.next(until).await {
            if let Event::Delivered(Delivered {
                packet: Some(packet),
                ..
            }) = event
            {
                self.acknowledge(packet).await;
            }
        }
    }

    /// Hears until so many messages were heard, or nothing more comes.
    pub(super) async fn hear(&mut self, count: usize) -> usize {
        let mut heard = 0;
        while heard < count {
            match self.next(Instant::now() + PATIENCE).await {
                Some(Event::Delivered(message)) => {
                    heard += 1;
                    if let Some(packet) = message.packet {
                        self.acknowledge(packet).await;
                    }
                }
                Some(_) => {}
                None => break,
            }
        }
        heard
    }

    async fn acknowledge(&mut self, packet: u16) {
        if self.acks == Acks::Manual {
            let writer = self.writer.clone();
            // A connection that is over brings nothing more.
            let _lost = self.hand_over(writer.acknowledge(packet)).await;
        }
    }

    /// Forgets what it has heard: there is no room for everything.
    pub(super) fn forget(&mut self) {
        self.heard.clear();
    }

    /// True if a message with this content arrived there.
    pub(super) fn has_heard(&self, topic: &str, payload: &[u8]) -> bool {
        let mut heard = self.heard.iter();
        let digest = sha256(payload);
        heard.any(|(at, said)| at == topic && said[..] == digest)
    }

    /// The topics of what arrived.
    pub(super) fn topics(&self) -> impl Iterator<Item = &str> {
        self.heard.iter().map(|(topic, _)| topic.as_str())
    }

    /// Waits until something arrives on a topic.
    pub(super) async fn is_answered(&mut self, topic: &str) -> bool {
        let until = Instant::now() + PATIENCE / 4;
        loop {
            if self.topics().any(|heard| heard == topic) {
                return true;
            }
            if self.next(until).await.is_none() {
                return false;
            }
        }
    }

    /// True if the connection is over, and everything of it was heard.
    pub(super) fn is_lost(&self) -> bool {
        self.events.is_closed() && self.waiting.is_empty()
    }

    /// Says goodbye.
    pub(super) async fn close(mut self) {
        let _lost = self.writer.try_disconnect();
        let until = Instant::now() + self.quiet;
        while self.next(until).await.is_some() {}
    }
}

impl Drop for Peer {
    /// Is gone without a word, so that its will is published.
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An event that takes little memory, however much a broker sends: of a payload its hash is kept, of
/// a topic as much as any of ours has.
fn small(event: Event) -> Event {
    let Event::Delivered(mut message) = event else {
        return event;
    };
    message.payload = Bytes::copy_from_slice(&sha256(&message.payload));
    if message.topic.len() > TOPIC_BYTES_MAX {
        message.topic = message.topic.chars().take(TOPIC_BYTES_MAX / 4).collect();
    }
    message.topic.shrink_to_fit();
    Event::Delivered(message)
}

/// True if the broker has answered, by not letting somebody in.
pub(super) fn is_refusal(ended: &Ended) -> bool {
    matches!(
        ended.cause,
        Cause::Refused(_) | Cause::Closed | Cause::Protocol
    )
}

#[cfg(test)]
#[path = "peer_tests.rs"]
mod tests;
