//! An operator's order reaches a device meanwhile as it should: what has started finishes, what has
//! not never does (S4, S11), and the device's owner may hold it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::device::Device;
use crate::harness::eventually;
use crate::harness::operator::{Operator, assert_one_outcome};
use crate::harness::release::{Release, ran};
use crate::harness::server::Server;
use crate::harness::wire::Proxy;

/// A server with a release per version of `app`, an operator, and a trace.
struct Rig {
    server: Server,
    operator: Operator,
    trace: PathBuf,
}

impl Rig {
    fn new() -> Self {
        let server = Server::start();
        Self {
            operator: Operator::new(&server),
            trace: server.scratch().join("trace"),
            server,
        }
    }

    fn release(&self, name: &str, minor: u64) -> Release {
        let version = format!("1.{minor}.0");
        let release = Release::write(self.server.scratch(), name, &version, 1 + minor, &version);
        release.traced(&self.trace)
    }

    fn deploy(&self, release: &str) -> u64 {
        self.operator.deploy(release, "unassigned", &json!({}))
    }

    fn abort(&self, deployment: u64) -> Value {
        let body = json!({"deployment": deployment, "reason": "a test"});
        self.operator.client().command_ok("abort", &body)
    }

    fn ran(&self, device: &str, deployment: u64) -> Vec<String> {
        ran(&self.trace, device, deployment)
    }

    fn wait_presence(&self, device: &Device, presence: &str) {
        eventually("the device's presence", || {
            let shown = self.operator.device(device.id());
            (shown["presence"] == json!(presence)).then_some(())
        });
    }
}

/// Makes a script wait for a file.
fn wait_for(file: &Path) -> String {
    format!("while [ ! -e {} ]; do sleep 0.02; done", file.display())
}

#[test]
fn a_device_whose_download_hangs_ends_superseded_and_takes_the_newer_deployment() {
    let rig = Rig::new();
    let line = Proxy::start(rig.server.http());
    line.cut();
    let mut device = Device::add(&rig.server, "dev-01", &[]);
    device.replace_setting(rig.server.http(), line.address());
    device.start(&rig.server);
    for minor in 0..2 {
        let release = rig.release("app", minor);
        rig.server.release(release.dir());
    }
    let first = rig.deploy("app@1.0.0");
    rig.operator.at_step(first, "retrying");

    let second = rig.deploy("app@1.1.0");
    let view = rig
        .operator
        .view(first, |view| view["counts"]["failed"] == json!(1));
    assert_eq!(view["reason"], json!("superseded"), "{view}");
    let record = rig.operator.record("dev-01", first);
    assert_eq!(record["reason"], json!("superseded"), "{record}");
    assert_eq!(record["rollback"], json!("not-needed"), "{record}");
    assert_eq!(record["attempt"], json!(0), "{record}");
    line.mend();
    assert_one_outcome(&rig.operator.settled(second), "successful");
    assert!(rig.ran("dev-01", first).is_empty());
    assert_eq!(device.content("app"), "1.1.0");
}

#[test]
fn a_superseded_device_that_is_installing_finishes_first() {
    let rig = Rig::new();
    let go = rig.server.scratch().join("go");
    let mut device = Device::add(&rig.server, "dev-02", &[]);
    device.start(&rig.server);
    for minor in 0..2 {
        let release = rig.release("app", minor);
        let install = format!(
            "{}\ncp \"$HOIST_PAYLOAD_DIR/content\" content",
            wait_for(&go)
        );
        release.script("install", &install);
        rig.server.release(release.dir());
    }
    let first = rig.deploy("app@1.0.0");
    rig.operator.at_step(first, "installing");
    eventually("install to begin", || {
        (rig.ran("dev-02", first).last()? == "app install").then_some(())
    });
    let second = rig.deploy("app@1.1.0");
    rig.operator
        .view(first, |view| view["reason"] == json!("superseded"));
    fs::write(go, "").unwrap();
    assert_one_outcome(&rig.operator.settled(second), "successful");
    let view = rig
        .operator
        .view(first, |view| view["counts"]["successful"] == json!(1));
    assert_one_outcome(&view, "successful");
    assert_eq!(device.content("app"), "1.1.0");
}

#[test]
fn an_abort_lets_a_started_device_finish_and_records_how() {
    // bad-inputs row 37
    let rig = Rig::new();
    let go = rig.server.scratch().join("go");
    let release = rig.release("app", 0);
    let install = format!(
        "{}\ncp \"$HOIST_PAYLOAD_DIR/content\" content",
        wait_for(&go)
    );
    release.script("install", &install);
    rig.server.release(release.dir());
    let mut device = Device::add(&rig.server, "dev-03", &[]);
    device.start(&rig.server);
    let deployment = rig.deploy("app@1.0.0");
    rig.operator.at_step(deployment, "installing");

    let reply = rig.abort(deployment);
    assert_eq!(reply["finishing"], json!(1), "{reply}");
    assert_eq!(reply["neverStart"], json!(0), "{reply}");
    // Not even a restart after the abort takes away what is needed to finish.
    device.restart(&rig.server);
    fs::write(go, "").unwrap();
    let view = rig
        .operator
        .view(deployment, |view| view["counts"]["successful"] == json!(1));
    assert_eq!(view["state"], json!("aborted"), "{view}");
    assert_one_outcome(&view, "successful");
    assert_eq!(device.content("app"), "1.0.0");
}

#[test]
fn an_abort_while_a_device_is_away_means_that_it_never_starts() {
    // bad-inputs row 37
    let rig = Rig::new();
    for name in ["app", "other"] {
        let release = rig.release(name, 0);
        rig.server.release(release.dir());
    }
    let mut device = Device::add(&rig.server, "dev-04", &[]);
    device.start(&rig.server);
    rig.wait_presence(&device, "online");
    device.kill();
    rig.wait_presence(&device, "offline");
    let aborted = rig.deploy("app@1.0.0");
    let reply = rig.abort(aborted);
    assert_eq!(reply["neverStart"], json!(1), "{reply}");

    // Another deployment shows that the device is back and does what is listed.
    device.start(&rig.server);
    let other = rig.deploy("other@1.0.0");
    assert_one_outcome(&rig.operator.settled(other), "successful");
    assert!(rig.ran("dev-04", aborted).is_empty());
    let record = rig.operator.record("dev-04", aborted);
    assert_eq!(record["status"], json!("pending"), "{record}");
}

#[test]
fn a_hold_file_vetoes_a_start_until_it_is_removed() {
    let rig = Rig::new();
    let [mut held, mut free] = ["held", "free"].map(|name| Device::add(&rig.server, name, &[]));
    fs::create_dir_all(held.state()).unwrap();
    let hold = held.state().join("hold");
    fs::write(&hold, "").unwrap();
    held.start(&rig.server);
    free.start(&rig.server);
    rig.wait_presence(&held, "online");
    rig.wait_presence(&free, "online");
    // Both devices hear of both deployments at once; the free one has then done them.
    let deployments = ["app", "other"].map(|name| {
        let release = rig.release(name, 0);
        rig.server.release(release.dir());
        rig.deploy(&format!("{name}@1.0.0"))
    });
    for deployment in deployments {
        let view = rig
            .operator
            .view(deployment, |view| view["counts"]["successful"] == json!(1));
        assert_eq!(view["counts"]["pending"], json!(1), "{view}");
        assert!(rig.ran("held", deployment).is_empty());
    }

    fs::remove_file(hold).unwrap();
    for deployment in deployments {
        let view = rig.operator.settled(deployment);
        assert_eq!(view["counts"]["successful"], json!(2), "{view}");
    }
    assert_eq!(held.content("app"), "1.0.0");
}

#[test]
fn a_failed_deployment_that_stays_listed_ran_once_though_thirty_others_ended_after_it() {
    let rig = Rig::new();
    let mut device = Device::add(&rig.server, "dev-30", &[]);
    device.start(&rig.server);
    let lasting = rig.release("config", 0);
    lasting.script("install", "exit 1");
    let nightly = rig.release("app", 0);
    for release in [&lasting, &nightly] {
        rig.server.release(release.dir());
    }
    let once = json!({"attempts": 1});
    let first = rig.operator.deploy("config@1.0.0", "unassigned", &once);
    assert_one_outcome(&rig.operator.settled(first), "failed");
    for night in 1..=30 {
        if night == 30 {
            device.restart(&rig.server);
        }
        let next = rig.deploy("app@1.0.0");
        assert_one_outcome(&rig.operator.settled(next), "successful");
    }
    // The lowest deployment goes first: it would have run again before the last of them.
    let ran = rig.ran("dev-30", first);
    let installs = ran.iter().filter(|run| *run == "config install");
    assert_eq!(installs.count(), 1, "{ran:?}");
    let record = rig.operator.record("dev-30", first);
    assert_eq!(record["status"], json!("failed"), "{record}");
}
