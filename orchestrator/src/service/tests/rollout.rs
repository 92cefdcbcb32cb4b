//! Rollouts seen from the loop: their cost and their extent.

use hoist_protocol::admission::Audience;
use hoist_protocol::codec::encode;
use hoist_protocol::device::DeviceInfo;
use hoist_protocol::envelope::PrivateKey;
use hoist_protocol::id::{Attempt, DeploymentId, DeviceId, Round, Seq};
use hoist_protocol::spec::GroupSpec;
use hoist_protocol::status::{DeviceStatus, FinalResult, Outcome, Progress, Step, Success};
use hoist_protocol::topic::{Topic, Topics};
use serde_json::json;

use super::rig::{Happened, Rig};
use super::{EU, group_spec};

fn device(number: usize) -> DeviceId {
    format!("d{number}").parse().unwrap()
}

fn key(number: usize) -> PrivateKey {
    PrivateKey::from_seed(&[u8::try_from(number + 1).unwrap(); 32])
}

/// A group of devices whose keys are pinned and whose specs are out, and a release.
async fn fleet(devices: usize) -> Rig {
    let mut rig = Rig::start().await;
    rig.add_release("1.0.0").await;
    rig.done("g", "group-create", &json!({"group": "eu"})).await;
    for number in 0..devices {
        let name = device(number);
        let body = json!({"device": name.as_str(), "group": "eu"});
        rig.done(&format!("a{number}"), "device-add", &body).await;
        let info = DeviceInfo {
            public_key: Some(key(number).public()),
            ..DeviceInfo::default()
        };
        let topic = Topics::default().format(&Topic::Info(name));
        rig.hand_over(&topic, &encode(&info)).await;
    }
    rig
}

fn progress(step: Step) -> Option<Progress> {
    Some(Progress {
        deployment: DeploymentId(1),
        round: Round(0),
        attempt: Attempt(1),
        step,
    })
}

/// Everything a healthy device says of an update.
async fn update(rig: &mut Rig, number: usize) {
    let topic = Topics::default().format(&Topic::Status(device(number)));
    let steps = [
        progress(Step::Downloading(0)),
        progress(Step::Downloaded),
        progress(Step::Installing),
        None,
    ];
    for (seq, running) in (1..).zip(steps) {
        let outcome = Outcome {
            deployment: DeploymentId(1),
            round: Round(0),
            attempt: Attempt(1),
            result: FinalResult::Successful(Success::Installed),
        };
        let over = running.is_none();
        let status = DeviceStatus {
            seq: Seq(seq),
            ended: u32::from(over),
            running,
            outcomes: if over { vec![outcome] } else { Vec::new() },
        };
        rig.hand_over(&topic, &status.seal(&key(number), &topic))
            .await;
    }
}

/// The topics that the orchestrator publishes to for a rollout to so many healthy devices, the
/// views aside, which are limited in time.
async fn publishes(devices: usize) -> Vec<String> {
    let mut rig = fleet(devices).await;
    let from = rig.mark();
    let body = json!({"release": "app@1.0.0", "group": "eu"});
    rig.done("r", "deploy", &body).await;
    for number in 0..devices {
        update(&mut rig, number).await;
    }
    let shown = rig
        .done("s", "deployment-show", &json!({"deployment": 1}))
        .await;
    assert_eq!(shown["counts"]["successful"], json!(devices), "{shown}");
    let happened = rig.log.all().split_off(from);
    rig.stop().await;
    let topic = |happened: Happened| match happened {
        Happened::Published(message) if !message.topic.starts_with("hoist/view/") => {
            Some(message.topic)
        }
        _ => None,
    };
    happened.into_iter().filter_map(topic).collect()
}

#[tokio::test]
async fn a_rollout_costs_the_same_few_publishes_however_many_healthy_devices_there_are() {
    // W6
    let few = publishes(2).await;
    assert_eq!(
        few.iter().filter(|topic| *topic == EU).count(),
        1,
        "{few:?}"
    );
    assert_eq!(publishes(40).await, few);
}

#[tokio::test]
async fn the_line_of_a_limit_is_found_beside_the_loop_and_admits_exactly_so_many() {
    // S10, bad-inputs row 38
    let mut rig = fleet(20).await;
    let from = rig.mark();
    let body = json!({"release": "app@1.0.0", "group": "eu", "limit": {"devices": 7}});
    rig.done("r", "deploy", &body).await;
    let drawn = |happened: &Happened| match happened {
        Happened::Published(message) if message.topic == EU => {
            let spec: GroupSpec = group_spec(EU, &message.payload);
            let audience = spec.entries.first()?.audience;
            (audience != Audience::Below(0)).then_some(audience)
        }
        _ => None,
    };
    let (_, audience) = rig.log.wait(from, drawn).await;
    let admitted = (0..20).filter(|number| audience.admits(DeploymentId(1), &device(*number)));
    assert_eq!(admitted.count(), 7);
    rig.stop().await;
}
