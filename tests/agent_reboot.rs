//! A reboot counts by evidence only: another boot id, and `verify` after it. The agent is
//! killed and started again for real; the reboot command only says that it was asked.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::device::Device;
use crate::harness::eventually;
use crate::harness::operator::{Operator, assert_one_outcome};
use crate::harness::release::{Release, ran, runs};
use crate::harness::server::Server;

/// A server, a device that runs, and an operator.
struct Rig {
    device: Device,
    operator: Operator,
    server: Server,
    trace: PathBuf,
}

impl Rig {
    fn new() -> Self {
        let server = Server::start();
        let mut device = Device::add(&server, "dev-01", &[]);
        device.start(&server);
        Self {
            operator: Operator::new(&server),
            trace: server.scratch().join("trace"),
            device,
            server,
        }
    }

    fn release(&self, change: impl FnOnce(&Release)) -> Release {
        let release = Release::write(self.server.scratch(), "app", "1.0.0", 1, "new");
        let release = release.traced(&self.trace);
        change(&release);
        self.server.release(release.dir());
        release
    }

    fn deploy(&self, more: &Value) -> u64 {
        self.operator.deploy("app@1.0.0", "unassigned", more)
    }

    fn wait_asked(&self, times: usize) {
        eventually("the device to ask for its reboot", || {
            (self.device.reboots_asked() >= times).then_some(())
        });
        assert_eq!(self.device.reboots_asked(), times);
    }

    /// Waits until a script has said something in `file`.
    fn wait_said(&self, file: &Path) {
        eventually("a script to have begun", || file.exists().then_some(()));
    }

    fn ran(&self, deployment: u64) -> Vec<String> {
        ran(&self.trace, "dev-01", deployment)
    }

    /// The word on the last boot that every run of a script got.
    fn boots(&self, kind: &str) -> Vec<String> {
        let runs = runs(&self.trace).into_iter();
        runs.filter(|run| run.kind == kind)
            .map(|run| run.boot)
            .collect()
    }
}

#[test]
fn a_reboot_in_an_update_ends_successful_once_verify_has_run_in_another_boot() {
    let mut rig = Rig::new();
    rig.release(|release| release.setting("reboot = true"));
    let deployment = rig.deploy(&json!({}));
    rig.wait_asked(1);
    rig.operator.at_step(deployment, "rebooting");
    assert_eq!(rig.ran(deployment), ["app pre-install", "app install"]);

    rig.device.reboot(&rig.server);
    assert_one_outcome(&rig.operator.settled(deployment), "successful");
    assert_eq!(
        rig.ran(deployment),
        ["app pre-install", "app install", "app verify"]
    );
    assert_eq!(rig.boots("verify"), ["update"]);
    assert_eq!(rig.boots("install"), ["normal"]);
    assert_eq!(rig.device.content("app"), "new");
    assert_eq!(rig.device.reboots_asked(), 1);
}

#[test]
fn a_reboot_that_never_comes_is_asked_for_three_times_and_rolled_back() {
    // bad-inputs row 61
    let mut rig = Rig::new();
    rig.release(|release| release.setting("reboot = true"));
    let deployment = rig.deploy(&json!({"attempts": 1}));
    for asked in 1..=3 {
        rig.wait_asked(asked);
        rig.device.restart(&rig.server);
    }
    assert_one_outcome(&rig.operator.settled(deployment), "failed");
    let record = rig.operator.record("dev-01", deployment);
    assert_eq!(record["reason"], json!("reboot-failed"), "{record}");
    assert_eq!(record["rollback"], json!("ok"), "{record}");
    assert_eq!(
        rig.ran(deployment),
        ["app pre-install", "app install", "app rollback"],
        "nothing was verified in the old boot"
    );
    assert_eq!(rig.device.reboots_asked(), 3);
    assert_eq!(rig.device.content("app"), "");
}

#[test]
fn a_second_reboot_during_verify_rolls_the_attempt_back_and_the_next_one_succeeds() {
    // bad-inputs row 61
    let mut rig = Rig::new();
    let begun = rig.server.scratch().join("begun");
    rig.release(|release| {
        release.setting("reboot = true");
        let hang = format!(
            "[ $HOIST_ATTEMPT -gt 1 ] || {{ : > {}; sleep 60; }}",
            begun.display()
        );
        release.script("verify", &hang);
    });
    let deployment = rig.deploy(&json!({"attempts": 2}));
    rig.wait_asked(1);
    rig.device.reboot(&rig.server);
    rig.wait_said(&begun);
    rig.device.reboot(&rig.server);
    rig.wait_asked(2);
    rig.device.reboot(&rig.server);

    assert_one_outcome(&rig.operator.settled(deployment), "successful");
    let attempt = ["pre-install", "install", "verify"];
    let expected = [&attempt[..], &["rollback"], &attempt[..]].concat();
    let expected: Vec<String> = expected.iter().map(|kind| format!("app {kind}")).collect();
    assert_eq!(rig.ran(deployment), expected);
    assert_eq!(rig.boots("verify"), ["update", "update"]);
    assert_eq!(rig.device.content("app"), "new");
    let record = rig.operator.record("dev-01", deployment);
    assert_eq!(record["attempt"], json!(2), "{record}");
}

#[test]
fn a_verify_that_is_repeatable_goes_on_after_a_second_reboot_and_knows_of_the_update() {
    let mut rig = Rig::new();
    let begun = rig.server.scratch().join("begun");
    rig.release(|release| {
        release.setting("reboot = true");
        release.setting("[scripts.verify]\nidempotent = true");
        let hang_once = format!("[ -e {0} ] || {{ : > {0}; sleep 60; }}", begun.display());
        release.script("verify", &hang_once);
    });
    let deployment = rig.deploy(&json!({"attempts": 1}));
    rig.wait_asked(1);
    rig.device.reboot(&rig.server);
    rig.wait_said(&begun);
    rig.device.reboot(&rig.server);

    assert_one_outcome(&rig.operator.settled(deployment), "successful");
    assert_eq!(rig.boots("verify"), ["update", "update"]);
    assert_eq!(rig.device.reboots_asked(), 1);
    assert_eq!(rig.boots("install").len(), 1);
}

/// Reboots the device in the middle of its first install, which waits for the file `go`.
fn reboot_in_install(rig: &mut Rig, idempotent: bool) -> u64 {
    let begun = rig.server.scratch().join("begun");
    let go = rig.server.scratch().join("go");
    rig.release(|release| {
        release.setting(&format!("[scripts.install]\nidempotent = {idempotent}"));
        let install = format!(
            "cp \"$HOIST_PAYLOAD_DIR/content\" content\n: > {}\n\
             while [ ! -e {} ]; do sleep 0.02; done",
            begun.display(),
            go.display()
        );
        release.script("install", &install);
    });
    let deployment = rig.deploy(&json!({"attempts": 2}));
    rig.wait_said(&begun);
    rig.device.kill();
    fs::write(go, "").unwrap();
    rig.device.reboot(&rig.server);
    assert_one_outcome(&rig.operator.settled(deployment), "successful");
    assert_eq!(rig.device.content("app"), "new");
    deployment
}

#[test]
fn a_reboot_in_an_install_rolls_back_and_tries_again() {
    // bad-inputs row 59
    let mut rig = Rig::new();
    let deployment = reboot_in_install(&mut rig, false);
    let expected = [
        "pre-install",
        "install",
        "rollback",
        "pre-install",
        "install",
        "verify",
    ];
    assert_eq!(
        rig.ran(deployment),
        expected.map(|kind| format!("app {kind}"))
    );
    let record = rig.operator.record("dev-01", deployment);
    assert_eq!(record["attempt"], json!(2), "{record}");
}

#[test]
fn a_reboot_in_an_install_that_is_repeatable_repeats_it_in_the_same_attempt() {
    // bad-inputs row 59
    let mut rig = Rig::new();
    let deployment = reboot_in_install(&mut rig, true);
    let expected = ["pre-install", "install", "install", "verify"];
    assert_eq!(
        rig.ran(deployment),
        expected.map(|kind| format!("app {kind}"))
    );
    let record = rig.operator.record("dev-01", deployment);
    assert_eq!(record["attempt"], json!(1), "{record}");
}
