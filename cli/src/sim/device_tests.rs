use std::sync::{Mutex, PoisonError};

use hoist_protocol::admission::Audience;
use hoist_protocol::id::{DeploymentId, Generation, GroupId, Round};
use hoist_protocol::release::ArtifactRef;
use hoist_protocol::root::RoleKey;
use hoist_protocol::spec::{DeploymentSpec, Policy};
use hoist_protocol::topic::Topics;

use super::*;
use crate::sim::model::Trouble;
use crate::sim::truth::Truth;

const SERVER_SEED: [u8; 32] = [1; 32];
const RELEASE_SEED: [u8; 32] = [2; 32];

fn root([orchestrator, release]: [[u8; 32]; 2]) -> RootDocument {
    let roles = [
        (KeyRole::Root, [9; 32]),
        (KeyRole::Release, release),
        (KeyRole::Orchestrator, orchestrator),
    ];
    let keys = roles.map(|(role, seed)| RoleKey {
        role,
        key: PrivateKey::from_seed(&seed).public(),
    });
    RootDocument {
        number: 1,
        namespace: hoist_protocol::id::Namespace::default(),
        issued: Generation(1),
        expires_s: 0,
        threshold: 1,
        keys: keys.to_vec(),
    }
}

fn fleet(fail: &str) -> Arc<Fleet> {
    Arc::new(Fleet {
        topics: Topics::default(),
        root: root([SERVER_SEED, RELEASE_SEED]),
        trouble: Trouble {
            seed: 7,
            loss: "0%".parse().unwrap(),
            fail: fail.parse().unwrap(),
            flap: None,
        },
        truth: Mutex::new(Truth::default()),
    })
}

fn release() -> ReleaseManifest {
    ReleaseManifest {
        name: "app".parse().unwrap(),
        version: "1.0.0".into(),
        counter: 1,
        floor: 0,
        device_types: Vec::new(),
        attributes: Vec::new(),
        artifacts: vec![ArtifactRef {
            size: 1,
            hash: [3; 32],
        }],
    }
}

/// Delivers a sealed message as the server would.
fn deliver<M: hoist_protocol::codec::Message>(
    device: &mut Device,
    key: [u8; 32],
    kind: Kind,
    topic: &Topic,
    message: &M,
) {
    let text = Topics::default().format(topic);
    let scope = if kind == Kind::Release { "" } else { &text };
    let sealed = hoist_protocol::envelope::seal(&PrivateKey::from_seed(&key), kind, scope, message);
    device.received(&text, &sealed);
}

/// A member of group `eu` to which deployment 1 is listed.
fn asked(fleet: &Arc<Fleet>) -> Device {
    let id: DeviceId = "sim-00001".parse().unwrap();
    let group: GroupId = "eu".parse().unwrap();
    let mut device = Device::new(Arc::clone(fleet), id.clone(), "token", 1);
    device.will();
    device.connected();
    let own = DeviceSpec {
        generation: Generation(1),
        group: group.clone(),
        labels: Vec::new(),
        resync: hoist_protocol::id::Resync(0),
        holds: Vec::new(),
        rounds: Vec::new(),
        permits: Vec::new(),
        public_key: None,
    };
    deliver(
        &mut device,
        SERVER_SEED,
        Kind::DeviceSpec,
        &Topic::DeviceSpec(id),
        &own,
    );
    let spec = GroupSpec {
        generation: Generation(unix_ms()),
        entries: vec![DeploymentSpec {
            deployment: DeploymentId(1),
            release: release().id(),
            round: Round(0),
            audience: Audience::EVERYONE,
            policy: Policy {
                attempts: 1,
                ..Policy::default()
            },
        }],
        ..GroupSpec::default()
    };
    deliver(
        &mut device,
        SERVER_SEED,
        Kind::GroupSpec,
        &Topic::GroupSpec(group),
        &spec,
    );
    device
}

/// Lets modelled time pass until the device has ended, and acknowledges what it says.
async fn run_to_the_end(fleet: &Arc<Fleet>, device: &mut Device) -> String {
    let over = || {
        let truth = fleet.truth.lock().unwrap_or_else(PoisonError::into_inner);
        truth.is_over(DeploymentId(1))
    };
    while !over() {
        let published = |send: &Send| matches!(send, Send::Publish(_));
        for _ in device.take_sends().iter().filter(|send| published(send)) {
            device.acknowledged();
        }
        if over() {
            break;
        }
        tokio::time::sleep_until(device.wake().expect("something is to happen")).await;
        device.woken();
    }
    let truth = fleet.truth.lock().unwrap_or_else(PoisonError::into_inner);
    serde_json::to_string(&truth.account(1)).unwrap()
}

#[tokio::test]
async fn a_device_takes_part_and_its_truth_says_how_it_ended() {
    for (fail, counts) in [
        ("0%", r#""counts":{"successful":1,"failed":0}"#),
        ("100%", r#""counts":{"successful":0,"failed":1}"#),
    ] {
        let fleet = fleet(fail);
        let mut device = asked(&fleet);
        deliver(
            &mut device,
            RELEASE_SEED,
            Kind::Release,
            &Topic::Release(release().id()),
            &release(),
        );
        let account = run_to_the_end(&fleet, &mut device).await;
        assert!(account.contains(counts), "{account}");
        assert!(
            account.contains(r#""started":1"#) && account.contains(r#""installs":1"#),
            "{account}"
        );
    }
}

#[tokio::test]
async fn a_release_that_the_release_key_did_not_sign_never_runs() {
    // bad-inputs row 22
    let fleet = fleet("0%");
    let mut device = asked(&fleet);
    // The first time the key may be one that a newer root document names.
    for _ in 0..2 {
        deliver(
            &mut device,
            SERVER_SEED,
            Kind::Release,
            &Topic::Release(release().id()),
            &release(),
        );
    }
    let account = run_to_the_end(&fleet, &mut device).await;
    assert!(
        account.contains(r#""failed":1"#) && account.contains(r#""installs":0"#),
        "{account}"
    );
}

#[test]
fn a_spec_that_is_not_the_servers_is_ignored() {
    // bad-inputs row 22
    let fleet = fleet("0%");
    let id: DeviceId = "sim-00001".parse().unwrap();
    let mut device = Device::new(Arc::clone(&fleet), id.clone(), "token", 1);
    device.connected();
    device.take_sends();
    let forged = DeviceSpec {
        generation: Generation(1),
        group: "eu".parse().unwrap(),
        labels: Vec::new(),
        resync: hoist_protocol::id::Resync(0),
        holds: Vec::new(),
        rounds: Vec::new(),
        permits: Vec::new(),
        public_key: None,
    };
    let root = Send::Subscribe("hoist/k/2".into());
    for asked in [vec![root], Vec::new()] {
        deliver(
            &mut device,
            RELEASE_SEED,
            Kind::DeviceSpec,
            &Topic::DeviceSpec(id.clone()),
            &forged,
        );
        assert_eq!(device.take_sends(), asked, "a newer root may name the key");
    }
}

#[tokio::test]
async fn what_an_earlier_run_reached_is_known_but_not_told_again() {
    let first = fleet("0%");
    let mut device = asked(&first);
    deliver(
        &mut device,
        RELEASE_SEED,
        Kind::Release,
        &Topic::Release(release().id()),
        &release(),
    );
    run_to_the_end(&first, &mut device).await;
    let mut status = None;
    for _ in 0..10 {
        for send in device.take_sends() {
            if let Send::Publish(message) = send {
                device.acknowledged();
                let ended = DeviceStatus::receive(&message.payload)
                    .is_ok_and(|received| !received.status.outcomes.is_empty());
                status = ended.then_some(message).or(status);
            }
        }
    }
    let status = status.expect("the outcome is published");

    let second = fleet("0%");
    let id: DeviceId = "sim-00001".parse().unwrap();
    let mut device = Device::new(Arc::clone(&second), id, "token", 1);
    device.connected();
    device.received(&status.topic, &status.payload);
    assert_eq!(device.session.machine().ring().ended, 1, "it knows");
    let truth = second.truth.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(!truth.is_over(DeploymentId(1)), "this run did nothing");
}
