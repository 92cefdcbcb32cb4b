//! Operators publish commands with any MQTT client; what is wrong is refused by a stable
//! code and a sentence, and changes nothing.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::process::{Finish, installed};
use crate::harness::release::Release;
use crate::harness::server::Server;

#[test]
fn unknown_names_are_refused_by_name() {
    // bad-inputs rows 39 and 71
    let server = Server::start();
    let client = server.client();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let refused = |verb, body: Value| client.command_refused(verb, &body);
    assert_eq!(
        refused(
            "deploy",
            json!({"release": "app@9.9.9", "group": "unassigned"})
        ),
        "E_RELEASE"
    );
    assert_eq!(
        refused(
            "deploy",
            json!({"release": "app@1.0.0", "group": "nowhere"})
        ),
        "E_GROUP"
    );
    assert_eq!(
        refused("device-show", json!({"device": "nobody"})),
        "E_DEVICE"
    );
    assert_eq!(
        refused("abort", json!({"deployment": 99, "reason": "x"})),
        "E_DEPLOYMENT"
    );
    assert_eq!(refused("group-create", json!({"group": "a b#"})), "E_NAME");
    assert_eq!(refused("dance", json!({})), "E_VERB");
    let meant = client.command(
        "deploy",
        &json!({"release": "ap@1.0.0", "group": "unassigned"}),
    );
    assert_eq!(
        meant["error"]["hint"],
        json!("did you mean app@1.0.0?"),
        "{meant}"
    );
    let list = client.command_ok("deployment-list", &json!({}));
    assert_eq!(list["items"], json!([]), "nothing was created");
}

#[test]
fn malformed_json_is_refused_with_the_path_of_the_field() {
    // bad-inputs row 21
    let server = Server::start();
    let client = server.client();
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    let bodies: [&[u8]; 7] = [
        b" ",
        b"{",
        b"[]",
        br#"{"release":"a@1","group":"g","colour":"red"}"#,
        br#"{"release":"a@1","release":"b@1","group":"g"}"#,
        br#"{"release":"a@1","group":"g","timeoutSecs":NaN}"#,
        deep.as_bytes(),
    ];
    for (index, body) in bodies.iter().enumerate() {
        let reply = client.command_as(&format!("bad{index}"), "deploy", body);
        assert_eq!(reply["error"]["code"], json!("E_CMD"), "{index}: {reply}");
    }
    for (index, body) in [&b""[..], b" ", br#"["a@1","g"]"#].iter().enumerate() {
        let reply = client.command_as(&format!("none{index}"), "deploy", body);
        assert_eq!(reply["error"]["code"], json!("E_CMD"), "{index}: {reply}");
    }
    let reply = client.command_as("soon", "deploy", br#"{"release":"a@1","limit":7}"#);
    let detail = "7 is not an object";
    assert!(
        reply["error"]["detail"]
            .as_str()
            .unwrap()
            .starts_with(detail),
        "{reply}"
    );
    let reply = client.command_as(
        "bad-field",
        "deploy",
        br#"{"release":"a@1","group":"g","colour":1}"#,
    );
    assert!(reply["error"].to_string().contains("colour"), "{reply}");
}

#[test]
fn times_are_taken_with_any_offset() {
    let server = Server::start();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let deploy = ["deploy", "app@1.0.0", "--group", "unassigned"];
    let start = ["--start", "2030-12-01T10:00:00+02:00"];
    let until = ["--until", "2030-12-01T09:30:00.5-01:00"];
    server.hoist_ok(&[&deploy[..], &start, &until].concat());
    let shown = server.hoist_ok(&["deployment", "show", "1", "-o", "json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["start"], json!("2030-12-01T08:00:00Z"), "{shown}");
    assert_eq!(shown["until"], json!("2030-12-01T10:30:00Z"), "{shown}");
    let output = server.hoist(&[&deploy[..], &["--start", "2030-02-29T10:00:00Z"]].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("error[E_TIME]") && said.contains("+02:00"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_repeated_request_is_executed_once_and_answered_the_same() {
    // bad-inputs row 30
    let server = Server::start();
    let client = server.client();
    let first = client.command_as("once", "group-create", br#"{"group":"eu"}"#);
    assert_eq!(first["ok"], json!(true), "{first}");
    let second = client.command_as("once", "group-create", br#"{"group":"eu"}"#);
    assert_eq!(second, first);
    let other = client.command_as("once", "group-create", br#"{"group":"us"}"#);
    assert_eq!(other["error"]["code"], json!("E_REQUEST_REUSED"), "{other}");
    let groups = client.command_ok("group-list", &json!({})).to_string();
    assert!(
        groups.contains("\"eu\"") && !groups.contains("\"us\""),
        "{groups}"
    );
}

#[test]
fn a_retained_command_is_refused_and_cleared() {
    // bad-inputs row 31
    let server = Server::start();
    let client = server.client();
    assert!(client.subscribe("hoist/reply/admin/#"));
    client.publish(
        "hoist/cmd/admin/sticky/group-create",
        br#"{"group":"eu"}"#,
        true,
    );
    let reply = client.wait_json("hoist/reply/admin/sticky", |_| true);
    assert_eq!(reply["ok"], json!(false), "{reply}");
    let groups = client.command_ok("group-list", &json!({})).to_string();
    assert!(!groups.contains("\"eu\""), "{groups}");
}

#[test]
fn a_role_does_what_it_may_and_no_more() {
    // bad-inputs row 25, first half
    let server = Server::start();
    let file = server.scratch().join("viewer.toml");
    std::fs::write(
        &file,
        server.hoist_ok(&["user", "add", "vera", "--role", "viewer"]),
    )
    .unwrap();
    let login = crate::harness::mqtt::Login::read(&file);
    let viewer = crate::harness::mqtt::Client::connect(server.mqtt(), "", &login);
    assert_eq!(
        viewer.command_ok("group-list", &json!({}))["items"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    assert_eq!(
        viewer.command_refused("group-create", &json!({"group": "eu"})),
        "E_ROLE"
    );
    assert_eq!(
        viewer.command_refused("abort", &json!({"deployment": 1, "reason": "x"})),
        "E_ROLE"
    );
}

#[test]
fn stock_mosquitto_clients_deploy_and_watch() {
    if !installed("mosquitto_rr") || !installed("mosquitto_sub") {
        return;
    }
    let server = Server::start();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let config = server.add_device("dev-01", &[]);
    let _agent = server.agent(&config);
    let (host, port) = server.mqtt().split_once(':').unwrap();
    let admin = server.admin();
    let login = [
        "-h",
        host,
        "-p",
        port,
        "-V",
        "311",
        "-q",
        "1",
        "-u",
        &admin.user,
        "-P",
        &admin.token,
    ];
    let output = Command::new("mosquitto_rr")
        .args(login)
        .args([
            "-W",
            "30",
            "-t",
            "hoist/cmd/admin/m1/deploy",
            "-e",
            "hoist/reply/admin/m1",
        ])
        .args(["-m", r#"{"release":"app@1.0.0","group":"unassigned"}"#])
        .finish();
    let reply: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(reply["ok"], json!(true), "{reply}");
    assert_eq!(reply["request"], json!("m1"));

    server.hoist_ok(&["status", "1", "--timeout", "60s"]);
    let output = Command::new("mosquitto_sub")
        .args(login)
        .args(["-W", "30", "-C", "1", "-t", "hoist/view/deployment/1"])
        .finish();
    let view: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(view["counts"]["successful"], json!(1), "{view}");
}
