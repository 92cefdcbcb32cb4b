//! What Prometheus reads of a server is what the server's own views say.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;

use hoist_net::exchange::Server as Http;
use hoist_net::tls::{Pem, Trust};
use serde_json::{Value, json};

use crate::harness::eventually;
use crate::harness::release::Release;
use crate::harness::server::Server;
use crate::harness::sim::Sim;

/// Devices of the simulated fleet, of which one in ten fails.
const DEVICES: u64 = 30;

/// One reading of `/metrics`: each series with its value.
pub struct Scrape {
    series: BTreeMap<String, f64>,
    names: BTreeSet<String>,
}

impl Scrape {
    /// The text that a server gives.
    pub fn text(server: &Server) -> String {
        let mut stream = TcpStream::connect(server.http()).unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let (_, text) = answer.split_once("\r\n\r\n").unwrap();
        text.to_owned()
    }

    /// The same of a server that speaks TLS, as its administrator.
    pub fn encrypted(server: &Server) -> Self {
        let file = std::fs::read_to_string(server.data().join("client.toml")).unwrap();
        let file: toml::Table = file.parse().unwrap();
        let of = |key: &str| file[key].as_str().unwrap();
        let (name, text) = ("client.toml", of("ca").as_bytes());
        let trust = Trust::pinned(Pem { name, text }).unwrap();
        let http = Http::new(of("http"), &trust, of("token")).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let text =
            runtime.block_on(async { http.get("/metrics").await.unwrap().small(1 << 20).await });
        Self::read(std::str::from_utf8(&text).unwrap())
    }

    /// Reads the metrics of a server.
    pub fn of(server: &Server) -> Self {
        Self::read(&Self::text(server))
    }

    fn read(answer: &str) -> Self {
        let series = answer.lines().filter(|line| line.starts_with("hoist_"));
        let split = |line: &str| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        };
        Self {
            series: series.map(split).collect(),
            names: answer.lines().filter_map(declared).collect(),
        }
    }

    /// The value of a series; zero of one that is not there.
    pub fn get(&self, series: &str) -> f64 {
        self.series.get(series).copied().unwrap_or_default()
    }

    /// The names of all metrics, also of those that have no series yet. A histogram has one.
    pub fn names(&self) -> &BTreeSet<String> {
        &self.names
    }
}

/// The name that a line declares.
fn declared(line: &str) -> Option<String> {
    let (name, _) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
    Some(name.to_owned())
}

/// A server at which a fleet has been updated, and what the view of that says.
fn updated() -> (Server, Value) {
    let server = Server::start();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let client = server.client();
    assert!(client.subscribe("hoist/view/#"));
    let sim = Sim::start(&server, DEVICES);
    client.wait_json("hoist/view/group/sim", |view: &Value| {
        view["online"] == json!(DEVICES)
    });
    client.command_ok("deploy", &json!({"release": "app@1.0.0", "group": "sim"}));
    let view = client.wait_json("hoist/view/deployment/1", |view: &Value| {
        view["settled"] == json!(true)
    });
    sim.truth();
    (server, view)
}

#[test]
fn metrics_of_a_rollout_say_what_the_views_say() {
    let (server, view) = updated();
    let status =
        |status: &str| format!("hoist_deployment_devices{{deployment=\"1\",status=\"{status}\"}}");
    let count = |of: &str| view["counts"][of].as_u64().unwrap() as f64;
    let scrape = eventually("the metrics of what has settled", || {
        let scrape = Scrape::of(&server);
        let successful = scrape.get(&status("successful"));
        (successful == count("successful")).then_some(scrape)
    });
    for of in ["pending", "inProgress", "failed"] {
        assert_eq!(scrape.get(&status(of)), count(of), "{of}");
    }
    assert!(count("failed") > 0.0, "one in ten fails: {view}");
    let shown = server.hoist_ok(&["status", "1", "--watch=false", "-o", "json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["counts"], view["counts"], "what `hoist status` says");
    let devices = |presence: &str| {
        scrape.get(&format!(
            "hoist_devices{{group=\"sim\",presence=\"{presence}\"}}"
        ))
    };
    assert_eq!(devices("online") + devices("offline"), DEVICES as f64);
    let failures = view["failures"].as_array().unwrap();
    for failure in failures {
        let reason = failure["reason"].as_str().unwrap();
        let series = format!("hoist_deployment_failures_total{{reason=\"{reason}\"}}");
        let counted = failure["count"].as_u64().unwrap() as f64;
        assert_eq!(scrape.get(&series), counted, "{reason}");
    }
    let rollbacks: f64 = ["ok", "failed", "not-needed"]
        .map(|result| scrape.get(&format!("hoist_rollbacks_total{{result=\"{result}\"}}")))
        .iter()
        .sum();
    assert_eq!(rollbacks, count("failed"));
    let statuses = scrape.get("hoist_mqtt_messages_total{direction=\"in\",kind=\"status\"}");
    assert!(statuses >= (2 * DEVICES) as f64, "{statuses}");
    assert!(scrape.get("hoist_status_delay_seconds_count") >= DEVICES as f64);
    let steps = scrape.get("hoist_step_duration_seconds_count{step=\"installing\"}");
    assert!(steps >= 1.0, "{steps}");
    assert!(scrape.get("hoist_store_commit_duration_seconds_count") > 0.0);
    assert_eq!(scrape.get("hoist_mqtt_connected"), 1.0);
    assert_eq!(scrape.get("hoist_ready"), 1.0);
    assert!(scrape.get("hoist_disk_free_bytes") > 0.0);
}

#[test]
fn no_series_names_a_device() {
    let (server, _) = updated();
    let scrape = Scrape::of(&server);
    let named = scrape.series.keys().filter(|it| it.contains("sim-0"));
    let named: Vec<_> = named.collect();
    assert!(named.is_empty(), "{named:?}");
}

#[test]
fn a_refused_command_is_counted_by_its_code() {
    let server = Server::start();
    let client = server.client();
    let refused = client.command(
        "deploy",
        &json!({"release": "app@1.0.0", "group": "nobody"}),
    );
    let code = refused["error"]["code"].as_str().unwrap();
    let series = format!("hoist_rejected_total{{code=\"{code}\"}}");
    eventually("the refusal to be counted", || {
        (Scrape::of(&server).get(&series) >= 1.0).then_some(())
    });
}
