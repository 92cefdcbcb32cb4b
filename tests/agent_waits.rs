//! A device may be switched on before anybody has registered it: it waits, and works as
//! soon as it is.

use hoist_broker_config::credentials::TokenKey;
use hoist_protocol::id::{DeviceId, Namespace};
use hoist_protocol::topic::{Topic, Topics};
use serde_json::json;

use crate::harness::device::Device;
use crate::harness::operator::Operator;
use crate::harness::release::Release;
use crate::harness::server::Server;

/// The token of a device, made as the server makes it.
fn token(server: &Server, device: &str, issue: u32) -> String {
    let key = std::fs::read_to_string(server.data().join("keys/token.key")).unwrap();
    let key = data_encoding::HEXLOWER
        .decode(key.trim().as_bytes())
        .unwrap();
    let key = TokenKey::new(key.try_into().unwrap());
    key.device_token(&Namespace::default(), &device.parse().unwrap(), issue)
}

#[test]
fn a_device_that_waits_to_be_added_works_as_soon_as_it_is() {
    let server = Server::start();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let operator = Operator::new(&server);
    let client = operator.client();
    let topic = |of: fn(DeviceId) -> Topic| Topics::default().format(&of("d1".parse().unwrap()));
    let (info, birth) = (topic(Topic::Info), topic(Topic::Presence));
    assert!(client.subscribe(&info) && client.subscribe(&birth));
    // It has the token of its next life, and is not registered (any more).
    let mut device = Device::add(&server, "d1", &[]);
    server.hoist_ok(&["device", "remove", "d1", "--yes"]);
    device.replace_setting(&token(&server, "d1", 1), &token(&server, "d1", 2));
    client.wait_for(&info, |cleared| cleared.is_empty().then_some(()));
    device.start(&server);
    client.wait_for(&info, |shown| (!shown.is_empty()).then_some(()));
    let born = client.wait_for(&birth, |birth| (!birth.is_empty()).then(|| birth.to_vec()));
    // The server takes one thing after another: what the device said is refused by now.
    let listed = client.command_ok("device-list", &json!({}));
    assert_eq!(listed["items"], json!([]));

    server.hoist_ok(&["device", "add", "d1"]);
    let deployment = operator.deploy("app@1.0.0", "unassigned", &json!({}));
    let view = operator.settled(deployment);
    assert_eq!(view["counts"]["successful"], json!(1), "{view}");
    assert_eq!(device.content("app"), "content");
    assert_eq!(operator.device("d1")["presence"], json!("online"));
    assert_eq!(client.last(&birth), Some(born), "in the connection it had");
}
