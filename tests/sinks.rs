//! A sink is told every event in order, whatever it or the server does meanwhile.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use data_encoding::BASE64;
use hoist_protocol::id::sha256;
use serde_json::{Value, json};

use crate::harness::server::Server;
use crate::harness::{eventually, write_private};
use crate::metrics::Scrape;

const SECRET: &str = "a secret of some length, please";
/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;

/// HMAC-SHA256, by its definition.
fn hmac(secret: &[u8], text: &[u8]) -> [u8; 32] {
    let padded = |with: u8| {
        let mut block = [with; BLOCK];
        block.iter_mut().zip(secret).for_each(|(to, of)| *to ^= of);
        block
    };
    let inner = sha256(&[&padded(0x36)[..], text].concat());
    sha256(&[&padded(0x5c)[..], &inner].concat())
}

/// How a receiver answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Takes,
    Fails,
    Hangs,
}

/// Whoever takes events by HTTP.
struct Receiver {
    address: String,
    mood: Arc<Mutex<Mood>>,
    /// The events that it took, in their order.
    taken: Arc<Mutex<Vec<Value>>>,
    /// The attempts so far.
    tries: Arc<Mutex<usize>>,
}

impl Receiver {
    fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap().to_string(),
            mood: Arc::new(Mutex::new(mood)),
            taken: Arc::default(),
            tries: Arc::default(),
        };
        let (mood, taken) = (Arc::clone(&receiver.mood), Arc::clone(&receiver.taken));
        let tries = Arc::clone(&receiver.tries);
        thread::spawn(move || {
            // Whoever hangs keeps its connections.
            let mut held = Vec::new();
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                *tries.lock().unwrap() += 1;
                let mood = *mood.lock().unwrap();
                match mood {
                    Mood::Hangs => held.push(stream),
                    Mood::Fails => {
                        event_of(&stream);
                        answer(stream, "500 Internal Server Error");
                    }
                    Mood::Takes => {
                        let event = event_of(&stream);
                        taken.lock().unwrap().push(event);
                        answer(stream, "204 No Content");
                    }
                }
            }
        });
        receiver
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn tries(&self) -> usize {
        *self.tries.lock().unwrap()
    }

    /// The groups of the freezes that it was told of, in their order.
    fn frozen(&self) -> Vec<String> {
        let taken = self.taken.lock().unwrap();
        let frozen = taken.iter().filter(|event| event["type"] == "frozen");
        let group = |event: &Value| event["data"]["group"].as_str().unwrap().to_owned();
        frozen.map(group).collect()
    }
}

fn answer(mut stream: TcpStream, status: &str) {
    let said = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let _gone = stream.write_all(said.as_bytes());
}

/// The event of a request, which must be signed.
fn event_of(stream: &TcpStream) -> Value {
    let mut lines = BufReader::new(stream);
    let (mut length, mut id, mut at, mut signature) =
        (0, String::new(), String::new(), String::new());
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim().split_once(": ") else {
            if line.starts_with("POST ") {
                assert!(line.starts_with("POST /hook?of=hoist "), "{line}");
                continue;
            }
            break;
        };
        let value = value.to_owned();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "content-type" => assert_eq!(value, "application/cloudevents+json"),
            "webhook-id" => id = value,
            "webhook-timestamp" => at = value,
            "webhook-signature" => signature = value,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).unwrap();
    let signed = [format!("{id}.{at}.").as_bytes(), &body[..]].concat();
    let expected = format!("v1,{}", BASE64.encode(&hmac(SECRET.as_bytes(), &signed)));
    assert_eq!(signature, expected);
    let event: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(event["id"], id.as_str());
    event
}

fn freeze(server: &Server, group: &str) {
    let client = server.client();
    client.command_ok("group-create", &json!({"group": group}));
    client.command_ok("freeze", &json!({"group": group}));
}

fn sinks(server: &Server, args: &[&str]) -> String {
    let data = server.data();
    let begin = ["--data-dir", data.to_str().unwrap(), "events", "sink"];
    server.hoist_ok(&[&begin[..], args].concat())
}

/// Adds a sink that is tried for a second, and waits until the server has seen it.
fn add(server: &Server, receiver: &Receiver, give_up: &str) {
    let secret = server.scratch().join("secret");
    write_private(&secret, SECRET);
    let url = format!("http://{}/hook?of=hoist", receiver.address);
    let secret = secret.to_str().unwrap();
    let args = [
        "add",
        "webhook",
        &url,
        "--secret",
        secret,
        "--timeout",
        "1s",
        "--id",
        "ops",
    ];
    sinks(server, &[&args[..], &["--give-up", give_up]].concat());
    begun(server, "ops");
}

fn begun(server: &Server, sink: &str) {
    let progress = server.data().join(format!("sinks/{sink}.json"));
    eventually("the server to see its sink", || {
        progress.exists().then_some(())
    });
}

#[test]
fn a_sink_that_hangs_fails_and_comes_back_misses_nothing_while_the_server_is_killed() {
    let mut server = Server::start();
    let receiver = Receiver::start(Mood::Takes);
    add(&server, &receiver, "1h");
    freeze(&server, "g1");
    eventually("the first event", || {
        (receiver.frozen() == ["g1"]).then_some(())
    });
    receiver.is(Mood::Hangs);
    let before = receiver.tries();
    freeze(&server, "g2");
    eventually("an attempt that hangs", || {
        (receiver.tries() > before).then_some(())
    });
    // Nobody waits for it.
    freeze(&server, "g3");
    server.kill_and_restart();
    receiver.is(Mood::Fails);
    let before = receiver.tries();
    freeze(&server, "g4");
    eventually("an attempt that fails", || {
        (receiver.tries() > before).then_some(())
    });
    let listed = sinks(&server, &["list", "-o", "json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["id"], "ops", "{listed}");
    eventually("the list to say why", || {
        let listed = sinks(&server, &["list", "-o", "json"]);
        listed.contains("500 Internal").then_some(())
    });
    server.kill();
    receiver.is(Mood::Takes);
    server.restart();
    freeze(&server, "g5");
    let last = || receiver.frozen().last().cloned();
    eventually("the last event", || {
        (last().as_deref() == Some("g5")).then_some(())
    });
    let mut told = receiver.frozen();
    // At least once: one whose answer was lost comes again, and nothing comes out of its order.
    told.dedup();
    assert_eq!(told, ["g1", "g2", "g3", "g4", "g5"]);
}

#[test]
fn an_event_that_is_not_taken_in_time_is_kept_apart_and_the_next_ones_go_on() {
    let server = Server::start();
    let receiver = Receiver::start(Mood::Fails);
    add(&server, &receiver, "1s");
    server
        .client()
        .command_ok("group-create", &json!({"group": "g1"}));
    server
        .client()
        .command_ok("freeze", &json!({"group": "g1"}));
    let dead = eventually("a dead letter", || {
        let dead = sinks(&server, &["dead", "ops"]);
        dead.contains("\"frozen\"").then_some(dead)
    });
    assert!(dead.contains("500 Internal"), "{dead}");
    eventually("it to be counted", || {
        let counted = Scrape::of(&server).get("hoist_sink_dead_letters_total{sink=\"ops\"}");
        (counted >= 1.0).then_some(())
    });
    receiver.is(Mood::Takes);
    freeze(&server, "g2");
    eventually("the next one", || {
        (receiver.frozen() == ["g2"]).then_some(())
    });
    sinks(&server, &["test", "ops"]);
    let taken = receiver.taken.lock().unwrap();
    assert!(taken.iter().any(|event| event["type"] == "test"));
    drop(taken);
    sinks(&server, &["remove", "ops"]);
    let progress = server.data().join("sinks/ops.json");
    eventually("it to be forgotten", || (!progress.exists()).then_some(()));
}

#[test]
fn a_program_gets_each_event_of_its_kinds_on_its_standard_input() {
    let server = Server::start();
    let out: PathBuf = server.scratch().join("events.ndjson");
    let script = format!("cat >> {0}; echo >> {0}", out.display());
    sinks(
        &server,
        &[
            "add",
            "exec",
            "--kinds",
            "frozen,unfrozen",
            "sh",
            "-c",
            &script,
        ],
    );
    begun(&server, "exec1");
    for group in ["g1", "g2"] {
        freeze(&server, group);
    }
    let told = eventually("both events", || {
        let told = std::fs::read_to_string(&out).ok()?;
        (told.lines().count() == 2).then_some(told)
    });
    let groups: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["data"]["group"].clone())
        .collect();
    assert_eq!(groups, [json!("g1"), json!("g2")]);
}

#[test]
fn a_file_of_sinks_that_others_may_write_is_not_used_and_told() {
    let server = Server::start();
    let file = server.data().join("sinks.toml");
    std::fs::write(&file, "[[sinks]]\nid = \"x\"\nexec = [\"true\"]\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(&file, mode).unwrap();
    eventually("the problem to be counted", || {
        let counted = Scrape::of(&server).get("hoist_problems{code=\"E_SECRET\"}");
        (counted == 1.0).then_some(())
    });
    assert!(!server.data().join("sinks/x.json").exists());
}
