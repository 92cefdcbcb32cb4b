//! Whatever a script does, its deployment ends with the right reason, the agent lives, and
//! the next deployment works.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::device::Device;
use crate::harness::operator::{Operator, assert_one_outcome};
use crate::harness::process::{end, is_running, pid_in};
use crate::harness::release::Release;
use crate::harness::server::Server;

/// One animal of the zoo: what its scripts do, and what its record must say.
struct Case {
    name: &'static str,
    change: fn(&Release, &Path),
    expected: Value,
}

fn failed(reason: &str, script: &str, exit: Value, rollback: &str) -> Value {
    json!({"status": "failed", "reason": reason, "script": script, "exit": exit,
           "rollback": rollback, "attempt": 1, "step": null})
}

fn successful(attempt: u32) -> Value {
    json!({"status": "successful", "reason": null, "script": null, "exit": null,
           "rollback": null, "attempt": attempt, "step": null})
}

/// Says its process id in the file `<name>.pid` of the test's folder.
fn say_pid(scratch: &Path, name: &str, pid: &str) -> String {
    format!(
        "echo {pid} > {}",
        scratch.join(format!("{name}.pid")).display()
    )
}

fn zoo() -> Vec<Case> {
    let case = |name, expected, change| Case {
        name,
        change,
        expected,
    };
    let none = || json!(null);
    let install = |exit| failed("script-failed", "install", exit, "ok");
    let hung = failed("script-timeout", "install", none(), "ok");
    let verify = failed("script-failed", "verify", json!(255), "ok");
    let not_started = failed("script-failed", "verify", none(), "ok");
    vec![
        case("hangs", hung, hang),
        case("daemon", successful(1), leave_a_daemon),
        case("loud", install(json!(9)), fill_the_output),
        case("exit255", verify, |release, _| {
            release.script("verify", "exit 255");
        }),
        case("signal", install(json!(-11)), |release, _| {
            release.script("install", "kill -SEGV $$");
        }),
        // Its way back is kept where it does not reach.
        case("suicide", install(json!(1)), |release, _| {
            let remove = "rm -rf \"${0%/scripts/install}\" \"$PWD\"";
            release.script("install", &format!("{remove}\nexit 1"));
        }),
        case("homeless", successful(1), |release, _| {
            release.script("pre-install", "rm -rf \"$PWD\"");
        }),
        // Before `install` the agent would put its mode right.
        case("no-exec", not_started, |release, _| {
            release.script("install", "chmod 0600 \"${0%install}verify\"");
        }),
        case("no-interpreter", install(none()), |release, _| {
            release.program("install", "#!/no/such/interpreter\n");
        }),
        case("later", successful(2), |release, _| {
            let copy = "cp \"$HOIST_PAYLOAD_DIR/content\" content";
            let later = format!("[ $HOIST_ATTEMPT -gt 1 ] || exit 75\n{copy}");
            release.script("install", &later);
        }),
    ]
}

/// Waits for a child that ignores TERM.
fn hang(release: &Release, scratch: &Path) {
    release.setting("[scripts.install]\ntimeout = \"1s\"");
    let stubborn = "(trap '' TERM; while :; do sleep 1; done) &";
    let say = say_pid(scratch, "hangs", "$!");
    release.script("install", &format!("{stubborn}\n{say}\nwait"));
}

/// Leaves a child in its own group, and a daemon once that has a session of its own.
fn leave_a_daemon(release: &Release, scratch: &Path) {
    let in_group = say_pid(scratch, "background", "$!");
    let daemon = say_pid(scratch, "daemon", "$$");
    let said = scratch.join("daemon.pid");
    let script = format!(
        "sleep 60 &\n{in_group}\nsetsid sh -c '{daemon}; exec sleep 60' &\n\
         while [ ! -s {} ]; do sleep 0.01; done",
        said.display()
    );
    release.script("post-install", &script);
}

fn fill_the_output(release: &Release, _: &Path) {
    let fill = "yes 'a line of no interest' | head -c 40000000";
    let last = "echo the last word >&2";
    release.script("install", &format!("{fill}\n{last}\nexit 9"));
}

#[test]
fn every_script_of_the_zoo_ends_with_its_reason_and_leaves_a_working_agent() {
    // bad-inputs row 56
    let server = Server::start();
    let operator = Operator::new(&server);
    let zoo = zoo();
    let mut devices = Vec::new();
    for case in &zoo {
        let release = Release::write(server.scratch(), case.name, "1.0.0", 1, case.name);
        (case.change)(&release, server.scratch());
        server.release(release.dir());
        let body = json!({"group": case.name});
        operator.client().command_ok("group-create", &body);
        let mut device = Device::add(&server, case.name, &["--group", case.name]);
        device.start(&server);
        devices.push(device);
    }
    let deploy = |case: &Case| {
        let release = format!("{}@1.0.0", case.name);
        operator.deploy(&release, case.name, &json!({"attempts": 1}))
    };
    let deployments: Vec<u64> = zoo.iter().map(deploy).collect();
    for ((case, deployment), device) in zoo.iter().zip(deployments).zip(&mut devices) {
        let view = operator.settled(deployment);
        assert_one_outcome(&view, case.expected["status"].as_str().unwrap());
        let record = operator.record(case.name, deployment);
        for (field, value) in case.expected.as_object().unwrap() {
            assert_eq!(&record[field], value, "{field} of {}: {record}", case.name);
        }
        assert!(device.is_alive(), "{}", case.name);
    }
    check_leftovers(&server);
    let shown = operator.device("loud");
    let output = shown["output"].as_str().unwrap();
    assert!(
        output.ends_with("the last word") && output.len() <= 256,
        "{shown}"
    );

    let next = Release::write(server.scratch(), "next", "1.0.0", 2, "next");
    server.release(next.dir());
    for (case, device) in zoo.iter().zip(&mut devices) {
        let deployment = operator.deploy("next@1.0.0", case.name, &json!({}));
        assert_one_outcome(&operator.settled(deployment), "successful");
        assert_eq!(device.content("next"), "next", "{}", case.name);
        assert!(device.is_alive(), "{}", case.name);
    }
}

/// A process that a script leaves in its group ends with it; a daemon of its own stays.
fn check_leftovers(server: &Server) {
    let pid = |name: &str| pid_in(&server.scratch().join(format!("{name}.pid")));
    assert!(!is_running(&pid("hangs")));
    assert!(!is_running(&pid("background")));
    let daemon = pid("daemon");
    assert!(is_running(&daemon));
    end(&daemon);
}
