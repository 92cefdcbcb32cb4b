//! What is well, and what is not: each check by its thresholds.

use std::time::{Duration, SystemTime};

use super::metrics::{Metrics, Series};
use crate::args::Check;

/// Bytes of a MiB.
const MIB: f64 = 1_048_576.0;
/// Seconds of a day.
const DAY_S: f64 = 86_400.0;

/// How bad it is, in the words of monitoring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Ok,
    Warning,
    /// Nobody could look: worse than a warning, since nobody knows.
    Unknown,
    Critical,
}

impl Level {
    /// The worst of all.
    pub(super) fn of(findings: &[Finding]) -> Self {
        let worst = findings.iter().map(|finding| finding.level).max();
        worst.unwrap_or(Self::Unknown)
    }

    /// The exit code that monitoring knows.
    pub(super) fn exit(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }

    /// Of a value that must stay below both.
    fn above(value: f64, (warning, critical): (f64, f64)) -> Self {
        match value {
            value if value >= critical => Self::Critical,
            value if value >= warning => Self::Warning,
            _ => Self::Ok,
        }
    }

    /// Of a value that must stay above both.
    fn below(value: f64, (warning, critical): (f64, f64)) -> Self {
        match value {
            value if value <= critical => Self::Critical,
            value if value <= warning => Self::Warning,
            _ => Self::Ok,
        }
    }
}

/// A number of a check, with its thresholds as monitoring writes them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    pub(super) label: &'static str,
    pub(super) value: f64,
    pub(super) unit: &'static str,
    pub(super) thresholds: Option<(f64, f64)>,
    /// True if less is worse.
    pub(super) is_floor: bool,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) level: Level,
    pub(super) said: String,
    pub(super) measured: Option<Measured>,
}

impl Finding {
    pub(super) fn new(check: &'static str, level: Level, said: String) -> Self {
        Self {
            check,
            level,
            said,
            measured: None,
        }
    }

    fn measured(self, (label, unit): (&'static str, &'static str), value: f64, by: Limits) -> Self {
        let (thresholds, is_floor) = match by {
            Limits::None => (None, false),
            Limits::Below(limits) => (Some(limits), false),
            Limits::Above(limits) => (Some(limits), true),
        };
        let measured = Some(Measured {
            label,
            value,
            unit,
            thresholds,
            is_floor,
        });
        Self { measured, ..self }
    }
}

/// The side of its thresholds on which a value is well.
#[derive(Clone, Copy)]
enum Limits {
    None,
    Below((f64, f64)),
    Above((f64, f64)),
}

/// Judges all of it.
pub(super) fn judge(metrics: &Metrics, wish: &Check, now: SystemTime) -> Vec<Finding> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH);
    let now_s = now.unwrap_or_default().as_secs_f64();
    let all = [
        Some(server(metrics)),
        Some(broker(metrics)),
        Some(disk(metrics, wish)),
        certificates(metrics, wish, now_s),
        backup(metrics, wish, now_s),
        Some(deployments(metrics, wish)),
        Some(stuck(metrics, wish, now_s)),
        Some(devices(metrics, wish)),
        sinks(metrics, wish),
    ];
    all.into_iter().flatten().collect()
}

fn server(metrics: &Metrics) -> Finding {
    let problems: Vec<&str> = metrics
        .all("hoist_problems")
        .filter(|series| series.value > 0.0)
        .map(|series| series.label("code"))
        .collect();
    let (level, said) = match (metrics.one("hoist_ready"), problems.is_empty()) {
        (Some(1.0), true) => (Level::Ok, "ready".to_owned()),
        (Some(1.0), false) => (
            Level::Warning,
            format!("ready, with {}", problems.join(", ")),
        ),
        (Some(_), true) => (Level::Critical, "not ready".to_owned()),
        (Some(_), false) => (
            Level::Critical,
            format!("not ready: {}", problems.join(", ")),
        ),
        (None, _) => (Level::Unknown, "it says nothing of itself".to_owned()),
    };
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let count = problems.len() as f64;
    Finding::new("server", level, said).measured(("problems", ""), count, Limits::None)
}

fn broker(metrics: &Metrics) -> Finding {
    let (level, said) = match metrics.one("hoist_mqtt_connected") {
        Some(1.0) => (Level::Ok, "connected"),
        Some(_) => (Level::Critical, "no connection: no device is heard"),
        None => (Level::Unknown, "nothing is known of the connection"),
    };
    Finding::new("broker", level, said.to_owned())
}

fn disk(metrics: &Metrics, wish: &Check) -> Finding {
    let Some(bytes) = metrics.one("hoist_disk_free_bytes") else {
        return Finding::new("disk", Level::Unknown, "space is not known".to_owned());
    };
    #[expect(clippy::cast_precision_loss, reason = "MiB of a disk")]
    let limits = (wish.disk_warning as f64, wish.disk_critical as f64);
    let mib = bytes / MIB;
    let level = Level::below(mib, limits);
    let limits = Limits::Above((limits.0 * MIB, limits.1 * MIB));
    Finding::new("disk", level, format!("{mib:.0} MiB free")).measured(
        ("disk_free", "B"),
        bytes,
        limits,
    )
}

/// The certificate that ends first.
fn certificates(metrics: &Metrics, wish: &Check, now_s: f64) -> Option<Finding> {
    let first = metrics
        .all("hoist_certificate_not_after_timestamp_seconds")
        .min_by(|a, b| a.value.total_cmp(&b.value))?;
    let left_s = first.value - now_s;
    let limits = pair(wish.certificate_warning, wish.certificate_critical);
    let days = (left_s / DAY_S).floor();
    let name = first.label("certificate");
    let said = match days {
        days if days < 0.0 => format!("{name} has ended"),
        days => format!("{name} ends in {days:.0} days"),
    };
    let finding = Finding::new("certificates", Level::below(left_s, limits), said);
    Some(finding.measured(("certificate_left", "s"), left_s, Limits::Above(limits)))
}

/// Only where somebody cares.
fn backup(metrics: &Metrics, wish: &Check, now_s: f64) -> Option<Finding> {
    let limits = match (wish.backup_warning, wish.backup_critical) {
        (None, None) => return None,
        (warning, critical) => {
            let or_never = |time: Option<Duration>| time.map_or(f64::MAX, |it| it.as_secs_f64());
            (or_never(warning), or_never(critical))
        }
    };
    let Some(at_s) = metrics.one("hoist_backup_timestamp_seconds") else {
        let level = match wish.backup_critical {
            Some(_) => Level::Critical,
            None => Level::Warning,
        };
        return Some(Finding::new("backup", level, "there is none".to_owned()));
    };
    let age_s = (now_s - at_s).max(0.0);
    let said = format!("{:.1} days old", age_s / DAY_S);
    let finding = Finding::new("backup", Level::above(age_s, limits), said);
    Some(finding.measured(("backup_age", "s"), age_s, Limits::Below(limits)))
}

/// The share of failed devices in the worst active deployment, and those that are paused.
fn deployments(metrics: &Metrics, wish: &Check) -> Finding {
    let limits = (percent(wish.failed_warning), percent(wish.failed_critical));
    let failed = |id: &str| counted(metrics, id, "failed");
    let share = |id: &str| {
        let ended = failed(id) + counted(metrics, id, "successful");
        100.0 * failed(id) / ended.max(1.0)
    };
    let ids = metrics.all("hoist_deployment_state");
    let ids: Vec<&str> = ids.map(|series| series.label("deployment")).collect();
    let worst = ids.iter().max_by(|a, b| share(a).total_cmp(&share(b)));
    let worst_share = worst.map_or(0.0, |id| share(id));
    let level = match worst_share {
        0.0 => Level::Ok,
        share => Level::above(share, limits),
    };
    let paused = metrics.all("hoist_deployment_state");
    let paused = paused.filter(|series| series.label("state") == "paused");
    let paused: Vec<&str> = paused.map(|series| series.label("deployment")).collect();
    let mut said = format!("{} active", ids.len() - paused.len());
    if let Some(id) = worst.filter(|id| failed(id) > 0.0) {
        said += &format!(", {worst_share:.1} % failed in {id}");
    }
    let mut level = level;
    if !paused.is_empty() {
        level = level.max(Level::Warning);
        said += &format!(", paused: {}", paused.join(", "));
    }
    Finding::new("deployments", level, said).measured(
        ("failed", "%"),
        worst_share,
        Limits::Below(limits),
    )
}

/// The deployment of which nobody at work has said anything for longest.
fn stuck(metrics: &Metrics, wish: &Check, now_s: f64) -> Finding {
    let limits = pair(wish.stuck_warning, wish.stuck_critical);
    let id = |series: &Series| series.label("deployment").to_owned();
    let works = |series: &&Series| counted(metrics, series.label("deployment"), "inProgress") > 0.0;
    let longest = metrics
        .all("hoist_deployment_changed_timestamp_seconds")
        .filter(works)
        .map(|series| (now_s - series.value, id(series)))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let (silent_s, said) = match longest {
        None => (0.0, "nobody is at work".to_owned()),
        Some((silent_s, id)) => {
            let minutes = (silent_s / 60.0).max(0.0);
            let said = format!("deployment {id} changed {minutes:.0} min ago");
            (silent_s.max(0.0), said)
        }
    };
    Finding::new("stuck", Level::above(silent_s, limits), said).measured(
        ("stuck", "s"),
        silent_s,
        Limits::Below(limits),
    )
}

/// The share of offline devices.
fn devices(metrics: &Metrics, wish: &Check) -> Finding {
    let limits = (
        percent(wish.offline_warning),
        percent(wish.offline_critical),
    );
    let of = |presence| metrics.sum("hoist_devices", ("presence", presence));
    let (online, offline) = (of("online"), of("offline"));
    let share = 100.0 * offline / (online + offline).max(1.0);
    let level = match offline {
        0.0 => Level::Ok,
        _ => Level::above(share, limits),
    };
    let said = format!("{offline:.0} of {:.0} offline", online + offline);
    Finding::new("devices", level, said).measured(("offline", "%"), share, Limits::Below(limits))
}

/// The sink that is furthest behind, where there is one.
fn sinks(metrics: &Metrics, wish: &Check) -> Option<Finding> {
    let furthest = metrics
        .all("hoist_sink_waiting_events")
        .max_by(|a, b| a.value.total_cmp(&b.value))?;
    let limits = (f64::from(wish.sink_warning), f64::from(wish.sink_critical));
    let behind = furthest.value;
    let said = match behind {
        0.0 => "all have every event".to_owned(),
        behind => format!("{} is {behind:.0} events behind", furthest.label("sink")),
    };
    let finding = Finding::new("sinks", Level::above(behind, limits), said);
    Some(finding.measured(("sink_behind", ""), behind, Limits::Below(limits)))
}

fn counted(metrics: &Metrics, deployment: &str, status: &str) -> f64 {
    let of = metrics.all("hoist_deployment_devices").find(|series| {
        series.label("deployment") == deployment && series.label("status") == status
    });
    of.map_or(0.0, |series| series.value)
}

fn percent(share: crate::rate::Percent) -> f64 {
    f64::from(share.basis_points()) / 100.0
}

fn pair(warning: Duration, critical: Duration) -> (f64, f64) {
    (warning.as_secs_f64(), critical.as_secs_f64())
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
