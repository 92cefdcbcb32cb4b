//! *Already there* is proven on the device: a `verify` script that fails there has the
//! release installed again.

use std::fs;

use serde_json::json;

use crate::harness::device::Device;
use crate::harness::operator::{Operator, assert_one_outcome};
use crate::harness::release::Release;
use crate::harness::server::Server;

/// A device that deploys the same release again and again.
struct Again {
    server: Server,
    operator: Operator,
    device: Device,
}

impl Again {
    fn new() -> Self {
        let server = Server::start();
        let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
        server.release(release.dir());
        let mut device = Device::add(&server, "d1", &[]);
        device.start(&server);
        let operator = Operator::new(&server);
        Self {
            server,
            operator,
            device,
        }
    }

    /// Deploys, and gives the scripts that ran for it, a line each.
    fn deploy(&self) -> String {
        let log = self.device.work("app").join("scripts.log");
        let before = fs::read_to_string(&log).unwrap_or_default();
        let more = json!({"completeWhen": "all-successful"});
        let deployment = self.operator.deploy("app@1.0.0", "unassigned", &more);
        let view = self
            .operator
            .view(deployment, |view| view["state"] == json!("completed"));
        assert_one_outcome(&view, "successful");
        let after = fs::read_to_string(&log).unwrap();
        after.strip_prefix(&before).unwrap().to_owned()
    }
}

const INSTALLS: &str = "pre-install\ninstall\nverify\n";

#[test]
fn what_is_there_already_is_verified_once_and_installed_again_when_it_is_gone() {
    let again = Again::new();
    assert_eq!(again.deploy(), INSTALLS);
    assert_eq!(again.deploy(), "verify\n", "it is there");
    let content = again.device.work("app").join("content");
    fs::remove_file(&content).unwrap();
    assert_eq!(again.deploy(), format!("verify\n{INSTALLS}"), "it is gone");
    assert_eq!(again.device.content("app"), "content");
    assert_eq!(again.deploy(), "verify\n");
}

#[test]
fn what_is_kept_of_it_must_be_as_signed_for_it_to_be_there_already() {
    let again = Again::new();
    again.deploy();
    let downloads = again.device.state().join("download");
    let kept = fs::read_dir(&downloads).unwrap().next().unwrap().unwrap();
    let verify = kept.path().join("scripts/verify");
    fs::write(&verify, "#!/bin/sh\ntrue\n").unwrap();
    fs::remove_file(again.device.work("app").join("content")).unwrap();
    assert_eq!(again.deploy(), INSTALLS, "a changed script proves nothing");
    assert_eq!(again.device.content("app"), "content");
    drop(again.server);
}
