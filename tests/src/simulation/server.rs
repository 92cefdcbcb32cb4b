//! The server of the model: the engine that `hoist serve` runs, on rows that survive a crash. It
//! says what to read, what to make durable and what to do then; a crash can come between any two
//! of these, and loses whatever is not durable.

use std::collections::VecDeque;
use std::sync::Arc;

use hoist_orchestrator_core::engine::Engine;
use hoist_orchestrator_core::engine::arrival::{Arrival, Content};
use hoist_orchestrator_core::engine::event::{Event, Output, Session, Turn};
use hoist_orchestrator_core::engine::input::Input;
use hoist_orchestrator_core::engine::memory::MemoryRows;
use hoist_orchestrator_core::engine::publish::Settings;
use hoist_orchestrator_core::model::instance::InstanceId;
use hoist_orchestrator_core::model::key::InstanceKey;
use hoist_orchestrator_core::model::now::{Mode, Now};
use hoist_orchestrator_core::model::row::InstanceRow;
use hoist_orchestrator_core::model::search::Seek;
use hoist_orchestrator_core::model::timer::{Clock, Timer};
use hoist_orchestrator_core::model::txn::Write;
use hoist_orchestrator_core::reply::Answer;
use hoist_protocol::id::{DeploymentId, Generation, RequestId};
use hoist_protocol::limit::SPEC_VALID_S;

use super::broker::Broker;
use super::catalog::Catalog;
use super::line::Line;

mod look;
mod outputs;
mod plain;
mod retire;

use outputs::delivery;
use plain::Plain;

/// Timers handled at once.
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
    /// A crash after the commit and so much of what follows.
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
    /// The lines it published since then.
    pub published: Vec<Line>,
    pub(super) engine: Engine<Plain>,
    pub(super) uptime_ms: u64,
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

/// The surroundings of a server.
pub struct Around<'a> {
    /// What it is connected to.
    pub broker: &'a mut Broker,
    /// Every release there is.
    pub catalog: &'a Catalog,
    /// True time.
    pub unix_ms: u64,
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
            published: Vec::new(),
            engine: engine(&InstanceRow::default()),
            uptime_ms: 0,
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
            uptime_ms: self.uptime_ms,
            keep: self.keep(),
            ..Now::default()
        }
    }

    /// Starts the program; it is not connected yet.
    pub fn start(&mut self) {
        self.up = true;
        let instance = self.row(&InstanceKey::MAIN).unwrap_or_default();
        self.uptime_ms = instance.uptime_ms;
        self.engine = engine(&instance);
    }

    /// Connects and subscribes; a broker may leave some retained messages out.
    pub fn connect(&mut self, around: &mut Around<'_>, leaves_out: impl FnMut(Line) -> bool) {
        let session = match around.broker.server {
            Some(_) => Session::Resumed,
            None => Session::Fresh,
        };
        self.connected = true;
        self.happens(Event::Connected(session), around);
        around.broker.subscribe_server(leaves_out);
        self.happens(Event::Subscribed, around);
    }

    /// Loses its connection.
    pub fn disconnect(&mut self, around: &mut Around<'_>) {
        self.connected = false;
        self.happens(Event::Disconnected, around);
    }

    /// Loses everything that is not durable.
    pub fn crash(&mut self) {
        self.up = false;
        self.connected = false;
        self.engine = engine(&InstanceRow::default());
        self.answers.clear();
        self.reads.clear();
        self.seeks.clear();
        self.found.clear();
        self.sweeps.clear();
    }

    /// Lets connected uptime pass.
    pub fn advance(&mut self, ms: u64) {
        if self.connected {
            self.uptime_ms += ms;
        }
    }

    /// Something happens, and everything is decided that follows from it.
    fn happens(&mut self, event: Event, around: &mut Around<'_>) {
        let now = self.now(around.unix_ms);
        self.engine.handle(event, now);
        while self.engine.has_decisions(now) {
            self.take_turn(around);
        }
    }

    /// Decides inputs.
    pub(super) fn decide_all(
        &mut self,
        inputs: impl IntoIterator<Item = Input>,
        around: &mut Around<'_>,
    ) {
        let arrivals = inputs.into_iter().map(Content::Input).map(Arrival::of);
        self.happens(Event::Arrived(arrivals.collect()), around);
    }

    /// Does what is to be done next, if anything.
    fn take_turn(&mut self, around: &mut Around<'_>) {
        let now = self.now(around.unix_ms);
        for output in self.advance_engine(now, |_| true).unwrap_or_default() {
            self.carry_out(output, around.broker, around.catalog, &[]);
        }
    }

    /// Lets the engine go on until there is something to be done, as the adapter does; none when
    /// there is nothing, or when the program did not survive until a commit.
    fn advance_engine(
        &mut self,
        now: Now,
        survives: impl Fn(&[Write]) -> bool,
    ) -> Option<Vec<Output>> {
        loop {
            let event = match self.engine.turn(now).expect("readable rows") {
                Turn::Load(keys) => Event::Loaded(self.rows.stored(&keys)),
                Turn::Scan(scan) => Event::Scanned(self.rows.page(&scan)),
                Turn::Commit(writes) if !survives(&writes) => return None,
                Turn::Commit(writes) => {
                    self.store(writes, now);
                    Event::Durable
                }
                Turn::Outputs(outputs) => return Some(outputs),
                Turn::Idle => return None,
            };
            self.engine.handle(event, now);
        }
    }

    /// Makes a batch durable.
    fn store(&mut self, writes: Vec<Write>, now: Now) {
        Arc::make_mut(&mut self.rows).commit(&writes);
        let timer = |write: &Write| Timer::parse(&write.key).is_some();
        if writes.iter().any(timer) {
            self.look_for_timers();
        }
        self.committed.push(Committed { writes, now });
    }

    /// Looks when the first timers are due.
    pub(super) fn look_for_timers(&mut self) {
        let first = |clock| self.timers(clock).next().map(|timer| timer.due_ms);
        self.first_due_ms = [Clock::Unix, Clock::Uptime].map(first);
    }

    /// Takes the oldest message of each of these lines as one batch. Says what they were, if
    /// anybody wants to know.
    pub fn serve(
        &mut self,
        around: &mut Around<'_>,
        lines: &[Line],
        fate: Fate,
        told: bool,
    ) -> Vec<String> {
        let mut arrivals = Vec::with_capacity(lines.len());
        for (place, line) in lines.iter().enumerate() {
            let inbox = around.broker.server.as_ref();
            if let Some(letter) = inbox.and_then(|inbox| inbox.front(*line)) {
                let delivery = delivery(*line, letter, place, around.catalog);
                arrivals.extend(self.engine.receive(delivery));
            }
        }
        let text = |arrival: &Arrival| format!("{:?}", arrival.content);
        let told = match told {
            true => arrivals.iter().map(text).collect(),
            false => Vec::new(),
        };
        self.decide(around, arrivals, lines, fate);
        told
    }

    /// Decides an operator's command.
    pub fn obey(&mut self, around: &mut Around<'_>, input: Input, fate: Fate) {
        let arrivals = vec![Arrival::of(Content::Input(input))];
        self.decide(around, arrivals, &[], fate);
    }

    /// Decides one batch, and does what follows from it, or crashes on the way.
    fn decide(
        &mut self,
        around: &mut Around<'_>,
        arrivals: Vec<Arrival>,
        served: &[Line],
        fate: Fate,
    ) {
        let now = self.now(around.unix_ms);
        self.engine.handle(Event::Arrived(arrivals), now);
        let survives = fate != Fate::CrashBefore;
        let outputs = self.advance_engine(now, |_| survives);
        let outputs = outputs.filter(|_| survives).unwrap_or_default();
        let done = match fate {
            Fate::CrashAfter(count) => usize::from(count),
            _ => outputs.len(),
        };
        for output in outputs.into_iter().take(done) {
            // Acknowledgments that get lost were never sent, as far as a broker knows.
            if fate == Fate::Repeats && matches!(output, Output::Acknowledge(_)) {
                continue;
            }
            self.carry_out(output, around.broker, around.catalog, served);
        }
        if let Fate::CrashBefore | Fate::CrashAfter(_) = fate {
            self.crash();
        }
    }

    /// Looks at one subject and publishes what differs.
    pub fn reconcile(&mut self, around: &mut Around<'_>) {
        let now = self.now(around.unix_ms);
        while self.engine.has_decisions(now) {
            self.take_turn(around);
        }
        self.take_turn(around);
        while self.engine.has_decisions(now) {
            self.take_turn(around);
        }
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
    pub fn draw_line(&mut self, around: &mut Around<'_>) {
        if let Some(found) = self.found.pop_front() {
            self.decide_all([found], around);
        }
    }

    /// Lets a timer's time have come.
    pub fn fire(&mut self, timers: &[Timer], around: &mut Around<'_>) {
        self.decide_all(timers.iter().cloned().map(Input::TimerDue), around);
    }

    /// Looks at what was sent long ago and never seen back.
    pub fn review(&mut self, around: &mut Around<'_>) {
        let now = self.now(around.unix_ms);
        self.engine.handle(Event::Review, now);
        self.retire(around);
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

/// An engine that goes on from what earlier runs left.
fn engine(instance: &InstanceRow) -> Engine<Plain> {
    let settings = Settings {
        instance: InstanceId::MAIN,
        mode: Mode::Serving,
        source: None,
        validity_s: SPEC_VALID_S,
        roots: Vec::new(),
    };
    Engine::new(
        Plain,
        settings,
        instance,
        Generation(instance.generations_ms),
    )
}
