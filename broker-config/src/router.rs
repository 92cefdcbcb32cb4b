//! rumqttd's router behind in-process links: the only file with rumqttd's types. Links
//! publish and subscribe at QoS 0, which loses nothing in process; what the router must
//! never see (wildcards in topics, multi-byte characters, `$share`) is refused before.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use rumqttd::local::{LinkBuilder, LinkRx, LinkTx};
use rumqttd::protocol::{Disconnect, DisconnectReasonCode, Packet};
use rumqttd::{Notification, RouterConfig};
use tokio::sync::{mpsc, oneshot};

/// Each filter's slack before a lagging link loses messages, and memory it never gives
/// back: 8 segments of 1 MiB, allocated as they fill.
const SEGMENT_BYTES: usize = 1024 * 1024;
const SEGMENTS: usize = 8;
/// Links that may wait to be opened: one takes about 0.1 ms.
const OPENINGS: usize = 256;
/// A link that cannot be opened in this time means a dead router.
const LINK_PATIENCE: Duration = Duration::from_secs(2);

/// The router has died.
#[derive(Debug, thiserror::Error)]
#[error("the broker's router does not answer")]
pub(crate) struct RouterDead;

/// rumqttd never frees a link name, so names are ours and used again.
#[derive(Default)]
struct Names {
    free: BTreeSet<usize>,
    made: usize,
}

type SharedNames = Arc<Mutex<Names>>;

fn lock(names: &SharedNames) -> MutexGuard<'_, Names> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running router.
pub(crate) struct Router {
    openings: mpsc::Sender<oneshot::Sender<Link>>,
}

impl Router {
    /// Starts a router thread for up to `links` links.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(links: usize) -> std::io::Result<Self> {
        let config = RouterConfig {
            max_connections: links,
            max_outgoing_packet_count: 200,
            max_segment_size: SEGMENT_BYTES,
            max_segment_count: SEGMENTS,
            ..RouterConfig::default()
        };
        let sender = rumqttd::Router::new(0, config).spawn();
        let (openings, mut wanted) = mpsc::channel::<oneshot::Sender<Link>>(OPENINGS);
        let names = SharedNames::default();
        // A thread of its own: opening blocks, for ever if the router dies meanwhile, and
        // a runtime waits for its own blocking threads when it ends.
        let opener = std::thread::Builder::new().name("link-opener".to_owned());
        let opening = opener.spawn(move || {
            while let Some(opened) = wanted.blocking_recv() {
                let number = lock(&names).take();
                let name = format!("link-{number}");
                let Ok((tx, rx, _)) = LinkBuilder::new(&name, sender.clone()).build() else {
                    return;
                };
                let names = Arc::clone(&names);
                // Dropped here if nobody waits any more.
                let _ = opened.send(Link {
                    names,
                    number,
                    tx,
                    rx,
                });
            }
        });
        opening.map(|_| Self { openings })
    }

    /// Opens a link.
    pub(crate) async fn link(&self) -> Result<Link, RouterDead> {
        let open = async {
            let (opened, opening) = oneshot::channel();
            self.openings.send(opened).await.ok()?;
            opening.await.ok()
        };
        let link = tokio::time::timeout(LINK_PATIENCE, open).await;
        link.ok().flatten().ok_or(RouterDead)
    }
}

impl Names {
    fn take(&mut self) -> usize {
        self.free.pop_first().unwrap_or_else(|| {
            self.made += 1;
            self.made
        })
    }
}

/// One client of the router.
pub(crate) struct Link {
    names: SharedNames,
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
            lock(&self.names).free.insert(self.number);
        }
    }
}
