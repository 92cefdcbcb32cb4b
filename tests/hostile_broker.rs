//! A broker that means harm can withhold, and nothing else: every message that it replaces, repeats or
//! makes up is refused by name, nothing that was not released is installed, and operators see it.

use std::sync::{Arc, Mutex};

use hoist_protocol::codec::decode_prefix;
use hoist_protocol::envelope::PrivateKey;
use hoist_protocol::id::{Attempt, DeploymentId, Round, Seq};
use hoist_protocol::spec::{DeviceSpec, GroupSpec};
use hoist_protocol::status::{DeviceStatus, FinalResult, Outcome, Success};
use hoist_protocol::topic::{Topic, Topics};
use serde_json::{Value, json};

use crate::harness::device::Device;
use crate::harness::eventually;
use crate::harness::meddler::{Harm, Meddler};
use crate::harness::mqtt::{Client, Login};
use crate::harness::release::Release;
use crate::harness::server::Server;

const GROUP: &str = "eu";
const SPEC: &str = "hoist/g/eu";

/// A server with the groups `eu` and `us`, and the releases 1.0.0 and 1.1.0 of `app`.
fn server() -> Server {
    let server = Server::start();
    for group in [GROUP, "us"] {
        server.hoist_ok(&["group", "create", group]);
    }
    for (version, counter) in [("1.0.0", 1), ("1.1.0", 2)] {
        let release = Release::write(server.scratch(), "app", version, counter, version);
        server.release(release.dir());
    }
    server
}

/// A device of a group, which obeys, and the line by which it is reached.
fn device_on_a_line(server: &Server, id: &str, group: &str) -> (Device, Meddler) {
    let mut device = Device::add(server, id, &["--group", group]);
    let line = Meddler::start(server.mqtt());
    device.replace_setting(server.mqtt(), line.address());
    device.start(server);
    eventually("the device to be known by its key", || {
        (shown(server, id)["keyPinned"] == json!(true)).then_some(())
    });
    (device, line)
}

fn shown(server: &Server, device: &str) -> Value {
    let shown = server.hoist_ok(&["-o", "json", "device", "show", device]);
    serde_json::from_str(&shown).unwrap()
}

/// Deploys to a group, and returns the deployment's number.
fn deploy(server: &Server, release: &str, group: &str) -> String {
    let said = server.hoist_ok(&["-o", "json", "deploy", release, "--group", group]);
    let said: Value = serde_json::from_str(&said).unwrap();
    said["deployment"].to_string()
}

fn counts(server: &Server, deployment: &str) -> Value {
    let said = server.hoist_ok(&["-o", "json", "deployment", "show", deployment]);
    serde_json::from_str::<Value>(&said).unwrap()["counts"].clone()
}

/// Puts a payload in the place of everything on topics that begin like this.
fn put(line: &Meddler, topic: &str, payload: Vec<u8>) {
    let topic = topic.to_owned();
    line.harm(move |on, _| match on.starts_with(&topic) {
        true => Harm::Replaced(payload.clone()),
        false => Harm::Passed,
    });
}

fn honest(line: &Meddler) {
    line.harm(|_, _| Harm::Passed);
}

/// Waits until the agent has said all of this once more than before.
fn says_again(device: &Device, words: &[&str], harm: impl FnOnce()) {
    let said = |device: &Device| {
        let is_it = |line: &&str| words.iter().all(|word| line.contains(word));
        device.said().lines().filter(is_it).count()
    };
    let before = said(device);
    harm();
    eventually(&format!("the agent to say {words:?}"), || {
        (said(device) > before).then_some(())
    });
}

fn has_begun(device: &Device) -> bool {
    device.work("app").exists()
}

/// Waits for a payload of a topic that decodes and is so, and returns its bytes.
fn seen<T: hoist_protocol::codec::Message>(
    line: &Meddler,
    topic: &str,
    is_so: impl Fn(&T) -> bool,
) -> Vec<u8> {
    let fits = |payload: &Vec<u8>| decode_prefix::<T>(payload).is_ok_and(|(read, _)| is_so(&read));
    eventually(topic, || line.seen(topic).into_iter().find(fits))
}

#[test]
fn an_older_spec_that_comes_back_after_an_abort_starts_nobody() {
    // bad-inputs row 29
    let server = server();
    let (device, line) = device_on_a_line(&server, "d1", GROUP);
    server.hoist_ok(&["device", "hold", "d1"]);
    let deployment = deploy(&server, "app@1.0.0", GROUP);
    let old = seen(&line, SPEC, |spec: &GroupSpec| spec.entries.len() == 1);
    server.hoist_ok(&["deployment", "abort", &deployment, "--yes"]);
    let generation = |payload: &[u8]| decode_prefix::<GroupSpec>(payload).unwrap().0.generation;
    let at = generation(&old);
    seen(&line, SPEC, |spec: &GroupSpec| {
        spec.entries.is_empty() && spec.generation > at
    });
    server.hoist_ok(&["device", "hold", "d1", "--lift"]);
    says_again(&device, &["E_REPLAY", "older spec"], || {
        put(&line, SPEC, old)
    });
    assert!(!has_begun(&device));
    honest(&line);
    let next = deploy(&server, "app@1.1.0", GROUP);
    eventually("the device to obey what is new", || {
        (counts(&server, &next)["successful"] == json!(1)).then_some(())
    });
    assert_eq!(device.content("app"), "1.1.0");
    assert_eq!(counts(&server, &deployment)["successful"], json!(0));
}

#[test]
fn a_spec_of_another_group_or_another_device_is_obeyed_by_nobody_else() {
    // bad-inputs row 23
    let server = server();
    let (device_1, line) = device_on_a_line(&server, "d1", GROUP);
    let (device_2, other) = device_on_a_line(&server, "d2", "us");
    deploy(&server, "app@1.0.0", "us");
    let listed = seen(&other, "hoist/g/us", |spec: &GroupSpec| {
        !spec.entries.is_empty()
    });
    let foreign = seen(&other, "hoist/d/d2", |spec: &DeviceSpec| {
        spec.public_key.is_some()
    });
    for (topic, payload) in [(SPEC, listed), ("hoist/d/d1", foreign)] {
        says_again(&device_1, &["E_SIG"], || put(&line, topic, payload));
        assert!(!has_begun(&device_1), "{topic}");
        assert_eq!(shown(&server, "d1")["group"], json!(GROUP));
        eventually("the operator to see it", || {
            (shown(&server, "d1")["trouble"] == json!("signer-not-trusted")).then_some(())
        });
        honest(&line);
        eventually("it to be over", || {
            shown(&server, "d1")["trouble"].is_null().then_some(())
        });
    }
    eventually("the other device to obey", || {
        (device_2.content("app") == "1.0.0").then_some(())
    });
    let next = deploy(&server, "app@1.1.0", GROUP);
    eventually("the device to obey its own group", || {
        (counts(&server, &next)["successful"] == json!(1)).then_some(())
    });
}

#[test]
fn a_manifest_that_is_another_one_cut_off_or_of_other_keys_installs_nothing_and_is_told() {
    let server = server();
    let (device, line) = device_on_a_line(&server, "d1", GROUP);
    let (device_2, other) = device_on_a_line(&server, "d2", "us");
    deploy(&server, "app@1.0.0", "us");
    let whole = eventually("a manifest", || {
        let topic = other.topics("hoist/r/").pop()?;
        other
            .seen(&topic)
            .pop()
            .filter(|payload| !payload.is_empty())
    });
    eventually("its release to be installed", || {
        (device_2.content("app") == "1.0.0").then_some(())
    });
    // A signature of the right length by nobody's key.
    let mut forged = whole.clone();
    let end = forged.len() - 1;
    forged[end] ^= 1;
    // Released, and not what is deployed.
    let lies = [whole.clone(), whole[..whole.len() / 2].to_vec(), forged];
    put(&line, "hoist/r/", lies[0].clone());
    let deployment = deploy(&server, "app@1.1.0", GROUP);
    for (round, lie) in lies.into_iter().enumerate() {
        put(&line, "hoist/r/", lie);
        if round > 0 {
            server.hoist_ok(&["deployment", "retry", &deployment]);
        }
        let failed = eventually("the device to tell of it", || {
            let shown = shown(&server, "d1");
            let is_it = shown["round"] == json!(round) && shown["status"] == json!("failed");
            is_it.then_some(shown)
        });
        assert_eq!(failed["reason"], json!("bad-signature"), "{failed}");
        assert!(!has_begun(&device), "{round}");
    }
    honest(&line);
    server.hoist_ok(&["deployment", "retry", &deployment]);
    eventually("the device to install what was released", || {
        (device.content("app") == "1.1.0").then_some(())
    });
}

#[test]
fn a_root_document_of_others_is_believed_by_no_new_device() {
    let (server, stranger) = (server(), Server::start());
    let (_foreign, theirs) = device_on_a_line(&stranger, "x1", "unassigned");
    let topic = "hoist/k/1";
    let root = eventually("the root document of others", || theirs.seen(topic).pop());
    let mut device = Device::add(&server, "d1", &["--group", GROUP]);
    let line = Meddler::start(server.mqtt());
    put(&line, topic, root);
    device.replace_setting(server.mqtt(), line.address());
    deploy(&server, "app@1.0.0", GROUP);
    device.start(&server);
    eventually("the agent to say what it does not believe", || {
        device.said().contains("E_ROOT").then_some(())
    });
    assert!(!has_begun(&device));
    honest(&line);
    eventually("the device to obey", || {
        (device.content("app") == "1.0.0").then_some(())
    });
    device.kill();
}

#[test]
fn what_is_withheld_starts_nothing_and_is_seen_as_pending_until_it_comes() {
    let server = server();
    let (device, line) = device_on_a_line(&server, "d1", GROUP);
    let held = Arc::new(Mutex::new(0));
    let count = Arc::clone(&held);
    line.harm(move |topic, _| match topic == SPEC {
        true => {
            *count.lock().unwrap() += 1;
            Harm::Withheld
        }
        false => Harm::Passed,
    });
    let deployment = deploy(&server, "app@1.0.0", GROUP);
    eventually("a spec to be withheld", || {
        (*held.lock().unwrap() > 0).then_some(())
    });
    assert_eq!(counts(&server, &deployment)["pending"], json!(1));
    assert!(!has_begun(&device));
    honest(&line);
    eventually("the device to install it", || {
        (device.content("app") == "1.0.0").then_some(())
    });
}

#[test]
fn an_outcome_that_the_device_has_not_signed_for_this_topic_counts_for_nothing() {
    // bad-inputs rows 22 and 23
    let server = server();
    let (mut device, line) = device_on_a_line(&server, "d1", GROUP);
    // The key that the device signs with: what a thief of its outcomes cannot have.
    let seed = std::fs::read(device.state().join("device.key")).unwrap();
    let own = PrivateKey::from_seed(&seed.try_into().unwrap());
    let foreign = PrivateKey::from_seed(&[9; 32]);
    device.kill();
    drop(line);
    let deployment = deploy(&server, "app@1.0.0", GROUP);
    let client = Client::connect(server.mqtt(), "d1", &Login::read(device.config()));
    let topic = |of: &str| Topics::default().format(&Topic::Status(of.parse().unwrap()));
    let lies = [(Some(&foreign), "d1"), (Some(&own), "d2"), (None, "d1")];
    for (number, (key, signed_for)) in (1..).zip(lies) {
        let outcome = Outcome {
            deployment: DeploymentId(deployment.parse().unwrap()),
            round: Round(0),
            attempt: Attempt(1),
            result: FinalResult::Successful(Success::Installed),
        };
        let status = DeviceStatus {
            seq: Seq(1_000 + number),
            ended: 1,
            running: None,
            outcomes: vec![outcome],
        };
        let signed = status.seal(key.unwrap_or(&own), &topic(signed_for));
        let payload = match key {
            Some(_) => signed,
            None => signed[..signed.len() - 64].to_vec(),
        };
        client.publish(&topic("d1"), &payload, true);
        let refused = eventually("the refusal", || {
            let refused = shown(&server, "d1")["refused"].clone();
            (refused["count"].as_u64() >= Some(number)).then_some(refused)
        });
        assert_eq!(refused["code"], json!("E_SIG"), "{refused}");
        assert_eq!(counts(&server, &deployment)["successful"], json!(0));
    }
}
