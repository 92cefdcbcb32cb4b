//! What Prometheus reads of a server is what the server's own views say.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::harness::eventually;
use crate::harness::release::Release;
use crate::harness::server::Server;
use crate::harness::sim::Sim;

/// Devices of the simulated fleet, of which one in ten fails.
const DEVICES: u64 = 30;

/// One reading of `/metrics`: each series with its value.
pub struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    /// Reads the metrics of a server.
    pub fn of(server: &Server) -> Self {
        let mut stream = TcpStream::connect(server.http()).unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let series = answer.lines().filter(|line| line.starts_with("hoist_"));
        let split = |line: &str| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        };
        Self(series.map(split).collect())
    }

    /// The value of a series; zero of one that is not there.
    fn get(&self, series: &str) -> f64 {
        self.0.get(series).copied().unwrap_or_default()
    }

    /// The names of all series, without labels.
    pub fn names(&self) -> Vec<String> {
        let name = |series: &String| series.split('{').next().unwrap().to_owned();
        self.0.keys().map(name).collect()
    }
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
    assert!(scrape.names().contains(&"hoist_build_info".to_owned()));
}

#[test]
fn no_series_names_a_device() {
    let (server, _) = updated();
    let named: Vec<_> = Scrape::of(&server).0.into_keys().collect();
    let named: Vec<_> = named.iter().filter(|it| it.contains("sim-0")).collect();
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
