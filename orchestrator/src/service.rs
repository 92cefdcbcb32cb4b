//! The loop around the engine: takes what comes from the broker, by HTTP and from work beside it,
//! hands it over, and does what the engine wants.

mod asking;
mod background;
mod delivery;
mod done;
mod door;
mod drive;
mod effects;
mod enrollment;
mod new_keys;
mod outage;
mod outside;
mod queries;
mod readiness;
mod recovering;
mod refused;
mod replies;
mod sources;
mod subscriptions;
#[cfg(test)]
mod tests;
mod users;
mod waiters;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hoist_orchestrator_core::engine::Engine;
use hoist_orchestrator_core::engine::event::Event;
use hoist_orchestrator_core::engine::input::Input;
use hoist_orchestrator_core::engine::publish::{Ahead, Settings};
use hoist_orchestrator_core::model::instance::InstanceId;
use hoist_orchestrator_core::model::now::Mode;
use hoist_protocol::id::{RequestId, UserId};
use hoist_protocol::topic::{Topic, Topics};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::config::{Directory, OrchestratorConfig};
use crate::health::Health;
use crate::mqtt;
use crate::refusals::Refusals;
use crate::rows::{self, ReadError};
use crate::signer::Signer;
use crate::specs::ahead_of_specs;
use crate::store::Store;
use crate::timer::UptimeClock;
use crate::transport::{Connection, Incoming, IncomingReceiver};
use crate::view::Views;

use background::Works;
pub use door::Door;
use door::Knocks;
use outage::Outage;
use replies::Held;
use sources::{Sources, Work};
use subscriptions::filters;
use waiters::Waiters;

/// How often timers and views are looked at by themselves.
const TICK: Duration = Duration::from_millis(100);
/// Ticks between two looks at timers and overdue specs.
const TICKS_OF_TIMERS: u32 = 5;
/// Ticks after which connected uptime is persisted by itself: 10 s.
const TICKS_OF_UPTIME: u32 = 100;
/// Longest wait for the batch at hand when the service is to end.
const STOP_MAX: Duration = Duration::from_secs(3);

/// Why the orchestrator ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The rows cannot be read.
    #[error("the orchestrator cannot go on")]
    Rows(#[from] ReadError),
    /// The store is an older copy of what it was, or another server signs with its keys
    /// (`E_RECOVER`): numbers would be given twice.
    #[error("the store is older than what was signed with its keys: {0}")]
    Older(Ahead),
    /// The files kept beside the store cannot be read.
    #[error("what was signed cannot be read")]
    Specs(#[source] std::io::Error),
    /// The connection's task is gone.
    #[error("the connection to the broker ended for good")]
    Connection,
}

/// An orchestrator, ready to run.
pub struct Orchestrator {
    config: OrchestratorConfig,
    store: Arc<dyn Store>,
    directory: Arc<dyn Directory>,
    door: Knocks,
}

impl Orchestrator {
    /// An orchestrator and its door for commands by HTTP.
    #[must_use]
    pub fn new(
        config: OrchestratorConfig,
        store: Arc<dyn Store>,
        directory: Arc<dyn Directory>,
    ) -> (Self, Door) {
        let (door, knocks) = door::door();
        let orchestrator = Self {
            config,
            store,
            directory,
            door: knocks,
        };
        (orchestrator, door)
    }

    /// Runs until `shutdown`, then ends within five seconds. `ready` says whether all
    /// subscriptions are granted and every group's spec was seen at the broker.
    ///
    /// # Errors
    /// [`ServiceError`] when going on could lose something.
    pub async fn run(
        self,
        ready: watch::Sender<bool>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), ServiceError> {
        let topics = Topics::new(self.config.namespace.clone());
        let filters = filters(&topics);
        let told = (self.config.health.clone(), self.config.metrics.clone());
        let incoming = mqtt::connect(self.config.mqtt.clone(), (topics, filters), told);
        self.run_on(incoming, ready, shutdown).await
    }

    /// The same over any transport.
    pub(crate) async fn run_on(
        self,
        incoming: IncomingReceiver,
        ready: watch::Sender<bool>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), ServiceError> {
        let mut sources = Sources::new(self.door, incoming);
        let mut service =
            Service::open(self.config, self.store, self.directory, ready.clone()).await?;
        service.check_artifacts();
        service.note_root().await?;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut shutdown = pin!(shutdown);
        loop {
            let room = service.outage.as_ref().is_none_or(Outage::has_room);
            let work = tokio::select! {
                biased;
                () = &mut shutdown => break,
                _ = tick.tick() => Work::Tick,
                work = sources.next(&mut service.background.tasks, room) => work?,
            };
            let step = service.step(work);
            let mut step = pin!(step);
            tokio::select! {
                done = &mut step => done?,
                () = &mut shutdown => {
                    // What is not durable by then was not acknowledged either.
                    let _ = tokio::time::timeout(STOP_MAX, step).await;
                    break;
                }
            }
        }
        ready.send_replace(false);
        Ok(())
    }
}

struct Service {
    config: OrchestratorConfig,
    store: Arc<dyn Store>,
    directory: Arc<dyn Directory>,
    topics: Topics,
    engine: Engine<Signer>,
    connection: Option<Arc<dyn Connection>>,
    /// The number of connections so far.
    connections: u64,
    /// Retained messages that are to be sent, in this order, before anything else.
    unsent: Vec<(Topic, Vec<u8>)>,
    waiters: Waiters,
    background: Works,
    views: Views,
    refusals: Refusals,
    /// Answers that wait for the views that show what they say.
    held: Vec<Held>,
    clock: UptimeClock,
    ticks: u32,
    /// Events sent since the start.
    events: u64,
    /// True once people were told that it works.
    has_started: bool,
    /// Since when every subscription of this connection is granted.
    subscribed: Option<Instant>,
    health: Health,
    /// While the store cannot be written.
    outage: Option<Outage>,
    /// Commands refused meanwhile; a broker may deliver one again.
    refused: VecDeque<(UserId, RequestId)>,
    /// True if everything is to be read and published anew.
    refresh: bool,
    ready: watch::Sender<bool>,
}

impl Service {
    async fn open(
        config: OrchestratorConfig,
        store: Arc<dyn Store>,
        directory: Arc<dyn Directory>,
        ready: watch::Sender<bool>,
    ) -> Result<Self, ServiceError> {
        let topics = Topics::new(config.namespace.clone());
        let instance = rows::instance(&*store).await?;
        let reserved = instance.reserved_by(Some(config.keys.orchestrator.public().id()));
        let specs = config.specs.read().map_err(ServiceError::Specs)?;
        let known = (reserved, instance.last_deployment);
        let serves = config.mode == Mode::Serving;
        let signer = Signer::new(config.keys.orchestrator.clone(), topics.clone());
        if let Some(ahead) = ahead_of_specs(&specs, &signer, known).filter(|_| serves) {
            return Err(ServiceError::Older(ahead));
        }
        let known = match config.mode {
            Mode::Serving => reserved,
            Mode::Recovering => recovering::known(&*store).await?,
        };
        let engine = Engine::new(signer, settings(&config), &instance, known);
        Ok(Self {
            views: Views::new(
                Arc::clone(&store),
                topics.clone(),
                (config.health.clone(), config.live.clone()),
            ),
            refusals: Refusals::default(),
            held: Vec::new(),
            clock: UptimeClock::new(instance.uptime_ms, &config),
            health: config.health.clone(),
            config,
            store,
            directory,
            topics,
            engine,
            connection: None,
            connections: 0,
            unsent: Vec::new(),
            waiters: Waiters::default(),
            background: Works::default(),
            ticks: 0,
            events: 0,
            has_started: false,
            subscribed: None,
            outage: None,
            refused: VecDeque::new(),
            refresh: false,
            ready,
        })
    }

    async fn step(&mut self, work: Work) -> Result<(), ServiceError> {
        match work {
            Work::News(news) => self.news(news).await?,
            Work::Knocks(knocks) => self.knocks(knocks).await?,
            Work::Note(note) => self.take_note(note).await?,
            Work::Ended(ended) => self.ended(ended).await?,
            Work::Tick => self.tick().await?,
        }
        self.drive().await?;
        self.tell_ready();
        Ok(())
    }

    /// News in their order: what came before the end of a connection is decided before it.
    async fn news(&mut self, news: Vec<Incoming>) -> Result<(), ServiceError> {
        let mut arrivals = Vec::with_capacity(news.len());
        for one in news {
            match one {
                Incoming::Delivery(delivery) => arrivals.extend(self.receive(delivery)?),
                Incoming::Connected(connection, session) => {
                    self.decide(std::mem::take(&mut arrivals)).await?;
                    self.connection = Some(connection);
                    self.connections += 1;
                    self.happened(Event::Connected(session)).await?;
                }
                Incoming::Subscribed => {
                    self.decide(std::mem::take(&mut arrivals)).await?;
                    self.subscribed().await?;
                }
                Incoming::Disconnected => {
                    self.decide(std::mem::take(&mut arrivals)).await?;
                    self.connection = None;
                    self.subscribed = None;
                    self.forget_aside();
                    self.clock.stop();
                    self.happened(Event::Disconnected).await?;
                }
            }
        }
        self.decide(arrivals).await
    }

    async fn tick(&mut self) -> Result<(), ServiceError> {
        self.ticks = self.ticks.wrapping_add(1);
        self.take_new_keys().await?;
        let now = self.clock.now();
        if self.clock.runs() && self.ticks.is_multiple_of(TICKS_OF_TIMERS) {
            self.engine.handle(Event::Review, now);
            self.engine.handle(Event::Timers, now);
            if let Some(jump_ms) = self.clock.jumped() {
                tracing::warn!(
                    jump_ms,
                    "the system clock jumped; device timeouts do not follow it"
                );
            }
            if self.ticks.is_multiple_of(TICKS_OF_UPTIME) {
                self.decide_one(Input::Uptime).await?;
            }
            self.drive().await?;
            self.look_for_old(now);
        }
        self.try_again().await?;
        self.read_all_anew().await?;
        self.tell_health().await?;
        if let Some(connection) = self.connection.clone() {
            let published = self.views.publish_due(&*connection, now).await;
            self.passing(published)?;
        }
        self.release_held().await;
        self.tell_refusals().await
    }
}

fn settings(config: &OrchestratorConfig) -> Settings {
    let validity_s = config.spec_validity.as_secs();
    Settings {
        // There is one so far.
        instance: InstanceId::MAIN,
        mode: config.mode,
        source: config.source.clone(),
        validity_s: u32::try_from(validity_s).unwrap_or(u32::MAX).max(1),
        roots: config.keys.roots.clone(),
    }
}
