//! Queries of people hold nothing up, and whoever asks too much is told when to come again.

use hoist_protocol::id::UserId;
use serde_json::{Value, json};

use super::rig::{HERE, Happened, Rig, within};

const LIST: &[u8] = b"{}";

async fn list(rig: &mut Rig, user: &str, request: usize) {
    let topic = format!("hoist/cmd/{user}/q{request}/device-list");
    rig.deliver(&topic, LIST, false).await;
}

/// Waits for the reply under a request id.
async fn reply(rig: &Rig, from: usize, user: &str, request: usize) -> Value {
    let topic = format!("hoist/reply/{user}/q{request}");
    serde_json::from_slice(&rig.published(from, &topic).await.1).unwrap()
}

#[tokio::test]
async fn a_command_is_carried_out_while_queries_are_still_being_answered() {
    // bad-inputs row 77
    let mut rig = Rig::start().await;
    rig.store.shut.send_replace(true);
    let from = rig.mark();
    for request in 0..4 {
        list(&mut rig, "vera", request).await;
    }
    rig.done("r1", "group-create", &json!({"group": "eu"}))
        .await;
    let replied =
        |h: &Happened| matches!(h, Happened::Published(m) if m.topic.contains("/reply/vera/"));
    assert!(!rig.log.all().iter().any(replied));
    rig.store.shut.send_replace(false);
    for request in 0..4 {
        let reply = reply(&rig, from, "vera", request).await;
        assert_eq!(reply["ok"], true, "{reply}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn who_asks_too_much_at_once_is_told_when_to_come_again_and_others_are_answered() {
    // bad-inputs row 77
    let mut rig = Rig::start().await;
    rig.store.shut.send_replace(true);
    let from = rig.mark();
    for request in 0..40 {
        list(&mut rig, "vera", request).await;
    }
    let refused = reply(&rig, from, "vera", 39).await;
    assert_eq!(refused["error"]["code"], "E_BUSY", "{refused}");
    assert_eq!(refused["error"]["hint"], "ask again in 1 s");
    list(&mut rig, "alice", 0).await;
    rig.store.shut.send_replace(false);
    assert_eq!(reply(&rig, from, "alice", 0).await["ok"], true);
    assert_eq!(
        reply(&rig, from, "vera", 31).await["ok"],
        true,
        "the last of them"
    );
    assert_eq!(reply(&rig, from, "vera", 32).await["ok"], false);
    rig.stop().await;
}

#[tokio::test]
async fn queries_by_http_keep_neither_commands_nor_statuses_waiting() {
    // bad-inputs row 77
    let mut rig = Rig::start().await;
    rig.store.shut.send_replace(true);
    let vera: UserId = "vera".parse().unwrap();
    let mut asking = tokio::task::JoinSet::new();
    for request in 0..100 {
        let (door, user) = (rig.door.clone(), vera.clone());
        let request = format!("q{request}");
        asking.spawn(async move {
            use crate::http::CommandDoor as _;
            let asked = door.command((user, HERE), request, "device-list".into(), LIST.to_vec());
            asked.await.unwrap()
        });
    }
    rig.done("r1", "group-create", &json!({"group": "eu"}))
        .await;
    rig.hand_over("hoist/s/d0/d1", b"no status").await;
    rig.store.shut.send_replace(false);
    let mut answered = 0;
    while let Some(reply) = within(asking.join_next()).await {
        let reply: Value = serde_json::from_slice(&reply.unwrap()).unwrap();
        match &reply["ok"] {
            Value::Bool(true) => answered += 1,
            _ => assert_eq!(reply["error"]["code"], "E_BUSY", "{reply}"),
        }
    }
    assert_eq!(answered, 32);
    rig.stop().await;
}
