//! The server in one process: data directory, embedded broker, orchestrator and HTTP,
//! joined in the order that makes "ready" mean ready. Used by `serve` and by the demo.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hoist_net::endpoint::{Endpoint, Scheme};
use hoist_net::tls::{Pem, Trust};
use hoist_orchestrator::artifacts::{ArtifactDirectory, UploadLimits};
use hoist_orchestrator::config::{Directory, Keys, OrchestratorConfig};
use hoist_orchestrator::events::EventNews;
use hoist_orchestrator::health::Health;
use hoist_orchestrator::http::{self, CommandDoor, EventReaders, HttpLimits, HttpState, Scratch};
use hoist_orchestrator::live::LiveViews;
use hoist_orchestrator::metrics::Metrics;
use hoist_orchestrator::mqtt::MqttLogin;
use hoist_orchestrator::service::Orchestrator;
use hoist_orchestrator::specs::SpecFolder;
use hoist_orchestrator::store::sled::SledStore;
use hoist_orchestrator_core::model::now::{Keep, Mode};
use hoist_protocol::code::Code;
use hoist_protocol::id::Namespace;
use hoist_protocol::limit::SPEC_VALID_S;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::broker::BrokerConfig;
use crate::data_dir::{Addresses, Announced, DataDir, Opened, ReadyFile};
use crate::failure::{Failure, of_tls};
use crate::lock::Lock;
use crate::open_files;
use crate::people::Registry;
use crate::tls::{Encryption, TlsTerms};

mod addresses;
mod begun;
mod broker;
mod examination;
mod fleet;
mod key_watch;
mod opening;
mod page;
mod quiet;

pub use fleet::Fleet;
pub use quiet::{Found, Quiet};

use addresses::{Reached, connections, hosts, listen};
use begun::{Begun, given_up, orchestrator_ended};
use broker::Broker;
use examination::Examination;
use key_watch::KeyWatch;

/// A server that is not ready by then never will be, unless it waits for somebody else's broker.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// The time between two notices to systemd that a start goes on, and the time that systemd then
/// waits: its own limit is 90 s.
const STILL_STARTING: Duration = Duration::from_secs(20);
/// For orchestrator and HTTP; with the broker's, less than the five seconds promised.
const STOP_TIMEOUT: Duration = Duration::from_millis(3_500);

/// The configuration of a start.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The folder of its data.
    pub data_dir: PathBuf,
    /// The broker that it works with.
    pub broker: BrokerConfig,
    /// What may be open at a broker that is not its own.
    pub accepted_risks: Vec<Code>,
    /// Where HTTP listens; port 0 takes a free one.
    pub http: SocketAddr,
    /// The hosts that clients connect to; the first is the one they are told.
    pub names: Vec<String>,
    /// The way in which what clients say is encrypted.
    pub encryption: Encryption,
    /// The terms of that.
    pub tls: TlsTerms,
    /// The first topic level.
    pub namespace: Namespace,
    /// Contact may be lost for this long before it is shown (S6).
    pub grace: Duration,
    /// No timer fires this soon after connecting (S7).
    pub settle: Duration,
    /// Serving, or recovering what was lost.
    pub mode: Mode,
    /// Recovers also where nothing shows that anything was lost.
    pub whole_too: bool,
    /// The limits by which uploads of artifacts leave room to others.
    pub uploads: UploadLimits,
    /// The times that things are kept.
    pub keep: Keep,
}

/// A running server.
pub struct Server {
    data_dir: DataDir,
    mqtt: String,
    /// Where devices connect, when it is another address.
    device_mqtt: Option<String>,
    http: String,
    /// What clients pin, as PEM.
    ca: Option<String>,
    announced: Option<Announced>,
    broker: Broker,
    /// Of a broker that is not its own.
    examination: Option<Examination>,
    stop: watch::Sender<bool>,
    /// Orchestrator and HTTP; each says why it ended.
    parts: JoinSet<Failure>,
    /// Looks after keys, the certificate and its name; ends with the server.
    looking: JoinSet<()>,
    fleet: Fleet,
    found: Found,
    /// Last, so that nobody else comes in before everything else is closed.
    _lock: Lock,
}

impl Server {
    /// Starts everything and returns once it is ready for devices and operators.
    ///
    /// # Errors
    /// `E_LOCKED`, `E_RECOVER`, `E_SECRET`, `E_CONFIG`, `E_DATA_DIR`, `E_STORE`, `E_PORT`,
    /// `E_CERT` and its siblings, `E_BROKER_UNSAFE`, or `E_SERVER` for one that does not become ready.
    pub async fn start(config: ServerConfig) -> Result<Self, Failure> {
        Self::start_until(config, std::future::pending()).await
    }

    /// The same, given up as soon as it is to end. Once its parts run, they are stopped in their
    /// order then.
    ///
    /// # Errors
    /// Those, and `E_CANCELED`.
    pub async fn start_until(
        config: ServerConfig,
        end: impl Future<Output = ()>,
    ) -> Result<Self, Failure> {
        let mut end = pin!(end);
        let begun = tokio::select! {
            begun = Self::prepare(config) => begun?,
            () = &mut end => return Err(given_up()),
        };
        begun.go_on(end).await
    }

    /// Everything up to the moment from which on something is decided.
    async fn prepare(config: ServerConfig) -> Result<Begun, Failure> {
        let data_dir = DataDir::new(&config.data_dir);
        data_dir.create()?;
        let (lock, mut found) = (Lock::take(data_dir.root())?, Found::default());
        let Opened { keys, store, users } = opening::open(&data_dir, &config, &mut found.aside)?;
        let (health, metrics, events) = opening::told();
        let (artifacts, specs) = opening::folders(&data_dir, config.uploads, &health)?;
        let (listener, http) = listen(config.http).await?;
        let people = (keys.token, users.telling(health.clone()));
        let registry = opening::registry(&config.namespace, people, &*store).await?;
        open_files::raise(connections(&config.broker));
        let shown = opening::certificate(&data_dir, &config, &registry)?;
        let reached = Reached::by(shown.as_ref());
        let (tls, asking) = opening::acceptors(shown.as_ref());
        let own = (&config.namespace, asking);
        let (broker, login) = Broker::start(&config.broker, own, &registry, &keys.token).await?;
        let examination = Examination::of(&config, &login, &keys.token, &data_dir);
        let (key_watch, new_keys) = KeyWatch::new(&data_dir, &config.namespace, &keys, &health);
        let told = (login, (keys.service, new_keys));
        let telling = (health.clone(), metrics.clone(), events.clone());
        let follower = opening::follower((&data_dir, &config), &store, telling.clone());
        let orchestrator = decides(&config, told, (artifacts.clone(), specs), telling);
        let fleet = Fleet::of(&store);
        if config.mode == Mode::Recovering {
            let begun = fleet.begin(&data_dir, config.whole_too, &orchestrator);
            found.unusable = begun.await?;
        }
        let (orchestrator, door, live) = deciding(orchestrator, store, &registry);
        let (stop, (ready, is_ready)) = (watch::Sender::new(false), watch::channel(false));
        let hosts = hosts(http, &config.names, shown.as_ref());
        let state = HttpState {
            artifacts,
            page: page::routes(&config, http, (&registry, &door, live), stop.subscribe()),
            bearers: registry,
            commands: door,
            store: SledStore::clone(&fleet.store),
            scratch: Scratch::new(data_dir.scratch()),
            ready: is_ready.clone(),
            health,
            metrics,
            events: EventReaders::new(events, config.namespace.clone()),
            limits: HttpLimits::default(),
            hosts: hosts.clone(),
            tls,
        };
        let server = Self {
            mqtt: broker.endpoint(&reached).to_string(),
            device_mqtt: config.broker.devices(),
            http: reached.at(Scheme::Http, http).to_string(),
            ca: opening::pinned(shown.as_ref(), &config.broker),
            looking: opening::looked_after(shown, (key_watch, follower), hosts),
            data_dir,
            announced: None,
            broker,
            examination,
            parts: JoinSet::new(),
            stop,
            fleet,
            found,
            _lock: lock,
        };
        let run = orchestrator.run(ready, stopped(&server.stop));
        let serve = http::serve(listener, state, stopped(&server.stop));
        Ok(Begun {
            orchestrator: Box::pin(async { orchestrator_ended(run.await) }),
            http: Box::pin(ends("HTTP", serve)),
            server,
            is_ready,
        })
    }

    /// Waits until everything works, proves it, and says so.
    async fn become_ready(&mut self, is_ready: watch::Receiver<bool>) -> Result<(), Failure> {
        self.wait_ready(is_ready).await?;
        self.broker.self_probe().await?;
        if let Some(examination) = &self.examination {
            examination.pass().await?;
        }
        self.data_dir.update_client(&Addresses {
            mqtt: &self.mqtt,
            device_mqtt: self.device_mqtt.as_deref(),
            http: &self.http,
            ca: self.ca.as_deref(),
        })?;
        let ready = ReadyFile::new(&self.mqtt, &self.http, SystemTime::now());
        self.announced = Some(self.data_dir.announce(&ready)?);
        if let (Ok(told), Some(ca)) = (Endpoint::parse(&self.mqtt), &self.ca) {
            let (name, text) = ("the server's CA", ca.as_bytes());
            let trust = Trust::pinned(Pem { name, text }).map_err(|error| of_tls(&error))?;
            self.looking.spawn(addresses::warn_if_not_here(told, trust));
        }
        // Without systemd there is nobody to tell.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        Ok(())
    }

    /// Waits until specs are out. Somebody else's broker may come late: HTTP says why it is
    /// not ready, and the log.
    async fn wait_ready(&mut self, mut is_ready: watch::Receiver<bool>) -> Result<(), Failure> {
        let give_up = Instant::now() + READY_TIMEOUT;
        let mut still = tokio::time::interval(STILL_STARTING);
        loop {
            tokio::select! {
                failure = self.failed() => return Err(failure),
                ready = is_ready.wait_for(|ready| *ready) => match ready.map(|_| ()) {
                    Ok(()) => return Ok(()),
                    // It has ended, and says why.
                    Err(_) => return Err(self.failed().await),
                },
                _ = still.tick() => self.still_starting(give_up)?,
            }
        }
    }

    fn still_starting(&self, give_up: Instant) -> Result<(), Failure> {
        if self.broker.is_external() {
            let longer = u32::try_from(2 * STILL_STARTING.as_micros()).unwrap_or(u32::MAX);
            // Without systemd there is nobody to tell.
            let _ = sd_notify::notify(&[sd_notify::NotifyState::ExtendTimeoutUsec(longer)]);
        } else if Instant::now() >= give_up {
            let what = format!("the orchestrator is not ready after {READY_TIMEOUT:?}");
            return Err(
                Failure::new(Code::Server, what).help("look at the log; HOIST_LOG=debug says more")
            );
        }
        Ok(())
    }

    /// `mqtt://host:port`, or `mqtts`.
    pub fn mqtt(&self) -> &str {
        &self.mqtt
    }

    /// `http://host:port`, or `https`.
    pub fn http(&self) -> &str {
        &self.http
    }

    /// Where its data is.
    pub fn data_dir(&self) -> &Path {
        self.data_dir.root()
    }

    /// Where the client file is that its first start made.
    pub fn client_file(&self) -> PathBuf {
        self.data_dir.client()
    }

    /// Bytes of MQTT that devices and its own broker have exchanged.
    pub fn device_bytes(&self) -> Option<u64> {
        self.broker.device_bytes()
    }

    /// The fleet that answers a recovery.
    pub fn fleet(&self) -> Fleet {
        self.fleet.clone()
    }

    /// Waits until a part ends by itself, and says why. Cancel-safe.
    pub async fn failed(&mut self) -> Failure {
        match self.parts.join_next().await {
            Some(Ok(failure)) => failure,
            Some(Err(error)) => {
                Failure::because(Code::Server, "a part of the server ended", &error)
            }
            None => Failure::new(Code::Server, "the server has ended"),
        }
    }

    /// Stops accepting, lets what was begun be committed, and ends within five seconds.
    pub async fn stop(self) {
        drop(self.quiet().await);
    }

    /// The same; until the result is dropped no other server starts here.
    pub async fn quiet(mut self) -> Quiet {
        let deadline = Instant::now() + STOP_TIMEOUT;
        drop(self.announced.take());
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        self.stop.send_replace(true);
        let all = async { while self.parts.join_next().await.is_some() {} };
        if tokio::time::timeout_at(deadline, all).await.is_err() {
            // A long download; its device resumes it.
            tracing::warn!("not everything ended in time");
        }
        self.broker.stop().await;
        self.parts.shutdown().await;
        Quiet {
            data_dir: self.data_dir,
            fleet: self.fleet,
            found: self.found,
            _lock: self._lock,
        }
    }
}

/// The configuration of its orchestrator.
fn decides(
    config: &ServerConfig,
    (mqtt, (keys, new_keys)): (MqttLogin, (Keys, watch::Receiver<Option<Keys>>)),
    (artifacts, specs): (ArtifactDirectory, SpecFolder),
    (health, metrics, events): (Health, Metrics, EventNews),
) -> OrchestratorConfig {
    OrchestratorConfig {
        mqtt,
        namespace: config.namespace.clone(),
        keys,
        new_keys,
        artifacts,
        specs,
        // Each device knows the address it was given; a spec that names one costs bytes.
        source: None,
        grace: config.grace,
        settle: config.settle,
        mode: config.mode,
        keep: config.keep,
        spec_validity: Duration::from_secs(SPEC_VALID_S.into()),
        health,
        metrics,
        events,
        live: LiveViews::default(),
    }
}

/// An orchestrator, its door for commands by HTTP, and the views that it publishes.
fn deciding(
    config: OrchestratorConfig,
    store: Arc<SledStore>,
    registry: &Arc<Registry>,
) -> (Orchestrator, Arc<dyn CommandDoor>, LiveViews) {
    let live = config.live.clone();
    let directory = Arc::clone(registry) as Arc<dyn Directory>;
    let (orchestrator, door) = Orchestrator::new(config, store, directory);
    (orchestrator, Arc::new(door), live)
}

/// Runs a part that only ends when the server stops.
async fn ends(part: &'static str, run: impl Future<Output = ()>) -> Failure {
    run.await;
    Failure::new(Code::Server, format!("{part} ended"))
}

/// Completes once the server is to stop.
fn stopped(stop: &watch::Sender<bool>) -> impl Future<Output = ()> + Send + 'static {
    let mut stop = stop.subscribe();
    async move {
        // A sender that is gone means the same.
        let _ = stop.wait_for(|stop| *stop).await;
    }
}
