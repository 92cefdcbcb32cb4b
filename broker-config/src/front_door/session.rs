//! One task per session: it owns a link to the router, the queue, the in-flight table and
//! the socket, if one is attached. The task is the session: the orchestrator's outlives
//! its sockets and sends again, marked as duplicates, what was not acknowledged.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hoist_protocol::access::{Principal, may_publish, may_subscribe};
use hoist_protocol::topic::matches;
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{
    ConnAck, ConnectReturnCode, Packet, PubAck, Publish, SubAck, Subscribe, SubscribeReasonCode,
    UnsubAck, Unsubscribe,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::connection::{Connection, ReadError};
use super::hub::{Counters, Hub, Key, Message, untag};
use crate::router::Link;

/// Deliveries that may wait in a session's inbox: a burst of replies or heads.
const INBOX: usize = 1_024;

/// A socket that may carry MQTT.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for T {}

/// What a session is told.
pub(crate) enum ToSession {
    /// A message with one reader.
    Deliver(Message),
    /// A new socket of the same client.
    Attach(Box<Attach>),
    /// End; the sender of the notice sees the inbox close.
    End,
}

/// A socket whose CONNECT was accepted.
pub(crate) struct Attach {
    pub(crate) connection: Connection<Box<dyn Stream>>,
    pub(crate) will: Option<Message>,
    pub(crate) keep_alive: Duration,
}

/// A delivery that waits for its turn.
enum Waiting {
    Live(Message),
    /// What is retained on the topic when its turn comes, so that an old value never
    /// follows a newer one.
    Retained(String, QoS),
}

struct Socket {
    attach: Attach,
    deadline: Instant,
}

/// Why a session goes on without its socket, or ends.
enum Closed {
    /// DISCONNECT: the will is dropped.
    Cleanly,
    /// Anything else: the will is published. The code says what was wrong.
    Lost(&'static str),
}

pub(crate) struct Session {
    hub: Arc<Hub>,
    key: Key,
    principal: Principal,
    persistent: bool,
    link: Link,
    filters: Vec<(String, QoS)>,
    queue: VecDeque<Waiting>,
    in_flight: VecDeque<(u16, Message)>,
    last_id: u16,
    socket: Option<Socket>,
}

/// Tells a session to end as soon as its inbox has room.
pub(crate) fn end_soon(inbox: mpsc::Sender<ToSession>) {
    tokio::spawn(async move { inbox.send(ToSession::End).await.is_ok() });
}

impl Session {
    /// Starts the session's task; its inbox is in the hub until it ends.
    pub(crate) fn start(
        hub: &Arc<Hub>,
        key: Key,
        principal: Principal,
        persistent: bool,
        link: Link,
        attach: Attach,
    ) {
        let (sender, inbox) = mpsc::channel(INBOX);
        let instance = hub.enter(&key, sender);
        let mut session = Self {
            hub: Arc::clone(hub),
            key,
            principal,
            persistent,
            link,
            filters: Vec::new(),
            queue: VecDeque::new(),
            in_flight: VecDeque::new(),
            last_id: 0,
            socket: None,
        };
        let guard = Leave {
            hub: Arc::clone(hub),
            key: session.key.clone(),
            instance,
        };
        tokio::spawn(async move {
            let _guard = guard;
            session.attach(attach, false);
            session.run(inbox).await;
        });
    }

    async fn run(&mut self, mut inbox: mpsc::Receiver<ToSession>) {
        loop {
            let closed = tokio::select! {
                told = inbox.recv() => match told {
                    Some(ToSession::Deliver(message)) => self.enqueue(message),
                    Some(ToSession::Attach(attach)) => {
                        self.lose(&Closed::Lost("E_TAKEN_OVER"));
                        self.attach(*attach, true);
                        Ok(())
                    }
                    Some(ToSession::End) | None => return self.lose(&Closed::Lost("E_ENDED")),
                },
                routed = self.link.next() => match routed {
                    Ok((topic, tagged)) => untag(&topic, &tagged).map_or(Ok(()), |m| self.enqueue(m)),
                    Err(_) => return self.lose(&Closed::Lost("E_ROUTER")),
                },
                packet = next_packet(&mut self.socket) => match packet {
                    Ok(Some(packet)) => self.handle(packet),
                    Ok(None) => Ok(()),
                    Err(closed) => Err(closed),
                },
            };
            let closed = closed.and_then(|()| self.pump());
            self.count_bytes();
            if let Err(closed) = closed {
                self.lose(&closed);
                if !self.persistent || matches!(closed, Closed::Lost("E_OVERFLOW" | "E_ROUTER")) {
                    return;
                }
            }
        }
    }

    /// What devices' connections cost, so that it can be shown.
    fn count_bytes(&mut self) {
        if let (Some(socket), Principal::Device(_)) = (&mut self.socket, &self.principal) {
            let passed = std::mem::take(&mut socket.attach.connection.passed);
            Counters::add(&self.hub.counters.device_bytes, passed);
        }
    }

    fn limits(&self) -> (usize, usize) {
        let limits = &self.hub.limits;
        match self.principal {
            Principal::Service => (usize::from(limits.service_window), limits.service_queue),
            _ => (usize::from(limits.window), limits.queue),
        }
    }

    /// Takes a socket: acknowledges its CONNECT and sends again what is in flight.
    fn attach(&mut self, mut attach: Attach, session_present: bool) {
        attach.connection.write(&Packet::ConnAck(ConnAck::new(
            ConnectReturnCode::Success,
            session_present,
        )));
        for (id, message) in &self.in_flight {
            attach.connection.write(&publish_packet(message, *id, true));
        }
        let deadline = Instant::now() + attach.keep_alive;
        self.socket = Some(Socket { attach, deadline });
        let _ = self.pump();
    }

    /// Closes the socket, and lets the will speak unless the client said goodbye.
    fn lose(&mut self, closed: &Closed) {
        let Some(socket) = self.socket.take() else {
            return;
        };
        if matches!(self.principal, Principal::Device(_)) {
            Counters::add(
                &self.hub.counters.device_bytes,
                socket.attach.connection.passed,
            );
        }
        let Closed::Lost(code) = closed else { return };
        Counters::add(&self.hub.counters.refused, 1);
        tracing::debug!(client = %self.key.1, code, "connection lost");
        if let Some(will) = socket.attach.will {
            let hub = Arc::clone(&self.hub);
            let _ = hub.publish(&mut self.link, will);
        }
    }

    /// Queues a message that one of the session's filters matches.
    fn enqueue(&mut self, message: Message) -> Result<(), Closed> {
        let granted = self
            .filters
            .iter()
            .filter(|(filter, _)| matches(filter, &message.topic));
        let Some(qos) = granted.map(|(_, qos)| *qos as u8).max() else {
            return Ok(());
        };
        if self.queue.len() >= self.limits().1 {
            tracing::error!(client = %self.key.1, "too many messages wait: the session ends");
            return Err(Closed::Lost("E_OVERFLOW"));
        }
        if self.socket.is_none() && message.qos == QoS::AtMostOnce {
            return Ok(());
        }
        let qos = if qos == 0 {
            QoS::AtMostOnce
        } else {
            message.qos
        };
        self.queue
            .push_back(Waiting::Live(Message { qos, ..message }));
        Ok(())
    }

    /// Moves what waits into the socket, as far as window and socket allow.
    fn pump(&mut self) -> Result<(), Closed> {
        let window = self.limits().0;
        let Some(socket) = &mut self.socket else {
            return Ok(());
        };
        while socket.attach.connection.has_room() && self.in_flight.len() < window {
            let message = match self.queue.pop_front() {
                None => break,
                Some(Waiting::Live(message)) => message,
                Some(Waiting::Retained(topic, qos)) => match self.hub.retained.get(&topic) {
                    None => continue,
                    Some(payload) => Message {
                        topic,
                        payload: payload.to_vec(),
                        qos,
                        retain: true,
                    },
                },
            };
            Counters::add(&self.hub.counters.delivered, 1);
            let mut id = 0;
            if message.qos != QoS::AtMostOnce {
                self.last_id = self.last_id.checked_add(1).unwrap_or(1);
                id = self.last_id;
            }
            socket
                .attach
                .connection
                .write(&publish_packet(&message, id, false));
            if id != 0 {
                self.in_flight.push_back((id, message));
            }
        }
        Ok(())
    }

    fn handle(&mut self, packet: Packet) -> Result<(), Closed> {
        if let Some(socket) = &mut self.socket {
            socket.deadline = Instant::now() + socket.attach.keep_alive;
        }
        match packet {
            Packet::Publish(publish) => self.handle_publish(publish),
            Packet::PubAck(ack) => self.handle_ack(&ack),
            Packet::Subscribe(subscribe) => self.handle_subscribe(&subscribe),
            Packet::Unsubscribe(unsubscribe) => self.handle_unsubscribe(&unsubscribe),
            Packet::PingReq => {
                self.write(&Packet::PingResp);
                Ok(())
            }
            Packet::Disconnect => Err(Closed::Cleanly),
            _ => Err(Closed::Lost("E_PACKET")),
        }
    }

    fn write(&mut self, packet: &Packet) {
        if let Some(socket) = &mut self.socket {
            socket.attach.connection.write(packet);
        }
    }

    fn handle_publish(&mut self, publish: Publish) -> Result<(), Closed> {
        if publish.qos == QoS::ExactlyOnce {
            return Err(Closed::Lost("E_QOS"));
        }
        let allowed = may_publish(&self.principal, &self.hub.topics, &publish.topic);
        if let Err(denied) = allowed {
            tracing::warn!(client = %self.key.1, %denied, "E_TOPIC: publish refused, connection closed");
            return Err(Closed::Lost("E_TOPIC"));
        }
        let (qos, id) = (publish.qos, publish.pkid);
        let message = Message {
            topic: publish.topic,
            payload: publish.payload.to_vec(),
            qos,
            retain: publish.retain,
        };
        let hub = Arc::clone(&self.hub);
        hub.publish(&mut self.link, message)
            .map_err(|_| Closed::Lost("E_ROUTER"))?;
        if qos == QoS::AtLeastOnce {
            self.write(&Packet::PubAck(PubAck::new(id)));
        }
        Ok(())
    }

    fn handle_ack(&mut self, ack: &PubAck) -> Result<(), Closed> {
        let known = self.in_flight.iter().position(|(id, _)| *id == ack.pkid);
        match known {
            Some(index) => {
                self.in_flight.remove(index);
                Ok(())
            }
            None => Err(Closed::Lost("E_ACK")),
        }
    }

    fn handle_subscribe(&mut self, subscribe: &Subscribe) -> Result<(), Closed> {
        let mut codes = Vec::with_capacity(subscribe.filters.len());
        let mut granted = Vec::new();
        for wanted in &subscribe.filters {
            let qos = if wanted.qos == QoS::AtMostOnce {
                QoS::AtMostOnce
            } else {
                QoS::AtLeastOnce
            };
            if self.grant(&wanted.path, qos)? {
                codes.push(SubscribeReasonCode::Success(qos));
                granted.push((wanted.path.clone(), qos));
            } else {
                codes.push(SubscribeReasonCode::Failure);
            }
        }
        self.write(&Packet::SubAck(SubAck::new(subscribe.pkid, codes)));
        // After the router knows the filter: nothing falls between retained and live.
        for (filter, qos) in granted {
            let topics = self.hub.retained.matching(&filter);
            self.queue.extend(
                topics
                    .into_iter()
                    .map(|topic| Waiting::Retained(topic, qos)),
            );
        }
        Ok(())
    }

    fn grant(&mut self, filter: &str, qos: QoS) -> Result<bool, Closed> {
        let most = match self.principal {
            Principal::Device(_) => self.hub.limits.device_subscriptions,
            _ => self.hub.limits.user_subscriptions,
        };
        let allowed = may_subscribe(&self.principal, &self.hub.topics, filter);
        if let Err(denied) = allowed {
            tracing::warn!(client = %self.key.1, %denied, "subscription refused");
            return Ok(false);
        }
        if let Some(known) = self.filters.iter_mut().find(|(known, _)| known == filter) {
            known.1 = qos;
            return Ok(true);
        }
        if self.filters.len() >= most {
            return Ok(false);
        }
        if !self.hub.is_handed_over(filter) {
            self.link
                .subscribe(filter)
                .map_err(|_| Closed::Lost("E_ROUTER"))?;
        }
        self.filters.push((filter.to_owned(), qos));
        Ok(true)
    }

    fn handle_unsubscribe(&mut self, unsubscribe: &Unsubscribe) -> Result<(), Closed> {
        for filter in &unsubscribe.topics {
            let Some(index) = self.filters.iter().position(|(known, _)| known == filter) else {
                continue;
            };
            self.filters.remove(index);
            if !self.hub.is_handed_over(filter) {
                self.link
                    .unsubscribe(filter)
                    .map_err(|_| Closed::Lost("E_ROUTER"))?;
            }
        }
        self.write(&Packet::UnsubAck(UnsubAck::new(unsubscribe.pkid)));
        Ok(())
    }
}

fn publish_packet(message: &Message, id: u16, dup: bool) -> Packet {
    Packet::Publish(Publish {
        dup,
        qos: message.qos,
        retain: message.retain,
        topic: message.topic.clone(),
        pkid: id,
        payload: message.payload.clone().into(),
    })
}

/// The next packet of the socket, or `None` after bytes went out. Waits for ever without
/// a socket; cancel-safe.
async fn next_packet(socket: &mut Option<Socket>) -> Result<Option<Packet>, Closed> {
    let Some(socket) = socket else {
        return std::future::pending().await;
    };
    match tokio::time::timeout_at(socket.deadline, socket.attach.connection.next()).await {
        Err(_) => Err(Closed::Lost("E_KEEP_ALIVE")),
        Ok(Ok(packet)) => Ok(packet),
        Ok(Err(ReadError::Closed)) => Err(Closed::Lost("E_CLOSED")),
        Ok(Err(ReadError::Size)) => Err(Closed::Lost("E_SIZE")),
        Ok(Err(ReadError::Malformed)) => Err(Closed::Lost("E_PACKET")),
    }
}

/// Unregisters a session however its task ends.
struct Leave {
    hub: Arc<Hub>,
    key: Key,
    instance: u64,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.hub.leave(&self.key, self.instance);
    }
}

/// Ends a session and waits until it is gone.
pub(crate) async fn end(inbox: mpsc::Sender<ToSession>) {
    if inbox.send(ToSession::End).await.is_ok() {
        inbox.closed().await;
    }
}
