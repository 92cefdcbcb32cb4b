//! The loop with a store in memory and a broker of a few lines: what is published, stored
//! and acknowledged is one log, so that its order can be asserted.

mod answers;
mod commands;
mod dry_run;
mod losses;
mod names;
mod new_keys;
mod older;
mod outage;
mod outbox;
mod queries;
mod recovering;
mod rig;
mod rights;
mod rollout;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hoist_protocol::codec::encode;
use hoist_protocol::device::{DeviceInfo, Presence, PresenceState};
use hoist_protocol::envelope::{Kind, PrivateKey, open};
use hoist_protocol::id::{Attempt, DeploymentId, DeviceId, Round, Seq, SessionCounter, UserId};
use hoist_protocol::spec::{DeviceSpec, GroupSpec};
use hoist_protocol::status::{DeviceStatus, FinalResult, Outcome, Success};
use hoist_protocol::topic::{Topic, Topics};
use serde_json::{Value, json};

use crate::http::CommandDoor;
use crate::store::Store;
use crate::transport::Incoming;
use rig::{HERE, Happened, Rig, artifact, orchestrator_key, within};

fn group_spec(topic: &str, payload: &[u8]) -> GroupSpec {
    let keys = [orchestrator_key().public()];
    open::<GroupSpec>(&keys, Kind::GroupSpec, topic, payload)
        .unwrap()
        .message
}

const EU: &str = "hoist/g/eu";

#[tokio::test]
async fn a_deploy_is_stored_then_published_and_only_then_acknowledged() {
    let mut rig = Rig::start().await;
    rig.add_release("1.0.0").await;
    rig.done("r1", "group-create", &json!({"group": "eu"}))
        .await;
    rig.published(0, EU).await;
    let from = rig.mark();
    let body = json!({"release": "app@1.0.0", "group": "eu"}).to_string();
    let packet = rig
        .deliver("hoist/cmd/alice/r2/deploy", body.as_bytes(), false)
        .await;
    let acknowledged = rig.acknowledged(from, packet).await;
    let (replied, reply) = rig.published(from, "hoist/reply/alice/r2").await;
    let committed = Happened::Committed;
    let (stored, ()) = rig
        .log
        .wait(from, |h| (*h == committed).then_some(()))
        .await;
    let (with_spec, spec) = rig.published(from, EU).await;
    assert!(
        stored < replied && replied < acknowledged,
        "{stored} {replied} {acknowledged}"
    );
    assert!(stored < with_spec);
    let reply: Value = serde_json::from_slice(&reply).unwrap();
    assert_eq!(reply["result"]["deployment"], 1, "{reply}");
    let spec = group_spec(EU, &spec);
    assert_eq!(spec.entries.len(), 1);
    assert_eq!(spec.entries[0].deployment, DeploymentId(1));
    assert_eq!(spec.valid_for_s, 600);
    let release = format!("hoist/r/{}", spec.entries[0].release);
    rig.published(0, &release).await;
    let from = rig.mark();
    rig.done("r3", "abort", &json!({"deployment": 1})).await;
    let (_, after) = rig.published(from, EU).await;
    let after = group_spec(EU, &after);
    assert!(
        after.entries.is_empty() && after.generation > spec.generation,
        "absence is abort"
    );
    rig.stop().await;
}

#[tokio::test]
async fn a_conflict_is_decided_again() {
    let mut rig = Rig::start().await;
    rig.store.conflicts.store(2, Ordering::SeqCst);
    rig.done("r1", "group-create", &json!({"group": "eu"}))
        .await;
    let refused = rig
        .log
        .all()
        .iter()
        .filter(|h| **h == Happened::Refused)
        .count();
    assert_eq!(refused, 2);
    rig.published(0, EU).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_retained_command_is_refused_and_cleared() {
    // bad-inputs row 31
    let mut rig = Rig::start().await;
    let from = rig.mark();
    let topic = "hoist/cmd/alice/r1/group-create";
    let body = json!({"group": "eu"}).to_string();
    rig.deliver(topic, body.as_bytes(), true).await;
    let (_, cleared) = rig.published(from, topic).await;
    assert!(cleared.is_empty());
    let (_, reply) = rig.published(from, "hoist/reply/alice/r1").await;
    let reply: Value = serde_json::from_slice(&reply).unwrap();
    assert_eq!(reply["error"]["code"], "E_RETAINED", "{reply}");
    // The empty message that cleared it comes back, and is no command.
    let from = rig.mark();
    rig.hand_over(topic, b"").await;
    let groups = rig.done("r2", "group-list", &json!({})).await;
    assert_eq!(groups["items"].as_array().unwrap().len(), 1, "{groups}");
    let replied = |happened: &Happened| {
        let text = format!("{happened:?}");
        text.contains("hoist/reply/alice/r1")
    };
    assert!(!rig.log.all()[from..].iter().any(replied));
    // Sent once more it is one, and is answered like any that is malformed.
    let from = rig.mark();
    rig.deliver(topic, b"", false).await;
    let (_, reply) = rig.published(from, "hoist/reply/alice/r1").await;
    let reply: Value = serde_json::from_slice(&reply).unwrap();
    assert_eq!(reply["error"]["code"], "E_CMD", "{reply}");
    rig.stop().await;
}

#[tokio::test]
async fn a_repeated_request_is_executed_once_and_answered_the_same() {
    // bad-inputs row 30
    let mut rig = Rig::start().await;
    let body = json!({"device": "d1"});
    let first = rig.command("r1", "device-add", &body).await;
    let again = rig.command("r1", "device-add", &body).await;
    assert_eq!(first, again);
    assert_eq!(first["result"]["token"], "token-d1-1");
    let other = rig
        .command("r1", "device-add", &json!({"device": "d2"}))
        .await;
    assert_eq!(other["error"]["code"], "E_REQUEST_REUSED", "{other}");
    let stored = rig.store.scan(Vec::new(), None, 1000).await.unwrap();
    let leaked = |value: &[u8]| value.windows(6).any(|w| w == b"token-");
    assert!(
        !stored.items.iter().any(|(_, row)| leaked(&row.value)),
        "no secret is stored"
    );
    rig.stop().await;
}

#[tokio::test]
async fn a_spec_that_somebody_overwrote_or_deleted_is_published_again() {
    // bad-inputs row 12
    let mut rig = Rig::start().await;
    rig.done("r1", "group-create", &json!({"group": "eu"}))
        .await;
    rig.done("r2", "device-add", &json!({"device": "d1"})).await;
    for topic in [EU, "hoist/d/d1", "hoist/k/1"] {
        let (_, spec) = rig.published(0, topic).await;
        for attack in [&b"forged"[..], b""] {
            // The echo of the spec must have been seen, or it could still be on its way.
            rig.hand_over("hoist/cmd/alice/x/group-list", b"{}").await;
            let from = rig.mark();
            rig.deliver(topic, attack, false).await;
            assert_eq!(rig.published(from, topic).await.1, spec, "{topic}");
        }
    }
    let from = rig.mark();
    rig.deliver("hoist/g/nowhere", b"forged", true).await;
    assert!(rig.published(from, "hoist/g/nowhere").await.1.is_empty());
    rig.stop().await;
}

#[tokio::test]
async fn after_a_broker_lost_everything_specs_go_out_again_and_devices_get_theirs_at_birth() {
    // bad-inputs row 13
    let mut rig = Rig::start().await;
    rig.done("r1", "group-create", &json!({"group": "eu"}))
        .await;
    rig.done("r2", "device-add", &json!({"device": "d1", "group": "eu"}))
        .await;
    let (_, group) = rig.published(0, EU).await;
    let (_, device) = rig.published(0, "hoist/d/d1").await;
    let keys = [orchestrator_key().public()];
    let opened = open::<DeviceSpec>(&keys, Kind::DeviceSpec, "hoist/d/d1", &device).unwrap();
    assert_eq!(opened.message.group.as_str(), "eu");
    rig.news.send(Incoming::Disconnected).await.unwrap();
    within(rig.ready.wait_for(|ready| !ready)).await.unwrap();
    let from = rig.mark();
    rig.connect().await;
    assert_eq!(
        rig.published(from, EU).await.1,
        group,
        "same content, same bytes"
    );
    within(rig.ready.wait_for(|ready| *ready)).await.unwrap();
    let before_birth = rig.log.all().split_off(from);
    let device_spec = |h: &Happened| matches!(h, Happened::Published(m) if m.topic == "hoist/d/d1");
    assert!(
        !before_birth.iter().any(device_spec),
        "never all of them at once"
    );
    let birth = Presence {
        state: PresenceState::Online,
        session: SessionCounter(1),
    };
    let device_id: DeviceId = "d1".parse().unwrap();
    let topic = Topics::default().format(&Topic::Presence(device_id));
    rig.deliver(&topic, &encode(&birth), false).await;
    assert_eq!(rig.published(from, "hoist/d/d1").await.1, device);
    rig.stop().await;
}

#[tokio::test]
async fn a_signed_outcome_is_counted_and_shown() {
    let mut rig = Rig::start().await;
    rig.add_release("1.0.0").await;
    rig.done("r1", "device-add", &json!({"device": "d1"})).await;
    rig.done(
        "r2",
        "deploy",
        &json!({"release": "app@1.0.0", "group": "unassigned"}),
    )
    .await;
    let key = PrivateKey::from_seed(&[9; 32]);
    let device: DeviceId = "d1".parse().unwrap();
    let info = DeviceInfo {
        public_key: Some(key.public()),
        ..DeviceInfo::default()
    };
    let topics = Topics::default();
    rig.hand_over(&topics.format(&Topic::Info(device.clone())), &encode(&info))
        .await;
    let status = DeviceStatus {
        seq: Seq(1),
        ended: 1,
        running: None,
        outcomes: vec![Outcome {
            deployment: DeploymentId(1),
            round: Round(0),
            attempt: Attempt(1),
            result: FinalResult::Successful(Success::Installed),
        }],
    };
    let topic = topics.format(&Topic::Status(device));
    let forged = status.seal(&PrivateKey::from_seed(&[8; 32]), &topic);
    rig.hand_over(&topic, &forged).await;
    let shown = rig
        .done("r3", "deployment-show", &json!({"deployment": 1}))
        .await;
    assert_eq!(
        shown["counts"]["successful"], 0,
        "bad-inputs row 22: {shown}"
    );
    rig.hand_over(&topic, &status.seal(&key, &topic)).await;
    let shown = rig
        .done("r4", "deployment-show", &json!({"deployment": 1}))
        .await;
    assert_eq!(shown["counts"]["successful"], 1, "{shown}");
    let successful = |happened: &Happened| match happened {
        Happened::Published(message) if message.topic == "hoist/view/deployment/1" => {
            let view: Value = serde_json::from_slice(&message.payload).unwrap();
            (view["counts"]["successful"] == 1).then_some(view)
        }
        _ => None,
    };
    let (_, view) = rig.log.wait(0, successful).await;
    assert_eq!(view["settled"], true, "{view}");
    rig.stop().await;
}

#[tokio::test]
async fn what_cannot_be_understood_is_acknowledged_and_changes_nothing() {
    // bad-inputs rows 15, 16, 17, 24
    let mut rig = Rig::start().await;
    rig.done("r1", "device-add", &json!({"device": "d1"})).await;
    let before = rig
        .done("r2", "device-show", &json!({"device": "d1"}))
        .await;
    let status = |device: &str| {
        let device: DeviceId = device.parse().unwrap();
        Topics::default().format(&Topic::Status(device))
    };
    let unknown = encode(&DeviceStatus::default());
    let malformed: [&[u8]; 5] = [b"", &[1], &[1, 0, 0, 2, 0], &[9, 9, 9], &[1, 0, 0, 0, 0, 0]];
    for payload in malformed {
        rig.hand_over(&status("d1"), payload).await;
    }
    rig.hand_over(&status("nobody"), &unknown).await;
    rig.hand_over("hoist/x/y", b"?").await;
    rig.hand_over("other/g/eu", b"?").await;
    let after = rig
        .done("r3", "device-show", &json!({"device": "d1"}))
        .await;
    assert_eq!(before, after);
    rig.stop().await;
}

#[tokio::test]
async fn a_removed_device_leaves_nothing_retained_but_a_lost_one_keeps_its_membership() {
    let mut rig = Rig::start().await;
    rig.done("r1", "device-add", &json!({"device": "d1"})).await;
    let (_, spec) = rig.published(0, "hoist/d/d1").await;
    let from = rig.mark();
    rig.done("r2", "device-remove", &json!({"device": "d1"}))
        .await;
    let device: DeviceId = "d1".parse().unwrap();
    for topic in [
        Topic::DeviceSpec,
        Topic::Status,
        Topic::Presence,
        Topic::Info,
    ] {
        let topic = Topics::default().format(&topic(device.clone()));
        assert!(rig.published(from, &topic).await.1.is_empty(), "{topic}");
    }
    // The same spec, found without a row: all that is left of a lost registry (W4).
    let from = rig.mark();
    rig.deliver("hoist/d/d1", &spec, true).await;
    rig.done("r3", "group-list", &json!({})).await;
    let touched = |h: &Happened| matches!(h, Happened::Published(m) if m.topic == "hoist/d/d1");
    assert!(!rig.log.all()[from..].iter().any(touched));
    rig.stop().await;
}

#[tokio::test]
async fn a_restart_goes_on_from_the_store_with_a_higher_generation() {
    let mut rig = Rig::start().await;
    rig.done("r1", "group-create", &json!({"group": "eu"}))
        .await;
    let (_, before) = rig.published(0, EU).await;
    let store = Arc::clone(&rig.store);
    rig.stop().await;
    let from = store.log.all().len();
    let rig = Rig::on(store).await;
    let (_, after) = rig.published(from, EU).await;
    assert!(group_spec(EU, &after).generation > group_spec(EU, &before).generation);
    rig.stop().await;
}
