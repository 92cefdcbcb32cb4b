//! The store cannot be written for a while.

use std::sync::atomic::Ordering;

use hoist_protocol::codec::encode;
use hoist_protocol::device::{Presence, PresenceState};
use hoist_protocol::id::SessionCounter;
use serde_json::{Value, json};

use super::rig::{Happened, Rig, within};
use crate::store::Trouble;
use crate::transport::{Delivery, Incoming};

const BIRTH: &str = "hoist/p/8b/d1";
const HEALTH: &str = "hoist/view/health";

fn birth(session: u64) -> Vec<u8> {
    encode(&Presence {
        state: PresenceState::Online,
        session: SessionCounter(session),
    })
}

/// A rig with a device and a store that cannot be written.
async fn stopped(trouble: Trouble) -> Rig {
    let mut rig = Rig::start().await;
    rig.done("r0", "device-add", &json!({"device": "d1"})).await;
    *rig.store.trouble.lock().unwrap() = Some(trouble);
    rig
}

pub(super) async fn health(rig: &Rig, from: usize, status: &str) -> Value {
    let find = |happened: &Happened| match happened {
        Happened::Published(message) if message.topic == HEALTH => {
            let view: Value = serde_json::from_slice(&message.payload).unwrap();
            (view["status"] == status).then_some(view)
        }
        _ => None,
    };
    rig.log.wait(from, find).await.1
}

async fn degraded(rig: &Rig, from: usize) -> Value {
    let event = rig.published(from, "hoist/event/server-degraded").await.1;
    serde_json::from_slice::<Value>(&event).unwrap()["data"].clone()
}

#[tokio::test]
async fn while_the_store_is_full_reports_wait_and_people_are_answered_at_once() {
    // bad-inputs rows 65 and 88
    let mut rig = stopped(Trouble::Full).await;
    let from = rig.mark();
    let waits = rig.deliver(BIRTH, &birth(1), false).await;
    let view = health(&rig, from, "degraded").await;
    assert_eq!(view["problems"][0]["code"], "E_SPACE", "{view}");
    let event = degraded(&rig, from).await;
    assert_eq!(
        (&event["about"], &event["over"]),
        (&json!("store"), &json!(false))
    );
    within(rig.ready.wait_for(|ready| !ready)).await.unwrap();

    let created = rig
        .command("r1", "group-create", &json!({"group": "eu"}))
        .await;
    assert_eq!(created["error"]["code"], "E_SPACE", "{created}");
    let shown = rig
        .done("r2", "device-show", &json!({"device": "d1"}))
        .await;
    assert_eq!(shown["presence"], "unknown", "{shown}");
    let user = json!({"user": "vera", "role": "viewer", "tokenSha256": "00".repeat(32)});
    let added = rig.command("r3", "user-add", &user).await;
    assert_eq!(added["error"]["code"], "E_SPACE", "{added}");
    // The report waits, and no command behind it.
    for command in 1..=3 {
        rig.acknowledged(from, waits + command).await;
    }
    assert!(!rig.log.all()[from..].contains(&Happened::Acknowledged(waits)));

    let from = rig.mark();
    *rig.store.trouble.lock().unwrap() = None;
    let acknowledged = rig.acknowledged(from, waits).await;
    let stored = rig
        .log
        .wait(from, |h| (*h == Happened::Committed).then_some(()));
    let stored = stored.await.0;
    assert!(stored < acknowledged, "{stored} {acknowledged}");
    health(&rig, from, "ok").await;
    assert_eq!(degraded(&rig, from).await["over"], true);
    within(rig.ready.wait_for(|ready| *ready)).await.unwrap();
    let shown = rig
        .done("r4", "device-show", &json!({"device": "d1"}))
        .await;
    assert_eq!(shown["presence"], "online", "{shown}");
    let created = rig
        .done("r1", "group-create", &json!({"group": "eu"}))
        .await;
    assert_eq!(created["group"], "eu", "what was refused was not kept");
    rig.stop().await;
}

#[tokio::test]
async fn at_a_broker_with_one_window_a_refused_command_is_acknowledged_in_its_turn() {
    let mut rig = Rig::at_a_plain_broker().await;
    rig.done("r0", "device-add", &json!({"device": "d1"})).await;
    *rig.store.trouble.lock().unwrap() = Some(Trouble::Full);
    let from = rig.mark();
    let report = rig.deliver(BIRTH, &birth(1), false).await;
    let created = rig
        .command("r1", "group-create", &json!({"group": "eu"}))
        .await;
    assert_eq!(created["error"]["code"], "E_SPACE", "{created}");
    *rig.store.trouble.lock().unwrap() = None;
    let command = rig.acknowledged(from, report + 1).await;
    assert!(rig.acknowledged(from, report).await < command);
    rig.stop().await;
}

#[tokio::test]
async fn a_command_that_was_refused_is_not_carried_out_when_a_broker_delivers_it_again() {
    let mut rig = stopped(Trouble::ReadOnly).await;
    let refused = rig
        .command("r1", "group-create", &json!({"group": "eu"}))
        .await;
    assert_eq!(refused["error"]["code"], "E_STORAGE", "{refused}");
    let packet = 4_711;
    let again = || {
        Incoming::Delivery(Delivery {
            topic: "hoist/cmd/alice/r1/group-create".to_owned(),
            payload: json!({"group": "eu"}).to_string().into_bytes().into(),
            retained: false,
            again: true,
            packet: Some(packet),
        })
    };
    // Once while the store cannot be written yet, and that connection is lost too.
    rig.news.send(Incoming::Disconnected).await.unwrap();
    rig.connect().await;
    rig.news.send(again()).await.unwrap();
    rig.done("r2", "group-list", &json!({})).await;
    rig.news.send(Incoming::Disconnected).await.unwrap();
    rig.connect().await;
    *rig.store.trouble.lock().unwrap() = None;
    within(rig.ready.wait_for(|ready| *ready)).await.unwrap();
    let from = rig.mark();
    rig.news.send(again()).await.unwrap();
    rig.acknowledged(from, packet).await;
    let groups = rig.done("r3", "group-list", &json!({})).await;
    assert!(!groups.to_string().contains("\"eu\""), "{groups}");
    rig.stop().await;
}

#[tokio::test]
async fn what_a_lost_connection_brought_is_not_acknowledged_on_the_next() {
    let mut rig = stopped(Trouble::Full).await;
    let from = rig.mark();
    let lost = rig.deliver(BIRTH, &birth(1), false).await;
    health(&rig, from, "degraded").await;
    rig.news.send(Incoming::Disconnected).await.unwrap();
    rig.connect().await;
    let again = rig.deliver(BIRTH, &birth(1), false).await;
    // Answered on the new connection, after everything before it.
    rig.done("r1", "group-list", &json!({})).await;
    *rig.store.trouble.lock().unwrap() = None;
    rig.acknowledged(from, again).await;
    let stale = Happened::Acknowledged(lost);
    assert!(!rig.log.all()[from..].contains(&stale));
    within(rig.ready.wait_for(|ready| *ready)).await.unwrap();
    rig.stop().await;
}

#[tokio::test]
async fn a_disk_that_goes_on_failing_ends_the_server_with_a_reason() {
    let mut rig = stopped(Trouble::Failing).await;
    rig.deliver(BIRTH, &birth(1), false).await;
    let error = rig.ends().await;
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.contains("its file system fails"), "{why}");
}

#[tokio::test]
async fn a_removal_that_became_durable_in_a_write_that_failed_is_followed_by_all_it_means() {
    // bad-inputs row 65
    let mut rig = Rig::start().await;
    rig.done("r0", "device-add", &json!({"device": "d1"})).await;
    rig.published(0, "hoist/d/d1").await;
    let from = rig.mark();
    rig.store.untold.store(1, Ordering::SeqCst);
    rig.done("r1", "device-remove", &json!({"device": "d1"}))
        .await;
    let revoked = |happened: &Happened| matches!(happened, Happened::Revoked(_)).then_some(());
    rig.log.wait(from, revoked).await;
    let cleared = |happened: &Happened| match happened {
        Happened::Published(message) if message.topic == "hoist/d/d1" => {
            message.payload.is_empty().then_some(())
        }
        _ => None,
    };
    rig.log.wait(from, cleared).await;
    rig.stop().await;
}
