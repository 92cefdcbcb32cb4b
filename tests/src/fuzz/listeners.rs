//! Bytes that come over a socket to a server that runs: the front door and HTTP. Whatever they are,
//! their connection ends once their sender has gone, and somebody else is served as before.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use hoist_broker_config::credentials::{
    People, Refusal, Shown, TokenCredentials, TokenKey, User, hash_user_token,
};
use hoist_broker_config::{EmbeddedBroker, FrontDoorConfig, Limits};
use hoist_orchestrator::artifacts::ArtifactDirectory;
use hoist_orchestrator::config::Rights;
use hoist_orchestrator::events::EventNews;
use hoist_orchestrator::health::Health;
use hoist_orchestrator::http::{
    CommandDoor, EventReaders, Hosts, HttpLimits, HttpState, Scratch, TokenAuth, serve,
};
use hoist_orchestrator::metrics::Metrics;
use hoist_orchestrator::store::sled::SledStore;
use hoist_orchestrator_core::model::row::Deed;
use hoist_protocol::access::Role;
use hoist_protocol::id::{ClaimId, DeviceId, Namespace, UserId, sha256};
use rumqttc::mqttbytes::v4::Connect;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// The name of the threads on which a panic is somebody's doing.
const THREAD: &str = "fuzzed";
/// The longest time until a connection is over whose sender has gone.
const PATIENCE: Duration = Duration::from_secs(20);
/// For an answer to come, or not: a packet whose end is missing swallows the ping behind it.
const MOMENT: Duration = Duration::from_millis(50);
/// Times that somebody else asks to be let in: a busy machine takes more than a moment.
const TRIES: u32 = 400;
/// A ping, and its answer.
const PING: [[u8; 2]; 2] = [[0xc0, 0], [0xd0, 0]];
/// The body for whoever asks whether a server lives.
const LIVES: &[u8] = b"\r\n\r\nok\n";
/// A user is let in.
const LET_IN: [u8; 4] = [0x20, 2, 0, 0];
/// The token of everybody.
const TOKEN: &str = "a-token";

static HAS_PANICKED: AtomicBool = AtomicBool::new(false);

/// A runtime whose panics are noticed: a task that panics ends without a word.
fn runtime() -> Runtime {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().name() == Some(THREAD) {
                HAS_PANICKED.store(true, Ordering::SeqCst);
            }
            before(panic);
        }));
    });
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name(THREAD)
        .enable_all()
        .build()
        .unwrap()
}

/// Says the input and goes; the answer. With `ending`, its sender goes once the answer ends so, or
/// after a moment.
fn say(address: SocketAddr, input: &[u8], ending: Option<&[u8]>) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    let patience = ending.map_or(PATIENCE, |_| MOMENT);
    stream.set_read_timeout(Some(patience)).unwrap();
    // It may be closed before all of it was said.
    let _closed = stream.write_all(input);
    if ending.is_none() {
        let _closed = stream.shutdown(Shutdown::Write);
    }
    let (mut answer, mut part) = (Vec::new(), [0; 1_024]);
    while !ending.is_some_and(|ending| answer.ends_with(ending)) {
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&part[..read]),
            Err(error) if is_late(&error) => {
                assert!(ending.is_some(), "not over after {PATIENCE:?}");
                break;
            }
            Err(_) => break,
        }
    }
    assert!(!HAS_PANICKED.load(Ordering::SeqCst), "a task has panicked");
    answer
}

fn is_late(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

struct Everybody;

impl People for Everybody {
    fn user(&self, _: &UserId) -> Option<User> {
        Some(User {
            role: Role::Deployer,
            groups: Vec::new(),
            token_sha256: hash_user_token(TOKEN),
        })
    }

    fn admits(&self, _: &DeviceId, _: Shown) -> Result<(), Refusal> {
        Ok(())
    }

    fn knows_claim(&self, _: &ClaimId) -> bool {
        true
    }

    fn version(&self) -> u64 {
        0
    }
}

struct Door {
    _runtime: Runtime,
    _broker: EmbeddedBroker,
    address: SocketAddr,
    /// What a device says first.
    device: Vec<u8>,
    /// What a user says first.
    user: Vec<u8>,
}

impl Door {
    fn start() -> Self {
        let runtime = runtime();
        let (key, namespace) = (TokenKey::new([7; 32]), Namespace::default());
        let device: DeviceId = "pump-1".parse().unwrap();
        let token = key.device_token(&namespace, &device, 1);
        let config = FrontDoorConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            namespace: namespace.clone(),
            limits: Limits::default(),
            tls: None,
        };
        let credentials = Arc::new(TokenCredentials {
            namespace,
            key,
            service_token_sha256: hash_user_token("the service's"),
            people: Arc::new(Everybody),
        });
        let broker = runtime
            .block_on(EmbeddedBroker::start(config, credentials))
            .unwrap();
        Self {
            address: broker.local_addr(),
            _runtime: runtime,
            _broker: broker,
            device: hello(device.as_str(), &token),
            user: hello("alice", TOKEN),
        }
    }
}

fn hello(user: &str, token: &str) -> Vec<u8> {
    let mut connect = Connect::new(user);
    connect.set_login(user, token);
    let mut bytes = bytes::BytesMut::new();
    connect.write(&mut bytes).unwrap();
    bytes.to_vec()
}

/// Packets of somebody who is nobody yet, a device or a user, by the first byte.
pub(super) fn front_door(input: &[u8]) {
    static DOOR: OnceLock<Door> = OnceLock::new();
    let door = DOOR.get_or_init(Door::start);
    let (first, rest) = input
        .split_first()
        .map_or((0, input), |(first, rest)| (*first, rest));
    let before: &[u8] = match first % 3 {
        0 => &[],
        1 => &door.device,
        _ => &door.user,
    };
    let said = [before, rest, &PING[0]].concat();
    say(door.address, &said, Some(&PING[1]));
    let welcome = || (say(door.address, &door.user, Some(&LET_IN)) == LET_IN).then_some(());
    let tries = (0..TRIES).find_map(|_| welcome());
    assert_eq!(tries, Some(()), "somebody else is not let in");
}

struct Desk;

impl TokenAuth for Desk {
    fn user_with(&self, token_sha256: &[u8; 32]) -> Option<(UserId, Rights)> {
        let rights = Rights {
            role: Role::Admin,
            groups: Vec::new(),
        };
        (*token_sha256 == sha256(TOKEN.as_bytes())).then(|| ("ann".parse().unwrap(), rights))
    }
}

#[async_trait]
impl CommandDoor for Desk {
    async fn command(
        &self,
        _: (UserId, IpAddr),
        request: String,
        verb: String,
        body: Vec<u8>,
    ) -> Option<Vec<u8>> {
        Some([request.as_bytes(), b" ", verb.as_bytes(), b" ", &body].concat())
    }

    async fn note(&self, _: Deed) -> bool {
        true
    }
}

struct Site {
    _runtime: Runtime,
    _dir: TempDir,
    _ready: watch::Sender<bool>,
    address: SocketAddr,
}

impl Site {
    fn start() -> Self {
        let (runtime, dir) = (runtime(), tempfile::tempdir().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (ready, receiver) = watch::channel(true);
        let artifacts = dir.path().join("artifacts");
        std::fs::create_dir(&artifacts).unwrap();
        let state = HttpState {
            health: Health::default(),
            metrics: Metrics::default(),
            events: EventReaders::new(EventNews::default(), Namespace::default()),
            artifacts: ArtifactDirectory::open(&artifacts).unwrap(),
            bearers: Arc::new(Desk),
            commands: Arc::new(Desk),
            store: SledStore::create(&dir.path().join("store")).unwrap(),
            scratch: Scratch::new(dir.path().join("backup.rows")),
            ready: receiver,
            limits: HttpLimits::default(),
            // A seed has another one beside the address.
            hosts: Hosts::new(address.ip(), ["other".to_owned()]),
            page: Default::default(),
            tls: None,
        };
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            serve(listener, state, std::future::pending()).await;
        });
        Self {
            _runtime: runtime,
            _dir: dir,
            _ready: ready,
            address,
        }
    }
}

/// Requests, also those of a user (`Bearer a-token`).
pub(super) fn http(input: &[u8]) {
    static SITE: OnceLock<Site> = OnceLock::new();
    let site = SITE.get_or_init(Site::start);
    let answer = say(site.address, input, None);
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1."),
        "{answer:?}"
    );
    let asked = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    let alive = || {
        say(site.address, asked, Some(LIVES))
            .ends_with(LIVES)
            .then_some(())
    };
    let tries = (0..TRIES).find_map(|_| alive());
    assert_eq!(tries, Some(()), "somebody else is not answered");
}
