//! The way back is the device's own: by the scripts on it, in reverse order, without the
//! network, and its result is part of the outcome (S8, S9).

use std::fs;

use serde_json::json;

use crate::harness::device::Device;
use crate::harness::eventually;
use crate::harness::operator::{Operator, assert_one_outcome};
use crate::harness::release::{Release, ran};
use crate::harness::server::Server;

#[test]
fn a_device_rolls_back_while_the_server_is_dead_and_says_so_when_it_is_back() {
    let mut server = Server::start();
    let trace = server.scratch().join("trace");
    let gate = server.scratch().join("gate");
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "new").traced(&trace);
    release.script(
        "install",
        &format!(
            "printf new > content\nwhile [ ! -e {} ]; do sleep 0.02; done",
            gate.display()
        ),
    );
    release.script("verify", "exit 3");
    server.release(release.dir());
    let mut device = Device::add(&server, "dev-01", &[]);
    device.start(&server);
    let operator = Operator::new(&server);
    let deployment = operator.deploy("app@1.0.0", "unassigned", &json!({"attempts": 1}));
    eventually("install to run", || {
        (device.content("app") == "new").then_some(())
    });
    drop(operator);

    server.kill();
    fs::write(&gate, "").unwrap();
    let status = eventually("the end without a server", || {
        let ran = ran(&trace, "dev-01", deployment);
        (ran.last()? == "app rollback" && !device.work("app").join("content").exists())
            .then_some(ran)
    });
    assert_eq!(
        status,
        [
            "app pre-install",
            "app install",
            "app verify",
            "app rollback"
        ]
    );

    eventually("its log to tell the end", || {
        let told =
            "deployment ended deployment=1 round=0 result=\"failed script-failed (rollback ok)\"";
        device.said().contains(told).then_some(())
    });

    server.restart();
    let operator = Operator::new(&server);
    assert_one_outcome(&operator.settled(deployment), "failed");
    let record = operator.record("dev-01", deployment);
    assert_eq!(record["reason"], json!("script-failed"), "{record}");
    assert_eq!(record["script"], json!("verify"), "{record}");
    assert_eq!(record["exit"], json!(3), "{record}");
    assert_eq!(record["rollback"], json!("ok"), "{record}");
}

#[test]
fn a_release_whose_second_artifact_fails_restores_the_first_one_too() {
    let server = Server::start();
    let trace = server.scratch().join("trace");
    let write = |version: &str, counter, app: &[u8], config: &[u8]| {
        let (dir, artifacts) = Release::write_many(
            server.scratch(),
            ("bundle", version, counter),
            &[("app", app), ("config", config)],
        );
        (
            dir,
            artifacts
                .into_iter()
                .map(|artifact| artifact.traced(&trace))
                .collect::<Vec<_>>(),
        )
    };
    let mut device = Device::add(&server, "dev-02", &[]);
    device.start(&server);
    let operator = Operator::new(&server);
    let (good, _) = write("1.0.0", 1, b"old app", b"old config");
    server.release(&good);
    let first = operator.deploy("bundle@1.0.0", "unassigned", &json!({}));
    assert_one_outcome(&operator.settled(first), "successful");

    let (bad, artifacts) = write("1.1.0", 2, b"new app", b"new config");
    artifacts[1].script("verify", "exit 4");
    server.release(&bad);
    let second = operator.deploy("bundle@1.1.0", "unassigned", &json!({"attempts": 1}));
    assert_one_outcome(&operator.settled(second), "failed");
    let installed = |artifact: &str| {
        ["pre-install", "install", "verify"].map(|kind| format!("{artifact} {kind}"))
    };
    let mut expected = [installed("app"), installed("config")].concat();
    expected.extend(["config rollback".to_owned(), "app rollback".to_owned()]);
    assert_eq!(ran(&trace, "dev-02", second), expected, "in reverse order");
    assert_eq!(device.content("app"), "old app");
    assert_eq!(device.content("config"), "old config");
    let record = operator.record("dev-02", second);
    assert_eq!(record["rollback"], json!("ok"), "{record}");
    assert_eq!(
        record["installed"],
        json!({"app": "1.0.0", "config": "1.0.0"}),
        "{record}"
    );
}

#[test]
fn a_rollback_script_that_fails_runs_three_times_and_ends_loud_and_final() {
    // bad-inputs row 57
    let server = Server::start();
    let trace = server.scratch().join("trace");
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "new").traced(&trace);
    release.script("verify", "exit 5");
    release.script("rollback", "echo the old image is gone\nexit 6");
    server.release(release.dir());
    let mut device = Device::add(&server, "dev-03", &[]);
    device.start(&server);
    let operator = Operator::new(&server);
    let deployment = operator.deploy("app@1.0.0", "unassigned", &json!({"attempts": 3}));
    let view = operator.settled(deployment);
    assert_one_outcome(&view, "failed");
    assert_eq!(
        view["failures"],
        json!([{"reason": "rollback-failed", "count": 1}]),
        "{view}"
    );
    let record = operator.record("dev-03", deployment);
    assert_eq!(record["rollback"], json!("failed"), "{record}");
    assert_eq!(record["script"], json!("rollback"), "{record}");
    assert_eq!(record["exit"], json!(6), "{record}");
    let shown = operator.device("dev-03");
    assert_eq!(shown["output"], json!("the old image is gone"), "{shown}");

    // The next deployment ends only after anything the device might still try.
    let next = Release::write(server.scratch(), "app", "1.0.1", 2, "next").traced(&trace);
    server.release(next.dir());
    let second = operator.deploy("app@1.0.1", "unassigned", &json!({}));
    assert_one_outcome(&operator.settled(second), "successful");
    let expected = [
        "pre-install",
        "install",
        "verify",
        "rollback",
        "rollback",
        "rollback",
    ];
    let expected = expected.map(|kind| format!("app {kind}"));
    assert_eq!(ran(&trace, "dev-03", deployment), expected);
    assert_eq!(device.content("app"), "next");
}
