//! A socket on which something must happen, unless it is the server that is waited for.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// The work on the requests of a connection. The client can do nothing then: how long that takes is
/// bounded by whoever works, where it has to be. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Work {
    /// The number of times that it began and ended: odd while it goes on.
    changes: Arc<AtomicU64>,
    /// The number of times that bytes were read or written.
    moves: Arc<AtomicU64>,
}

/// Work that goes on; it ends by being dropped.
pub(super) struct Working(Work);

impl Work {
    /// It begins. A connection answers one request after the other.
    pub(super) fn begin(&self) -> Working {
        self.changes.fetch_add(1, Ordering::Relaxed);
        Working(self.clone())
    }

    /// A number that rises with everything that is read or written.
    pub(super) fn moved(&self) -> u64 {
        self.moves.load(Ordering::Relaxed)
    }

    /// True while no request is worked on.
    pub(super) fn is_idle(&self) -> bool {
        self.changes().is_multiple_of(2)
    }

    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.changes.fetch_add(1, Ordering::Relaxed);
    }
}

/// Fails when for so long no byte was read or written, and nothing was worked on.
pub(super) struct Timed<S> {
    stream: S,
    silence: Duration,
    deadline: Pin<Box<Sleep>>,
    work: Work,
    /// Its changes when the deadline was set.
    seen: u64,
}

impl<S> Timed<S> {
    pub(super) fn new(stream: S, silence: Duration, work: Work) -> Self {
        Self {
            stream,
            silence,
            deadline: Box::pin(tokio::time::sleep(silence)),
            seen: work.changes(),
            work,
        }
    }

    fn begin_anew(&mut self) {
        self.seen = self.work.changes();
        self.deadline.as_mut().reset(Instant::now() + self.silence);
    }

    /// The result of a poll, or the end of the patience.
    fn watched<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.work.moves.fetch_add(1, Ordering::Relaxed);
            self.begin_anew();
            return polled;
        }
        loop {
            ready!(self.deadline.as_mut().poll(context));
            let changes = self.work.changes();
            if self.work.is_idle() && changes == self.seen {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.begin_anew();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.watched(context, polled)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watched(context, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn silence_ends_a_connection_but_not_while_its_request_is_worked_on() {
        let silence = Duration::from_millis(20);
        let (stream, _silent) = tokio::io::duplex(1);
        let work = Work::default();
        let mut timed = Timed::new(stream, silence, work.clone());
        let working = work.begin();
        // However long it takes.
        let heard = timeout(5 * silence, timed.read_u8()).await;
        assert!(heard.is_err(), "{heard:?}");
        drop(working);
        let heard = timeout(Duration::from_secs(20), timed.read_u8()).await;
        assert_eq!(heard.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
