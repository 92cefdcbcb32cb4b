//! Answers that wait for something, and what they do not wait for.

use std::time::Duration;

use hoist_orchestrator_core::model::error::{Code, Rejection};
use hoist_protocol::topic::View;
use serde_json::{Value, json};

use super::rig::{Happened, Rig, service};
use crate::service::Service;
use crate::service::replies::Answered;

const REPLY: &str = "hoist/reply/alice/";

/// The replies so far under a request id.
fn replies(rig: &Rig, from: usize, request: &str) -> Vec<Value> {
    let topic = format!("{REPLY}{request}");
    let all = rig.log.all().split_off(from).into_iter();
    let replies = all.filter_map(|happened| match happened {
        Happened::Published(message) if message.topic == topic => Some(message.payload),
        _ => None,
    });
    replies
        .map(|reply| serde_json::from_slice(&reply).unwrap())
        .collect()
}

#[tokio::test]
async fn another_plan_under_the_id_of_one_that_is_being_counted_is_answered_too() {
    let mut rig = Rig::start().await;
    rig.add_release("1.0.0").await;
    for group in ["eu", "us"] {
        rig.done(group, "group-create", &json!({"group": group}))
            .await;
    }
    let from = rig.mark();
    for group in ["eu", "us"] {
        let body = json!({"release": "app@1.0.0", "group": group}).to_string();
        rig.deliver("hoist/cmd/alice/p/plan", body.as_bytes(), false)
            .await;
    }
    let both = || (replies(&rig, from, "p").len() == 2).then_some(());
    rig.log.wait(from, |_| both()).await;
    let mut groups: Vec<String> = replies(&rig, from, "p")
        .iter()
        .map(|reply| reply["result"]["plans"][0]["group"].to_string())
        .collect();
    groups.sort();
    assert_eq!(groups, ["\"eu\"", "\"us\""]);
    rig.stop().await;
}

/// Answers a command that changed the view of the fleet.
async fn answer(service: &mut Service, request: &str) {
    service.views.changed(View::Fleet);
    let (user, request) = ("alice".parse().unwrap(), request.parse().unwrap());
    let outcome = Err(Rejection::new(Code::Conflict, "whatever"));
    let answered = Answered::new(user, request, outcome, None);
    let now = service.clock.now();
    let told = service.reply_after(vec![View::Fleet], answered, now);
    told.await.unwrap();
}

#[tokio::test]
async fn an_answer_does_not_wait_for_what_changes_after_its_view_went_out() {
    let (mut service, log, _artifacts) = service().await;
    let replied = || -> Vec<String> {
        let all = log.all().into_iter();
        let topics = all.filter_map(|happened| match happened {
            Happened::Published(message) => message.topic.strip_prefix(REPLY).map(str::to_owned),
            _ => None,
        });
        topics.collect()
    };
    answer(&mut service, "first").await;
    answer(&mut service, "waits").await;
    assert_eq!(replied(), ["first"], "its view went out just now");
    // Others go on changing it; at last one of them brings it out again.
    for number in 0.. {
        let request = format!("r{number}");
        answer(&mut service, &request).await;
        if replied().last() == Some(&request) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(replied()[1], "waits");
}
