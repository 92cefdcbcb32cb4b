//! A freeze of a group, and of everything: nobody starts, who has started finishes, and it survives
//! a server that is killed.

use serde_json::json;

use crate::harness::device::Device;
use crate::harness::eventually;
use crate::harness::operator::Operator;
use crate::harness::release::Release;
use crate::harness::server::Server;

#[test]
fn a_freeze_holds_everybody_over_a_killed_server_until_it_is_lifted() {
    let mut server = Server::start();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let mut device = Device::add(&server, "dev-01", &[]);
    device.start(&server);
    let said = server.hoist_ok(&["freeze"]);
    assert!(
        said.starts_with("everything is frozen: nobody starts anything"),
        "{said}"
    );
    // A group that is created later is frozen with everything.
    server.hoist_ok(&["group", "create", "eu"]);
    server.hoist_ok(&["device", "move", "dev-01", "--group", "eu"]);
    let operator = Operator::new(&server);
    let deployment = operator.deploy("app@1.0.0", "eu", &json!({}));
    operator.view(deployment, |view| view["frozen"] == json!(true));
    server.kill_and_restart();

    let operator = Operator::new(&server);
    operator.view(deployment, |view| view["frozen"] == json!(true));
    let why = eventually("the device to be back", || {
        let why = server.hoist_ok(&["device", "why", "dev-01"]);
        why.contains("online").then_some(why)
    });
    assert!(why.contains("everything is frozen since"), "{why}");
    let listed = server.hoist_ok(&["group", "list"]);
    assert!(listed.contains("by admin"), "{listed}");
    let refused = server.hoist(&["unfreeze", "eu"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(8), "{said}");
    assert!(said.starts_with("error[E_FROZEN]"), "{said}");

    server.hoist_ok(&["freeze", "eu"]);
    server.hoist_ok(&["unfreeze"]);
    let view = operator.view(deployment, |view| view["frozen"] == json!(true));
    assert_eq!(view["counts"]["pending"], json!(1));
    server.hoist_ok(&["unfreeze", "eu"]);
    let view = operator.settled(deployment);
    assert_eq!(view["counts"]["successful"], json!(1));

    let next = Release::write(server.scratch(), "app", "1.1.0", 2, "other");
    server.release(next.dir());
    server.hoist_ok(&["freeze"]);
    let second = operator.deploy("app@1.1.0", "eu", &json!({}));
    operator.view(second, |view| view["frozen"] == json!(true));
    server.hoist_ok(&["unfreeze"]);
    let view = operator.settled(second);
    assert_eq!(view["counts"]["successful"], json!(1));
    let trail = server.hoist_ok(&["audit", "list"]);
    assert!(
        trail.contains("unfreeze") && trail.contains("everything"),
        "{trail}"
    );
}
