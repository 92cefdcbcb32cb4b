//! Every byte is paid for: an update's MQTT traffic, captured on the socket.

use hoist_protocol::codec::decode_prefix;
use hoist_protocol::spec::{DeviceSpec, GroupSpec};
use hoist_protocol::status::DeviceStatus;
use hoist_protocol::topic::Topics;
use serde_json::json;

use crate::harness::eventually;
use crate::harness::release::Release;
use crate::harness::server::Server;
use crate::harness::wire::{Captured, From, Proxy};

/// Budgets of the wire, in bytes of the MQTT packet.
const PROGRESS: usize = 40;
const SUCCESSFUL: usize = 105;
const FAILED: usize = 115;
const GROUP_SPEC: usize = 170;
const UPDATE: usize = 800;

const TYPE_DISCONNECT: u8 = 14;
const TYPE_PING: [u8; 2] = [12, 13];

fn update(packets: &[Captured]) -> usize {
    packets
        .iter()
        .filter(|p| !TYPE_PING.contains(&(p.bytes[0] >> 4)))
        .map(|p| p.bytes.len())
        .sum()
}

/// Every packet with its sender and size, for a person who must find the bytes.
fn listing(packets: &[Captured]) -> String {
    let line = |packet: &Captured| {
        let topic = packet.publish().map_or(String::new(), |(topic, _)| topic);
        format!(
            "{:?} {} {topic} {} B\n",
            packet.from,
            packet.bytes[0] >> 4,
            packet.bytes.len()
        )
    };
    packets.iter().map(line).collect()
}

fn is_group_spec(packet: &Captured) -> bool {
    packet
        .publish()
        .is_some_and(|(topic, _)| topic.starts_with("hoist/g/"))
}

/// The last thing sent to a new device: its spec with the key that it showed.
fn pins_the_key(packet: &Captured) -> bool {
    let Some((topic, payload)) = packet.publish() else {
        return false;
    };
    topic.starts_with("hoist/d/")
        && decode_prefix::<DeviceSpec>(&payload).is_ok_and(|(spec, _)| spec.public_key.is_some())
}

/// True if nothing that was sent in either direction waits for its acknowledgment.
fn all_acknowledged(packets: &[Captured]) -> bool {
    let of_type = |packet: &&Captured, kind: u8| packet.bytes[0] >> 4 == kind;
    let sent = packets
        .iter()
        .filter(|packet| of_type(packet, 3) && packet.bytes[0] & 6 != 0);
    let acknowledged = packets.iter().filter(|packet| of_type(packet, 4));
    sent.count() == acknowledged.count()
}

/// Deploys once and returns what passed on the device's socket from its spec on.
fn deploy(
    server: &Server,
    proxy: &Proxy,
    release: &str,
    number: u32,
    outcome: &str,
) -> Vec<Captured> {
    let client = server.client();
    assert!(client.subscribe("hoist/view/#"));
    let before = proxy.packets().len();
    let body = json!({"release": release, "group": "unassigned", "attempts": 1});
    client.command_ok("deploy", &body);
    client.wait_json(&format!("hoist/view/deployment/{number}"), |view| {
        view["counts"][outcome] == json!(1)
    });
    let packets = eventually("the last acknowledgment", || {
        let packets = proxy.packets()[before..].to_vec();
        all_acknowledged(&packets).then_some(packets)
    });
    assert!(packets.iter().all(|p| p.bytes[0] >> 4 != TYPE_DISCONNECT));
    packets
}

#[test]
fn an_update_on_a_connected_device_stays_within_its_budget() {
    let server = Server::start();
    let good = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(good.dir());
    let bad = Release::write(server.scratch(), "app", "1.1.0", 2, "content");
    bad.script("verify", "exit 3");
    server.release(bad.dir());

    let config = server.add_device("dev-0001", &[]);
    let proxy = Proxy::start(server.mqtt());
    let text = std::fs::read_to_string(&config)
        .unwrap()
        .replace(server.mqtt(), proxy.address());
    std::fs::write(&config, text).unwrap();
    let _agent = server.agent(&config);
    eventually(
        "the device to be idle, connected and known by its key",
        || {
            let packets = proxy.packets();
            let is_known = packets.iter().any(is_group_spec) && packets.iter().any(pins_the_key);
            (is_known && all_acknowledged(&packets)).then_some(())
        },
    );

    let packets = deploy(&server, &proxy, "app@1.0.0", 1, "successful");
    let total = update(&packets);
    let sent = |from| {
        packets
            .iter()
            .filter(move |packet| packet.from == from)
            .count()
    };
    assert!(
        sent(From::Client) > 0 && sent(From::Server) > 0,
        "both directions count"
    );
    assert!(
        total <= UPDATE,
        "one update took {total} B: {}",
        listing(&packets)
    );
    for packet in packets.iter().filter(|packet| is_group_spec(packet)) {
        let (_, payload) = packet.publish().unwrap();
        let (spec, _) = decode_prefix::<GroupSpec>(&payload).unwrap();
        assert_eq!(spec.entries.len(), 1);
        assert!(
            packet.bytes.len() <= GROUP_SPEC,
            "group spec of {} B",
            packet.bytes.len()
        );
    }
    let failed = deploy(&server, &proxy, "app@1.1.0", 2, "failed");
    statuses_fit(&packets, SUCCESSFUL);
    statuses_fit(&failed, FAILED);
}

/// Every status is a progress report or one outcome without output, within its budget.
fn statuses_fit(packets: &[Captured], outcome_budget: usize) {
    let device = "dev-0001".parse().unwrap();
    let own = Topics::default().format(&hoist_protocol::topic::Topic::Status(device));
    let (mut progress, mut outcomes) = (0, 0);
    for packet in packets {
        let Some((topic, payload)) = packet.publish().filter(|(topic, _)| *topic == own) else {
            continue;
        };
        let status = DeviceStatus::receive(&payload).unwrap().status;
        let size = packet.bytes.len();
        if status.outcomes.is_empty() {
            progress += 1;
            assert!(
                size <= PROGRESS,
                "progress of {size} B on {topic}: {status:?}"
            );
        } else {
            outcomes += 1;
            assert!(size <= outcome_budget, "outcome of {size} B: {status:?}");
        }
    }
    assert!(progress >= 1, "steps are reported when they happen");
    assert_eq!(outcomes, 1, "an outcome travels once");
}
