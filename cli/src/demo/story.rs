//! The demo's plot, scene by scene. Every scene waits for what it needs to see, never for
//! time to pass.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hoist_device_client::agent;
use hoist_device_client::agent::config::AgentConfig;
use hoist_net::endpoint::{Endpoint, Scheme};
use hoist_net::line::Line;
use hoist_orchestrator::artifacts::UploadLimits;
use hoist_orchestrator_core::api::command::{self, DeploymentShow, DeviceAdd, GroupCreate, Verb};
use hoist_orchestrator_core::model::now::{Keep, Mode};
use hoist_orchestrator_core::reply::view::{DeploymentView, GroupView};
use hoist_orchestrator_core::reply::{DeployResult, DeviceAddResult};
use hoist_protocol::code::Code;
use hoist_protocol::codec::decode;
use hoist_protocol::device::{Presence, PresenceState};
use hoist_protocol::filter::{Family, Filter};
use hoist_protocol::id::{DeploymentId, DeviceId, GroupId, Namespace};
use hoist_protocol::topic::{Topic, View};
use hoist_server::broker::BrokerConfig;
use hoist_server::client_file::ClientFile;
use hoist_server::data_dir::DataDir;
use hoist_server::failure::Failure;
use hoist_server::server::{Server, ServerConfig};
use hoist_server::tls::{Encryption, TlsTerms};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::casting::Casting;
use super::disks;
use super::fixture::{self, NAME, RELEASE, Sensor};
use super::lanes::{Lane, Lanes};
use super::outcome::{Outcome, Place};
use super::stage::{Stage, When};
use crate::client::agent_file::{self, agent_toml};
use crate::client::{Client, Patience, read_view};
use crate::commands::release::SignedRelease;
use crate::commands::signing::read_key;
use crate::commands::status::is_final;

const GROUP: &str = "demo";
/// Two attempts show that a second one is made, and keep the demo short.
const ATTEMPTS: u32 = 2;
/// Whatever has not happened by then will not happen.
const PATIENCE: Duration = Duration::from_secs(120);

/// Everything that runs on stage.
pub(super) struct Story<'a> {
    casting: &'a Casting,
    root: PathBuf,
    server: Option<Server>,
    agents: JoinSet<()>,
    stop_agents: watch::Sender<bool>,
    network: Option<Network>,
}

/// The lines of the unlucky device.
struct Network {
    mqtt: Line,
    http: Line,
}

impl<'a> Story<'a> {
    pub(super) fn new(root: &Path, casting: &'a Casting) -> Self {
        Self {
            casting,
            root: root.to_owned(),
            server: None,
            agents: JoinSet::new(),
            stop_agents: watch::Sender::new(false),
            network: None,
        }
    }

    /// Plays it.
    pub(super) async fn tell(&mut self, stage: &mut Stage) -> Result<Outcome, Failure> {
        tokio::time::timeout(PATIENCE, self.play(stage))
            .await
            .unwrap_or_else(|_| {
                Err(Failure::new(
                    Code::Wait,
                    format!("the demo is not over after {PATIENCE:?}"),
                ))
            })
    }

    /// Ends agents, then the server.
    pub(super) async fn end(mut self) {
        self.stop_agents.send_replace(true);
        while self.agents.join_next().await.is_some() {}
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }

    async fn play(&mut self, stage: &mut Stage) -> Result<Outcome, Failure> {
        let began = Instant::now();
        let file = self.open_server(stage).await?;
        let mut client = Client::connect(file.clone(), Patience::PERSON).await?;
        self.add_release(&mut client, &file, stage).await?;
        self.add_devices(&mut client, &file, stage).await?;
        self.gather(&mut client, stage).await?;
        let before = self.device_bytes();
        let deployment = deploy(&mut client, stage).await?;
        self.watch(&mut client, deployment, stage).await?;
        let control_bytes = self.device_bytes() - before;
        let asked = DeploymentShow {
            deployment: deployment.0,
        };
        let detail = client.ask(Verb::DeploymentShow, &asked).await?;
        client.close().await;
        disks::check(self.casting, |device| self.work_of(device))?;
        Ok(Outcome {
            detail,
            place: Place {
                mqtt: file.mqtt,
                http: file.http,
                data_dir: self.data_dir().root().display().to_string(),
            },
            duration: began.elapsed(),
            control_bytes,
        })
    }

    fn device_bytes(&self) -> u64 {
        let counted = self.server.as_ref().and_then(Server::device_bytes);
        counted.unwrap_or_default()
    }

    fn data_dir(&self) -> DataDir {
        DataDir::new(&self.root.join("data"))
    }

    fn config_of(&self, device: &str) -> PathBuf {
        self.root.join("devices").join(format!("{device}.toml"))
    }

    fn work_of(&self, device: &str) -> PathBuf {
        self.root
            .join("devices")
            .join(format!("{device}.state"))
            .join("work")
            .join(NAME)
    }

    async fn open_server(&mut self, stage: &mut Stage) -> Result<ClientFile, Failure> {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Server::start(ServerConfig {
            data_dir: self.data_dir().root().to_owned(),
            broker: BrokerConfig::Embedded(free),
            accepted_risks: Vec::new(),
            http: free,
            names: Vec::new(),
            encryption: Encryption::None,
            tls: TlsTerms::default(),
            namespace: Namespace::default(),
            grace: Duration::from_secs(60),
            settle: Duration::from_secs(30),
            mode: Mode::Serving,
            whole_too: false,
            uploads: UploadLimits::default(),
            keep: Keep::default(),
        });
        let server = server.await?;
        stage.say(&format!(
            "server ready at {} and {}",
            server.mqtt(),
            server.http()
        ));
        self.network = Some(Network {
            mqtt: open_line(server.mqtt()).await?,
            http: open_line(server.http()).await?,
        });
        self.server = Some(server);
        ClientFile::read(&self.data_dir().client())
    }

    async fn add_release(
        &self,
        client: &mut Client,
        file: &ClientFile,
        stage: &mut Stage,
    ) -> Result<(), Failure> {
        let dir = self.root.join("release");
        fixture::write_release(&dir).map_err(|error| disks::failed(&dir, &error))?;
        let key = read_key(&self.data_dir().release_key())?;
        let release = SignedRelease::pack(dir, &key).await?;
        release.publish(client, file).await?;
        stage.say(&format!(
            "release {RELEASE} packed, signed, uploaded: {}",
            release.id().chars().take(12).collect::<String>()
        ));
        Ok(())
    }

    /// Registers every device and starts its agent on what it has installed.
    async fn add_devices(
        &mut self,
        client: &mut Client,
        file: &ClientFile,
        stage: &mut Stage,
    ) -> Result<(), Failure> {
        client
            .command(
                Verb::GroupCreate,
                &GroupCreate {
                    group: GROUP.into(),
                    selector: None,
                    dry_run: false,
                },
            )
            .await?;
        for (index, device) in self.casting.devices.iter().enumerate() {
            let asked = DeviceAdd {
                device: device.clone(),
                group: Some(GROUP.into()),
                ..DeviceAdd::default()
            };
            let added: DeviceAddResult = client.ask(Verb::DeviceAdd, &asked).await?;
            let mut server = file.clone();
            if let (Some(network), true) = (&self.network, index == self.casting.unlucky) {
                server.mqtt = Endpoint::at(Scheme::Mqtt, network.mqtt.address()).to_string();
                server.http = Endpoint::at(Scheme::Http, network.http.address()).to_string();
            }
            let sensor = if index == self.casting.broken {
                Sensor::Broken
            } else {
                Sensor::Works
            };
            let work = self.work_of(device);
            fixture::preinstall(&work, device, sensor)
                .map_err(|error| disks::failed(&work, &error))?;
            let config = self.config_of(device);
            agent_file::write(&config, &agent_toml(&server, None, &added)?)?;
            self.start_agent(&config)?;
        }
        stage.say(&format!(
            "{} devices registered, their agents started",
            self.casting.devices.len()
        ));
        Ok(())
    }

    fn start_agent(&mut self, config: &Path) -> Result<(), Failure> {
        let config = AgentConfig::load(config)
            .map_err(|error| Failure::because(Code::Config, "an agent of the demo", &error))?;
        let mut stop = self.stop_agents.subscribe();
        self.agents.spawn(async move {
            let device = config.host.device.clone();
            let stopped = async move {
                let _ = stop.wait_for(|stop| *stop).await;
            };
            if let Err(error) = agent::run(config, stopped).await {
                tracing::error!(%device, error = hoist_server::failure::chain(&error), "agent ended");
            }
        });
        Ok(())
    }

    /// Waits until every device is online, then takes the artifacts from the unlucky one.
    async fn gather(&self, client: &mut Client, stage: &mut Stage) -> Result<(), Failure> {
        let group: GroupId = GROUP
            .parse()
            .map_err(|error| Failure::because(Code::Name, GROUP, &error))?;
        let view = client.topics().format(&Topic::View(View::Group(group)));
        client.watch(&view).await?;
        loop {
            let (topic, payload) = client.next_message().await?;
            if topic != view {
                continue;
            }
            let group: GroupView = read_view(&payload)?;
            if group.online as usize == self.casting.devices.len() {
                break;
            }
        }
        if let Some(network) = &self.network {
            network.http.cut();
        }
        stage.say("all devices online");
        Ok(())
    }

    /// Watches the rollout to its end; the unlucky device loses its network on the way.
    async fn watch(
        &self,
        client: &mut Client,
        deployment: DeploymentId,
        stage: &mut Stage,
    ) -> Result<(), Failure> {
        let view = client
            .topics()
            .format(&Topic::View(View::Deployment(deployment)));
        for filter in [
            client.topics().filter(Filter::Below(Family::Status)),
            client.topics().filter(Filter::Below(Family::Presence)),
            view.clone(),
        ] {
            client.watch(&filter).await?;
        }
        let mut lanes = Lanes::new(self.casting.devices.iter().filter_map(|d| d.parse().ok()));
        let mut ended = false;
        // What is drawn is what devices say; both they and the server must call it over.
        while !(ended && lanes.are_over()) {
            let (topic, payload) = client.next_message().await?;
            match client.topics().parse(&topic) {
                Ok(Topic::View(_)) if topic == view => {
                    ended = is_final(&read_view::<DeploymentView>(&payload)?);
                    stage.show(&lanes, When::Viewed);
                }
                Ok(Topic::Status(device)) => {
                    if let Some(lane) = lanes.take(&device, &payload) {
                        stage.show(&lanes, When::Moved);
                        self.react(&device, lane, stage);
                    }
                }
                Ok(Topic::Presence(device)) => self.mourn(&device, &payload, stage),
                _ => {}
            }
        }
        stage.show(&lanes, When::Over);
        Ok(())
    }

    /// Tells what is worth telling; the unlucky device now loses the rest of its network.
    fn react(&self, device: &DeviceId, lane: Lane, stage: &mut Stage) {
        let unlucky = self.casting.devices[self.casting.unlucky] == device.as_str();
        match lane {
            Lane::Doing(step) if step.is_retrying() && unlucky => {
                stage.say(&format!(
                    "{device} cannot fetch: it waits and will try again"
                ));
                if let Some(network) = &self.network {
                    network.mqtt.cut();
                }
            }
            Lane::Doing(step) if step.is_retrying() => {
                stage.say(&format!(
                    "{device} rolled back its first attempt and will try again"
                ));
            }
            Lane::Failed => stage.say(&format!("{device} failed and put its old firmware back")),
            Lane::Successful if unlucky => stage.say(&format!("{device} made it after all")),
            Lane::Waiting | Lane::Doing(_) | Lane::Successful => {}
        }
    }

    /// The broker publishes the last will of the unlucky device: its network comes back.
    fn mourn(&self, device: &DeviceId, payload: &[u8], stage: &mut Stage) {
        let offline = decode::<Presence>(payload)
            .is_ok_and(|presence| presence.state == PresenceState::Offline);
        if offline && self.casting.devices[self.casting.unlucky] == device.as_str() {
            stage.say(&format!("{device} lost its network; it comes back"));
            if let Some(network) = &self.network {
                network.http.mend();
                network.mqtt.mend();
            }
        }
    }
}

async fn deploy(client: &mut Client, stage: &mut Stage) -> Result<DeploymentId, Failure> {
    let body = command::Deploy {
        release: RELEASE.into(),
        group: Some(GROUP.into()),
        attempts: Some(ATTEMPTS),
        ..command::Deploy::default()
    };
    let result: DeployResult = client.ask(Verb::Deploy, &body).await?;
    stage.say(&format!(
        "deployment {}: {RELEASE} to {} devices, one retained message",
        result.deployment, result.members
    ));
    Ok(result.deployment)
}

async fn open_line(url: &str) -> Result<Line, Failure> {
    let address = url.rsplit_once("//").map_or(url, |(_, address)| address);
    let target = address
        .parse()
        .map_err(|error| Failure::because(Code::Config, url, &error))?;
    Line::open(target)
        .await
        .map_err(|error| Failure::because(Code::Port, "no free port", &error))
}
