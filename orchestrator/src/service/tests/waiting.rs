//! A device that spoke before it was registered.

use hoist_protocol::codec::encode;
use hoist_protocol::device::{DeviceInfo, Presence, PresenceState};
use hoist_protocol::envelope::{Kind, PrivateKey, open};
use hoist_protocol::id::{DeviceId, SessionCounter};
use hoist_protocol::spec::DeviceSpec;
use hoist_protocol::topic::{Topic, Topics};
use serde_json::json;

use super::rig::{Happened, Rig, orchestrator_key};

#[tokio::test]
async fn what_a_device_said_before_it_was_added_is_read_and_taken_in_then() {
    let mut rig = Rig::start().await;
    let topics = Topics::default();
    let device: DeviceId = "d1".parse().unwrap();
    let topic = |of: fn(DeviceId) -> Topic| topics.format(&of(device.clone()));
    let key = PrivateKey::from_seed(&[9; 32]).public();
    let info = encode(&DeviceInfo {
        public_key: Some(key),
        ..DeviceInfo::default()
    });
    let birth = encode(&Presence {
        state: PresenceState::Online,
        session: SessionCounter(1),
    });
    let retained = [(topic(Topic::Info), info), (topic(Topic::Presence), birth)];
    for (topic, payload) in &retained {
        rig.hand_over(topic, payload).await;
    }
    let from = rig.mark();
    rig.done("r1", "device-add", &json!({"device": "d1"})).await;
    let status = topic(Topic::Status);
    let last = Happened::Read(status.clone());
    rig.log.wait(from, |h| (*h == last).then_some(())).await;
    let read = rig.log.all().split_off(from).into_iter();
    let read: Vec<String> = read
        .filter_map(|happened| match happened {
            Happened::Read(topic) => Some(topic),
            _ => None,
        })
        .collect();
    let wanted = [&retained[0].0, &retained[1].0, &status];
    assert!(read.iter().eq(wanted), "the key first: {read:?}");

    let from = rig.mark();
    for (topic, payload) in &retained {
        rig.deliver(topic, payload, true).await;
    }
    let spec_topic = topic(Topic::DeviceSpec);
    let keys = [orchestrator_key().public()];
    let names_the_key = |happened: &Happened| match happened {
        Happened::Published(message) if message.topic == spec_topic => {
            let spec = open::<DeviceSpec>(&keys, Kind::DeviceSpec, &spec_topic, &message.payload);
            (spec.unwrap().message.public_key == Some(key)).then_some(())
        }
        _ => None,
    };
    rig.log.wait(from, names_the_key).await;
    let shown = rig
        .done("r2", "device-show", &json!({"device": "d1"}))
        .await;
    assert_eq!(shown["presence"], "online", "{shown}");
    rig.stop().await;
}
