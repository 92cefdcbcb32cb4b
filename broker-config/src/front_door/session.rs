//! One task per session: it owns a link to the router, the outbox and the socket, if one
//! is attached. The task is the session: the orchestrator's outlives its sockets and sends
//! again, marked as duplicates, what was not acknowledged.

mod flood;
mod owed;
mod publish;
mod removal;
mod socket;
mod subscriptions;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hoist_protocol::access::{Principal, is_report};
use hoist_protocol::topic::matches;
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{ConnAck, ConnectReturnCode, Packet};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::code::Code;
use super::hub::{Counters, Hub, Route};
use super::inbox::{Attach, Handle, ToSession};
use super::limits::Limits;
use super::message::{Message, untag};
use super::outbox::{Bounds, Outbox, lower};
use super::owner::Key;
use super::pace::Paced;
use crate::credentials::Pass;
use crate::router::{Link, RouterDead};
use owed::Owed;
use publish::Parked;
use socket::{Socket, next_packet};
use subscriptions::Read;

/// Messages that may wait in a session's inbox: the task empties it at every turn, so this
/// is what publishers can hand over during one.
const INBOX: usize = 4_096;

/// The event that a session's turn is about.
enum Happened {
    /// The inbox, or that it closed.
    Told(Option<ToSession>),
    /// A message by the router.
    Routed(Result<(Bytes, Bytes), RouterDead>),
    /// A packet; none after bytes went out.
    Packet(Result<Option<Packet>, Code>),
    /// The message that its client waited with has arrived.
    Arrived,
    /// A report for the orchestrator.
    Reported(Message),
    /// Something that its client reported is decided.
    Settled,
}

/// Why a socket is closed.
enum Closed {
    /// DISCONNECT: the will is dropped.
    Cleanly,
    /// Anything else: the will is published.
    For(Code),
}

impl From<Code> for Closed {
    fn from(code: Code) -> Self {
        Self::For(code)
    }
}

impl From<RouterDead> for Closed {
    fn from(_: RouterDead) -> Self {
        Self::For(Code::Router)
    }
}

pub(crate) struct Session {
    hub: Arc<Hub>,
    key: Key,
    principal: Principal,
    persistent: bool,
    handle: Handle,
    link: Link,
    filters: Vec<Read>,
    outbox: Outbox,
    /// The amount that the client may still send; of the orchestrator it is not counted.
    paced: Option<Paced>,
    parked: Option<Parked>,
    /// The acknowledgments that its client waits for.
    owed: Owed,
    /// What devices report, if this is the orchestrator's.
    reports: Option<mpsc::Receiver<Message>>,
    socket: Option<Socket>,
}

fn bounds(limits: &Limits, principal: &Principal) -> Bounds {
    match principal {
        Principal::Service => Bounds {
            window: usize::from(limits.service_window),
            commands: usize::from(limits.service_commands),
            messages: limits.service_queue,
            bytes: limits.service_queue_bytes,
            newest_above: limits.service_newest_above,
            acknowledges_reports: true,
        },
        Principal::Device(_) | Principal::Enrolling { .. } | Principal::User { .. } => Bounds {
            window: usize::from(limits.window),
            commands: 0,
            messages: limits.queue,
            bytes: limits.queue_bytes,
            newest_above: usize::MAX,
            acknowledges_reports: false,
        },
    }
}

impl Session {
    /// Starts the session's task; its inbox is in the hub until it ends.
    pub(crate) fn start(
        hub: &Arc<Hub>,
        key: Key,
        pass: Pass,
        persistent: bool,
        link: Link,
        attach: Attach,
    ) {
        let (sender, inbox) = mpsc::channel(INBOX);
        let principal = pass.principal.clone();
        let handle = hub.enter(&key, sender, pass);
        let is_service = principal == Principal::Service;
        let mut session = Self {
            reports: is_service.then(|| hub.reports.listen(handle.instance)),
            hub: Arc::clone(hub),
            outbox: Outbox::new(bounds(&hub.limits, &principal)),
            paced: hub.pace(&principal),
            key,
            principal,
            persistent,
            handle,
            link,
            filters: Vec::new(),
            parked: None,
            owed: Owed::default(),
            socket: None,
        };
        tokio::spawn(async move {
            session.attach(attach, false);
            session.run(inbox).await;
        });
    }

    async fn run(&mut self, mut inbox: mpsc::Receiver<ToSession>) {
        loop {
            let happened = tokio::select! {
                told = inbox.recv() => Happened::Told(told),
                routed = self.link.next() => Happened::Routed(routed),
                packet = next_packet(&mut self.socket) => Happened::Packet(packet),
                () = publish::arrived(&mut self.parked) => Happened::Arrived,
                report = next_report(&mut self.reports) => Happened::Reported(report),
                () = self.owed.wake.notified() => Happened::Settled,
            };
            // First of all: a device that was removed since says and hears nothing more.
            let happened = self.may_stay().and_then(|()| self.follow(happened));
            let happened = happened.and_then(|()| self.take_all(&mut inbox));
            let happened = happened.and_then(|()| self.may_stay());
            if happened.is_ok() {
                self.pump();
            }
            self.count_bytes();
            if let Err(closed) = happened {
                let keeps_session = match closed {
                    Closed::Cleanly => true,
                    Closed::For(code) => code.keeps_session(),
                };
                let keeps_session = keeps_session && self.persistent;
                self.lose(&closed, keeps_session);
                if !keeps_session {
                    return;
                }
            }
        }
    }

    fn follow(&mut self, happened: Happened) -> Result<(), Closed> {
        match happened {
            Happened::Told(Some(told)) => self.take(told),
            Happened::Told(None) => Err(Code::Stopped.into()),
            Happened::Routed(routed) => {
                let (topic, tagged) = routed?;
                untag(&topic, tagged).map_or(Ok(()), |message| self.take_routed(message))
            }
            Happened::Arrived => self.unpark(),
            Happened::Reported(report) => self.enqueue(report),
            Happened::Settled => self.acknowledge_due(),
            Happened::Packet(packet) => packet?.map_or(Ok(()), |packet| self.handle(packet)),
        }
    }

    /// Empties the inbox, so that it never fills up behind a busy socket.
    fn take_all(&mut self, inbox: &mut mpsc::Receiver<ToSession>) -> Result<(), Closed> {
        for _ in 0..INBOX {
            let Ok(told) = inbox.try_recv() else { break };
            self.take(told)?;
        }
        for _ in 0..INBOX {
            let Some(reports) = &mut self.reports else {
                break;
            };
            let Ok(report) = reports.try_recv() else {
                break;
            };
            self.enqueue(report)?;
        }
        Ok(())
    }

    /// Takes a message of the router. What devices report has a way of its own to the orchestrator.
    fn take_routed(&mut self, message: Message) -> Result<(), Closed> {
        let topic = self.hub.topics.parse(&message.topic);
        match self.reports.is_some() && topic.is_ok_and(|topic| is_report(&topic)) {
            true => Ok(()),
            false => self.enqueue(message),
        }
    }

    fn take(&mut self, told: ToSession) -> Result<(), Closed> {
        match told {
            ToSession::Deliver(message) => self.enqueue(message),
            ToSession::Attach(attach) => {
                self.lose(&Code::TakenOver.into(), true);
                self.attach(*attach, true);
                Ok(())
            }
            ToSession::End(why) => Err(why.into()),
        }
    }

    /// Counts the bytes of devices' connections, so that they can be shown.
    fn count_bytes(&mut self) {
        if let (Some(socket), Principal::Device(_)) = (&mut self.socket, &self.principal) {
            let passed = std::mem::take(&mut socket.attach.connection.passed);
            Counters::add(&self.hub.counters.device_bytes, passed);
        }
    }

    /// Takes a socket: acknowledges its CONNECT and sends again what is in flight.
    fn attach(&mut self, attach: Attach, session_present: bool) {
        // The orchestrator's has none: it is read as it comes.
        let attach = Attach {
            connection: attach.connection.with_pace(self.paced.clone()),
            ..attach
        };
        self.hub.comes_from(&self.key, attach.connection.peer);
        let enrolls = matches!(self.principal, Principal::Enrolling { .. });
        let lasts = enrolls.then_some(self.hub.limits.enrolling);
        let socket = self.socket.insert(Socket::new(attach, lasts));
        let connection = &mut socket.attach.connection;
        let code = ConnectReturnCode::Success;
        connection.write(&Packet::ConnAck(ConnAck::new(code, session_present)));
        for packet in self.outbox.again() {
            connection.write(&packet);
        }
        self.pump();
    }

    /// The number of refusals like this one that were not said, if this one is to be said.
    fn says(&self, reason: &'static str) -> Option<u64> {
        self.hub.quiet.says(&self.key.1, reason, Instant::now())
    }

    /// A fault of the client is worth a line, but not one each time.
    fn say_closed(&self, code: Code, peer: Option<SocketAddr>) {
        let client = &self.key.1;
        let peer = peer.map(tracing::field::display);
        if !code.is_fault() {
            tracing::debug!(client, peer, reason = %code, "connection closed");
        } else if let Some(unsaid) = self.says(code.word()) {
            tracing::warn!(client, peer, reason = %code, unsaid, "connection closed");
        }
    }

    /// Closes the socket, and lets the will speak unless the client said goodbye.
    fn lose(&mut self, closed: &Closed, keeps_session: bool) {
        self.count_bytes();
        let socket = self.socket.take();
        self.owed.clear();
        let last_word = self.last_word(closed);
        self.let_go();
        let Closed::For(code) = *closed else { return };
        if !keeps_session && self.persistent && code != Code::Stopped {
            tracing::error!(reason = %code, "the orchestrator's session ended; what waited is gone");
        }
        let Some(socket) = socket else { return };
        self.hub.counters.closed.add(code);
        self.say_closed(code, socket.attach.connection.peer);
        match (&self.principal, socket.attach.will) {
            (Principal::Device(device), _) if code == Code::Revoked => {
                let device = device.clone();
                self.turn_out(&device, socket.attach.connection, last_word);
            }
            (_, Some(will)) if code != Code::Revoked => {
                self.send_off(will);
            }
            _ => {}
        }
    }

    /// Queues a message if one of the session's filters matches it.
    fn enqueue(&mut self, message: Message) -> Result<(), Closed> {
        let matching = self
            .filters
            .iter()
            .filter(|read| matches(&read.filter, &message.topic));
        let Some(granted) = matching.map(|read| read.qos).max_by_key(|qos| *qos as u8) else {
            return Ok(());
        };
        let qos = lower(message.qos, granted);
        if self.socket.is_none() && qos == QoS::AtMostOnce {
            return Ok(());
        }
        Ok(self.outbox.push(Message { qos, ..message })?)
    }

    /// Moves what waits into the socket, as far as window and socket allow.
    fn pump(&mut self) {
        let Some(socket) = &mut self.socket else {
            return;
        };
        let connection = &mut socket.attach.connection;
        while connection.has_room() {
            let Some(packet) = self.outbox.next(&self.hub.retained) else {
                return;
            };
            Counters::add(&self.hub.counters.delivered, 1);
            connection.write(&packet);
        }
    }

    fn handle(&mut self, packet: Packet) -> Result<(), Closed> {
        if let Some(socket) = &mut self.socket {
            socket.deadline = Instant::now() + socket.attach.keep_alive;
        }
        self.count(&packet)?;
        match packet {
            Packet::Publish(publish) => self.handle_publish(publish),
            Packet::PubAck(ack) => self.handle_ack(ack.pkid),
            Packet::Subscribe(subscribe) => self.handle_subscribe(&subscribe),
            Packet::Unsubscribe(unsubscribe) => self.handle_unsubscribe(&unsubscribe),
            Packet::PingReq => {
                self.write(&Packet::PingResp);
                Ok(())
            }
            Packet::Disconnect => Err(Closed::Cleanly),
            _ => Err(Code::Packet.into()),
        }
    }

    /// Takes an acknowledgment. The orchestrator's says that a report is durable: whoever sent it
    /// may be told.
    fn handle_ack(&mut self, id: u16) -> Result<(), Closed> {
        let message = self.outbox.acknowledge(id)?;
        if let (Some(_), Some(number)) = (&self.reports, message.report) {
            self.hub.reports.release(&message.topic, number);
        }
        Ok(())
    }

    fn write(&mut self, packet: &Packet) {
        if let Some(socket) = &mut self.socket {
            socket.attach.connection.write(packet);
        }
    }
}

/// The next report; for ever without a way for them. Cancel-safe.
async fn next_report(reports: &mut Option<mpsc::Receiver<Message>>) -> Message {
    if let Some(reports) = reports
        && let Some(report) = reports.recv().await
    {
        return report;
    }
    std::future::pending().await
}

/// Unregisters, however the task ends.
impl Drop for Session {
    fn drop(&mut self) {
        self.hub.reports.leave(self.handle.instance);
        for read in self.filters.iter().filter(|read| read.route == Route::Hub) {
            self.hub.forget(&read.filter, self.handle.instance);
        }
        self.hub.leave(&self.key, self.handle.instance);
    }
}
