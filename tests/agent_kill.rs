//! `kill -9` of the agent, as a power cut of its process (S9).

use serde_json::json;

use crate::harness::device::Device;
use crate::harness::operator::{Operator, assert_one_outcome};
use crate::harness::process::{end, is_running, pid_in};
use crate::harness::release::{Release, ran};
use crate::harness::server::Server;

#[test]
fn a_script_that_outlives_its_killed_agent_is_ended_before_anything_else_runs() {
    // bad-inputs row 59
    let server = Server::start();
    let trace = server.scratch().join("trace");
    let [script, daemon] = ["script", "daemon"].map(|name| server.scratch().join(name));
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "new").traced(&trace);
    // Says nothing more: a script that writes to its dead agent would die of that.
    let install = format!(
        "[ $HOIST_ATTEMPT -eq 1 ] || exit 7\nsetsid sleep 60 >/dev/null 2>&1 &\n\
         echo $! > {}\necho $$ > {}\nwhile :; do sleep 0.05; done",
        daemon.display(),
        script.display()
    );
    release.script("install", &install);
    let rollback = format!("[ ! -e /proc/$(cat {})/exe ]", script.display());
    release.script("rollback", &rollback);
    server.release(release.dir());
    let mut device = Device::add(&server, "dev-01", &[]);
    device.start(&server);
    let operator = Operator::new(&server);
    let deployment = operator.deploy("app@1.0.0", "unassigned", &json!({"attempts": 2}));
    let script = pid_in(&script);
    assert!(is_running(&script));

    device.restart(&server);
    assert_one_outcome(&operator.settled(deployment), "failed");
    let daemon = pid_in(&daemon);
    assert!(is_running(&daemon), "a daemon stays, as after any script");
    end(&daemon);
    assert!(!is_running(&script));
    let record = operator.record("dev-01", deployment);
    assert_eq!(
        record["rollback"],
        json!("ok"),
        "no install was left: {record}"
    );
    assert_eq!(record["exit"], json!(7), "{record}");
    assert_eq!(record["attempt"], json!(2), "{record}");
    let attempt = ["pre-install", "install", "rollback"];
    let expected = [attempt, attempt].concat();
    let expected: Vec<String> = expected.iter().map(|kind| format!("app {kind}")).collect();
    assert_eq!(ran(&trace, "dev-01", deployment), expected);
}
