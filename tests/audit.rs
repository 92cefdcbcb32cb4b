//! The audit trail: who changed what, or was refused to, by which door and from where; and nobody
//! changes it, cuts it off or hides in it unseen.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::harness::eventually;
use crate::harness::mqtt::{Client, Login};
use crate::harness::process::{HOIST, run};
use crate::harness::server::Server;

/// Sends a command by HTTP.
fn by_http(server: &Server, token: &str, request: &str, verb: &str, body: &Value) -> String {
    let body = body.to_string();
    let mut stream = TcpStream::connect(server.http()).unwrap();
    let head = format!(
        "POST /api/v1/{verb} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\n\
         Idempotency-Key: {request}\r\nAuthorization: Bearer {token}\r\n\r\n{body}",
        server.http(),
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn user(server: &Server, name: &str, role: &str) -> Login {
    let file = server.scratch().join(format!("{name}.toml"));
    let add = ["user", "add", name, "--role", role, "--out"];
    server.hoist_ok(&[&add[..], &[file.to_str().unwrap()]].concat());
    Login::read(&file)
}

fn trail(server: &Server, more: &[&str]) -> Vec<Value> {
    let said = server.hoist_ok(&[&["audit", "list", "-o", "json"], more].concat());
    serde_json::from_str(&said).unwrap()
}

/// The items about requests whose ids begin so: request, from, verb, target and result.
fn about(items: &[Value], request: &str) -> Vec<[String; 5]> {
    let text = |item: &Value, field: &str| item[field].as_str().unwrap().to_owned();
    let fields = ["request", "from", "verb", "target", "result"];
    let found = items
        .iter()
        .filter(|item| text(item, "request").starts_with(request));
    found
        .map(|item| fields.map(|field| text(item, field)))
        .collect()
}

fn export(server: &Server, name: &str) -> PathBuf {
    let file = server.scratch().join(name);
    server.hoist_ok(&["audit", "export", "--out", file.to_str().unwrap()]);
    file
}

fn verify(file: &Path, more: &[&str]) -> Output {
    let file = ["audit", "verify", file.to_str().unwrap()];
    run(HOIST, &[&file[..], more].concat())
}

/// The sentences on standard output, each on one line.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).replace("\n    ", " ")
}

#[test]
fn who_did_what_by_which_door_is_listed_with_its_request() {
    let server = Server::start();
    let admin = server.admin();
    let client = server.client();
    client.command_as("by-mqtt-1", "group-create", br#"{"group":"eu"}"#);
    client.command_as("by-mqtt-1", "group-create", br#"{"group":"eu"}"#);
    client.command_as("by-mqtt-2", "group-remove", br#"{"group":"nowhere"}"#);
    client.command_as(
        "by-mqtt-3",
        "group-create",
        br#"{"group":"us","dryRun":true}"#,
    );
    client.command_as("by-mqtt-4", "group-list", b"{}");
    let group = json!({"group": "us"});
    let answer = by_http(&server, &admin.token, "by-http-1", "group-create", &group);
    assert!(answer.contains("\"ok\":true"), "{answer}");
    let vera = user(&server, "vera", "viewer");
    let answer = by_http(&server, &vera.token, "by-vera-1", "group-create", &group);
    assert!(answer.contains("E_ROLE"), "{answer}");

    let items = trail(&server, &[]);
    let item = |parts: [&str; 5]| parts.map(str::to_owned);
    assert_eq!(
        about(&items, "by-mqtt"),
        [
            item(["by-mqtt-1", "127.0.0.1", "group-create", "eu", "ok"]),
            item([
                "by-mqtt-2",
                "127.0.0.1",
                "group-remove",
                "nowhere",
                "E_GROUP"
            ]),
        ]
    );
    let http = item(["by-http-1", "127.0.0.1", "group-create", "us", "ok"]);
    assert_eq!(about(&items, "by-http"), [http]);
    let refused = item(["by-vera-1", "127.0.0.1", "group-create", "us", "E_ROLE"]);
    assert_eq!(about(&items, "by-vera"), [refused]);
    let added = items.iter().find(|item| item["verb"] == json!("user-add"));
    assert_eq!(added.unwrap()["target"], json!("vera viewer"));

    let of_vera = trail(&server, &["--user", "vera", "--since", "1h"]);
    assert!(of_vera.len() == 1 && of_vera[0]["user"] == json!("vera"));
    assert_eq!(
        trail(&server, &["--since", "2100-01-01T00:00:00Z"]),
        [json!(null); 0]
    );
    let table = server.hoist_ok(&["audit", "list"]);
    for line in table.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let viewer = Client::connect(server.mqtt(), "", &vera);
    assert_eq!(viewer.command_refused("audit-list", &json!({})), "E_ROLE");
}

#[test]
fn an_item_of_an_exported_file_that_was_changed_or_removed_is_named() {
    let server = Server::start();
    for group in ["eu", "us", "asia"] {
        server.hoist_ok(&["group", "create", group]);
    }
    let file = export(&server, "trail.ndjson");
    let whole = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let verified = verify(&file, &[]);
    assert!(verified.status.success(), "{}", said(&verified));
    let head: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    let head = head["hash"].as_str().unwrap().to_owned();
    assert!(
        said(&verified).contains(&format!("head {head}")),
        "{}",
        said(&verified)
    );

    let place = lines
        .iter()
        .position(|line| line.contains("\"us\""))
        .unwrap();
    let number = format!("item {} does not follow", place + 1);
    let write = |lines: &[&str]| fs::write(&file, lines.join("\n") + "\n").unwrap();
    let mut changed = lines.clone();
    let other = lines[place].replace("\"us\"", "\"eu\"");
    changed[place] = &other;
    write(&changed);
    let found = verify(&file, &[]);
    assert_eq!(found.status.code(), Some(1));
    assert!(said(&found).starts_with(&number), "{}", said(&found));
    let mut removed = lines.clone();
    removed.remove(place);
    write(&removed);
    let found = verify(&file, &[]);
    assert_eq!(found.status.code(), Some(1));
    assert!(said(&found).starts_with(&number), "{}", said(&found));
    assert!(said(&found).contains("asia of admin"), "{}", said(&found));

    // What is left after the end was cut off fits, and the head that was known tells.
    write(&lines[..lines.len() - 1]);
    assert!(verify(&file, &[]).status.success());
    let cut = verify(&file, &["--head", &head]);
    assert_eq!(cut.status.code(), Some(1));
    assert!(said(&cut).contains("the end was cut off"), "{}", said(&cut));

    // The server's own trail goes on, and the head is still in it.
    server.hoist_ok(&["group", "remove", "asia"]);
    let now = server.hoist_ok(&["audit", "verify", "--head", &head, "-o", "json"]);
    let now: Value = serde_json::from_str(&now).unwrap();
    assert_eq!(now["ok"], json!(true), "{now}");
    assert_eq!(now["headItem"], json!(lines.len()), "{now}");
    assert_eq!(now["items"], json!(lines.len() + 1), "{now}");
    let printed = server.hoist_ok(&["audit", "export"]);
    assert!(printed.starts_with(&whole), "the same, and what came since");
    let there = server.hoist(&["audit", "export", "--out", file.to_str().unwrap()]);
    assert_eq!(there.status.code(), Some(1), "no file is replaced");
}

#[test]
fn what_was_answered_is_in_the_trail_also_when_the_server_is_killed_at_once() {
    let mut server = Server::start();
    for round in 0..3 {
        let request = format!("killed-{round}");
        let body = json!({"group": format!("g{round}")}).to_string();
        let client = server.client();
        let reply = client.command_as(&request, "group-create", body.as_bytes());
        server.kill();
        assert_eq!(reply["ok"], json!(true), "{reply}");
        drop(client);
        server.restart();
        let items = trail(&server, &[]);
        assert_eq!(about(&items, &request).len(), 1, "{request}");
    }
    let verified = server.hoist(&["audit", "verify"]);
    assert!(verified.status.success(), "{}", said(&verified));
    server.stop();
    let data = server.data();
    let check = ["store", "check", "--data-dir", data.to_str().unwrap()];
    let checked = run(HOIST, &check);
    assert!(checked.status.success(), "{}", said(&checked));
}

#[test]
fn a_flood_of_refusals_does_not_fill_the_trail_and_hides_nothing_that_is_done() {
    let server = Server::start();
    let vera = user(&server, "vera", "viewer");
    let viewer = Client::connect(server.mqtt(), "", &vera);
    for number in 0..200 {
        let request = format!("flood-{number}");
        viewer.publish(
            &format!("hoist/cmd/vera/{request}/group-create"),
            br#"{"group":"eu"}"#,
            false,
        );
    }
    assert_eq!(
        viewer.command_refused("abort", &json!({"deployment": 1})),
        "E_ROLE"
    );
    server.hoist_ok(&["group", "create", "eu"]);
    let items = trail(&server, &[]);
    // So many seconds does nobody need for 200 messages.
    let refused = about(&items, "flood").len();
    assert!((1..100).contains(&refused), "{refused} refusals");
    let last = items.last().unwrap();
    assert_eq!(
        (&last["verb"], &last["target"]),
        (&json!("group-create"), &json!("eu"))
    );
}

#[test]
fn no_token_is_in_the_trail() {
    // bad-inputs row 70
    let server = Server::start();
    let vera = user(&server, "vera", "deployer");
    let config = fs::read_to_string(server.add_device("dev-01", &[])).unwrap();
    let table = server.scratch().join("fleet.csv");
    fs::write(&table, "id\ndev-02\ndev-03\n").unwrap();
    let imported = server.hoist_ok(&["device", "import", table.to_str().unwrap()]);
    let file = export(&server, "trail.ndjson");
    let written = fs::read_to_string(&file).unwrap();
    assert!(written.contains("\"dev-02 dev-03\""), "{written}");
    let hash = data_encoding::HEXLOWER.encode(&hoist_protocol::id::sha256(vera.token.as_bytes()));
    let mut secrets = vec![vera.token, hash, server.admin().token];
    let tokens = config.lines().chain(imported.lines());
    let tokens = tokens.filter_map(|line| line.trim().strip_prefix("token = "));
    secrets.extend(tokens.map(|token| token.trim_matches('"').to_owned()));
    assert!(secrets.len() >= 5, "{}", secrets.len());
    for secret in secrets {
        assert!(secret.len() > 20 && !written.contains(&secret), "{secret}");
    }
}

#[test]
fn what_is_done_without_a_command_is_in_the_trail_too() {
    let mut server = Server::start();
    let items = trail(&server, &[]);
    let of = |items: &[Value], verb: &str| -> Vec<Value> {
        let found = items.iter().filter(|item| item["verb"] == json!(verb));
        found.cloned().collect()
    };
    let first = of(&items, "keys-rotate");
    let target = first[0]["target"].as_str().unwrap();
    assert!(first.len() == 1 && target.starts_with("root document 1: root "));

    let file = server.scratch().join("backup.tar");
    let data = server.data();
    let of_data = ["--data-dir", data.to_str().unwrap()];
    server.hoist_ok(&[&["backup", "--out", file.to_str().unwrap()], &of_data[..]].concat());
    let backups = of(&trail(&server, &[]), "backup");
    assert_eq!(backups.len(), 1, "{backups:?}");
    let told = ["user", "from", "target"].map(|field| backups[0][field].clone());
    assert_eq!(told, [json!("admin"), json!("127.0.0.1"), json!("rows")]);

    // While the server runs, and while none does.
    let rotate = || {
        let rotated = run(
            HOIST,
            &[&["keys", "rotate", "orchestrator"], &of_data[..]].concat(),
        );
        assert!(rotated.status.success(), "{}", said(&rotated));
    };
    rotate();
    let rotated = |server: &Server, number: u32| {
        let begin = format!("root document {number}: ");
        eventually("the trail to tell of the keys", || {
            let items = of(&trail(server, &[]), "keys-rotate");
            let is_it = |item: &Value| item["target"].as_str().unwrap().starts_with(&begin);
            items.iter().any(is_it).then_some(())
        });
    };
    rotated(&server, 2);
    server.stop();
    rotate();
    server.restart();
    rotated(&server, 3);
    assert_eq!(of(&trail(&server, &[]), "keys-rotate").len(), 3);
    let verified = server.hoist(&["audit", "verify"]);
    assert!(verified.status.success(), "{}", said(&verified));
}
