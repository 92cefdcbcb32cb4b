//! Where the loop's work comes from, and whose turn it is.

use hoist_orchestrator_core::engine::BATCH_MAX;
use tokio::task::{JoinError, JoinSet};

use super::ServiceError;
use super::background::Background;
use super::door::{Knock, Knocks, Note};
use crate::transport::{Incoming, IncomingReceiver};

/// Commands by HTTP decided together: few, because they may change much.
const KNOCKS_MAX: usize = 16;

/// The next work of the loop.
pub(super) enum Work {
    News(Vec<Incoming>),
    Knocks(Vec<Knock>),
    Note(Note),
    Ended(Result<Background, JoinError>),
    Tick,
}

/// Where work comes from.
pub(super) struct Sources {
    door: Knocks,
    incoming: IncomingReceiver,
    changes: Vec<Knock>,
    reads: Vec<Knock>,
    news: Vec<Incoming>,
}

impl Sources {
    pub(super) fn new(door: Knocks, incoming: IncomingReceiver) -> Self {
        Self {
            door,
            incoming,
            changes: Vec::new(),
            reads: Vec::new(),
            news: Vec::with_capacity(BATCH_MAX),
        }
    }

    /// The next work. Of several sources with work each gets its turn by chance, so that none
    /// waits for ever behind another, however busy that is. Nothing comes from the broker for which
    /// there is no `room`: in an outage no more than can be set aside. Cancel-safe.
    pub(super) async fn next(
        &mut self,
        tasks: &mut JoinSet<Background>,
        room: bool,
    ) -> Result<Work, ServiceError> {
        // A door that is closed has nothing more to say. When nobody has, whoever waits beside this
        // goes on: a tick, or the end.
        tokio::select! {
            Some(ended) = tasks.join_next() => Ok(Work::Ended(ended)),
            1.. = self.door.changes.recv_many(&mut self.changes, KNOCKS_MAX) => {
                Ok(Work::Knocks(std::mem::take(&mut self.changes)))
            }
            1.. = self.door.reads.recv_many(&mut self.reads, KNOCKS_MAX) => {
                Ok(Work::Knocks(std::mem::take(&mut self.reads)))
            }
            Some(note) = self.door.notes.recv() => Ok(Work::Note(note)),
            count = self.incoming.recv_many(&mut self.news, BATCH_MAX), if room => match count {
                0 => Err(ServiceError::Connection),
                _ => Ok(Work::News(std::mem::take(&mut self.news))),
            },
            else => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc;

    use super::*;
    use crate::service::door::door;

    #[tokio::test]
    async fn when_every_source_is_closed_or_full_nothing_comes_and_nothing_breaks() {
        let (door, knocks) = door();
        let (_news, incoming) = mpsc::channel(1);
        let mut sources = Sources::new(knocks, incoming);
        drop(door);
        let mut tasks = JoinSet::new();
        let next = sources.next(&mut tasks, false);
        let waited = tokio::time::timeout(Duration::from_millis(1), next).await;
        assert!(waited.is_err(), "there is nothing to do");
    }
}
