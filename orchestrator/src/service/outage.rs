//! The store cannot be written for a while. Then nothing is decided: reports wait, without
//! being acknowledged, what changes is refused at once, and what is asked is answered from
//! what is durable. As soon as the store can be written again, everything goes on in the
//! order in which it came.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hoist_orchestrator_core::api::command::{Command, VerbEffect};
use hoist_orchestrator_core::api::response::{Decision, Response};
use hoist_orchestrator_core::engine::BATCH_MAX;
use hoist_orchestrator_core::engine::arrival::{Arrival, Asked, Content};
use hoist_orchestrator_core::engine::decide::decide;
use hoist_orchestrator_core::engine::event::{Event, Output};
use hoist_orchestrator_core::engine::input::Input;
use hoist_orchestrator_core::model::error::Rejection;
use hoist_orchestrator_core::model::txn::Txn;
use hoist_protocol::id::{RequestId, UserId};

use super::replies::Answered;
use super::{Service, ServiceError};
use crate::health::Stops;
use crate::revocation;
use crate::rows::{self, ReadError};
use crate::store::StoreError;
use crate::transport::INCOMING_MAX;

/// The subject of the problem, for people.
const ABOUT: &str = "store";
/// Time between two looks whether the store can be written.
const PAUSE: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 1_000 });
/// Time between two lines in the log.
const LINE: Duration = Duration::from_secs(60);
/// Looks in a row at a disk that fails after which somebody has to act: the program says
/// why, and ends. Space, permission and the right to write are waited for.
const FAILING_MAX: u32 = 30;
/// Commands that are remembered as refused, should they be delivered again.
const REFUSED_MAX: usize = 4_096;

/// A time in which the store cannot be written.
pub(super) struct Outage {
    why: StoreError,
    since: Instant,
    looked: Instant,
    said: Instant,
    /// Looks in a row at a disk that fails.
    failing: u32,
    /// The arrivals to be decided then, in order.
    aside: VecDeque<Arrival>,
}

/// The answer to the question whether the change of a command may have become durable before the
/// store failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    No,
    Perhaps,
}

impl Outage {
    fn begin(why: StoreError) -> Self {
        let now = Instant::now();
        Self {
            failing: u32::from(why.is_failing()),
            why,
            since: now,
            looked: now,
            said: now,
            aside: VecDeque::new(),
        }
    }

    /// True if more can be set aside. A broker has fewer of ours unacknowledged.
    pub(super) fn has_room(&self) -> bool {
        self.aside.len() < INCOMING_MAX
    }
}

impl Service {
    /// The value that was read; or nothing, when the store cannot be read now: then an outage
    /// begins, and what was to be read is read after it.
    ///
    /// # Errors
    /// [`ServiceError`] for what waiting cannot mend.
    pub(super) fn passing<T>(
        &mut self,
        read: Result<T, ReadError>,
    ) -> Result<Option<T>, ServiceError> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(ReadError::Store(error)) if error.passes() => {
                self.refresh = true;
                self.stop_deciding(error);
                Ok(None)
            }
            Err(ReadError::Damaged(damage)) => {
                self.damaged(&damage);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The engine could not go on: what it was at may not have become durable.
    pub(super) async fn interrupted(&mut self, error: ReadError) -> Result<(), ServiceError> {
        let ReadError::Store(error) = error else {
            return Err(error.into());
        };
        if !error.passes() {
            return Err(ReadError::Store(error).into());
        }
        self.stop_deciding(error);
        self.refresh = true;
        let interrupted = self.engine.interrupted();
        self.put_aside(interrupted.begun, Kept::Perhaps).await?;
        self.put_aside(interrupted.waiting, Kept::No).await
    }

    /// What the engine was told meanwhile waits.
    pub(super) async fn set_aside(&mut self) -> Result<(), ServiceError> {
        let interrupted = self.engine.interrupted();
        self.put_aside(interrupted.begun, Kept::Perhaps).await?;
        self.put_aside(interrupted.waiting, Kept::No).await
    }

    /// The connection is gone: what it brought is delivered again on the next one.
    pub(super) fn forget_aside(&mut self) {
        if let Some(outage) = &mut self.outage {
            outage.aside.retain(|arrival| arrival.receipt.is_none());
        }
    }

    /// True if this is a command that was refused, which a broker delivers `again`: as often as
    /// connections end before it is acknowledged. Sent anew by its user, it is another try.
    pub(super) fn was_refused(&mut self, asked: &Asked, again: bool) -> bool {
        let key = (asked.user.clone(), asked.request.clone());
        let place = self.refused.iter().position(|refused| *refused == key);
        if let (Some(place), false) = (place, again) {
            self.refused.remove(place);
        }
        place.is_some() && again
    }

    /// Looks whether the store can be written again, and goes on if it can.
    pub(super) async fn try_again(&mut self) -> Result<(), ServiceError> {
        let Some(outage) = &mut self.outage else {
            return Ok(());
        };
        if outage.looked.elapsed() < PAUSE {
            return Ok(());
        }
        outage.looked = Instant::now();
        if outage.said.elapsed() >= LINE {
            outage.said = Instant::now();
            let (code, seconds) = (outage.why.code().as_str(), outage.since.elapsed().as_secs());
            let waiting = outage.aside.len();
            tracing::error!(code, error = %outage.why, seconds, waiting, "the store still cannot be written");
        }
        let first = outage.aside.len().min(BATCH_MAX - 1);
        let mut arrivals: Vec<Arrival> = outage.aside.drain(..first).collect();
        let rest = std::mem::take(&mut outage.aside);
        // There is always something to write: only a write shows that one is possible.
        arrivals.push(Arrival::of(Content::Input(Input::Uptime)));
        self.engine
            .handle(Event::Arrived(arrivals), self.clock.now());
        let advanced = self.advance().await;
        let Some(outage) = &mut self.outage else {
            return Ok(());
        };
        outage.aside = rest;
        match advanced {
            Ok(outputs) => {
                let rest = self.go_on();
                self.carry_out(outputs.unwrap_or_default()).await?;
                self.decide_rest(rest).await
            }
            Err(ReadError::Store(error)) if error.passes() => {
                let interrupted = self.engine.interrupted();
                let arrivals = interrupted.begun.into_iter().chain(interrupted.waiting);
                self.wait_on(
                    error,
                    arrivals.filter(|arrival| !repeats(arrival)).collect(),
                )
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads and publishes everything anew: what was stored when the store failed may be more
    /// than was followed by anything.
    pub(super) async fn read_all_anew(&mut self) -> Result<(), ServiceError> {
        if !self.refresh || self.outage.is_some() || self.subscribed.is_none() {
            return Ok(());
        }
        self.refresh = false;
        self.revoke_anew().await?;
        self.happened(Event::Refresh).await?;
        self.read_views_anew().await
    }

    /// A revocation that became durable when the store failed is known to nobody at the door yet.
    async fn revoke_anew(&mut self) -> Result<(), ServiceError> {
        let revoked = match revocation::all(&*self.store).await {
            // Nobody may come in by a token that is worth nothing.
            Err(damaged @ ReadError::Damaged(_)) => return Err(damaged.into()),
            read => self.passing(read)?,
        };
        for (device, until) in revoked.unwrap_or_default() {
            self.directory.revoke(&device, until);
        }
        let claims = revocation::claims(&*self.store).await;
        if let Some(claims) = self.passing(claims)? {
            self.directory.claims_are(claims);
        }
        Ok(())
    }

    /// Publishes every view anew, or as soon as the store can be read.
    pub(super) async fn read_views_anew(&mut self) -> Result<(), ServiceError> {
        if self.outage.is_some() {
            self.refresh = true;
            return Ok(());
        }
        let read = self.views.all_changed().await;
        self.passing(read).map(drop)
    }

    fn stop_deciding(&mut self, why: StoreError) {
        let (code, text) = (why.code(), why.to_string());
        self.health.begin(ABOUT, code, &text, Stops::Server);
        if self.outage.is_some() {
            return;
        }
        tracing::error!(
            code = code.as_str(),
            error = %why,
            "the store cannot be written: changes are refused and reports wait until it can"
        );
        // Nobody listens to devices meanwhile: it is no time in which they were silent (S7).
        self.clock.stop();
        self.outage = Some(Outage::begin(why));
    }

    /// The outage is over; what is still to be decided.
    fn go_on(&mut self) -> VecDeque<Arrival> {
        let Some(outage) = self.outage.take() else {
            return VecDeque::new();
        };
        let (seconds, waited) = (outage.since.elapsed().as_secs(), outage.aside.len());
        tracing::info!(seconds, waited, "the store can be written again");
        self.health.end(ABOUT);
        self.refresh = true;
        outage.aside
    }

    async fn decide_rest(&mut self, rest: VecDeque<Arrival>) -> Result<(), ServiceError> {
        self.decide(rest.into()).await?;
        if self.subscribed.is_some() && self.outage.is_none() {
            self.clock.start();
            self.decide_one(Input::Connected).await?;
        }
        Ok(())
    }

    fn wait_on(&mut self, why: StoreError, arrivals: Vec<Arrival>) -> Result<(), ServiceError> {
        let Some(outage) = &mut self.outage else {
            return Ok(());
        };
        for arrival in arrivals.into_iter().rev() {
            outage.aside.push_front(arrival);
        }
        outage.failing = if why.is_failing() {
            outage.failing + 1
        } else {
            0
        };
        if outage.failing >= FAILING_MAX {
            return Err(ReadError::Store(why).into());
        }
        self.health
            .begin(ABOUT, why.code(), &why.to_string(), Stops::Server);
        outage.why = why;
        Ok(())
    }

    async fn put_aside(&mut self, arrivals: Vec<Arrival>, kept: Kept) -> Result<(), ServiceError> {
        for mut arrival in arrivals {
            if let Content::Command(_) = &arrival.content {
                self.answer_without_deciding(&mut arrival, kept).await?;
                if self.config.mqtt.commands_apart {
                    // It waits for nothing: whoever sent it has a place for the next one.
                    let mut outputs = Vec::new();
                    let (clear, receipt) = (arrival.clear.take(), arrival.receipt.take());
                    self.engine.finish(clear, receipt, &mut outputs);
                    self.carry_out(outputs).await?;
                    continue;
                }
            }
            let nothing = matches!(arrival.content, Content::Nothing);
            // Acknowledgments go out in the order of the deliveries: they wait too.
            let last = arrival.receipt.is_none() && arrival.clear.is_none();
            if let Some(outage) = &mut self.outage
                && !repeats(&arrival)
                && !(nothing && last)
            {
                outage.aside.push_back(arrival);
            }
        }
        Ok(())
    }

    /// Answers a command that changes nothing, and refuses one that does; nothing of it is
    /// left to decide.
    async fn answer_without_deciding(
        &mut self,
        arrival: &mut Arrival,
        kept: Kept,
    ) -> Result<(), ServiceError> {
        let now = self.clock.now();
        let mut txn = Txn::default();
        let seals = self.engine.seals();
        let one = |txn: &mut Txn| match arrival.input(txn, seals)? {
            Some(input) => decide(txn, &input, now),
            None => Ok(Decision::default()),
        };
        let decided = rows::resolve(&*self.store, &mut txn, one).await;
        let Content::Command(asked) = std::mem::replace(&mut arrival.content, Content::Nothing)
        else {
            return Ok(());
        };
        match decided {
            Ok(decision) if txn.writes().is_empty() && !manages_users(&decision) => {
                let mut outputs = Vec::new();
                for effect in decision.effects {
                    self.engine.follow_effect(effect, &mut outputs);
                }
                let response = decision.response.map(Box::new);
                let waiter = arrival.answer_to.take();
                outputs.extend(response.map(|response| Output::Respond(response, waiter)));
                self.carry_out(outputs).await?;
            }
            Ok(_) | Err(ReadError::Store(_) | ReadError::Damaged(_)) => {
                self.refuse(*asked, kept, arrival).await;
            }
        }
        Ok(())
    }

    async fn refuse(&mut self, asked: Asked, kept: Kept, arrival: &mut Arrival) {
        let Some(outage) = &self.outage else { return };
        let rejection = Rejection::new(outage.why.code(), outage.why.to_string());
        let rejection = rejection.hint(match kept {
            Kept::No => "nothing was changed; send it again when the server is ready",
            Kept::Perhaps => {
                "whether it was changed shows when the server is ready: look then, before you \
                 send it again"
            }
        });
        if arrival.receipt.is_some() {
            self.remember_refused(asked.user.clone(), asked.request.clone());
        }
        let outcome = Err(rejection);
        let answer_to = arrival.answer_to.take();
        let answer_to = answer_to.and_then(|waiter| self.waiters.take(waiter));
        let answered = Answered::new(asked.user, asked.request, outcome, answer_to);
        self.reply(answered).await;
    }

    fn remember_refused(&mut self, user: UserId, request: RequestId) {
        if self.refused.len() == REFUSED_MAX {
            self.refused.pop_front();
        }
        self.refused.push_back((user, request));
    }
}

/// True for what comes again by itself: timers are due again, what is old is looked for again,
/// connected uptime stands still meanwhile, and that everything can be heard is decided in the end.
fn repeats(arrival: &Arrival) -> bool {
    matches!(
        arrival.content,
        Content::Input(
            Input::TimerDue(_) | Input::Uptime | Input::Old(_) | Input::Left(_) | Input::Connected
        )
    )
}

/// True if users are to be changed, which are kept beside the store, on the same disk.
fn manages_users(decision: &Decision) -> bool {
    let changes =
        |command: &Command| command.verb().effect() == VerbEffect::Changes && !command.is_dry();
    matches!(&decision.response, Some(Response::ManageUser { command, .. }) if changes(command))
}
