//! Keys are replaced while a fleet works, and taken back from whoever has stolen one.

use std::collections::BTreeMap;
use std::path::Path;

use hoist_protocol::codec::decode;
use hoist_protocol::device::{Presence, PresenceState};
use hoist_protocol::envelope::{Kind, PrivateKey, seal};
use hoist_protocol::id::Generation;
use hoist_protocol::root::RootDocument;
use hoist_protocol::spec::{DeviceSpec, GroupSpec};
use serde_json::{Value, json};

use crate::harness::device::Device;
use crate::harness::eventually;
use crate::harness::mosquitto::Mosquitto;
use crate::harness::mqtt::{Client, Login, Message};
use crate::harness::operator::Operator;
use crate::harness::process::{HOIST, Process, installed};
use crate::harness::release::Release;
use crate::harness::server::Server;

/// Runs `hoist keys …` on the data directory of a server.
pub fn keys(server: &Server, args: &[&str]) -> String {
    let data = server.data();
    let all = [&["--data-dir", data.to_str().unwrap(), "keys"], args].concat();
    server.hoist_ok(&all)
}

/// Replaces a key, and waits until the running server has taken it.
fn rotate(server: &mut Server, role: &str) {
    let told = |server: &mut Server| {
        let said = server.process().said();
        said.matches("a newer root document is in effect").count()
    };
    let before = told(server);
    keys(server, &["rotate", role]);
    eventually("the server to take the key", || {
        (told(server) > before).then_some(())
    });
}

/// Births of each device among these messages.
fn births(messages: &[Message]) -> BTreeMap<String, usize> {
    let mut births = BTreeMap::new();
    for message in messages {
        let Some((_, device)) = message.topic.rsplit_once('/') else {
            continue;
        };
        let presence = decode::<Presence>(&message.payload);
        if presence.is_ok_and(|presence| presence.state == PresenceState::Online) {
            *births.entry(device.to_owned()).or_default() += 1;
        }
    }
    births
}

#[test]
fn the_orchestrators_key_is_replaced_during_a_rollout_and_all_devices_converge() {
    let mut server = Server::start();
    let operator = Operator::new(&server);
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    // 45 that stay connected, and 5 that are away when it happens.
    let data = server.data().join("client.toml");
    let mut args = vec!["--client", data.to_str().unwrap(), "sim", "--devices", "45"];
    args.extend(["--json", "--until-settled"]);
    let mut fleet = Process::start(HOIST, &args, &server.scratch().join("sim.log"));
    let group = "hoist/view/group/sim";
    let online = |count: u32| {
        let counts = |view: &Value| view["online"] == json!(count);
        operator.client().wait_json(group, counts)
    };
    online(45);
    let mut away: Vec<Device> = (1..=5)
        .map(|number| Device::add(&server, &format!("dev-{number}"), &["--group", "sim"]))
        .collect();
    away.iter_mut().for_each(|device| device.start(&server));
    online(50);
    away.iter_mut().for_each(Device::kill);
    online(45);

    let presences = server.client();
    assert!(presences.subscribe("hoist/p/#"));
    eventually("every presence", || {
        (births(&presences.messages()).len() == 45).then_some(())
    });
    let before = presences.messages().len();
    let deployment = operator.deploy("app@1.0.0", "sim", &json!({"spreadSecs": 8}));
    operator.view(deployment, |view| {
        view["counts"]["successful"].as_u64().unwrap() > 3
    });
    rotate(&mut server, "orchestrator");
    let view = operator.view(deployment, |_| true);
    let done = view["counts"]["successful"].as_u64().unwrap();
    assert!(done < 50, "the rollout was over before: {view}");
    away.iter_mut().for_each(|device| device.start(&server));
    let view = operator.settled(deployment);
    assert_eq!(view["counts"]["successful"], json!(50), "{view}");

    assert!(fleet.wait().success());
    let connected = births(&presences.messages()[before..]);
    let many: Vec<_> = connected.iter().filter(|(_, count)| **count > 1).collect();
    assert!(many.is_empty(), "more than one reconnect: {many:?}");
    let restarted = connected.keys().filter(|id| id.starts_with("dev-")).count();
    assert_eq!((restarted, connected.len()), (5, 5), "{connected:?}");
    for device in &away {
        assert_eq!(device.content("app"), "content");
        let said = device.said();
        assert!(said.contains("a newer root document is trusted"), "{said}");
        assert!(device.state().join("root.2.bin").exists());
    }
}

#[test]
fn a_device_that_was_away_walks_every_root_document_to_the_newest_keys() {
    let mut server = Server::start();
    let mut device = Device::add(&server, "dev-01", &[]);
    device.start(&server);
    let known = device.state().join("root.bin");
    eventually("the first root document", || known.exists().then_some(()));
    device.kill();
    for role in ["root", "release", "orchestrator", "root"] {
        rotate(&mut server, role);
    }
    // By the new release key.
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let operator = Operator::new(&server);
    let deployment = operator.deploy("app@1.0.0", "unassigned", &json!({}));
    device.start(&server);
    let view = operator.settled(deployment);
    assert_eq!(view["counts"]["successful"], json!(1), "{view}");
    let pinned = std::fs::read(&known).unwrap();
    let pin = server.hoist_ok(&["device", "add", "dev-02"]);
    assert!(pin.contains("root_number = 5"), "{pin}");
    for number in 2..=5 {
        let file = device.state().join(format!("root.{number}.bin"));
        assert_ne!(std::fs::read(file).unwrap(), pinned);
    }
    // A new device pins the newest, and needs nothing before it.
    let mut second = Device::add(&server, "dev-02", &[]);
    second.start(&server);
    eventually("the second device to install", || {
        (second.content("app") == "content").then_some(())
    });
    assert!(!second.state().join("root.2.bin").exists());
    // What is kept is proven again after a restart, without the server's help.
    device.restart(&server);
    let release = Release::write(server.scratch(), "app", "1.1.0", 2, "newer");
    server.release(release.dir());
    let deployment = operator.deploy("app@1.1.0", "unassigned", &json!({}));
    let view = operator.settled(deployment);
    assert_eq!(view["counts"]["successful"], json!(2), "{view}");
}

/// Somebody who has the orchestrator's key and can write at the broker.
struct Thief {
    key: PrivateKey,
    client: Client,
}

impl Thief {
    /// Steals the key of a server that works with this broker.
    fn new(server: &Server, broker: &str) -> Self {
        let text = std::fs::read_to_string(server.data().join("keys/orchestrator.key")).unwrap();
        let seed = data_encoding::HEXLOWER.decode(text.trim().as_bytes());
        let login = Login {
            user: "orchestrator".to_owned(),
            token: String::new(),
        };
        Self {
            key: PrivateKey::from_seed(&seed.unwrap().try_into().unwrap()),
            client: Client::connect(broker, "thief", &login),
        }
    }

    /// Drives the specs of a device and its group to the highest generation, and lists nothing.
    fn strike(&self, device: &str, group: &str) {
        let topic = format!("hoist/g/{group}");
        let spec = GroupSpec {
            generation: Generation(u64::MAX),
            ..GroupSpec::default()
        };
        let sealed = seal(&self.key, Kind::GroupSpec, &topic, &spec);
        self.client.publish_acknowledged(&topic, &sealed);
        let topic = format!("hoist/d/{device}");
        let spec = DeviceSpec {
            generation: Generation(u64::MAX),
            group: group.parse().unwrap(),
            labels: Vec::new(),
            resync: hoist_protocol::id::Resync(0),
            holds: Vec::new(),
            rounds: Vec::new(),
            permits: Vec::new(),
            public_key: None,
        };
        let sealed = seal(&self.key, Kind::DeviceSpec, &topic, &spec);
        self.client.publish_acknowledged(&topic, &sealed);
    }
}

/// The spec that a device keeps.
fn kept(device: &Device) -> Option<DeviceSpec> {
    let bytes = std::fs::read(device.state().join("head")).ok()?;
    let (spec, _) = hoist_protocol::codec::decode_prefix::<DeviceSpec>(&bytes).ok()?;
    Some(spec)
}

#[test]
fn a_generation_that_a_thief_has_driven_to_its_end_is_recovered_by_a_new_key() {
    // bad-inputs row 43
    if !installed("mosquitto") {
        return;
    }
    let broker = Mosquitto::start();
    let address = broker.address();
    let mut server = Server::start_on(broker);
    let mut device = Device::add(&server, "dev-01", &[]);
    device.start(&server);
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let first = Operator::new(&server).deploy("app@1.0.0", "unassigned", &json!({}));
    Operator::new(&server).settled(first);

    let thief = Thief::new(&server, &address);
    thief.strike("dev-01", "unassigned");
    eventually("the device to believe the thief", || {
        let kept = kept(&device)?;
        (kept.generation == Generation(u64::MAX)).then_some(())
    });
    // A server that sees numbers of its own key that it never gave does not go on.
    let ended = server.process().wait();
    assert_eq!(ended.code(), Some(1));
    let said = server.process().said();
    assert!(said.contains("E_RECOVER"), "{said}");
    assert!(said.contains("hoist keys rotate orchestrator"), "{said}");

    keys(&server, &["rotate", "orchestrator"]);
    server.restart();
    let release = Release::write(server.scratch(), "app", "1.1.0", 2, "newer");
    server.release(release.dir());
    let operator = Operator::new(&server);
    let second = operator.deploy("app@1.1.0", "unassigned", &json!({}));
    let view = operator.settled(second);
    assert_eq!(view["counts"]["successful"], json!(1), "{view}");
    assert_eq!(device.content("app"), "newer");
    // The old key is worth nothing any more, to devices and to the server.
    let refusals = |device: &Device| device.said().matches("E_SIG").count();
    let before = refusals(&device);
    thief.strike("dev-01", "unassigned");
    eventually("the device to refuse the old key", || {
        (refusals(&device) > before).then_some(())
    });
    let kept = kept(&device).unwrap();
    assert!(kept.generation < Generation(u64::MAX), "{kept:?}");
    device.restart(&server);
    let release = Release::write(server.scratch(), "app", "1.2.0", 3, "newest");
    server.release(release.dir());
    let third = operator.deploy("app@1.2.0", "unassigned", &json!({}));
    operator.settled(third);
    assert_eq!(device.content("app"), "newest");
}

/// The newest root document of a server, as it is published.
fn newest_root(server: &Server) -> Vec<u8> {
    std::fs::read(server.data().join("keys/root.bin")).unwrap()
}

#[test]
fn a_root_document_by_one_of_the_two_keys_is_refused_and_its_keys_count_for_nothing() {
    // bad-inputs row 45
    if !installed("mosquitto") {
        return;
    }
    let broker = Mosquitto::start();
    let address = broker.address();
    let server = Server::start_on(broker);
    let mut device = Device::add(&server, "dev-01", &[]);
    device.start(&server);
    let file = device.state().join("root.bin");
    eventually("the root document", || file.exists().then_some(()));
    let sealed = newest_root(&server);
    let (first, _) = hoist_protocol::codec::decode_prefix::<RootDocument>(&sealed).unwrap();
    let own = PrivateKey::from_seed(&[9; 32]);
    let mut forged = first.clone();
    forged.number = 2;
    forged
        .keys
        .iter_mut()
        .for_each(|entry| entry.key = own.public());
    let login = Login {
        user: "orchestrator".to_owned(),
        token: String::new(),
    };
    let forger = Client::connect(&address, "forger", &login);
    let mut skipping = first;
    skipping.number = 3;
    for (document, code) in [(forged, "E_ROOT_SIGNATURES"), (skipping, "E_ROOT_SKIPPED")] {
        let sealed = document.seal(std::slice::from_ref(&own));
        forger.publish_acknowledged("hoist/k/2", &sealed);
        eventually("the device to refuse it", || {
            device.said().contains(code).then_some(())
        });
    }
    assert!(!device.state().join("root.2.bin").exists());
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let operator = Operator::new(&server);
    let deployment = operator.deploy("app@1.0.0", "unassigned", &json!({}));
    let view = operator.settled(deployment);
    assert_eq!(view["counts"]["successful"], json!(1), "{view}");
}

/// True if a file is its owner's alone.
pub fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    mode & 0o077 == 0
}
