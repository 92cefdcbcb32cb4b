//! The front door: accepts sockets, speaks MQTT 3.1.1, checks every packet and drives the
//! router through links. rumqttd's own server is never used: one client can kill it.

pub(crate) mod connection;
pub(crate) mod hub;
pub(crate) mod limits;
pub(crate) mod session;

use std::sync::Arc;
use std::time::Duration;

use hoist_protocol::access::{Principal, may_publish};
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{Connect, Packet};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::credentials::{Credentials, Login, Refusal};
use connection::{Connection, ReadError};
use hub::{Counters, Hub, Key, Message, Owner};
use session::{Attach, Session, Stream, ToSession};

/// CONNACK of MQTT 5 saying "unsupported protocol version".
const UNSUPPORTED_V5: [u8; 5] = [0x20, 0x03, 0x00, 0x84, 0x00];
/// CONNACK of MQTT 3 saying the same.
const UNSUPPORTED_V3: [u8; 4] = [0x20, 0x02, 0x00, 0x01];
/// Pause after a failed accept (out of descriptors): others may end meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why a CONNECT is refused, with its CONNACK code where there is one.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("E_PACKET: not a CONNECT of MQTT 3.1.1")]
    NotConnect,
    #[error("E_MQTT_VERSION: MQTT 5 is not spoken here; use version 3.1.1 (mosquitto: -V 311)")]
    Version5,
    #[error("E_MQTT_VERSION: only MQTT 3.1.1 is spoken here (mosquitto: -V 311)")]
    Version3,
    #[error("E_AUTH: {0}")]
    Credentials(Refusal),
    #[error("E_TOPIC: the last will is on a topic this client may not write")]
    Will,
    #[error("E_ROUTER: the broker is restarting")]
    Router,
}

/// Accepts until the task is aborted.
pub(crate) async fn accept(
    listener: TcpListener,
    hub: Arc<Hub>,
    credentials: Arc<dyn Credentials>,
) {
    let places = Arc::new(Semaphore::new(hub.limits.connections));
    let mut second = Instant::now();
    let mut this_second = 0;
    loop {
        if second.elapsed() >= Duration::from_secs(1) {
            second = Instant::now();
            this_second = 0;
        }
        if this_second >= hub.limits.connects_per_second {
            tokio::time::sleep_until(second + Duration::from_secs(1)).await;
            continue;
        }
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                this_second += 1;
                let _ = stream.set_nodelay(true);
                let (hub, credentials) = (Arc::clone(&hub), Arc::clone(&credentials));
                tokio::spawn(async move {
                    let stream = Placed {
                        stream,
                        _place: place,
                    };
                    open(Box::new(stream), &hub, credentials.as_ref()).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Takes a socket from its first byte to its session.
async fn open(stream: Box<dyn Stream>, hub: &Arc<Hub>, credentials: &dyn Credentials) {
    let limits = &hub.limits;
    let mut connection = Connection::new(stream, limits.packet_bytes, limits.write);
    let connect = tokio::time::timeout(limits.handshake, read_connect(&mut connection)).await;
    let refused = match connect {
        Err(_) => {
            Counters::add(&hub.counters.refused, 1);
            return;
        }
        Ok(Err(refused)) => refused,
        Ok(Ok(connect)) => match admit(&connect, hub, credentials) {
            Err(refused) => refused,
            Ok(principal) => match begin(connection, connect, principal, hub).await {
                Ok(()) => return,
                Err((back, refused)) => {
                    connection = back;
                    refused
                }
            },
        },
    };
    Counters::add(&hub.counters.refused, 1);
    tracing::warn!(reason = %refused, "connection refused");
    let answer: &[u8] = match refused {
        Refused::NotConnect => &[],
        Refused::Version5 => &UNSUPPORTED_V5,
        Refused::Version3 => &UNSUPPORTED_V3,
        Refused::Credentials(Refusal::ClientId) => &[0x20, 2, 0, 2],
        Refused::Credentials(Refusal::Token | Refusal::Unknown) => &[0x20, 2, 0, 4],
        Refused::Credentials(Refusal::Revoked) | Refused::Will => &[0x20, 2, 0, 5],
        Refused::Router => &[0x20, 2, 0, 3],
    };
    connection.say_last(answer).await;
}

async fn read_connect(connection: &mut Connection<Box<dyn Stream>>) -> Result<Connect, Refused> {
    match connection.protocol_level().await {
        Ok(4) => {}
        Ok(5) => return Err(Refused::Version5),
        Ok(_) => return Err(Refused::Version3),
        Err(ReadError::Closed | ReadError::Size | ReadError::Malformed) => {
            return Err(Refused::NotConnect);
        }
    }
    loop {
        match connection.next().await {
            Ok(Some(Packet::Connect(connect))) => return Ok(connect),
            Ok(None) => {}
            Ok(Some(_)) | Err(_) => return Err(Refused::NotConnect),
        }
    }
}

/// Decides who a CONNECT is from and whether its will is allowed.
fn admit(
    connect: &Connect,
    hub: &Hub,
    credentials: &dyn Credentials,
) -> Result<Principal, Refused> {
    let (user, token) = connect.login.as_ref().map_or(("", ""), |login| {
        (login.username.as_str(), login.password.as_str())
    });
    let login = Login {
        client_id: &connect.client_id,
        user,
        token,
    };
    let principal = credentials
        .authenticate(&login)
        .map_err(Refused::Credentials)?;
    if let Some(will) = &connect.last_will
        && (may_publish(&principal, &hub.topics, &will.topic).is_err()
            || will.qos == QoS::ExactlyOnce)
    {
        return Err(Refused::Will);
    }
    Ok(principal)
}

type Back = (Connection<Box<dyn Stream>>, Refused);

/// Gives the socket to its session: a new one, or the orchestrator's that waits for it.
async fn begin(
    connection: Connection<Box<dyn Stream>>,
    connect: Connect,
    principal: Principal,
    hub: &Arc<Hub>,
) -> Result<(), Back> {
    let is_service = principal == Principal::Service;
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
        payload: will.message.to_vec(),
        qos: will.qos,
        retain: will.retain,
    });
    let persistent = is_service && !connect.clean_session;
    // An empty client id never names another session.
    let client_id = if connect.client_id.is_empty() {
        hub.anonymous_id()
    } else {
        connect.client_id
    };
    let key: Key = (Owner::of(&principal), client_id);
    let mut attach = Attach {
        connection,
        will,
        keep_alive,
    };
    if let Some(old) = hub.find(&key) {
        if persistent {
            match old.send(ToSession::Attach(Box::new(attach))).await {
                Ok(()) => return Ok(()),
                Err(tokio::sync::mpsc::error::SendError(ToSession::Attach(back))) => attach = *back,
                Err(_) => return Ok(()),
            }
        } else {
            session::end(old).await;
        }
    }
    match hub.router().link().await {
        Ok(link) => {
            Counters::add(&hub.counters.connects, 1);
            Session::start(hub, key, principal, persistent, link, attach);
            Ok(())
        }
        Err(_) => Err((attach.connection, Refused::Router)),
    }
}

/// A socket with its place under the connection cap.
struct Placed<S> {
    stream: S,
    _place: tokio::sync::OwnedSemaphorePermit,
}

impl<S: tokio::io::AsyncRead + Unpin> tokio::io::AsyncRead for Placed<S> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: tokio::io::AsyncWrite + Unpin> tokio::io::AsyncWrite for Placed<S> {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
