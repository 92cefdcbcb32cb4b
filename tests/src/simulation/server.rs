//! The server of the model: the real core and the real difference of reconcile on rows
//! that survive a crash, in the adapter's order: decide, commit, publish, acknowledge.
//! Everything else it knows is lost with a crash, which can come between any two of these.

use std::collections::VecDeque;
use std::sync::Arc;

use hoist_orchestrator::reconcile::{Cause, Difference, Subject};
use hoist_orchestrator_core::api::response::{Decision, Response};
use hoist_orchestrator_core::engine::decide::{decide, hint};
use hoist_orchestrator_core::engine::input::Input;
use hoist_orchestrator_core::engine::memory::MemoryRows;
use hoist_orchestrator_core::model::effect::{Effect, Effects};
use hoist_orchestrator_core::model::key::{DeploymentKey, Key, MetaKey, Prefix};
use hoist_orchestrator_core::model::now::Now;
use hoist_orchestrator_core::model::search::Seek;
use hoist_orchestrator_core::model::state::DeploymentState;
use hoist_orchestrator_core::model::timer::{Clock, Timer};
use hoist_orchestrator_core::model::txn::{Txn, Undecided, Write};
use hoist_orchestrator_core::reply::Answer;
use hoist_protocol::id::{DeploymentId, DeviceId, Generation, RequestId};

use super::broker::Broker;
use super::line::{Line, device_number};

mod arrival;
mod effects;
mod look;
mod publish;
mod retire;

use arrival::headless;

/// Timers handled at once, as the adapter does.
const DUE_MAX: usize = 16;

/// The fate of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// Everything is done.
    Whole,
    /// The acknowledgments get lost: everything is delivered again.
    Repeats,
    /// A crash before the commit.
    CrashBefore,
    /// A crash after the commit and so many effects.
    CrashAfter(u8),
}

/// Something that was decided: what the invariants have to look at.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The rows written.
    pub writes: Vec<Write>,
    /// When, on both clocks of the server.
    pub now: Now,
}

/// The server and its durable rows.
#[derive(Clone)]
pub struct Server {
    /// Survives crashes.
    pub rows: Arc<MemoryRows>,
    /// True if the server runs.
    pub up: bool,
    /// True if the server has its connection.
    pub connected: bool,
    /// The time by which its clock is ahead, ms.
    pub ahead_ms: u64,
    /// Requests it answered, where an operator can see it.
    pub answers: VecDeque<(RequestId, Answer)>,
    /// The batches that were committed since the invariants looked last.
    pub committed: Vec<Committed>,
    pub(super) difference: Difference,
    pub(super) attended_ms: u64,
    /// When the first timer of each clock is due, in its ms: it is asked for at every step.
    pub(super) first_due_ms: [Option<u64>; 2],
    /// Lines it wants to read again.
    pub reads: Vec<Line>,
    /// Lines it has yet to look for, and those it found.
    pub(super) seeks: VecDeque<Seek>,
    pub(super) found: VecDeque<Input>,
    /// The time that deployments are kept that are over, ms; none = for ever.
    pub keep_ms: Option<u64>,
    /// Removed deployments of which a page is yet to be looked for.
    pub(super) sweeps: VecDeque<DeploymentId>,
}

impl Server {
    /// A server on an empty store, not started.
    pub fn new() -> Self {
        Self {
            rows: Arc::default(),
            up: false,
            connected: false,
            ahead_ms: 0,
            answers: VecDeque::new(),
            committed: Vec::new(),
            difference: Difference::default(),
            attended_ms: 0,
            first_due_ms: [None; 2],
            reads: Vec::new(),
            seeks: VecDeque::new(),
            found: VecDeque::new(),
            keep_ms: None,
            sweeps: VecDeque::new(),
        }
    }

    /// Both clocks.
    pub fn now(&self, unix_ms: u64) -> Now {
        Now {
            unix_ms: unix_ms + self.ahead_ms,
            attended_ms: self.attended_ms,
            keep: self.keep(),
            ..Now::default()
        }
    }

    /// Starts the program; it is not connected yet.
    pub fn start(&mut self) {
        self.up = true;
        let meta = self.row(&MetaKey).unwrap_or_default();
        self.attended_ms = meta.attended_ms;
        self.difference.started(Generation(meta.generations_ms));
    }

    /// Connects and subscribes; a broker may leave some retained messages out.
    pub fn connect(
        &mut self,
        broker: &mut Broker,
        leaves_out: impl FnMut(Line) -> bool,
        unix_ms: u64,
    ) {
        let fresh = broker.server.is_none();
        self.connected = true;
        self.difference.connected();
        if fresh {
            self.decide_all(&[Input::BrokerForgot], unix_ms);
        }
        broker.subscribe_server(leaves_out);
        self.decide_all(&[Input::Connected], unix_ms);
        if fresh {
            let doubts: Vec<Input> = self.groups().map(Input::Doubt).collect();
            self.decide_all(&doubts, unix_ms);
        }
        let mut shared: Vec<Subject> = self.all(&Prefix::Groups).map(Subject::Group).collect();
        shared.extend(self.all(&Prefix::Outbox).map(Subject::Device));
        let active = self
            .deployments()
            .filter_map(|id| self.row(&DeploymentKey(id)));
        let active = active.filter(|row| row.state == DeploymentState::Active);
        shared.extend(active.map(|row| Subject::Release(row.release)));
        self.difference.subscribed(shared);
    }

    /// Decides inputs as one batch.
    pub(super) fn decide_all(&mut self, inputs: &[Input], unix_ms: u64) {
        let effects = self.commit(inputs, unix_ms);
        self.carry_out(effects.into_iter().flatten());
    }

    /// Loses its connection.
    pub fn disconnect(&mut self, unix_ms: u64) {
        self.connected = false;
        self.commit(&[Input::Disconnected], unix_ms);
    }

    /// Loses everything that is not durable.
    pub fn crash(&mut self) {
        self.up = false;
        self.connected = false;
        self.difference = Difference::default();
        self.answers.clear();
        self.reads.clear();
        self.seeks.clear();
        self.found.clear();
        self.sweeps.clear();
    }

    /// Lets attended time pass.
    pub fn advance(&mut self, ms: u64) {
        if self.connected {
            self.attended_ms += ms;
        }
    }

    /// Decides inputs as one batch and commits it.
    fn commit(&mut self, inputs: &[Input], unix_ms: u64) -> Vec<Effects> {
        let mut txn = Txn::default();
        let now = self.now(unix_ms);
        let one = |input: &Input| self.decide(&mut txn, input, now).effects;
        let effects: Vec<Effects> = inputs.iter().map(one).collect();
        self.store(&mut txn, now);
        effects
    }

    fn decide(&self, txn: &mut Txn, input: &Input, now: Now) -> Decision {
        self.rows.load(txn, missing(txn, hint(input)));
        self.resolve(txn, |txn| decide(txn, input, now))
    }

    /// Makes a batch durable, with the time attended so far as the adapter does (S7).
    fn store(&mut self, txn: &mut Txn, now: Now) {
        if txn.is_unchanged() {
            return;
        }
        // The meta row only; it has no effects.
        let _none = self.decide(txn, &Input::Attended, now);
        let writes = Arc::make_mut(&mut self.rows).commit(txn);
        if writes
            .iter()
            .any(|write| Timer::parse(&write.key).is_some())
        {
            self.look_for_timers();
        }
        self.committed.push(Committed { writes, now });
    }

    /// Looks when the first timers are due.
    pub(super) fn look_for_timers(&mut self) {
        let first = |clock| self.timers(clock).next().map(|timer| timer.due_ms);
        self.first_due_ms = [Clock::Unix, Clock::Attended].map(first);
    }

    fn resolve<T>(
        &self,
        txn: &mut Txn,
        mut read: impl FnMut(&mut Txn) -> Result<T, Undecided>,
    ) -> T {
        loop {
            match read(txn) {
                Ok(done) => return done,
                Err(Undecided::Missing(keys)) => self.rows.load(txn, keys),
                Err(corrupt) => panic!("{corrupt}: {corrupt:?}"),
            }
        }
    }

    /// Takes the oldest message of each of these lines as one batch.
    pub fn serve(
        &mut self,
        broker: &mut Broker,
        lines: &[Line],
        fate: Fate,
        unix_ms: u64,
    ) -> Vec<Input> {
        let now = self.now(unix_ms);
        let mut txn = Txn::default();
        let mut inputs = Vec::new();
        let mut effects = Vec::new();
        for line in lines {
            let inbox = broker.server.as_ref();
            let Some(letter) = inbox.and_then(|inbox| inbox.front(*line)).cloned() else {
                continue;
            };
            let input = self.resolve(&mut txn, |txn| self.arrival(txn, *line, &letter));
            self.note(*line, &letter.payload);
            if let Some(input) = input {
                effects.extend(steps(self.decide(&mut txn, &input, now)));
                effects.extend(headless(&input));
                inputs.push(input);
            }
        }
        for input in self.difference.take_out() {
            let more = self.resolve(&mut txn, |txn| decide(txn, &input, now));
            effects.extend(steps(more));
        }
        self.finish(broker, txn, effects, fate, now, |broker| {
            for line in lines {
                if let Some(inbox) = &mut broker.server {
                    inbox.pop(*line);
                }
            }
        });
        inputs
    }

    /// Commits and carries out, or crashes on the way.
    fn finish(
        &mut self,
        broker: &mut Broker,
        mut txn: Txn,
        steps: Vec<Step>,
        fate: Fate,
        now: Now,
        acknowledge: impl FnOnce(&mut Broker),
    ) {
        if fate == Fate::CrashBefore {
            return self.crash();
        }
        self.store(&mut txn, now);
        let done = match fate {
            Fate::CrashAfter(count) => usize::from(count),
            _ => steps.len(),
        };
        for step in steps.into_iter().take(done) {
            match step {
                Step::Effect(effect) => self.carry_out([effect]),
                Step::Response(response) => self.respond(response),
                Step::Born(device) => self.difference.born(device),
                Step::Asked(device) => self.difference.asked(device),
                Step::Forgot(device) => self.difference.forgot(device),
            }
        }
        match fate {
            Fate::CrashAfter(_) => self.crash(),
            Fate::Repeats => {}
            Fate::Whole | Fate::CrashBefore => acknowledge(broker),
        }
    }

    /// Decides an operator's command.
    pub fn obey(&mut self, broker: &mut Broker, input: &Input, fate: Fate, unix_ms: u64) {
        let now = self.now(unix_ms);
        let mut txn = Txn::default();
        let steps = steps(self.decide(&mut txn, input, now)).collect();
        self.finish(broker, txn, steps, fate, now, |_| {});
    }

    /// Looks for the oldest line that is sought: in the background, so that rows may change
    /// before it is drawn.
    pub fn search(&mut self) {
        if let Some(seek) = self.seeks.pop_front() {
            let found = self.rows.find_line(&seek);
            self.found.push_back(found.expect("readable rows"));
        } else {
            self.find_left();
        }
    }

    /// Draws the oldest line that was found.
    pub fn draw_line(&mut self, unix_ms: u64) {
        if let Some(found) = self.found.pop_front() {
            self.decide_all(&[found], unix_ms);
        }
    }

    /// Lets a timer's time have come.
    pub fn fire(&mut self, timers: &[Timer], unix_ms: u64) {
        let inputs: Vec<Input> = timers.iter().cloned().map(Input::TimerDue).collect();
        self.decide_all(&inputs, unix_ms);
    }

    /// Looks at what was sent long ago and never seen back.
    pub fn review(&mut self, unix_ms: u64) {
        self.difference.review(unix_ms + self.ahead_ms);
        self.retire(unix_ms);
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

/// A step that follows a commit.
enum Step {
    Effect(Effect),
    Response(Response),
    Born(DeviceId),
    Asked(DeviceId),
    Forgot(DeviceId),
}

/// The effects of a decision, then the response.
fn steps(decision: Decision) -> impl Iterator<Item = Step> {
    let effects = decision.effects.into_iter().map(Step::Effect);
    effects.chain(decision.response.map(Step::Response))
}

fn missing(txn: &Txn, keys: Vec<Key>) -> Vec<Key> {
    keys.into_iter().filter(|key| !txn.has(key)).collect()
}
