//! `hoist doctor` finds what is open at a broker, and nothing where nothing is; a server does not
//! work with a broker that is not safe.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::harness::process::{HOIST, installed, run};
use crate::harness::rendered::Site;
use crate::harness::server::Server;

/// The checks of a report with this answer.
fn with(report: &Value, ok: &Value) -> Vec<String> {
    let checks = report["checks"].as_array().unwrap().iter();
    let such = checks.filter(|check| check["ok"] == *ok);
    such.map(|check| check["id"].as_str().unwrap().to_owned())
        .collect()
}

fn open(report: &Value) -> Vec<String> {
    with(report, &json!(false))
}

fn serious(report: &Value) -> Vec<String> {
    let checks = report["checks"].as_array().unwrap().iter();
    let such = checks.filter(|check| check["ok"] == json!(false) && check["severity"] == "serious");
    such.map(|check| check["id"].as_str().unwrap().to_owned())
        .collect()
}

/// A configuration without some of its lines.
fn without(config: &str, words: &[&str]) -> String {
    let is_kept = |line: &&str| !words.iter().any(|word| line.starts_with(word));
    let kept = config.lines().filter(is_kept);
    kept.map(|line| format!("{line}\n")).collect()
}

#[test]
fn each_mistake_in_a_configuration_is_found_and_a_rendered_one_has_none() {
    if !installed("mosquitto") {
        return;
    }
    let mut site = Site::start();
    let (report, exit) = site.doctor();
    assert_eq!((serious(&report), exit), (vec![], 0), "{report}");
    assert_eq!(report["ok"], json!(true));
    // A listener for people lets each of them have any client id.
    assert_eq!(open(&report), ["takeover-by-user"], "{report}");
    assert_eq!(with(&report, &Value::Null), ["persistence"], "{report}");

    site.run_broker(|config| without(config, &["acl_file"]));
    let (report, exit) = site.doctor();
    assert_eq!(exit, 1);
    for id in [
        "foreign-status",
        "spec-by-device",
        "foreign-will",
        "command-by-device",
        "spec-by-user",
        "read-by-device",
    ] {
        assert!(open(&report).contains(&id.to_owned()), "{id}: {report}");
    }
    for (change, found) in mistakes() {
        site.run_broker(change);
        let (report, exit) = site.doctor();
        assert_eq!(
            (serious(&report), exit),
            (vec![found.to_owned()], 1),
            "{report}"
        );
    }
}

type Change = fn(&str) -> String;

/// One mistake each, and what is open by it.
fn mistakes() -> [(Change, &'static str); 4] {
    [
        (
            |config| without(config, &["use_username_as_clientid"]),
            "takeover-by-device",
        ),
        (
            |config| config.replace("allow_anonymous false", "allow_anonymous true"),
            "anonymous-login",
        ),
        (
            |config| {
                let queued = "max_queued_messages ";
                format!("{queued}100\n{}", without(config, &[queued]))
            },
            "queue",
        ),
        (|config| without(config, &["max_packet_size"]), "size-limit"),
    ]
}

#[test]
fn what_outlives_a_restart_of_the_broker_is_found() {
    if !installed("mosquitto") {
        return;
    }
    for keeps in [false, true] {
        let mut site = Site::new(&[]);
        let folder = site.scratch().display().to_string();
        site.run_broker(|config| match keeps {
            false => config.to_owned(),
            true => config.replace(
                "persistence false",
                &format!("persistence true\npersistence_location {folder}/"),
            ),
        });
        let (report, exit) = site.doctor_with_restart();
        let found = open(&report).contains(&"persistence".to_owned());
        assert_eq!((found, exit), (keeps, 0), "{report}");
        assert_eq!(
            with(&report, &Value::Null),
            Vec::<String>::new(),
            "{report}"
        );
    }
}

#[test]
fn the_embedded_broker_has_nothing_open() {
    let server = Server::start_at(None, tempfile::tempdir().unwrap(), &[], &[]);
    let data = server.data().display().to_string();
    let output = run(HOIST, &["--data-dir", &data, "doctor", "-o", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{report}");
    assert_eq!(open(&report), Vec::<String>::new(), "{report}");
    let untried = with(&report, &Value::Null);
    assert_eq!(
        untried,
        [
            "wildcard-retained",
            "size-needed",
            "queue",
            "size-limit",
            "persistence"
        ],
        "what only the orchestrator can show: {report}"
    );
    let told = run(HOIST, &["--data-dir", &data, "doctor"]);
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("nothing serious is open"), "{told}");
    assert!(told.contains("--orchestrator-token"), "{told}");
}

#[test]
fn a_server_does_not_work_with_an_unsafe_broker_unless_it_is_told_to() {
    if !installed("mosquitto") {
        return;
    }
    let mut site = Site::new(&[]);
    site.run_broker(|config| config.replace("allow_anonymous false", "allow_anonymous true"));
    let mut server = site.serve_beside(&[]);
    assert_eq!(server.wait().code(), Some(1));
    let said = server.said();
    for part in ["error[E_BROKER_UNSAFE]", "--accept-risk E_BROKER_ANONYMOUS"] {
        assert!(said.contains(part), "{part} is in {said}");
    }
    assert!(!site.data().join("run.json").exists());
    let mut server = site.serve_beside(&["--accept-risk", "E_BROKER_ANONYMOUS"]);
    site.wait_ready(&mut server);
    assert!(server.terminate().success());
    let refused = site.hoist(&["serve", "--accept-risk", "E_NONE_SUCH"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("error[E_CONFIG]"), "{said}");
}

#[test]
fn the_doctor_leaves_nothing_behind() {
    if !installed("mosquitto") || !installed("mosquitto_sub") || !installed("mosquitto_pub") {
        return;
    }
    let site = Site::start();
    let token = std::fs::read_to_string(site.orchestrator_token()).unwrap();
    let (port, ca) = ((site.port() + 1).to_string(), site.files().join("ca.pem"));
    let args = [
        "-h",
        "127.0.0.1",
        "-p",
        &port,
        "--cafile",
        ca.to_str().unwrap(),
        "-u",
        "orchestrator",
        "-P",
        token.trim(),
    ];
    let said = ["-t", "hoist/g/somebody", "-m", "stays", "-r", "-q", "1"];
    let said = run("mosquitto_pub", &[&args[..], &said].concat());
    assert!(said.status.success(), "{said:?}");
    let (report, _) = site.doctor();
    assert_eq!(report["ok"], json!(true), "{report}");
    assert_eq!(report["leftBehind"], json!(false), "{report}");
    let rest = ["-t", "hoist/#", "-W", "1", "-v"];
    let kept = run("mosquitto_sub", &[&args[..], &rest].concat());
    let kept_text = String::from_utf8_lossy(&kept.stdout);
    assert_eq!(kept_text, "hoist/g/somebody stays\n", "{kept:?}");
}

#[test]
fn where_no_device_comes_in_the_doctor_says_that_nothing_is_known() {
    if !installed("mosquitto") {
        return;
    }
    let site = Site::start();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let (report, exit) = site.doctor_at(&format!("mqtts://127.0.0.1:{port}"));
    assert_eq!((&report["ok"], exit), (&json!(false), 1), "{report}");
    let why = report["cutOff"].as_str().unwrap();
    assert!(why.contains("no broker answers at"), "{why}");
    assert!(with(&report, &Value::Null).contains(&"foreign-status".to_owned()));
}

#[test]
fn two_examinations_at_once_blame_nobody_for_each_other() {
    if !installed("mosquitto") {
        return;
    }
    let site = Site::start();
    let reports = std::thread::scope(|scope| {
        let both = [0; 2].map(|_| scope.spawn(|| site.doctor()));
        both.map(|doctor| doctor.join().unwrap())
    });
    for (report, _) in reports {
        assert_eq!(serious(&report), Vec::<String>::new(), "{report}");
    }
}
