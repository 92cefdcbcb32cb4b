//! Numbers for Prometheus: counters and histograms of the adapters, and gauges of the fleet that are
//! read beside the loop when somebody asks. No label names a device, and every label is bounded.

mod fleet;
mod steps;

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use hoist_orchestrator_core::engine::arrival::{Arrival, Content};
use hoist_orchestrator_core::model::effect::Event;
use hoist_orchestrator_core::model::error::Code;
use hoist_orchestrator_core::model::evidence::Delivered;
use hoist_orchestrator_core::model::word::Word;
use hoist_protocol::reason::Reason;
use hoist_protocol::status::{Rollback, Step};
use hoist_protocol::topic::Topic;
use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

pub(crate) use fleet::Fleet;
use steps::Steps;

/// A gauge of a number that is no whole one, or that is a moment.
type Seconds = Gauge<f64, AtomicU64>;
/// The text that was given last, and when.
type Scraped = tokio::sync::Mutex<Option<(Instant, String)>>;
/// A family of counters.
type Counters<L> = Family<L, Counter>;
/// A family of histograms.
type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// Which way a message went, and what it was.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MessageLabels {
    direction: &'static str,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepLabel {
    step: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CertificateLabel {
    certificate: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SinkLabel {
    sink: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VersionLabel {
    version: &'static str,
}

/// The way of a message, seen from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The broker delivered it.
    In,
    /// The server published it.
    Out,
}

/// Everything that is counted. Clones are the same.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    registry: Registry,
    messages: Counters<MessageLabels>,
    rejected: Counters<CodeLabel>,
    failures: Counters<ReasonLabel>,
    rollbacks: Counters<ResultLabel>,
    step_seconds: Histograms<StepLabel>,
    status_delay: Histogram,
    commit_seconds: Histogram,
    connected: Gauge<i64, AtomicI64>,
    certificates: Family<CertificateLabel, Seconds>,
    sinks_waiting: Family<SinkLabel, Gauge<u64, AtomicU64>>,
    sinks_dead: Counters<SinkLabel>,
    steps: Mutex<Steps>,
    last: Scraped,
}

/// One step of each kind.
const STEPS: [Step; 5] = [
    Step::Downloading(0),
    Step::Downloaded,
    Step::Installing,
    Step::Rebooting,
    Step::Retrying,
];

/// From 0.1 ms to 26 s: what a disk or a network does to a message.
fn of_moments() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 4.0, 10))
}

/// From 0.1 s to 29 h: what a device does between two reports.
fn of_work() -> Histogram {
    Histogram::new(exponential_buckets(0.1, 4.0, 11))
}

impl Default for Metrics {
    fn default() -> Self {
        let counted = Counted {
            registry: Registry::with_prefix("hoist"),
            messages: Family::default(),
            rejected: Family::default(),
            failures: Family::default(),
            rollbacks: Family::default(),
            step_seconds: Family::new_with_constructor(of_work),
            status_delay: of_moments(),
            commit_seconds: of_moments(),
            connected: Gauge::default(),
            certificates: Family::default(),
            sinks_waiting: Family::default(),
            sinks_dead: Family::default(),
            steps: Mutex::default(),
            last: Scraped::default(),
        };
        counted.begin_at_zero();
        Self(Arc::new(counted.registered(SystemTime::now())))
    }
}

/// Codes of refusals that a person has to look at.
const SERIOUS: [Code; 4] = [Code::Signature, Code::Clone, Code::Round, Code::Regress];

impl Counted {
    /// A series that begins with its first event shows no increase by it: these are waited for.
    fn begin_at_zero(&self) {
        for reason in Reason::ALL {
            let reason = reason.word();
            drop(self.failures.get_or_create(&ReasonLabel { reason }));
        }
        for rollback in Rollback::ALL {
            let result = rollback.word();
            drop(self.rollbacks.get_or_create(&ResultLabel { result }));
        }
        for code in SERIOUS {
            let code = code.as_str();
            drop(self.rejected.get_or_create(&CodeLabel { code }));
        }
        for step in STEPS {
            let step = step.word();
            drop(self.step_seconds.get_or_create(&StepLabel { step }));
        }
    }

    fn registered(mut self, now: SystemTime) -> Self {
        let (started, build) = (Seconds::default(), Family::<VersionLabel, Gauge>::default());
        started.set(unix_seconds(now));
        let version = env!("CARGO_PKG_VERSION");
        build.get_or_create(&VersionLabel { version }).set(1);
        let registry = &mut self.registry;
        registry.register(
            "mqtt_messages",
            "Messages of MQTT by direction and kind of topic",
            self.messages.clone(),
        );
        registry.register(
            "rejected",
            "Reports and commands that were refused, by code",
            self.rejected.clone(),
        );
        registry.register(
            "deployment_failures",
            "Devices that failed, by reason; timed-out is inferred until the device reports",
            self.failures.clone(),
        );
        registry.register(
            "rollbacks",
            "Rollbacks that failed devices reported, by result",
            self.rollbacks.clone(),
        );
        registry.register(
            "step_duration_seconds",
            "Time between the report of a step and the next one of the same device",
            self.step_seconds.clone(),
        );
        registry.register(
            "status_delay_seconds",
            "Time from the arrival of a status to its acknowledgment, when it is durable",
            self.status_delay.clone(),
        );
        registry.register(
            "store_commit_duration_seconds",
            "Time of one commit of the store",
            self.commit_seconds.clone(),
        );
        registry.register(
            "mqtt_connected",
            "1 while every subscription at the broker is granted",
            self.connected.clone(),
        );
        registry.register(
            "certificate_not_after_timestamp_seconds",
            "Unix time at which a certificate ends",
            self.certificates.clone(),
        );
        registry.register(
            "sink_waiting_events",
            "Events that a sink is behind",
            self.sinks_waiting.clone(),
        );
        registry.register(
            "sink_dead_letters",
            "Events that were given up because a sink did not take them",
            self.sinks_dead.clone(),
        );
        registry.register(
            "start_time_seconds",
            "Unix time at which the server started",
            started,
        );
        registry.register("build_info", "The version of the server", build);
        self
    }
}

impl Metrics {
    /// A message went over the connection to the broker; none of our topics is `other`.
    pub(crate) fn message(&self, direction: Direction, topic: Option<&Topic>) {
        let direction = match direction {
            Direction::In => "in",
            Direction::Out => "out",
        };
        let kind = topic.map_or("other", kind);
        let labels = MessageLabels { direction, kind };
        self.0.messages.get_or_create(&labels).inc();
    }

    /// The broker grants everything, or is gone.
    pub(crate) fn connected(&self, connected: bool) {
        self.0.connected.set(connected.into());
    }

    /// A status is durable and acknowledged, so long after it came.
    pub(crate) fn status_taken(&self, delay: Duration) {
        self.0.status_delay.observe(delay.as_secs_f64());
    }

    /// The store was asked to make a batch durable, and took so long.
    pub(crate) fn commit(&self, took: Duration) {
        self.0.commit_seconds.observe(took.as_secs_f64());
    }

    /// A report or a command was refused.
    pub(crate) fn rejected(&self, code: Code) {
        let code = code.as_str();
        self.0.rejected.get_or_create(&CodeLabel { code }).inc();
    }

    /// Something was decided that people are told of.
    pub(crate) fn event(&self, event: &Event) {
        let Event::DeviceFailed {
            reason, rollback, ..
        } = event
        else {
            return;
        };
        // The words are of our own making: none is newer.
        if let Word::Of(reason) = reason {
            let reason = reason.word();
            self.0.failures.get_or_create(&ReasonLabel { reason }).inc();
        }
        if let Some(Word::Of(rollback)) = rollback {
            let result = rollback.word();
            self.0
                .rollbacks
                .get_or_create(&ResultLabel { result })
                .inc();
        }
    }

    /// A device reports a step, or the end: the step before it took as long as since its report.
    pub(crate) fn reported(&self, arrivals: &[Arrival], now: Instant) {
        let mut steps = self.0.steps.lock().unwrap_or_else(PoisonError::into_inner);
        for arrival in arrivals {
            let Content::Status {
                device,
                status,
                delivered,
                ..
            } = &arrival.content
            else {
                continue;
            };
            let live = *delivered == Delivered::Live;
            if let Some((step, took)) = steps.heard(device, status, live.then_some(now)) {
                let step = StepLabel { step };
                let seconds = took.as_secs_f64();
                self.0.step_seconds.get_or_create(&step).observe(seconds);
            }
        }
    }

    /// A certificate ends at this Unix time.
    pub fn certificate_ends(&self, certificate: &'static str, not_after: u64) {
        let of = CertificateLabel { certificate };
        #[expect(clippy::cast_precision_loss, reason = "seconds of Unix time fit")]
        let seconds = not_after as f64;
        self.0.certificates.get_or_create(&of).set(seconds);
    }

    /// A sink is behind by so many events.
    pub fn sink_waiting(&self, sink: &str, events: u64) {
        let sink = SinkLabel {
            sink: sink.to_owned(),
        };
        drop(self.0.sinks_dead.get_or_create(&sink));
        self.0.sinks_waiting.get_or_create(&sink).set(events);
    }

    /// An event was given up that a sink did not take.
    pub fn sink_dead(&self, sink: &str) {
        let sink = SinkLabel {
            sink: sink.to_owned(),
        };
        self.0.sinks_dead.get_or_create(&sink).inc();
    }

    /// There is no such sink any more.
    pub fn sink_gone(&self, sink: &str) {
        let sink = SinkLabel {
            sink: sink.to_owned(),
        };
        self.0.sinks_dead.remove(&sink);
        self.0.sinks_waiting.remove(&sink);
    }

    /// The text that was given last, for one reader at a time.
    pub(crate) async fn last(&self) -> tokio::sync::MutexGuard<'_, Option<(Instant, String)>> {
        self.0.last.lock().await
    }

    /// The text that Prometheus reads, of what was counted and of the fleet.
    ///
    /// # Errors
    /// None that a string has.
    pub(crate) fn text(&self, fleet: &Fleet) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.0.registry)?;
        prometheus_text::encode(&mut text, &fleet.registry())?;
        Ok(text)
    }
}

fn unix_seconds(at: SystemTime) -> f64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

/// The kind of a topic, for people who know the topic table.
fn kind(topic: &Topic) -> &'static str {
    match topic {
        Topic::GroupSpec(_) => "group-spec",
        Topic::DeviceSpec(_) => "device-spec",
        Topic::Release(_) => "release",
        Topic::Root(_) => "root",
        Topic::Status(_) => "status",
        Topic::Presence(_) => "presence",
        Topic::Info(_) => "info",
        Topic::EnrollRequest(_) => "enroll-request",
        Topic::EnrollAnswer(_) => "enroll-answer",
        Topic::Blocks(_) => "blocks",
        Topic::Needs(_) => "needs",
        Topic::Command { .. } => "command",
        Topic::Reply { .. } => "reply",
        Topic::View(_) => "view",
        Topic::Event(_) => "event",
    }
}
