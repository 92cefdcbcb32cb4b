//! The listener: so many connections, and so long for each thing that a client may do slowly.
//! Whoever sends half a header and waits takes nothing from anybody.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use hoist_net::opening::Opening;
use hoist_net::stream::Stream;
use hoist_net::tls::server::{Acceptor, Refused, say_last};
use hoist_protocol::code::Code;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::JoinSet;

use super::timed::{Timed, Work};

/// Pause after a failed accept (out of descriptors): others may end meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A connection on which nothing moves for this long, while nothing is worked on for it, keeps
/// no server from its end: whoever reads so slowly comes again.
const STOP_SILENCE: Duration = Duration::from_millis(500);
/// The longest time that requests are given when the server stops: less than the server itself
/// has for its end. A download that is cut is resumed by its device.
const STOP_MOST: Duration = Duration::from_secs(3);

/// The address at the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// Every limit with its reason.
#[derive(Debug, Clone, Copy)]
pub struct HttpLimits {
    /// Handshakes of TLS at once: when more begin, the oldest is given up. A client that has
    /// something to say needs milliseconds.
    pub handshakes: usize,
    /// For a handshake, and for the head of a request, from the first moment that one is waited for.
    pub head: Duration,
    /// For the body of a command, which is small.
    pub body: Duration,
    /// For the answer to a command: counting a plan of a million devices takes some of it.
    pub answer: Duration,
    /// Between two parts of an upload.
    pub part: Duration,
    /// For a whole upload: a gigabyte at 300 KiB a second.
    pub upload: Duration,
    /// Without a byte in either direction while nothing is worked on.
    pub silence: Duration,
    /// For the turn to copy the rows of the store, while another backup is made: one that is just
    /// ending is waited for.
    pub turn: Duration,
    /// For all rows of the store, once they are copied: a gigabyte at 300 KiB a second. So long
    /// is the space kept that they take on the disk.
    pub rows: Duration,
    /// Open connections; more wait in the listener's backlog. A device that downloads uses
    /// one, for as long as that takes.
    pub connections: usize,
    /// Of one address, except of this machine, where a proxy speaks for all.
    pub of_one_address: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            handshakes: 256,
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            answer: Duration::from_secs(60),
            part: Duration::from_secs(30),
            upload: Duration::from_secs(3_600),
            silence: Duration::from_secs(75),
            turn: Duration::from_secs(1),
            rows: Duration::from_secs(3_600),
            connections: 1_024,
            of_one_address: 256,
        }
    }
}

/// Serves until `shutdown`, then lets running requests end.
pub(super) async fn serve(
    (listener, tls): (TcpListener, Option<Acceptor>),
    router: Router,
    limits: HttpLimits,
    shutdown: impl Future<Output = ()>,
) {
    let places = Places::new(limits);
    let stop = watch::Sender::new(false);
    let mut shaking = Opening::default();
    let mut open = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        while open.try_join_next().is_some() {}
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = places.accept(&listener) => accepted,
        };
        match accepted {
            Ok(Some((stream, peer, place))) => {
                let (router, tls, stopped) = (router.clone(), tls.clone(), stop.subscribe());
                let room = shaking.enter(limits.handshakes);
                open.spawn(async move {
                    if let Some(stream) = encrypted(stream, tls, limits, room).await {
                        converse((stream, peer), router, limits, stopped).await;
                    }
                    drop(place);
                });
            }
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    stop.send_replace(true);
    let all = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_MOST, all).await.is_err() {
        tracing::info!(connections = open.len(), "requests that go on are cut off");
    }
}

/// The socket after its handshake, where there is one; nothing of a client that fails at it, takes
/// too long, or has to make room meanwhile.
async fn encrypted(
    stream: TcpStream,
    tls: Option<Acceptor>,
    limits: HttpLimits,
    room: oneshot::Receiver<()>,
) -> Option<Box<dyn Stream>> {
    let Some(acceptor) = tls else {
        return Some(Box::new(stream));
    };
    let shaking = tokio::time::timeout(limits.head, acceptor.accept(stream));
    let shaken = tokio::select! {
        shaken = shaking => shaken.ok()?,
        Ok(()) = room => return None,
    };
    match shaken {
        Ok(accepted) => Some(accepted.stream),
        Err(Refused::Plain(stream)) => {
            say_last(stream, only_encrypted().as_bytes()).await;
            None
        }
        Err(Refused::Handshake(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(Refused::Silent) => None,
    }
}

/// The answer to a request without TLS where it is wanted, written without a library that would have
/// to read the request.
fn only_encrypted() -> String {
    let body = serde_json::json!({
        "apiVersion": "hoist/v1", "ok": false,
        "error": {
            "code": Code::Tls.as_str(),
            "title": "this port speaks only TLS",
            "hint": "write https:// for http://",
        },
    });
    format!(
        "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: application/json\r\n\r\n{body}\n"
    )
}

/// One connection, request after request.
async fn converse(
    (stream, peer): (Box<dyn Stream>, Peer),
    router: Router,
    limits: HttpLimits,
    mut stop: watch::Receiver<bool>,
) {
    let work = Work::default();
    let stream = TokioIo::new(Timed::new(stream, limits.silence, work.clone()));
    let router = TowerToHyperService::new(router);
    let beginning = work.clone();
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let (working, answer) = (beginning.begin(), router.call(request));
        async move {
            let answer = answer.await;
            drop(working);
            answer
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head);
    let connection = builder.serve_connection(stream, service);
    let mut connection = pin!(connection);
    tokio::select! {
        // How it ended is the client's business.
        _ = &mut connection => {}
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            loop {
                let moved = work.moved();
                let ended = tokio::time::timeout(STOP_SILENCE, connection.as_mut()).await;
                if ended.is_ok() || (work.is_idle() && work.moved() == moved) {
                    break;
                }
            }
        }
    }
}

/// Completes once the server is to stop; a sender that is gone means the same.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The places for connections.
struct Places {
    all: Arc<Semaphore>,
    of_one_address: usize,
    addresses: Arc<Addresses>,
}

/// The number of connections of each address.
#[derive(Debug, Default)]
struct Addresses(Mutex<HashMap<IpAddr, usize>>);

/// A connection's place; given back by being dropped.
struct Place {
    _place: OwnedSemaphorePermit,
    of: Option<(IpAddr, Arc<Addresses>)>,
}

impl Places {
    fn new(limits: HttpLimits) -> Self {
        Self {
            all: Arc::new(Semaphore::new(limits.connections)),
            of_one_address: limits.of_one_address,
            addresses: Arc::default(),
        }
    }

    /// The next connection, once there is a place for it; none for one too many of its
    /// address, which is closed. Cancel-safe.
    async fn accept(&self, listener: &TcpListener) -> io::Result<Option<(TcpStream, Peer, Place)>> {
        let place = Arc::clone(&self.all).acquire_owned().await;
        let place = place.map_err(io::Error::other)?;
        let (stream, peer) = listener.accept().await?;
        let _ = stream.set_nodelay(true);
        let from = Peer(peer.ip().to_canonical());
        Ok(self.of(peer, place).map(|place| (stream, from, place)))
    }

    fn of(&self, peer: SocketAddr, place: OwnedSemaphorePermit) -> Option<Place> {
        let address = peer.ip().to_canonical();
        let of = match address.is_loopback() {
            true => None,
            false => {
                self.addresses.enter(address, self.of_one_address)?;
                Some((address, Arc::clone(&self.addresses)))
            }
        };
        Some(Place { _place: place, of })
    }
}

impl Addresses {
    /// Counts one more, if there may be one.
    fn enter(&self, address: IpAddr, most: usize) -> Option<()> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(())
    }

    fn leave(&self, address: IpAddr) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                all.remove(&address);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((address, addresses)) = &self.of {
            addresses.leave(*address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_has_so_many_connections_and_this_machine_as_many_as_there_are() {
        let places = Places::new(HttpLimits {
            of_one_address: 2,
            ..HttpLimits::default()
        });
        let place = async |address: &str| {
            let permit = Arc::clone(&places.all).acquire_owned().await.unwrap();
            places.of(address.parse().unwrap(), permit)
        };
        let first = place("192.0.2.1:1").await;
        let second = place("[::ffff:192.0.2.1]:2").await;
        assert!(first.is_some() && second.is_some());
        assert!(place("192.0.2.1:3").await.is_none(), "one too many");
        let other = place("192.0.2.2:1").await;
        assert!(other.is_some());
        drop(first);
        assert!(place("192.0.2.1:4").await.is_some());
        let mut of_this_machine = Vec::new();
        for _ in 0..5 {
            of_this_machine.push(place("127.0.0.1:1").await.unwrap());
        }
        drop((second, other));
        assert!(places.addresses.0.lock().unwrap().is_empty());
    }
}
