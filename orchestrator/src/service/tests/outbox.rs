//! Changes that were committed and not yet published when the program died.

use std::sync::Arc;

use hoist_orchestrator_core::engine::arrival::{Arrival, Asked, Content};
use hoist_orchestrator_core::model::now::Now;
use hoist_orchestrator_core::model::txn::Txn;
use hoist_protocol::access::Role;
use hoist_protocol::topic::Topics;
use serde_json::{Value, json};

use super::rig::{Happened, Rig, Watched, orchestrator_key};
use crate::rows;
use crate::signer::Signer;
use crate::transport::Outgoing;
use crate::unix_time::unix_ms;

/// Commits a command and dies before anything follows from it.
async fn commit_and_die(store: &Watched, request: &str, verb: &str, body: &Value) {
    let (user, request) = ("alice".parse().unwrap(), request.parse().unwrap());
    let mut asked = Asked::new(user, request, verb, body.to_string().as_bytes());
    asked.role = Some(Role::Admin);
    let arrival = Arrival::of(Content::Command(Box::new(asked)));
    let now = Now {
        unix_ms: unix_ms(),
        ..Now::default()
    };
    let input = arrival
        .input(
            &Txn::default(),
            &Signer::new(orchestrator_key(), Topics::default()),
        )
        .unwrap()
        .unwrap();
    rows::decide_alone(store, &input, now).await.unwrap();
}

fn is_on(happened: &Happened, topic: &str) -> bool {
    matches!(happened, Happened::Published(message) if message.topic == topic)
}

fn place(rig: &Rig, topic: &str) -> Option<usize> {
    let mut all = rig.log.all().into_iter();
    all.position(|happened| is_on(&happened, topic))
}

#[tokio::test]
async fn a_device_added_right_before_a_crash_is_told_after_its_group() {
    let store = Arc::new(Watched::default());
    commit_and_die(&store, "g", "group-create", &json!({"group": "eu"})).await;
    let add = json!({"device": "d1", "group": "eu"});
    commit_and_die(&store, "a", "device-add", &add).await;
    let rig = Rig::on(Arc::clone(&store)).await;
    let (_, spec) = rig.published(0, "hoist/d/d1").await;
    assert!(!spec.is_empty());
    // S4, S10: or it could read an older spec of the group.
    assert!(place(&rig, "hoist/g/eu") < place(&rig, "hoist/d/d1"));
    rig.stop().await;
}

#[tokio::test]
async fn a_device_removed_right_before_a_crash_is_cleared_after_the_restart() {
    let store = Arc::new(Watched::default());
    let mut rig = Rig::on(Arc::clone(&store)).await;
    rig.done("a", "device-add", &json!({"device": "d1"})).await;
    let (_, spec) = rig.published(0, "hoist/d/d1").await;
    assert!(!spec.is_empty());
    rig.stop().await;
    commit_and_die(&store, "r", "device-remove", &json!({"device": "d1"})).await;
    let from = store.log.all().len();
    let mut rig = Rig::on(Arc::clone(&store)).await;
    let (_, cleared) = rig.published(from, "hoist/d/d1").await;
    assert!(cleared.is_empty());
    // Behind the word that it has arrived.
    rig.done("l", "device-list", &json!({})).await;
    rig.stop().await;
    // What was told once is not told again.
    let from = store.log.all().len();
    let mut rig = Rig::on(store).await;
    rig.done("m", "device-list", &json!({})).await;
    let again = rig.log.all().into_iter().skip(from);
    assert_eq!(
        again
            .filter(|happened| is_on(happened, "hoist/d/d1"))
            .count(),
        0
    );
    rig.stop().await;
}

#[tokio::test]
async fn what_a_removed_device_has_retained_is_cleared_before_its_next_life_is_read() {
    let mut rig = Rig::start().await;
    rig.done("a", "device-add", &json!({"device": "d1"})).await;
    let from = rig.mark();
    // Decided together: when the loop looks at what is desired, the device is there again.
    for (request, verb) in [("r", "device-remove"), ("n", "device-add")] {
        let topic = format!("hoist/cmd/alice/{request}/{verb}");
        rig.deliver(&topic, br#"{"device": "d1"}"#, false).await;
    }
    rig.published(from, "hoist/reply/alice/n").await;
    let all = rig.log.all().split_off(from);
    let read = all.iter().find_map(|happened| match happened {
        Happened::Read(topic) if topic.starts_with("hoist/i/") => Some(topic.clone()),
        _ => None,
    });
    let read = read.unwrap();
    let place = |wanted: &Happened| all.iter().position(|happened| happened == wanted);
    let cleared = Happened::Published(Outgoing::retained(read.clone(), Vec::new()));
    let cleared = place(&cleared).expect("its info is cleared");
    assert!(cleared < place(&Happened::Read(read)).unwrap(), "{all:?}");
    rig.stop().await;
}
