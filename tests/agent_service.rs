//! The agent as a service: it tells its supervisor when it is ready and that it lives,
//! stops cleanly, and says so when its memory is damaged.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::harness::device::Device;
use crate::harness::operator::{Operator, assert_one_outcome};
use crate::harness::process::{AGENT, run};
use crate::harness::release::{Release, ran};
use crate::harness::server::Server;
use crate::harness::{PATIENCE, eventually, write_private};

const UNIT: &str = include_str!("../device-client/hoist-agent.service");

#[test]
fn a_supervisor_hears_that_the_agent_is_ready_and_alive_and_stops_it_cleanly() {
    for line in [
        "Type=notify",
        "WatchdogSec=60s",
        "KillMode=mixed",
        "Restart=always",
    ] {
        assert!(UNIT.lines().any(|unit| unit == line), "{line}");
    }
    let server = Server::start();
    let config = server.add_device("dev-01", &[]);
    let socket = server.scratch().join("notify");
    let supervisor = UnixDatagram::bind(&socket).unwrap();
    supervisor.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut agent = Command::new(AGENT)
        .args(["--config", config.to_str().unwrap()])
        .env("NOTIFY_SOCKET", &socket)
        .stderr(fs::File::create(server.scratch().join("agent.log")).unwrap())
        .spawn()
        .unwrap();
    let mut heard = BTreeSet::new();
    let mut hear = |words: &[&str]| {
        let mut buffer = [0; 256];
        while !words.iter().all(|word| heard.contains(*word)) {
            let length = supervisor.recv(&mut buffer).unwrap();
            let said = String::from_utf8_lossy(&buffer[..length]);
            heard.extend(said.lines().map(str::to_owned));
        }
    };
    hear(&["READY=1", "WATCHDOG=1"]);
    let ready = config.with_extension("state").join("run.json");
    assert!(ready.exists());
    let pid = agent.id().to_string();
    assert!(run("kill", &["-TERM", &pid]).status.success());
    assert!(agent.wait().unwrap().success());
    assert!(!ready.exists());
    hear(&["STOPPING=1"]);
    let log = fs::read_to_string(server.scratch().join("agent.log")).unwrap();
    let (begun, over) = (log.find("stopping"), log.find("stopped"));
    assert!(begun.is_some() && begun < over, "{log}");
}

#[test]
fn a_configuration_is_checked_before_anything_runs() {
    // bad-inputs row 70
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("agent.toml");
    let check = |text: &str| {
        write_private(&config, text);
        let output = run(
            AGENT,
            &["check-config", "--config", config.to_str().unwrap()],
        );
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said)
    };
    let root = "ab".repeat(32);
    let good = format!(
        "device = \"d1\"\nbroker = \"mqtt://127.0.0.1\"\ntoken = \"t\"\nroot_sha256 = \"{root}\"\n"
    );
    assert_eq!(check(&good), (Some(0), String::new()));
    let output = run(
        AGENT,
        &["check-config", "--config", config.to_str().unwrap()],
    );
    let said = String::from_utf8(output.stdout).unwrap();
    let state = dir.path().join("d1.state");
    assert_eq!(said, format!("ok\nstate_dir {}\n", state.display()));
    assert!(UNIT.contains("#   state_dir = \"/var/lib/hoist-agent\"\n"));
    let (code, said) = check(&good.replace("root_sha256", "rot_sha256"));
    assert_eq!(code, Some(2));
    assert!(said.contains("agent.toml:4"), "{said}");
    assert!(said.contains("did you mean `root_sha256`?"), "{said}");
    let missing = dir.path().join("nothing.toml");
    let output = run(
        AGENT,
        &["check-config", "--config", missing.to_str().unwrap()],
    );
    assert_eq!(output.status.code(), Some(1));
}

/// Damages every copy of a two-slot file.
fn damage(state: &Path, name: &str) {
    for slot in ["0", "1"] {
        let path = state.join(format!("{name}.{slot}"));
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] ^= 0xff;
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn a_device_that_lost_its_journal_in_an_update_says_so_and_never_installs_again_blindly() {
    // bad-inputs row 60
    let server = Server::start();
    let trace = server.scratch().join("trace");
    let begun = server.scratch().join("begun");
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "new").traced(&trace);
    release.script("install", &format!(": > {}\nsleep 600", begun.display()));
    server.release(release.dir());
    let mut device = Device::add(&server, "dev-01", &[]);
    device.start(&server);
    let operator = Operator::new(&server);
    let deployment = operator.deploy("app@1.0.0", "unassigned", &json!({}));
    eventually("install to run", || begun.exists().then_some(()));
    operator.at_step(deployment, "installing");
    device.kill();
    damage(&device.state(), "journal");

    device.start(&server);
    let view = operator.settled(deployment);
    assert_one_outcome(&view, "failed");
    let record = operator.record("dev-01", deployment);
    assert_eq!(record["reason"], json!("state-lost"), "{record}");
    let before = ran(&trace, "dev-01", deployment);
    assert_eq!(before, ["app pre-install", "app install"]);

    // It goes on: its next deployment counts, so its numbers were not behind.
    let next = Release::write(server.scratch(), "app", "1.0.1", 2, "next").traced(&trace);
    server.release(next.dir());
    let second = operator.deploy("app@1.0.1", "unassigned", &json!({}));
    assert_one_outcome(&operator.settled(second), "successful");
    assert_eq!(ran(&trace, "dev-01", deployment), before);
    assert_eq!(device.content("app"), "next");
}
