//! A running orchestrator to test: no broker, a store that can be made to fail, one log.

use std::collections::VecDeque;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use hoist_net::endpoint::{Endpoint, Scheme};
use hoist_net::tls::Trust;
use hoist_orchestrator_core::api::command::{UserAdd, UserRemove};
use hoist_orchestrator_core::engine::event::Session;
use hoist_orchestrator_core::model::error::Rejection;
use hoist_orchestrator_core::model::now::Mode;
use hoist_orchestrator_core::reply::UserItem;
use hoist_protocol::access::Role;
use hoist_protocol::bundle::{artifact_start, index_hash, raw_index};
use hoist_protocol::codec::encode;
use hoist_protocol::envelope::{Kind, PrivateKey, seal};
use hoist_protocol::id::{DeviceId, Namespace, UserId, sha256};
use hoist_protocol::release::{
    ArtifactManifest, ArtifactRef, Payload, PayloadKind, ReleaseManifest, Script,
};
use hoist_protocol::status::ScriptKind;
use hoist_protocol::topic::Topics;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::artifacts::ArtifactDirectory;
use crate::config::{Directory, Keys, OrchestratorConfig, Rights, UserChange};
use crate::events::EventNews;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::mqtt::MqttLogin;
use crate::service::{Door, Orchestrator, Service, ServiceError};
use crate::specs::SpecFolder;
use crate::store::Store;
use crate::transport::{Connection, Delivery, Incoming, Lost, Outgoing};

mod artifact;
mod people;
mod store;

pub(super) use artifact::artifact;
pub(super) use people::People;
pub(super) use store::Watched;

/// Longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);
/// The address of whoever asks by HTTP.
pub(super) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Happened {
    Committed,
    Refused,
    Published(Outgoing),
    Acknowledged(u16),
    Read(String),
    /// The tokens of a device are worth nothing any more.
    Revoked(DeviceId),
}

/// Everything that happened, in order.
#[derive(Default)]
pub(super) struct Log {
    entries: Mutex<Vec<Happened>>,
    news: Notify,
}

impl Log {
    pub(super) fn add(&self, happened: Happened) {
        self.entries.lock().unwrap().push(happened);
        self.news.notify_one();
    }

    pub(super) fn all(&self) -> Vec<Happened> {
        self.entries.lock().unwrap().clone()
    }

    /// Waits until `find` finds something after the first `from` entries.
    pub(super) async fn wait<T>(
        &self,
        from: usize,
        find: impl Fn(&Happened) -> Option<T>,
    ) -> (usize, T) {
        let search = || {
            let all = self.all();
            let mut found = all.iter().enumerate().skip(from);
            found.find_map(|(index, happened)| Some((index, find(happened)?)))
        };
        let waiting = async {
            loop {
                if let Some(found) = search() {
                    return found;
                }
                self.news.notified().await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(found) => found,
            Err(_) => panic!("never happened; did: {:#?}", self.all()),
        }
    }
}

/// A broker's end: logs, and delivers what the orchestrator itself subscribes to.
struct Link {
    log: Arc<Log>,
    news: mpsc::Sender<Incoming>,
}

#[async_trait]
impl Connection for Link {
    async fn publish(&self, message: Outgoing) -> Result<(), Lost> {
        let topic = Topics::default().parse(&message.topic).unwrap();
        if hoist_orchestrator_core::engine::publish::is_own(&topic) {
            let echo = Delivery {
                topic: message.topic.clone(),
                payload: message.payload.clone().into(),
                retained: false,
                again: false,
                packet: None,
            };
            self.news.send(Incoming::Delivery(echo)).await.unwrap();
        }
        self.log.add(Happened::Published(message));
        Ok(())
    }

    async fn read(&self, topic: String) -> Result<(), Lost> {
        self.log.add(Happened::Read(topic));
        Ok(())
    }

    async fn acknowledge(&self, packet: u16) -> Result<(), Lost> {
        self.log.add(Happened::Acknowledged(packet));
        Ok(())
    }
}

pub(super) fn orchestrator_key() -> PrivateKey {
    PrivateKey::from_seed(&[1; 32])
}

pub(super) fn release_key() -> PrivateKey {
    PrivateKey::from_seed(&[2; 32])
}

fn config(artifacts: &Path) -> OrchestratorConfig {
    let health = Health::default();
    OrchestratorConfig {
        mqtt: MqttLogin {
            broker: Endpoint::of(Scheme::Mqtt, "unused", 1),
            trust: Trust::default(),
            client_id: "unused".into(),
            user: "unused".into(),
            token: None,
            commands_apart: true,
        },
        namespace: Namespace::default(),
        keys: Keys {
            orchestrator: orchestrator_key(),
            release: vec![release_key().public()],
            roots: vec![(1, b"root".to_vec())],
            root_number: 1,
            root_sha256: [7; 32],
        },
        new_keys: tokio::sync::watch::channel(None).1,
        artifacts: ArtifactDirectory::open(artifacts)
            .unwrap()
            .telling(health.clone()),
        specs: SpecFolder::open(&artifacts.join("specs")).unwrap(),
        source: None,
        grace: Duration::from_secs(60),
        settle: Duration::from_secs(30),
        keep: hoist_orchestrator_core::model::now::Keep::default(),
        mode: Mode::Serving,
        spec_validity: Duration::from_secs(600),
        health,
        metrics: Metrics::default(),
        events: EventNews::default(),
        live: crate::live::LiveViews::default(),
    }
}

/// A service that is connected and does nothing by itself, with what it publishes.
pub(super) async fn service() -> (Service, Arc<Log>, tempfile::TempDir) {
    let (store, artifacts) = (Arc::new(Watched::default()), tempfile::tempdir().unwrap());
    let log = Arc::clone(&store.log);
    let config = config(artifacts.path());
    let (ready, _) = watch::channel(false);
    let mut service = Service::open(config, store, Arc::new(People::new(&log)), ready)
        .await
        .unwrap();
    let (news, _) = mpsc::channel(1);
    service.connection = Some(Arc::new(Link {
        log: Arc::clone(&log),
        news,
    }));
    (service, log, artifacts)
}

/// A running orchestrator.
pub(super) struct Rig {
    pub(super) log: Arc<Log>,
    pub(super) store: Arc<Watched>,
    pub(super) news: mpsc::Sender<Incoming>,
    link: Arc<dyn Connection>,
    pub(super) door: Door,
    pub(super) ready: watch::Receiver<bool>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<(), ServiceError>>,
    pub(super) artifacts: tempfile::TempDir,
    pub(super) directory: ArtifactDirectory,
    packets: VecDeque<u16>,
}

impl Rig {
    pub(super) async fn start() -> Self {
        Self::on(Arc::new(Watched::default())).await
    }

    /// Starts on a store, connected and subscribed, and waits until it is ready.
    pub(super) async fn on(store: Arc<Watched>) -> Self {
        Self::run(store, |_| ()).await
    }

    /// Starts in recovery mode, with nothing in the store.
    pub(super) async fn recovering() -> Self {
        Self::run(Arc::default(), |config| config.mode = Mode::Recovering).await
    }

    /// Starts at a broker that has one window for everything.
    pub(super) async fn at_a_plain_broker() -> Self {
        Self::run(Arc::default(), |config| config.mqtt.commands_apart = false).await
    }

    pub(super) async fn run(
        store: Arc<Watched>,
        change: impl FnOnce(&mut OrchestratorConfig),
    ) -> Self {
        let artifacts = tempfile::tempdir().unwrap();
        let mut config = config(artifacts.path());
        change(&mut config);
        let directory = config.artifacts.clone();
        let log = Arc::clone(&store.log);
        let (news, incoming) = mpsc::channel(1024);
        let dynamic: Arc<dyn Store> = store.clone();
        let (orchestrator, door) = Orchestrator::new(config, dynamic, Arc::new(People::new(&log)));
        let (ready_in, ready) = watch::channel(false);
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            let _ = stopped.await;
        };
        let running = tokio::spawn(orchestrator.run_on(incoming, ready_in, shutdown));
        let link: Arc<dyn Connection> = Arc::new(Link {
            log: Arc::clone(&log),
            news: news.clone(),
        });
        let mut rig = Self {
            log,
            store,
            news,
            link,
            door,
            ready,
            stop: Some(stop),
            running,
            artifacts,
            directory,
            packets: (1..u16::MAX).collect(),
        };
        rig.connect().await;
        within(rig.ready.wait_for(|ready| *ready)).await.unwrap();
        rig
    }

    pub(super) async fn connect(&self) {
        let connected = Incoming::Connected(Arc::clone(&self.link), Session::Fresh);
        self.news.send(connected).await.unwrap();
        self.news.send(Incoming::Subscribed).await.unwrap();
    }

    /// Waits until it ends by itself, and returns why.
    pub(super) async fn ends(mut self) -> ServiceError {
        within(&mut self.running).await.unwrap().unwrap_err()
    }

    pub(super) async fn stop(mut self) {
        drop(self.stop.take());
        within(&mut self.running).await.unwrap().unwrap();
    }

    pub(super) fn mark(&self) -> usize {
        self.log.all().len()
    }

    /// Delivers at QoS 1; returns the packet id.
    pub(super) async fn deliver(&mut self, topic: &str, payload: &[u8], retained: bool) -> u16 {
        let packet = self.packets.pop_front().unwrap();
        let delivery = Delivery {
            topic: topic.to_owned(),
            payload: payload.to_vec().into(),
            retained,
            again: false,
            packet: Some(packet),
        };
        self.news.send(Incoming::Delivery(delivery)).await.unwrap();
        packet
    }

    /// Delivers and waits for the acknowledgment.
    pub(super) async fn hand_over(&mut self, topic: &str, payload: &[u8]) {
        let from = self.mark();
        let packet = self.deliver(topic, payload, false).await;
        self.acknowledged(from, packet).await;
    }

    pub(super) async fn acknowledged(&self, from: usize, packet: u16) -> usize {
        let acknowledged = Happened::Acknowledged(packet);
        let found = self.log.wait(from, |h| (*h == acknowledged).then_some(()));
        found.await.0
    }

    pub(super) async fn published(&self, from: usize, topic: &str) -> (usize, Vec<u8>) {
        let find = |happened: &Happened| match happened {
            Happened::Published(message) if message.topic == topic => Some(message.payload.clone()),
            _ => None,
        };
        self.log.wait(from, find).await
    }

    pub(super) async fn command(&mut self, request: &str, verb: &str, body: &Value) -> Value {
        let from = self.mark();
        let topic = format!("hoist/cmd/alice/{request}/{verb}");
        self.deliver(&topic, body.to_string().as_bytes(), false)
            .await;
        let reply = self
            .published(from, &format!("hoist/reply/alice/{request}"))
            .await
            .1;
        serde_json::from_slice(&reply).unwrap()
    }

    /// A command that must succeed.
    pub(super) async fn done(&mut self, request: &str, verb: &str, body: &Value) -> Value {
        let reply = self.command(request, verb, body).await;
        assert_eq!(reply["ok"], true, "{verb}: {reply}");
        reply["result"].clone()
    }

    /// Uploads an artifact and returns the sealed manifest of a release of it.
    pub(super) fn release(&self, version: &str) -> Vec<u8> {
        let (artifact, file) = artifact(version);
        let path = self.artifacts.path().join(artifact.id().to_string());
        std::fs::write(path, file).unwrap();
        let manifest = ReleaseManifest {
            name: "app".parse().unwrap(),
            version: version.into(),
            counter: 1,
            floor: 0,
            device_types: Vec::new(),
            attributes: Vec::new(),
            artifacts: vec![artifact],
        };
        seal(&release_key(), Kind::Release, "", &manifest)
    }

    pub(super) async fn add_release(&mut self, version: &str) {
        let manifest = data_encoding::BASE64.encode(&self.release(version));
        let request = format!("release-{}", version.replace('.', "-"));
        self.done(&request, "release-add", &json!({"manifest": manifest}))
            .await;
    }
}

pub(super) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("in time")
}
