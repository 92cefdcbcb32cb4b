//! What the engine wants of the store: rows are read, and made durable, until there is something
//! to be done or nothing left. This is the whole order: read, decide, commit, and only then
//! outputs.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use hoist_orchestrator_core::engine::arrival::{Arrival, Content};
use hoist_orchestrator_core::engine::event::{Event, Output, Turn};
use hoist_orchestrator_core::engine::input::Input;
use hoist_orchestrator_core::model::txn::Write;

use super::outside::changes_rights;
use super::{Service, ServiceError};
use crate::rows::{self, ReadError};
use crate::store::CommitError;

/// Conflicts in a row after which something is wrong: another writer never lasts so long.
const CONFLICTS_MAX: u32 = 16;
/// Pause before a batch is tried again that was refused too often.
const CONFLICT_PAUSE: Duration = Duration::from_secs(1);

impl Service {
    /// Decides one input, with all that follows.
    pub(super) async fn decide_one(&mut self, input: Input) -> Result<(), ServiceError> {
        self.decide(vec![Arrival::of(Content::Input(input))]).await
    }

    /// Decides, commits, publishes, acknowledges: always in this order. Whoever sent a command is
    /// looked up right before that, and after every command that changes rights was carried out.
    pub(super) async fn decide(&mut self, arrivals: Vec<Arrival>) -> Result<(), ServiceError> {
        let mut together = Vec::with_capacity(arrivals.len());
        for mut arrival in arrivals {
            let mut last = false;
            if let Content::Enroll(enrolling) = &mut arrival.content {
                self.look_at_request(enrolling);
            }
            if let Content::Command(asked) = &mut arrival.content {
                self.look_up(asked).await;
                last = changes_rights(asked);
            }
            together.push(arrival);
            if last {
                let together = std::mem::take(&mut together);
                self.happened(Event::Arrived(together)).await?;
            }
        }
        if together.is_empty() {
            return Ok(());
        }
        self.happened(Event::Arrived(together)).await
    }

    /// Something happened: what follows from it is done, or set aside.
    pub(super) async fn happened(&mut self, event: Event) -> Result<(), ServiceError> {
        self.engine.handle(event, self.clock.now());
        self.drive().await
    }

    /// Lets the engine go on until there is nothing to do. While the store cannot be written,
    /// what is to be decided is set aside.
    pub(super) async fn drive(&mut self) -> Result<(), ServiceError> {
        loop {
            if self.outage.is_some() {
                self.send_unsent().await;
                return self.set_aside().await;
            }
            match self.advance().await {
                Ok(Some(outputs)) => self.carry_out(outputs).await?,
                Ok(None) if self.unsent.is_empty() => return Ok(()),
                // Something may have to be looked at again.
                Ok(None) => self.send_unsent().await,
                Err(error) => self.interrupted(error).await?,
            }
        }
    }

    /// The outputs of the next turn; none when there is nothing to do.
    ///
    /// # Errors
    /// [`ReadError`] when a row is corrupt or the store is damaged: going on would lose something;
    /// and when it failed twice in a row, with nothing or, as far as nobody can tell, all of it
    /// written.
    pub(super) async fn advance(&mut self) -> Result<Option<Vec<Output>>, ReadError> {
        let (mut conflicts, mut again) = (0, false);
        loop {
            match self.turn(&mut conflicts).await {
                // A failure may have been the only one: what is on the disk is read anew.
                Err(ReadError::Store(error)) if error.passes() && !again => {
                    again = true;
                    // What became durable in spite of it was followed by nothing.
                    self.refresh = true;
                    let interrupted = self.engine.interrupted();
                    let arrivals = interrupted.begun.into_iter().chain(interrupted.waiting);
                    let arrived = Event::Arrived(arrivals.collect());
                    self.engine.handle(arrived, self.clock.now());
                }
                Ok(ControlFlow::Break(outputs)) => return Ok(outputs),
                Ok(ControlFlow::Continue(())) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// One turn of the engine: what it wants of the store, or the end of it.
    async fn turn(
        &mut self,
        conflicts: &mut u32,
    ) -> Result<ControlFlow<Option<Vec<Output>>>, ReadError> {
        let now = self.clock.now();
        let event = match self.engine.turn(now)? {
            Turn::Outputs(outputs) => return Ok(ControlFlow::Break(Some(outputs))),
            Turn::Idle => return Ok(ControlFlow::Break(None)),
            Turn::Load(keys) => Event::Loaded(rows::read(&*self.store, &keys).await?),
            Turn::Scan(scan) => Event::Scanned(rows::scan(&*self.store, &scan).await?),
            Turn::Commit(writes) => match self.commit(writes).await {
                Ok(()) => Event::Durable,
                Err(CommitError::Conflict) => {
                    refused_again(conflicts).await;
                    Event::Conflict
                }
                Err(CommitError::Store(error)) => return Err(error.into()),
            },
        };
        self.engine.handle(event, now);
        Ok(ControlFlow::Continue(()))
    }

    /// Makes a batch durable, and measures how long that takes.
    async fn commit(&self, writes: Vec<Write>) -> Result<(), CommitError> {
        let began = Instant::now();
        let committed = self.store.commit(rows::batch(writes)).await;
        self.config.metrics.commit(began.elapsed());
        committed
    }
}

/// Somebody else wrote in between; whoever does so every time is a mistake.
async fn refused_again(conflicts: &mut u32) {
    *conflicts += 1;
    if *conflicts <= CONFLICTS_MAX {
        tracing::debug!(conflicts, "conflict, deciding again");
    } else {
        tracing::error!(conflicts, "the store refuses the batch every time");
        tokio::time::sleep(CONFLICT_PAUSE).await;
    }
}
