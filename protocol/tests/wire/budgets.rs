//! Byte budgets of design section 3, computed from encodings; a test on the socket
//! measures the same from outside.

use hoist_protocol::codec::encode;
use hoist_protocol::envelope::{Kind, seal};
use hoist_protocol::status::DeviceStatus;
use hoist_protocol::topic::{Topic, Topics};

use crate::samples::*;

/// Bytes of an MQTT 3.1.1 PUBLISH at QoS 1.
fn publish_bytes(topic: &str, payload: &[u8]) -> usize {
    let remaining = 2 + topic.len() + 2 + payload.len();
    let length_bytes = if remaining < 128 { 1 } else { 2 };
    1 + length_bytes + remaining
}

fn status_bytes(status: &DeviceStatus) -> usize {
    let topic = Topics::default().format(&Topic::Status(device()));
    publish_bytes(&topic, &status.seal(&key(DEVICE_SEED), &topic))
}

#[test]
fn progress_costs_at_most_12_bytes_and_its_publish_40() {
    let payload = encode(&progress()).len();
    assert!(payload <= 12, "{payload}");
    let publish = status_bytes(&progress());
    assert!(publish <= 40, "{publish}");
}

#[test]
fn a_signed_outcome_costs_at_most_105_bytes_or_115_when_failed() {
    let publish = status_bytes(&successful());
    assert!(publish <= 105, "{publish}");
    let publish = status_bytes(&failed(b""));
    assert!(publish <= 115, "{publish}");
}

#[test]
fn a_group_spec_with_one_entry_costs_at_most_170_bytes() {
    let topic = "hoist/g/sensors-eu";
    let sealed = seal(
        &key(ORCHESTRATOR_SEED),
        Kind::GroupSpec,
        topic,
        &group_spec(),
    );
    let publish = publish_bytes(topic, &sealed);
    assert!(publish <= 170, "{publish}");
}

#[test]
fn a_release_of_one_artifact_costs_at_most_210_bytes() {
    let release = release_manifest();
    let topic = Topics::default().format(&Topic::Release(release.id()));
    let sealed = seal(&key(RELEASE_SEED), Kind::Release, "", &release);
    let publish = publish_bytes(&topic, &sealed);
    assert!(publish <= 210, "{publish}");
}
