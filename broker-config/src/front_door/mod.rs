//! The front door: accepts sockets, speaks MQTT 3.1.1, checks every packet and drives the
//! router through links. rumqttd's own server is never used: one client can kill it.

mod certificate;
pub(crate) mod code;
mod connect;
pub(crate) mod connection;
mod frame;
pub(crate) mod hub;
pub(crate) mod inbox;
mod lane;
pub(crate) mod limits;
mod message;
mod outbox;
mod owner;
mod pace;
mod places;
mod quiet;
mod readers;
mod refused;
mod reports;
mod session;
mod way;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hoist_net::opening::Opening;
use hoist_net::stream::Stream;
use hoist_net::tls::server::{self, Accepted, Acceptor};
use hoist_protocol::access::{Principal, may_publish};
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::Connect;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::credentials::{ClientCertificate, Login, Pass};
use code::Code;
use connection::Connection;
use hub::{Counters, Hub};
use inbox::{Attach, ToSession};
use message::Message;
use owner::{Key, Owner};
use places::Place;
use refused::Refused;
use session::Session;

/// Pause after a failed accept (out of descriptors): others may end meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A door, by who comes in there.
#[derive(Debug, Clone)]
pub(crate) enum Door {
    /// Everybody, without TLS.
    Plain,
    /// Everybody, with TLS and with nothing else.
    Encrypted(Acceptor),
    /// The orchestrator of this process, and nobody else: without TLS, on this machine.
    Service,
}

/// Accepts until told to stop; then no socket is left that could still become a session.
pub(crate) async fn accept(
    listener: TcpListener,
    door: Door,
    hub: Arc<Hub>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut pace = Pace::new(hub.limits.connects_per_second);
    let mut silent = Opening::default();
    let mut opening = JoinSet::new();
    loop {
        let stream = tokio::select! {
            _ = &mut stopped => break,
            stream = pace.accept(&listener) => stream,
        };
        while opening.try_join_next().is_some() {}
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                if let Some(unsaid) = hub.quiet.says("", "accept", Instant::now()) {
                    tracing::warn!(%error, unsaid, "accept failed");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let peer = stream.peer_addr().ok();
        let room = silent.enter(hub.limits.opening);
        let (door, hub) = (door.clone(), Arc::clone(&hub));
        opening.spawn(async move { enter((stream, peer), &door, &hub, room).await });
    }
    drop(listener);
    opening.shutdown().await;
}

/// Lets at most so many sockets in per second; the rest waits in the listener's backlog.
struct Pace {
    per_second: u32,
    second: Instant,
    accepted: u32,
}

impl Pace {
    fn new(per_second: u32) -> Self {
        Self {
            per_second,
            second: Instant::now(),
            accepted: 0,
        }
    }

    /// The next socket; cancel-safe.
    async fn accept(&mut self, listener: &TcpListener) -> io::Result<TcpStream> {
        if self.accepted >= self.per_second {
            tokio::time::sleep_until(self.second + Duration::from_secs(1)).await;
        }
        let (stream, _) = listener.accept().await?;
        if self.second.elapsed() >= Duration::from_secs(1) {
            (self.second, self.accepted) = (Instant::now(), 0);
        }
        self.accepted += 1;
        Ok(stream)
    }
}

/// Takes a socket through the handshake of its door, if there is one. Meanwhile it may have to make
/// room.
async fn enter(
    (stream, peer): (TcpStream, Option<SocketAddr>),
    door: &Door,
    hub: &Arc<Hub>,
    mut room: oneshot::Receiver<()>,
) {
    let Door::Encrypted(acceptor) = door else {
        let accepted = Accepted {
            stream: Box::new(stream),
            presented: None,
        };
        return open((accepted, peer), door, hub, room).await;
    };
    let shaking = tokio::time::timeout(hub.limits.handshake, acceptor.accept(stream));
    let (refused, stream) = tokio::select! {
        shaken = shaking => match shaken {
            Ok(Ok(accepted)) => return open((accepted, peer), door, hub, room).await,
            Ok(Err(server::Refused::Silent)) => (Refused::Silent, None),
            Ok(Err(server::Refused::Plain(stream))) => (Refused::Plain, Some(stream)),
            Ok(Err(server::Refused::Handshake(error))) => (Refused::Handshake(error), None),
            Err(_) => (Refused::NotConnect(Code::Timeout), None),
        },
        Ok(()) = &mut room => (Refused::NotConnect(Code::Busy), None),
    };
    drop(room);
    count(&refused, ("", None, peer), hub);
    if let Some(stream) = stream {
        server::say_last(stream, refused.answer()).await;
    }
}

/// Takes a socket from its first byte to its session. Until it has said who it is, it may have
/// to make room.
async fn open(
    (accepted, peer): (Accepted, Option<SocketAddr>),
    door: &Door,
    hub: &Arc<Hub>,
    mut room: oneshot::Receiver<()>,
) {
    let limits = &hub.limits;
    let until = Instant::now() + limits.handshake / 2;
    let presented = accepted.presented.map(certificate::of);
    let connection = Connection::new(accepted.stream, limits.packet_bytes, limits.write);
    let mut connection = connection.with_peer(peer).checked();
    let reading = tokio::time::timeout(limits.handshake, read_connect(&mut connection));
    let connect = tokio::select! {
        connect = reading => connect.unwrap_or(Err(Refused::NotConnect(Code::Timeout))),
        Ok(()) = &mut room => Err(Refused::NotConnect(Code::Busy)),
    };
    drop(room);
    let (client, user) = match &connect {
        Ok(connect) => (quiet::shown(&connect.client_id), user_of(connect)),
        Err(_) => (String::new(), None),
    };
    let refused = match connect {
        Err(refused) => refused,
        Ok(connect) => match let_in((&connect, presented), door, hub, until).await {
            Err(refused) => refused,
            Ok((pass, place)) => match begin((connection, place), connect, pass.clone(), hub).await
            {
                Ok(key) => return stay(&key, &pass, hub),
                Err((back, refused)) => {
                    connection = back;
                    refused
                }
            },
        },
    };
    count(&refused, (&client, user.as_deref(), peer), hub);
    connection.say_last(refused.answer()).await;
}

/// Counts a refusal, and says it if that is worth a line.
fn count(
    refused: &Refused,
    (client, user, peer): (&str, Option<&str>, Option<SocketAddr>),
    hub: &Hub,
) {
    let Some(code) = refused.code() else {
        return;
    };
    hub.counters.closed.add(code);
    // Whoever names no client is told from others by its user.
    let who = match client.is_empty() {
        true => user.unwrap_or_default(),
        false => client,
    };
    if refused.is_worth_a_line()
        && let Some(unsaid) = hub.quiet.says(who, refused.word(), Instant::now())
    {
        let peer = peer.map(tracing::field::display);
        tracing::warn!(client, user, peer, reason = %refused, unsaid, "connection refused");
    }
}

/// The user name of a CONNECT, unless its client id says the same.
fn user_of(connect: &Connect) -> Option<String> {
    let login = connect.login.as_ref()?;
    (login.username != connect.client_id).then(|| quiet::shown(&login.username))
}

/// Sees a session out whose client was removed while it came in.
fn stay(key: &Key, pass: &Pass, hub: &Hub) {
    if let Err(refusal) = hub.credentials.review(pass)
        && let Some(inbox) = hub.find(key)
    {
        inbox::end_soon(inbox, refusal.into());
    }
}

async fn read_connect(connection: &mut Connection<Box<dyn Stream>>) -> Result<Connect, Refused> {
    match connection.protocol_level().await {
        Ok(4) => {}
        Ok(level) => return Err(Refused::Version { level }),
        Err(Code::Gone) if connection.passed == 0 => return Err(Refused::Silent),
        Err(code) => return Err(Refused::NotConnect(code)),
    }
    match connection.connect().await {
        Ok(read) => read.map_err(Refused::from),
        Err(code) => Err(Refused::NotConnect(code)),
    }
}

/// Decides whether who sent a CONNECT comes in, and takes a place for it.
async fn let_in(
    (connect, presented): (&Connect, Option<ClientCertificate>),
    door: &Door,
    hub: &Hub,
    until: Instant,
) -> Result<(Pass, Place), Refused> {
    let pass = admit(connect, presented.as_ref(), hub)?;
    let principal = &pass.principal;
    if matches!(door, Door::Service) && *principal != Principal::Service {
        return Err(Refused::Later(Code::Tls));
    }
    keep_pace(principal, hub, until).await?;
    let place = match hub.places.take(principal) {
        Err(_) if *principal != Principal::Service => {
            // Whoever comes again needs no place more.
            let key = (Owner::of(principal), connect.client_id.clone());
            if let Some(old) = hub.find(&key) {
                inbox::end(old, Code::TakenOver).await;
            }
            hub.places.take(principal)
        }
        place => place,
    };
    Ok((pass, place.map_err(Refused::Later)?))
}

/// Lets nobody connect too often: a device, which comes again by itself, is refused; a user is
/// kept waiting, because each command of a program is a connection.
async fn keep_pace(principal: &Principal, hub: &Hub, until: Instant) -> Result<(), Refused> {
    let Some(paced) = hub.pace(principal) else {
        return Ok(());
    };
    let too_often = Refused::Later(Code::Flood);
    if matches!(principal, Principal::Device(_)) {
        return paced.connect().map_err(|_| too_often);
    }
    let patience = until.saturating_duration_since(Instant::now());
    let wait = paced.connect_later(patience).ok_or(too_often)?;
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    Ok(())
}

/// Decides who a CONNECT is from and whether its will is allowed.
fn admit(
    connect: &Connect,
    certificate: Option<&ClientCertificate>,
    hub: &Hub,
) -> Result<Pass, Refused> {
    let (user, token) = connect.login.as_ref().map_or(("", ""), |login| {
        (login.username.as_str(), login.password.as_str())
    });
    let login = Login {
        client_id: &connect.client_id,
        user,
        token,
        certificate,
    };
    let pass = hub.credentials.authenticate(&login);
    let pass = pass.map_err(Refused::Credentials)?;
    if let Some(will) = &connect.last_will {
        let of_device = matches!(pass.principal, Principal::Device(_));
        let refused = |code| Refused::Will { code, of_device };
        let allowed = may_publish(&pass.principal, &hub.topics, &will.topic);
        allowed.map_err(|denied| refused(Code::from(&denied)))?;
        if will.qos == QoS::ExactlyOnce {
            return Err(refused(Code::Qos));
        }
    }
    Ok(pass)
}

type Back = (Connection<Box<dyn Stream>>, Refused);

/// Gives the socket to its session: a new one, or the orchestrator's that waits for it.
async fn begin(
    (connection, place): (Connection<Box<dyn Stream>>, Place),
    connect: Connect,
    pass: Pass,
    hub: &Arc<Hub>,
) -> Result<Key, Back> {
    let is_service = pass.principal == Principal::Service;
    let connection = if is_service {
        connection.with_packet_bytes(hub.limits.service_packet_bytes)
    } else {
        connection
    };
    let keep_alive = match connect.keep_alive {
        0 => hub.limits.keep_alive,
        seconds => Duration::from_millis(u64::from(seconds) * 1_500),
    };
    let will = connect.last_will.map(|will| Message {
        topic: will.topic,
        payload: bytes::Bytes::copy_from_slice(&will.message),
        qos: will.qos,
        retain: will.retain,
        share: None,
        report: None,
    });
    // Others may ask for a persistent session, but get one that ends with its socket.
    let persistent = is_service && !connect.clean_session;
    // An empty client id never names another session.
    let client_id = if connect.client_id.is_empty() {
        hub.anonymous_id()
    } else {
        connect.client_id
    };
    let key: Key = (Owner::of(&pass.principal), client_id);
    let mut attach = Attach {
        connection,
        will,
        keep_alive,
        _place: place,
    };
    if let Some(old) = hub.find(&key) {
        if persistent {
            match old.send(ToSession::Attach(Box::new(attach))).await {
                Ok(()) => return Ok(key),
                Err(tokio::sync::mpsc::error::SendError(ToSession::Attach(back))) => attach = *back,
                Err(_) => return Ok(key),
            }
        } else {
            inbox::end(old, Code::TakenOver).await;
        }
    }
    match hub.router().link().await {
        Ok(link) => {
            Counters::add(&hub.counters.connects, 1);
            Session::start(hub, key.clone(), pass, persistent, link, attach);
            Ok(key)
        }
        Err(_) => Err((attach.connection, Refused::Later(Code::Router))),
    }
}

#[cfg(test)]
mod tests;
