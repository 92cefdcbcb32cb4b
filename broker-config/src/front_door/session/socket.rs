//! The socket that a session speaks by.

use std::time::Duration;

use rumqttc::mqttbytes::v4::Packet;
use tokio::time::Instant;

use super::super::code::Code;
use super::super::inbox::Attach;

/// A socket of a session, and when its client was silent for too long.
pub(super) struct Socket {
    pub(super) attach: Attach,
    pub(super) deadline: Instant,
    /// Its end, whatever its client says; none of a session that lasts.
    until: Option<Instant>,
}

impl Socket {
    /// One that begins now, and ends after so long if it does not last.
    pub(super) fn new(attach: Attach, lasts: Option<Duration>) -> Self {
        let now = Instant::now();
        Self {
            deadline: now + attach.keep_alive,
            until: lasts.map(|lasts| now + lasts),
            attach,
        }
    }

    /// When its client was silent for too long. What is not read of it is no silence.
    fn deadline(&self) -> Instant {
        let held_until = self.attach.connection.held_until();
        let read_again = held_until.map(|until| until + self.attach.keep_alive);
        read_again.map_or(self.deadline, |at| at.max(self.deadline))
    }
}

/// The next packet of the socket, or `None` after bytes went out. Waits for ever without
/// a socket; cancel-safe.
pub(super) async fn next_packet(socket: &mut Option<Socket>) -> Result<Option<Packet>, Code> {
    let Some(socket) = socket else {
        return std::future::pending().await;
    };
    loop {
        if socket.until.is_some_and(|until| until <= Instant::now()) {
            return Err(Code::Overdue);
        }
        let by = socket.deadline.min(socket.until.unwrap_or(socket.deadline));
        let next = socket.attach.connection.next();
        match tokio::time::timeout_at(by, next).await {
            Ok(next) => return next,
            Err(_) if by < socket.deadline => return Err(Code::Overdue),
            // What its client owes may have grown meanwhile.
            Err(_) if socket.deadline() > Instant::now() => socket.deadline = socket.deadline(),
            Err(_) => return Err(Code::KeepAlive),
        }
    }
}
