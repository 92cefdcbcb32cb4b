//! What happened is in a history that outlives the server's death, and whoever follows it misses
//! nothing.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::harness::eventually;
use crate::harness::process::{HOIST, Process};
use crate::harness::server::Server;

/// A reader of server-sent events.
struct Reader {
    lines: BufReader<TcpStream>,
}

impl Reader {
    /// Follows the events of a server behind the last one, if there is one, with this token.
    fn open(server: &Server, token: &str, last: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(server.http()).unwrap();
        let last = last.map(|last| format!("Last-Event-ID: {last}\r\n"));
        let last = last.unwrap_or_default();
        let asked = format!(
            "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{last}\r\n"
        );
        stream.write_all(asked.as_bytes()).unwrap();
        stream
            .set_read_timeout(Some(crate::harness::PATIENCE))
            .unwrap();
        let lines = BufReader::new(stream);
        Self { lines }
    }

    fn status(&mut self) -> u16 {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// True if the server ends it before it tells anything else.
    fn is_cut(&mut self) -> bool {
        let mut line = String::new();
        // The last chunk of an answer is empty.
        while self.lines.read_line(&mut line).unwrap() > 0 && line != "0\r\n" {
            if line.starts_with("data: ") {
                return false;
            }
            line.clear();
        }
        true
    }

    /// The next event with its id.
    fn next(&mut self) -> (String, Value) {
        let (mut id, mut line) = (String::new(), String::new());
        loop {
            line.clear();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "it was cut");
            if let Some(of) = line.strip_prefix("id: ") {
                id = of.trim().to_owned();
            }
            if let Some(data) = line.strip_prefix("data: ") {
                return (id, serde_json::from_str(data).unwrap());
            }
        }
    }
}

fn create(server: &Server, group: &str) {
    server
        .client()
        .command_ok("group-create", &json!({"group": group}));
}

fn freeze(server: &Server, group: &str) {
    let client = server.client();
    client.command_ok("freeze", &json!({"group": group}));
}

/// All events that the server has, as the command line lists them.
fn listed(server: &Server) -> Vec<Value> {
    let said = server.hoist_ok(&["events", "--since", "1h", "-o", "ndjson"]);
    said.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|it| it["kind"].as_str().unwrap())
        .collect()
}

#[test]
fn the_history_outlives_a_kill_and_goes_on_with_the_next_number() {
    let mut server = Server::start();
    let client = server.client();
    assert!(client.subscribe("hoist/event/#"));
    create(&server, "eu");
    freeze(&server, "eu");
    let live = client.wait_json("hoist/event/frozen", |_| true);
    let before = listed(&server);
    let last = before.last().unwrap();
    assert_eq!(
        (&last["id"], &last["kind"]),
        (&live["id"], &json!("frozen"))
    );
    assert_eq!(last["time"], live["time"]);
    assert_eq!(last["data"], live["data"]);
    server.kill_and_restart();
    server
        .client()
        .command_ok("unfreeze", &json!({"group": "eu"}));
    let after = listed(&server);
    assert_eq!(after[..before.len()], before[..]);
    assert!(kinds(&after).contains(&"unfrozen"), "{after:?}");
    let number = |event: &Value| -> u64 {
        let id = event["id"].as_str().unwrap();
        id.split_once('-').unwrap().1.parse().unwrap()
    };
    let numbers: Vec<u64> = after.iter().map(number).collect();
    let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn whoever_follows_goes_on_behind_the_last_event_also_after_the_server_died() {
    let mut server = Server::start();
    create(&server, "eu");
    let token = server.admin().token;
    let mut reader = Reader::open(&server, &token, None);
    assert_eq!(reader.status(), 200);
    freeze(&server, "eu");
    let (id, event) = reader.next();
    assert_eq!(
        (&event["type"], &event["id"]),
        (&json!("frozen"), &json!(id))
    );
    drop(reader);
    server
        .client()
        .command_ok("unfreeze", &json!({"group": "eu"}));
    freeze(&server, "eu");
    server.kill_and_restart();
    let mut reader = Reader::open(&server, &token, Some(&id));
    let missed = [reader.next().1, reader.next().1];
    let types = missed.map(|event| event["type"].clone());
    assert_eq!(types, [json!("unfrozen"), json!("frozen")]);
}

#[test]
fn whoever_is_limited_to_groups_hears_of_those_and_of_everything() {
    let server = Server::start();
    for group in ["eu", "us"] {
        create(&server, group);
    }
    let file = server.scratch().join("vera.toml");
    let out = file.to_str().unwrap();
    server.hoist_ok(&[
        "user", "add", "vera", "--role", "viewer", "--groups", "eu", "--out", out,
    ]);
    let vera = crate::harness::mqtt::Login::read(&file);
    let mut reader = Reader::open(&server, &vera.token, None);
    assert_eq!(reader.status(), 200);
    freeze(&server, "us");
    server.client().command_ok("freeze", &json!({}));
    let (_, first) = reader.next();
    assert_eq!(first["data"]["group"], Value::Null, "{first}");
    let data = server.data();
    let args = [
        "--data-dir",
        data.to_str().unwrap(),
        "--client",
        out,
        "events",
        "-o",
        "ndjson",
    ];
    let said = crate::harness::process::run(HOIST, &args).stdout;
    let said = String::from_utf8(said).unwrap();
    let frozen = said.lines().filter(|line| line.contains("\"frozen\""));
    assert_eq!(frozen.count(), 1, "{said}");
    // Whoever is removed hears nothing more, not even that.
    server.hoist_ok(&["user", "remove", "vera", "--yes"]);
    assert!(reader.is_cut());
}

#[test]
fn nobody_follows_without_a_token_and_one_too_many_is_told_when_to_come_again() {
    let server = Server::start();
    assert_eq!(Reader::open(&server, "none", None).status(), 401);
    let token = server.admin().token;
    assert_eq!(
        Reader::open(&server, &token, Some("yesterday")).status(),
        400
    );
    let mut readers: Vec<Reader> = (0..256)
        .map(|_| Reader::open(&server, &token, None))
        .collect();
    assert!(readers.iter_mut().all(|reader| reader.status() == 200));
    assert_eq!(Reader::open(&server, &token, None).status(), 503);
    readers.pop();
    eventually("the place to be free again", || {
        (Reader::open(&server, &token, None).status() == 200).then_some(())
    });
}

#[test]
fn the_command_line_follows_until_it_is_told_to_end() {
    let server = Server::start();
    create(&server, "eu");
    let client = server.data().join("client.toml");
    let args = [
        "--client",
        client.to_str().unwrap(),
        "events",
        "--follow",
        "--kind",
        "frozen",
    ];
    let mut following = Process::start(HOIST, &args, &server.scratch().join("events.log"));
    freeze(&server, "eu");
    eventually("the event to be printed", || {
        following.said().contains("group=eu").then_some(())
    });
    assert!(following.terminate().success());
    assert_eq!(following.said().lines().count(), 1);
}
