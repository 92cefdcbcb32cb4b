//! The dashboard, the alerts and the table of metrics name what a server has, and Prometheus itself
//! takes the files as they are.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::harness::process::{Finish, installed};
use crate::harness::release::Release;
use crate::harness::server::Server;
use crate::harness::{eventually, write_private};
use crate::metrics::Scrape;

/// The ends of the names of a histogram's series.
const PARTS: [&str; 3] = ["_bucket", "_count", "_sum"];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/observability")
}

fn read(file: &str) -> String {
    fs::read_to_string(folder().join(file)).unwrap()
}

/// The name of every metric of ours in a text; that of a histogram for each of its series.
fn names(text: &str, known: &BTreeSet<String>) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let ours = words.filter(|word| word.starts_with("hoist_"));
    let metric = |word: &str| {
        let parts = PARTS.iter().filter_map(|part| word.strip_suffix(part));
        let histogram = parts.into_iter().find(|name| known.contains(*name));
        histogram.unwrap_or(word).to_owned()
    };
    ours.map(metric).collect()
}

/// The names of all metrics, of a server that has something of each.
fn with_everything() -> BTreeSet<String> {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_at(None, dir, &["--name", "127.0.0.1"], &[]);
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    server.hoist_ok(&["deploy", "app@1.0.0", "--group", "unassigned"]);
    let backup = server.scratch().join("backup.tar");
    let data = server.data();
    let (data, out) = (data.to_str().unwrap(), backup.to_str().unwrap());
    server.hoist_ok(&["--data-dir", data, "backup", "--out", out]);
    server.hoist_ok(&["--data-dir", data, "events", "sink", "add", "exec", "true"]);
    write_private(&server.data().join("users.toml"), "none");
    eventually("a problem and a sink to be counted", || {
        let scrape = Scrape::encrypted(&server);
        let names = scrape.names();
        let wanted = ["hoist_problems", "hoist_sink_waiting_events"];
        let has = wanted.iter().all(|name| names.contains(*name));
        has.then(|| names.clone())
    })
}

#[test]
fn dashboard_alerts_and_documentation_name_the_metrics_that_a_server_has() {
    let known = with_everything();
    let alerts = names(&read("alerts.yml"), &known);
    let cases = names(&read("alerts.test.yml"), &known);
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).unwrap();
    let shown = names(&dashboard.to_string(), &known);
    for (file, named) in [
        ("alerts", &alerts),
        ("cases", &cases),
        ("dashboard", &shown),
    ] {
        let unknown: Vec<_> = named.difference(&known).collect();
        assert!(
            unknown.is_empty() && !named.is_empty(),
            "{file}: {unknown:?}"
        );
    }
    let told = include_str!("../docs/operations.md").lines();
    let rows = told.filter_map(|line| line.strip_prefix("| `hoist_"));
    let name = |row: &str| format!("hoist_{}", row.split(['`', '{']).next().unwrap());
    assert_eq!(rows.map(name).collect::<BTreeSet<_>>(), known);
    let used: BTreeSet<_> = alerts.union(&shown).cloned().collect();
    let unused: Vec<_> = known.difference(&used).collect();
    assert_eq!(unused, ["hoist_series_left_out"], "nobody looks at these");
}

#[test]
fn prometheus_takes_the_configuration_and_its_rules_judge_as_they_should() {
    if !installed("promtool") {
        return;
    }
    for args in [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts.test.yml"],
    ] {
        let mut promtool = Command::new("promtool");
        let output = promtool.args(args).current_dir(folder()).finish();
        assert!(output.status.success(), "{args:?}: {output:?}");
    }
}

#[test]
fn promtool_finds_nothing_to_say_about_the_metrics_of_a_server() {
    if !installed("promtool") {
        return;
    }
    let server = Server::start();
    let file = server.scratch().join("metrics");
    fs::write(&file, Scrape::text(&server)).unwrap();
    let mut promtool = Command::new("sh");
    let command = format!("promtool check metrics < {}", file.display());
    let output = promtool.args(["-c", &command]).finish();
    assert!(output.status.success(), "{output:?}");
}
