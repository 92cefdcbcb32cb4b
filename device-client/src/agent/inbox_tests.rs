//! Messages that somebody else has signed, beside those that are obeyed and without them.

use std::path::Path;

use hoist_protocol::envelope::{PrivateKey, seal};
use hoist_protocol::id::Generation;
use hoist_protocol::root::RoleKey;

use super::*;
use crate::agent::config::{BOOT_ID_FILE, HostConfig};
use hoist_protocol::root::RootDocument;

fn root(key: &PrivateKey) -> RootDocument {
    let key = key.public();
    let roles = [KeyRole::Root, KeyRole::Release, KeyRole::Orchestrator];
    RootDocument {
        number: 1,
        namespace: hoist_protocol::id::Namespace::default(),
        issued: Generation(1),
        expires_s: 0,
        threshold: 1,
        keys: roles.map(|role| RoleKey { role, key }).into(),
    }
}

fn agent(dir: &Path) -> Agent {
    let host = HostConfig {
        device: "dev-01".parse().unwrap(),
        device_type: String::new(),
        state_dir: dir.join("state"),
        attributes: Vec::new(),
        environment: Vec::new(),
        reboot_command: Vec::new(),
        boot_id_file: BOOT_ID_FILE.into(),
    };
    Agent::open(host, None).unwrap()
}

#[tokio::test]
async fn a_connection_whose_subscription_is_refused_is_given_up_and_made_again_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = agent(dir.path());
    let mut waits = Vec::new();
    for _ in 0..4 {
        agent.incoming(Incoming::Connected);
        assert!(agent.session.is_online());
        agent.incoming(Incoming::Refused);
        assert!(!agent.session.is_online());
        waits.push(agent.connect_at.duration_since(Instant::now()));
    }
    assert!(waits.is_sorted(), "slower and slower: {waits:?}");
    assert!(waits[0] > Duration::ZERO);
}

/// A spec of the device.
fn own_spec() -> DeviceSpec {
    DeviceSpec {
        generation: Generation(1),
        group: "eu".parse().unwrap(),
        labels: Vec::new(),
        resync: hoist_protocol::id::Resync(0),
        holds: Vec::new(),
        rounds: Vec::new(),
        permits: Vec::new(),
        public_key: None,
    }
}

#[tokio::test]
async fn nothing_of_the_server_is_obeyed_is_said_only_while_that_is_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = agent(dir.path());
    let [key, other] = [1, 2].map(|seed| PrivateKey::from_seed(&[seed; 32]));
    agent.root = Some(root(&key));
    let own = own_spec();
    let of_device = agent
        .topics
        .format(&Topic::DeviceSpec("dev-01".parse().unwrap()));
    let of_group = agent
        .topics
        .format(&Topic::GroupSpec("eu".parse().unwrap()));
    let device = |key| seal(key, Kind::DeviceSpec, &of_device, &own);
    let group = |key| seal(key, Kind::GroupSpec, &of_group, &GroupSpec::default());
    let distrusts = Some(Trouble::SignerNotTrusted);
    let trouble = |agent: &Agent| agent.distrust.map(|distrust| distrust.trouble);

    let hear = |agent: &mut Agent, topic: &str, payload: Vec<u8>| {
        agent.message(topic, &payload);
        agent.act();
    };
    agent.session.connected(&mut agent.clock);
    let trusted = (&root(&key)).into();
    agent.session.trusts(trusted, &mut agent.clock);
    hear(&mut agent, &of_device, device(&other));
    assert_eq!(trouble(&agent), distrusts);
    hear(&mut agent, &of_device, device(&key));
    assert_eq!(trouble(&agent), None);
    hear(&mut agent, &of_group, group(&other));
    assert_eq!(trouble(&agent), distrusts, "no spec is in effect");
    hear(&mut agent, &of_group, group(&key));
    assert_eq!(trouble(&agent), None);
    hear(&mut agent, &of_group, group(&other));
    hear(&mut agent, &of_device, device(&other));
    assert_eq!(trouble(&agent), None, "the spec is in effect");
}

#[tokio::test]
async fn a_key_that_a_newer_root_document_names_is_no_alarm_while_that_is_on_its_way() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = agent(dir.path());
    let [key, other] = [1, 2].map(|seed| PrivateKey::from_seed(&[seed; 32]));
    agent.root = Some(root(&key));
    agent.session.connected(&mut agent.clock);
    let trusted = (&root(&key)).into();
    agent.session.trusts(trusted, &mut agent.clock);
    let of_device = agent
        .topics
        .format(&Topic::DeviceSpec("dev-01".parse().unwrap()));
    let by_other = seal(&other, Kind::DeviceSpec, &of_device, &own_spec());
    agent.message(&of_device, &by_other);
    agent.act();
    assert_eq!(agent.trouble(), None, "the server is told nothing yet");
    assert!(agent.distrust.is_some_and(|distrust| !distrust.is_said));
    // The next document names the key.
    let next = RootDocument {
        number: 2,
        keys: [
            (KeyRole::Root, key.public()),
            (KeyRole::Orchestrator, other.public()),
        ]
        .map(|(role, key)| RoleKey { role, key })
        .into(),
        ..root(&key)
    };
    agent.root_document(&next.seal(&[key])).unwrap();
    assert_eq!(agent.distrust, None);
    // Of a key that no document names it is said when those had their time.
    let third = PrivateKey::from_seed(&[3; 32]);
    let by_third = seal(&third, Kind::DeviceSpec, &of_device, &own_spec());
    agent.message(&of_device, &by_third);
    agent.distrusts_still();
    assert_eq!(agent.trouble(), Some(Trouble::SignerNotTrusted));
}
