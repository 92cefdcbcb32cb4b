//! The wire without our code: a device in Python, written from `docs/wire.md` alone, reads
//! every vector and takes part in a deployment.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::harness::eventually;
use crate::harness::operator::{Operator, assert_one_outcome};
use crate::harness::process::Finish;
use crate::harness::release::Release;
use crate::harness::server::Server;

const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python");
const VECTORS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../protocol/tests/vectors.json"
);

/// A Python with what the device needs; `None` where there is none, which CI does not allow.
fn python() -> Option<&'static str> {
    let able = |program: &&str| {
        let needs = ["-c", "import tomllib, cryptography.hazmat"];
        let output = Command::new(program).args(needs).output();
        output.is_ok_and(|output| output.status.success())
    };
    let found = ["python3", "/usr/bin/python3"].into_iter().find(able);
    if found.is_none() {
        let why =
            "Python 3.11 with `cryptography` is missing (apt-get install python3-cryptography)";
        assert!(std::env::var_os("CI").is_none(), "{why}");
        eprintln!("skipped: {why}");
    }
    found
}

fn run(python: &str, script: &str, args: &[&str]) -> Output {
    Command::new(python)
        .arg("-B")
        .arg(format!("{PYTHON}/{script}"))
        .args(args)
        .finish()
}

/// The line of JSON of a run that must end well.
fn said(output: &Output) -> Value {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn another_language_reads_every_vector_and_refuses_what_must_be_refused() {
    let Some(python) = python() else { return };
    let file: Value = serde_json::from_slice(&std::fs::read(VECTORS).unwrap()).unwrap();
    let count = |list: &str| file[list].as_array().unwrap().len();
    let expected = json!({
        "vectors": count("vectors"), "hashes": count("hashes"), "refused": count("refused"),
    });
    let counts = said(&run(python, "vectors.py", &[VECTORS]));
    assert_eq!(counts, expected);
    assert!(count("vectors") >= 40 && count("refused") >= 30);
}

#[test]
fn a_device_in_another_language_takes_part_in_a_deployment() {
    let Some(python) = python() else { return };
    let server = Server::start();
    let payload = "content of several segments ".repeat(20_000);
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, &payload);
    server.release(release.dir());
    let operator = Operator::new(&server);
    for (id, more, outcome) in [("d1", None, "successful"), ("d2", Some("--fail"), "failed")] {
        server.hoist_ok(&["group", "create", &format!("only-{id}")]);
        let config = server.add_device(id, &["--group", &format!("only-{id}")]);
        let deployment = operator.deploy("app@1.0.0", &format!("only-{id}"), &json!({}));
        let number = deployment.to_string();
        let mut args = vec![
            "--config",
            config.to_str().unwrap(),
            "--deployment",
            &number,
        ];
        args.extend(more);
        let done = said(&run(python, "device.py", &args));
        let bytes = done["bytes"].as_u64().unwrap();
        assert!(bytes > payload.len() as u64, "scripts and payload: {done}");
        assert_eq!(done["release"], json!("app@1.0.0"));
        assert_one_outcome(&operator.settled(deployment), outcome);
        let shown = operator.device(id);
        assert_eq!(shown["keyPinned"], json!(true), "{shown}");
        eventually("its last will", || {
            (operator.device(id)["presence"] == json!("offline")).then_some(())
        });
    }
    let failed = operator.device("d2");
    assert_eq!(failed["output"], json!("it did not work"), "{failed}");
    assert_eq!(failed["exit"], json!(7));
    assert_eq!(operator.device("d1")["installed"], json!({"app": "1.0.0"}));
}
