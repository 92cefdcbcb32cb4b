//! Groups come and go: an empty one is removed, and nothing of it stays at the broker.

use serde_json::json;

use crate::harness::device::Device;
use crate::harness::eventually;
use crate::harness::mqtt::{Client, Login};
use crate::harness::operator::Operator;
use crate::harness::release::Release;
use crate::harness::server::Server;

#[test]
fn an_empty_group_is_removed_with_its_spec_and_comes_back_as_a_new_one() {
    let mut server = Server::start();
    // A device sees what groups are told, an operator what they look like.
    let login = Login::read(&server.add_device("watcher", &[]));
    let watcher = Client::connect(server.mqtt(), "watcher", &login);
    assert!(watcher.subscribe("hoist/g/eu"));
    let client = server.client();
    assert!(client.subscribe("hoist/view/group/eu"));
    server.hoist_ok(&["group", "create", "eu"]);
    watcher.wait_for("hoist/g/eu", |spec| (!spec.is_empty()).then_some(()));
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let mut device = Device::add(&server, "dev-01", &["--group", "eu"]);
    device.start(&server);
    let operator = Operator::new(&server);
    let first = operator.deploy("app@1.0.0", "eu", &json!({}));
    operator.settled(first);

    let refused = |says: &str| {
        let refused = server.hoist(&["group", "remove", "eu"]);
        assert_eq!(refused.status.code(), Some(8));
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.starts_with("error[E_GROUP_IN_USE]"), "{said}");
        assert!(said.contains(says), "{said}");
    };
    refused("deployment 1 of group eu has not ended");
    server.hoist_ok(&["deployment", "abort", "1", "--yes"]);
    refused("1 device is in group eu");
    server.hoist_ok(&["device", "move", "dev-01", "--group", "unassigned"]);
    let would = eventually("the device to be told", || {
        let would = server.hoist(&["group", "remove", "eu", "--dry-run"]);
        would.status.success().then_some(would.stdout)
    });
    let would = String::from_utf8(would).unwrap();
    assert!(would.ends_with("nothing was changed\n"), "{would}");
    let spec = server.data().join("specs/g-eu");
    assert!(spec.exists());

    let said = server.hoist_ok(&["group", "remove", "eu"]);
    assert_eq!(said, "group eu removed\n");
    for (client, topic) in [(&watcher, "hoist/g/eu"), (&client, "hoist/view/group/eu")] {
        client.wait_for(topic, |cleared| cleared.is_empty().then_some(()));
    }
    eventually("what was signed to be forgotten", || {
        (!spec.exists()).then_some(())
    });
    assert!(!server.hoist_ok(&["group", "list"]).contains("eu"));
    server.kill_and_restart();
    assert!(!server.hoist_ok(&["group", "list"]).contains("eu"));
    assert!(!spec.exists());

    // One of the same name is obeyed: what is signed for it is newer than what was.
    server.hoist_ok(&["group", "create", "eu"]);
    server.hoist_ok(&["device", "move", "dev-01", "--group", "eu"]);
    let operator = Operator::new(&server);
    let again = operator.deploy("app@1.0.0", "eu", &json!({"reinstall": true}));
    operator.view(again, |view| view["counts"]["successful"] == json!(1));
}
