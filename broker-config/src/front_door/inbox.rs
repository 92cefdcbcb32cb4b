//! The way to a session: what it is told, by whom it is reached, and how it is ended.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hoist_net::stream::Stream;
use tokio::sync::mpsc;

use super::code::Code;
use super::connection::Connection;
use super::message::Message;
use super::places::Place;
use crate::credentials::Pass;

/// A message to a session.
pub(crate) enum ToSession {
    /// A message that does not come by the router.
    Deliver(Message),
    /// A new socket of the same client.
    Attach(Box<Attach>),
    /// End; the sender of the notice sees the inbox close.
    End(Code),
}

/// A socket whose CONNECT was accepted.
pub(crate) struct Attach {
    pub(crate) connection: Connection<Box<dyn Stream>>,
    pub(crate) will: Option<Message>,
    pub(crate) keep_alive: Duration,
    /// Its place, until it closes.
    pub(crate) _place: Place,
}

/// A session's number, which is never used again, and the way to it.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) instance: u64,
    pub(crate) inbox: mpsc::Sender<ToSession>,
    /// The pass that the client came in with.
    pub(crate) pass: Arc<Pass>,
    /// The address at the other end of its socket.
    pub(crate) from: Option<IpAddr>,
}

/// Tells a session to end as soon as its inbox has room.
pub(crate) fn end_soon(inbox: mpsc::Sender<ToSession>, why: Code) {
    tokio::spawn(async move { inbox.send(ToSession::End(why)).await.is_ok() });
}

/// Ends a session and waits until it is gone.
pub(crate) async fn end(inbox: mpsc::Sender<ToSession>, why: Code) {
    if inbox.send(ToSession::End(why)).await.is_ok() {
        inbox.closed().await;
    }
}
