//! rumqttd's router behind in-process links: the only file with rumqttd's types. Links
//! publish and subscribe at QoS 0, which loses nothing in process; what the router must
//! never see (wildcards in topics, multi-byte characters, `$share`) is refused before.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use rumqttd::local::{LinkBuilder, LinkRx, LinkTx};
use rumqttd::protocol::{Disconnect, DisconnectReasonCode, Packet};
use rumqttd::{Notification, RouterConfig};

/// Each filter's slack before a lagging link loses messages, and memory it never gives
/// back: 8 segments of 1 MiB, allocated as they fill.
const SEGMENT_BYTES: usize = 1024 * 1024;
const SEGMENTS: usize = 8;
/// A link that cannot be opened in this time means a dead router.
const LINK_PATIENCE: Duration = Duration::from_secs(2);

/// The router has died.
#[derive(Debug, thiserror::Error)]
#[error("the broker's router does not answer")]
pub(crate) struct RouterDead;

type Opened = Option<(LinkTx, LinkRx)>;

/// A running router.
pub(crate) struct Router {
    open: Box<dyn Fn(&str) -> Opened + Send + Sync>,
    /// rumqttd never frees a link name, so names are ours and used again.
    names: Mutex<Names>,
}

#[derive(Default)]
struct Names {
    free: BTreeSet<usize>,
    made: usize,
}

impl Router {
    /// Starts a router thread for up to `links` links.
    pub(crate) fn start(links: usize) -> Arc<Self> {
        let config = RouterConfig {
            max_connections: links,
            max_outgoing_packet_count: 200,
            max_segment_size: SEGMENT_BYTES,
            max_segment_count: SEGMENTS,
            ..RouterConfig::default()
        };
        let sender = rumqttd::Router::new(0, config).spawn();
        let open = move |name: &str| {
            let (tx, rx, _) = LinkBuilder::new(name, sender.clone()).build().ok()?;
            Some((tx, rx))
        };
        Arc::new(Self {
            open: Box::new(open),
            names: Mutex::default(),
        })
    }

    /// Opens a link.
    pub(crate) async fn link(self: &Arc<Self>) -> Result<Link, RouterDead> {
        let number = {
            let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            names.free.pop_first().unwrap_or_else(|| {
                names.made += 1;
                names.made
            })
        };
        let router = Arc::clone(self);
        let opening = tokio::task::spawn_blocking(move || (router.open)(&format!("link-{number}")));
        match tokio::time::timeout(LINK_PATIENCE, opening).await {
            Ok(Ok(Some((tx, rx)))) => Ok(Link {
                router: Arc::clone(self),
                number,
                tx,
                rx,
            }),
            _ => Err(RouterDead),
        }
    }
}

/// One client of the router.
pub(crate) struct Link {
    router: Arc<Router>,
    number: usize,
    tx: LinkTx,
    rx: LinkRx,
}

impl Link {
    /// Subscribes; live messages follow.
    pub(crate) fn subscribe(&mut self, filter: &str) -> Result<(), RouterDead> {
        self.tx.subscribe(filter).map(drop).map_err(|_| RouterDead)
    }

    /// Takes a subscription back.
    pub(crate) fn unsubscribe(&mut self, filter: &str) -> Result<(), RouterDead> {
        self.tx
            .unsubscribe(filter)
            .map(drop)
            .map_err(|_| RouterDead)
    }

    /// Gives a message to every link that subscribed to its topic.
    pub(crate) fn publish(&mut self, topic: &str, payload: Vec<u8>) -> Result<(), RouterDead> {
        self.tx
            .publish(topic.to_owned(), payload)
            .map(drop)
            .map_err(|_| RouterDead)
    }

    /// The next message; cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<(Bytes, Bytes), RouterDead> {
        loop {
            match self.rx.next().await.map_err(|_| RouterDead)? {
                Some(Notification::Forward(forward)) => {
                    return Ok((forward.publish.topic, forward.publish.payload));
                }
                // Exactly one answer per Unschedule: an unasked one kills the router.
                Some(Notification::Unschedule) => self.rx.ready().map_err(|_| RouterDead)?,
                Some(Notification::Disconnect(..)) => return Err(RouterDead),
                Some(_) | None => {}
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let disconnect = Disconnect {
            reason_code: DisconnectReasonCode::NormalDisconnection,
        };
        // `send` is async in name only: one poll completes it.
        let sent = {
            let mut send = std::pin::pin!(self.tx.send(Packet::Disconnect(disconnect, None)));
            send.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        };
        if matches!(sent, Poll::Ready(Ok(_))) {
            let mut names = self
                .router
                .names
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            names.free.insert(self.number);
        }
    }
}
