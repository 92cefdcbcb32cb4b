//! Rights are looked up before anything else of a command, and when it is decided.

use hoist_orchestrator_core::engine::arrival::Asked;

use super::rig::{Log, service};
use super::*;
use crate::service::Service;
use crate::transport::Delivery;

fn delivery(topic: &str, body: &Value) -> Incoming {
    Incoming::Delivery(Delivery {
        topic: topic.to_owned(),
        payload: body.to_string().into_bytes().into(),
        retained: false,
        again: false,
        packet: None,
    })
}

/// The codes of the refusals that were answered under a user's request; an empty one is a success.
fn answers(log: &Log, user: &str, request: &str) -> Vec<String> {
    let topic = format!("hoist/reply/{user}/{request}");
    let all = log.all().into_iter();
    let replies = all.filter_map(|happened| match happened {
        Happened::Published(message) if message.topic == topic => Some(message.payload),
        _ => None,
    });
    let code = |reply: Vec<u8>| {
        let reply: Value = serde_json::from_slice(&reply).unwrap();
        reply["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    replies.map(code).collect()
}

async fn looked_up(service: &Service, user: &str, verb: &str, body: &Value) -> Asked {
    let (user, request) = (user.parse().unwrap(), "r1".parse().unwrap());
    let mut asked = Asked::new(user, request, verb, body.to_string().as_bytes());
    service.look_up(&mut asked).await;
    asked
}

#[tokio::test]
async fn nothing_is_looked_at_for_somebody_who_may_not_send_the_command() {
    let (service, _, _folder) = service().await;
    let remove = json!({"release": "app@1.0.0"});
    // It would be refused for what is in it.
    let add = json!({"manifest": "bm90aGluZw=="});
    for user in ["vera", "nobody"] {
        let removing = looked_up(&service, user, "release-remove", &remove).await;
        assert_eq!(removing.uses, None, "{user}");
        let adding = looked_up(&service, user, "release-add", &add).await;
        assert!(adding.command.is_ok(), "{user}: {adding:?}");
    }
    let removing = looked_up(&service, "alice", "release-remove", &remove).await;
    assert!(removing.uses.is_some());
    let adding = looked_up(&service, "alice", "release-add", &add).await;
    assert!(adding.command.is_err());
}

#[tokio::test]
async fn nothing_is_looked_at_again_for_a_request_that_was_answered() {
    let (mut service, log, _folder) = service().await;
    let body = json!({"release": "app@1.0.0"});
    let news = || vec![delivery("hoist/cmd/alice/r1/release-remove", &body)];
    service.news(news()).await.unwrap();
    let again = looked_up(&service, "alice", "release-remove", &body).await;
    assert_eq!((again.role.is_some(), again.uses), (true, None));
    service.news(news()).await.unwrap();
    let answers = answers(&log, "alice", "r1");
    assert_eq!(answers, ["E_RELEASE", "E_RELEASE"]);
}

#[tokio::test]
async fn a_user_who_is_removed_does_nothing_behind_that_in_the_same_batch() {
    let (mut service, log, _folder) = service().await;
    let deploy = json!({"release": "app@1.0.0", "group": "eu"});
    let (before, behind) = ("hoist/cmd/mallory/r1/deploy", "hoist/cmd/mallory/r2/deploy");
    let remove = json!({"user": "mallory"});
    let batch = vec![
        delivery(before, &deploy),
        delivery("hoist/cmd/alice/r1/user-remove", &remove),
        delivery(behind, &deploy),
    ];
    service.news(batch).await.unwrap();
    // Judged by what it names, and judged by the rights there are by then.
    assert_ne!(answers(&log, "mallory", "r1"), ["E_ROLE"]);
    assert_eq!(answers(&log, "alice", "r1"), [""]);
    assert_eq!(answers(&log, "mallory", "r2"), ["E_ROLE"]);
}

#[tokio::test]
async fn the_role_is_judged_before_the_body_at_both_doors() {
    let mut rig = Rig::start().await;
    let verbs = [
        ("r1", "group-create", "E_ROLE"),
        ("r2", "group-list", "E_CMD"),
    ];
    for (request, verb, code) in verbs {
        let from = rig.mark();
        let topic = format!("hoist/cmd/vera/{request}/{verb}");
        rig.deliver(&topic, b"no JSON", false).await;
        let reply = format!("hoist/reply/vera/{request}");
        let by_mqtt = rig.published(from, &reply).await.1;
        let (vera, body) = ("vera".parse().unwrap(), b"no JSON".to_vec());
        let by_http = rig
            .door
            .command((vera, HERE), request.into(), verb.into(), body);
        for reply in [by_mqtt, within(by_http).await.unwrap()] {
            let reply: Value = serde_json::from_slice(&reply).unwrap();
            assert_eq!(reply["error"]["code"], code, "{verb}: {reply}");
        }
    }
    rig.stop().await;
}
