//! The whole agent against a broker of a few lines: signed specs in, scripts run,
//! signed outcome out.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::BytesMut;
use hoist_protocol::admission::Audience;
use hoist_protocol::envelope::{Kind, PrivateKey, seal};
use hoist_protocol::id::{DeploymentId, DeviceId, Generation, GroupId, Resync, Round};
use hoist_protocol::root::{KeyRole, RoleKey, RootDocument};
use hoist_protocol::spec::{DeploymentSpec, DeviceSpec, GroupSpec, Policy};
use hoist_protocol::status::{DeviceStatus, FinalResult, Success};
use hoist_protocol::topic::{Topic, Topics};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{
    ConnAck, ConnectReturnCode, Packet, PubAck, Publish, SubAck, SubscribeReasonCode, UnsubAck,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::super::bundle::{PackedRelease, read_release_dir};
use super::super::config::{HostConfig, ServerConfig, Token};
use super::*;
use crate::agent::download::Proxies;
use crate::agent::inventory::Inventory;
use hoist_net::endpoint::{Endpoint, Scheme};
use hoist_net::tls::Trust;

type Retained = BTreeMap<String, Vec<u8>>;

/// Serves one connection: retained messages on subscriptions, everything published heard. It
/// breaks when something is published on `breaks_at`.
async fn serve(
    mut stream: TcpStream,
    retained: Retained,
    heard: mpsc::Sender<Publish>,
    breaks_at: Option<String>,
) {
    let mut input = BytesMut::new();
    loop {
        while let Ok(packet) = Packet::read(&mut input, 20_000) {
            let mut answers = Vec::new();
            match packet {
                Packet::Connect(_) => {
                    let code = ConnectReturnCode::Success;
                    answers.push(Packet::ConnAck(ConnAck::new(code, false)));
                }
                Packet::Subscribe(subscribe) => {
                    let granted = SubscribeReasonCode::Success(QoS::AtLeastOnce);
                    answers.push(Packet::SubAck(SubAck::new(subscribe.pkid, vec![granted])));
                    for filter in &subscribe.filters {
                        let Some(payload) = retained.get(&filter.path) else {
                            continue;
                        };
                        let publish = Publish::new(&filter.path, QoS::AtMostOnce, payload.clone());
                        answers.push(Packet::Publish(publish));
                    }
                }
                Packet::Unsubscribe(unsubscribe) => {
                    answers.push(Packet::UnsubAck(UnsubAck::new(unsubscribe.pkid)));
                }
                Packet::Publish(publish) if Some(&publish.topic) == breaks_at.as_ref() => return,
                Packet::Publish(publish) => {
                    answers.push(Packet::PubAck(PubAck::new(publish.pkid)));
                    heard.send(publish).await.unwrap();
                }
                _ => {}
            }
            let mut output = BytesMut::new();
            for answer in answers {
                answer.write(&mut output, 20_000).unwrap();
            }
            stream.write_all(&output).await.unwrap();
        }
        if stream.read_buf(&mut input).await.unwrap_or(0) == 0 {
            return;
        }
    }
}

fn config(device: &DeviceId, port: u16, pin: [u8; 32], state_dir: &Path) -> AgentConfig {
    AgentConfig {
        host: HostConfig {
            device: device.clone(),
            device_type: String::new(),
            state_dir: state_dir.to_path_buf(),
            attributes: Vec::new(),
            environment: Vec::new(),
            reboot_command: Vec::new(),
            boot_id_file: super::super::config::BOOT_ID_FILE.into(),
        },
        server: ServerConfig {
            namespace: hoist_protocol::id::Namespace::default(),
            broker: Endpoint::of(Scheme::Mqtt, "127.0.0.1", port),
            token: Token("secret".into()),
            certificate: None,
            root_sha256: pin,
            root_number: 1,
            artifacts: None,
            proxies: Proxies::default(),
            trust: Trust::default(),
            keep_alive: Duration::from_secs(60),
        },
    }
}

fn root(key: &PrivateKey) -> RootDocument {
    let role = |role| RoleKey {
        role,
        key: key.public(),
    };
    RootDocument {
        number: 1,
        namespace: hoist_protocol::id::Namespace::default(),
        issued: Generation(1),
        expires_s: 0,
        threshold: 1,
        keys: vec![
            role(KeyRole::Root),
            role(KeyRole::Release),
            role(KeyRole::Orchestrator),
        ],
    }
}

/// Everything the orchestrator would have published.
fn retained(
    key: &PrivateKey,
    packed: &PackedRelease,
    device: &DeviceId,
    source: String,
) -> Retained {
    let topics = Topics::default();
    let group: GroupId = "eu".parse().unwrap();
    let topic = |topic: Topic| topics.format(&topic);
    let device_topic = topic(Topic::DeviceSpec(device.clone()));
    let group_topic = topic(Topic::GroupSpec(group.clone()));
    let own = DeviceSpec {
        generation: Generation(1),
        group,
        labels: Vec::new(),
        resync: Resync(0),
        holds: Vec::new(),
        rounds: Vec::new(),
        permits: Vec::new(),
        public_key: None,
    };
    let entry = DeploymentSpec {
        deployment: DeploymentId(1),
        release: packed.id(),
        round: Round(0),
        audience: Audience::EVERYONE,
        policy: Policy::default(),
    };
    let spec = GroupSpec {
        generation: Generation(1),
        entries: vec![entry],
        source: Some(source),
        ..GroupSpec::default()
    };
    Retained::from([
        (
            topic(Topic::Root(1)),
            root(key).seal(std::slice::from_ref(key)),
        ),
        (
            device_topic.clone(),
            seal(key, Kind::DeviceSpec, &device_topic, &own),
        ),
        (
            group_topic.clone(),
            seal(key, Kind::GroupSpec, &group_topic, &spec),
        ),
        (topic(Topic::Release(packed.id())), packed.sign(key)),
    ])
}

/// Answers every request with the content.
async fn serve_file(content: Vec<u8>) -> (String, tokio::task::JoinHandle<()>) {
    let files = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let source = format!("http://{}", files.local_addr().unwrap());
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = files.accept().await.unwrap();
            let mut request = [0; 4096];
            assert_ne!(stream.read(&mut request).await.unwrap(), 0);
            let length = content.len();
            let start = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all(start.as_bytes()).await.unwrap();
            // Whoever has enough goes away.
            let _gone = stream.write_all(&content).await;
        }
    });
    (source, server)
}

#[tokio::test]
async fn a_listed_release_is_fetched_installed_by_its_scripts_and_reported_signed() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let topics = Topics::default();
    let device: DeviceId = "dev-01".parse().unwrap();
    let key = PrivateKey::from_seed(&[7; 32]);
    let root = root(&key);

    let hello = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/hello");
    let packed = read_release_dir(&hello).unwrap();
    let artifact = &packed.artifacts[0];
    let content = artifact.to_bytes().unwrap();
    let (source, server) = serve_file(content).await;
    let retained = retained(&key, &packed, &device, source);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, mut heard) = mpsc::channel(64);
    let broker = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream, retained, sender, None).await;
    });
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let agent = tokio::spawn(run(config(&device, port, root.pin(), &state), async {
        let _ = stopped.await;
    }));
    let status_topic = topics.format(&Topic::Status(device));
    let outcome = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let publish = heard.recv().await.unwrap();
            if publish.topic != status_topic {
                continue;
            }
            let received = DeviceStatus::receive(&publish.payload).unwrap();
            if let Some(outcome) = received.status.outcomes.first() {
                let key = load_or_create_key(&state).unwrap().public();
                received.verify(&key, &status_topic).unwrap();
                return outcome.clone();
            }
        }
    });
    assert_eq!(
        outcome.await.unwrap().result,
        FinalResult::Successful(Success::Installed)
    );
    assert!(state.join("work/hello/greeting.txt").exists());
    assert!(
        Inventory::load(&SystemFiles, &state)
            .unwrap()
            .find(&"hello".parse().unwrap())
            .is_some()
    );

    // bad-inputs row 63, for the agent: the second one names the first.
    let second = run(
        config(&"dev-01".parse().unwrap(), port, root.pin(), &state),
        async {},
    )
    .await;
    let said = second.unwrap_err().to_string();
    assert!(said.contains(&std::process::id().to_string()), "{said}");

    stop.send(()).unwrap();
    agent.await.unwrap().unwrap();
    broker.abort();
    server.abort();
    assert!(!state.join("run.json").exists());
}

#[tokio::test]
async fn what_a_device_says_of_itself_is_said_again_when_it_may_be_lost() {
    let dir = tempfile::tempdir().unwrap();
    let device: DeviceId = "dev-01".parse().unwrap();
    let key = PrivateKey::from_seed(&[7; 32]);
    let root = root(&key);
    let topics = Topics::default();
    let info = topics.format(&Topic::Info(device.clone()));
    let spec = topics.format(&Topic::DeviceSpec(device.clone()));
    let hello = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/hello");
    let packed = read_release_dir(&hello).unwrap();
    let mut retained = retained(&key, &packed, &device, String::new());
    retained.retain(|topic, _| *topic == spec || topic.contains("/k/"));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, mut heard) = mpsc::channel(64);
    let lost = info.clone();
    let broker = tokio::spawn(async move {
        for breaks_at in [Some(lost), None] {
            let (stream, _) = listener.accept().await.unwrap();
            serve(stream, retained.clone(), sender.clone(), breaks_at).await;
        }
    });
    let config = config(&device, port, root.pin(), dir.path());
    let agent = tokio::spawn(run(config, std::future::pending()));
    let said = tokio::time::timeout(Duration::from_secs(30), async {
        while heard.recv().await.unwrap().topic != info {}
    });
    said.await.unwrap();
    agent.abort();
    broker.abort();
}
