//! A check as monitoring reads it.

use std::fmt::Write as _;

use hoist_orchestrator_core::reply::API_VERSION;
use serde_json::{Value, json};

use super::judge::{Finding, Level, Measured};
use crate::args::CheckFormat;
use crate::output::printable;

/// All findings in this form, with the end of the last line.
pub(super) fn told(format: CheckFormat, findings: &[Finding]) -> String {
    match format {
        CheckFormat::Text => text(findings),
        CheckFormat::Nagios => nagios(findings),
        CheckFormat::Prometheus => prometheus(findings),
        CheckFormat::Json => format!("{}\n", object(findings)),
    }
}

fn text(findings: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let (level, said) = (finding.level.word(), in_line(&finding.said));
        format!("{level:<8}  {:<12}  {said}\n", finding.check)
    };
    findings.iter().map(line).collect()
}

/// A text without breaks of lines.
fn in_line(text: &str) -> String {
    let words = text.split(['\n', '\r']).map(str::trim);
    let words = words.filter(|words| !words.is_empty());
    printable(&words.collect::<Vec<_>>().join(" "))
}

/// One line: the worst first, and all numbers behind a bar.
fn nagios(findings: &[Finding]) -> String {
    let level = Level::of(findings).word().to_uppercase();
    let mut worst: Vec<&Finding> = findings.iter().collect();
    worst.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    let said = worst.iter().map(|finding| {
        // A bar begins the numbers, and a line ends the text.
        let said = in_line(&finding.said).replace('|', "/");
        format!("{}: {said}", finding.check)
    });
    let said = said.collect::<Vec<_>>().join("; ");
    let numbers = findings.iter().filter_map(|it| it.measured.as_ref());
    let numbers: Vec<String> = numbers.map(number).collect();
    match numbers.is_empty() {
        true => format!("HOIST {level} - {said}\n"),
        false => format!("HOIST {level} - {said} | {}\n", numbers.join(" ")),
    }
}

/// `label=value unit;warning;critical`, with thresholds that are floors written as ranges.
fn number(measured: &Measured) -> String {
    let mut text = format!(
        "{}={}{}",
        measured.label,
        rounded(measured.value),
        measured.unit
    );
    if let Some((warning, critical)) = measured.thresholds {
        for threshold in [warning, critical] {
            text.push(';');
            // What is never reached has no place in a graph.
            if threshold < f64::MAX {
                let end = if measured.is_floor { ":" } else { "" };
                let _ = write!(text, "{}{end}", rounded(threshold));
            }
        }
    }
    text
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn prometheus(findings: &[Finding]) -> String {
    let mut text = String::from(
        "# HELP hoist_check_status 0 ok, 1 warning, 2 critical, 3 unknown.\n\
         # TYPE hoist_check_status gauge\n",
    );
    for finding in findings {
        let (check, exit) = (finding.check, finding.level.exit());
        let _ = writeln!(text, "hoist_check_status{{check=\"{check}\"}} {exit}");
    }
    text.push_str("# HELP hoist_check_value The number that a check judges, in its own unit.\n");
    text.push_str("# TYPE hoist_check_value gauge\n");
    for measured in findings.iter().filter_map(|it| it.measured.as_ref()) {
        let (label, value) = (measured.label, rounded(measured.value));
        let _ = writeln!(text, "hoist_check_value{{of=\"{label}\"}} {value}");
    }
    text
}

fn object(findings: &[Finding]) -> Value {
    let item = |finding: &Finding| {
        let value = finding.measured.as_ref().map(|it| rounded(it.value));
        json!({
            "check": finding.check, "status": finding.level.word(), "detail": finding.said,
            "value": value, "unit": finding.measured.as_ref().map(|it| it.unit),
        })
    };
    let checks: Vec<Value> = findings.iter().map(item).collect();
    let status = Level::of(findings).word();
    json!({"apiVersion": API_VERSION, "kind": "check", "status": status, "checks": checks})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<Finding> {
        let measured = |label, value, unit, thresholds, is_floor| {
            Some(Measured {
                label,
                value,
                unit,
                thresholds,
                is_floor,
            })
        };
        vec![
            Finding::new("server", Level::Ok, "ready".to_owned()),
            Finding {
                measured: measured("disk_free", 5e6, "B", Some((1e9, 1e8)), true),
                ..Finding::new("disk", Level::Critical, "5 MiB | free\n".to_owned())
            },
            Finding {
                measured: measured("offline", 12.345, "%", Some((10.0, f64::MAX)), false),
                ..Finding::new("devices", Level::Warning, "1 of 8 offline".to_owned())
            },
        ]
    }

    #[test]
    fn for_nagios_there_is_one_line_with_the_worst_first_and_all_numbers() {
        let line = told(CheckFormat::Nagios, &findings());
        assert_eq!(line.lines().count(), 1, "{line}");
        let (said, numbers) = line.split_once(" | ").unwrap();
        assert!(
            said.starts_with("HOIST CRITICAL - disk: 5 MiB / free"),
            "{line}"
        );
        assert!(
            said.ends_with("; devices: 1 of 8 offline; server: ready"),
            "{line}"
        );
        let numbers = numbers.trim_end();
        assert_eq!(
            numbers,
            "disk_free=5000000B;1000000000:;100000000: offline=12.35%;10;"
        );
    }

    #[test]
    fn for_prometheus_there_is_a_gauge_of_every_check() {
        let text = told(CheckFormat::Prometheus, &findings());
        for line in [
            "hoist_check_status{check=\"server\"} 0\n",
            "hoist_check_status{check=\"disk\"} 2\n",
            "hoist_check_value{of=\"offline\"} 12.35\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn programs_get_one_object() {
        let text = told(CheckFormat::Json, &findings());
        let object: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["status"], "critical");
        assert_eq!(object["checks"][2]["value"], 12.35);
        assert_eq!(object["checks"][0]["value"], Value::Null);
    }
}
