//! Every check by the values on both sides of its thresholds.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    wish: Check,
}

/// What is found in a text on top of a server that is well.
fn found(text: &str, args: &[&str]) -> Vec<(&'static str, Level, String)> {
    let well = "hoist_ready 1\nhoist_mqtt_connected 1\nhoist_disk_free_bytes 9e12\n";
    let has = |line: &&str| !text.contains(line.split(' ').next().unwrap());
    let well: Vec<&str> = well.lines().filter(has).collect();
    let metrics = Metrics::read(&format!("{}\n{text}", well.join("\n")));
    let args = [&["check"], args].concat();
    let wish = Line::try_parse_from(args).unwrap_or_else(|error| panic!("{error}"));
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let all = judge(&metrics, &wish.wish, now).into_iter();
    all.map(|it| (it.check, it.level, it.said)).collect()
}

/// What is not well of it.
fn wrong(text: &str, args: &[&str]) -> Vec<(&'static str, Level)> {
    let all = found(text, args).into_iter();
    let wrong = all.filter(|(_, level, _)| *level != Level::Ok);
    wrong.map(|(check, level, _)| (check, level)).collect()
}

#[test]
fn a_server_that_is_well_has_nothing_wrong() {
    assert_eq!(wrong("", &[]), []);
    assert_eq!(found("", &[]).len(), 6, "no certificates, no backup");
}

#[test]
fn server_and_broker_are_critical_when_they_do_not_work_and_problems_are_a_warning() {
    assert_eq!(wrong("hoist_ready 0", &[]), [("server", Level::Critical)]);
    let problem = "hoist_problems{code=\"E_CONFIG\"} 1";
    assert_eq!(wrong(problem, &[]), [("server", Level::Warning)]);
    let lost = wrong("hoist_mqtt_connected 0", &[]);
    assert_eq!(lost, [("broker", Level::Critical)]);
}

#[test]
fn space_time_and_shares_are_judged_by_their_thresholds() {
    let disk = |mib: u64| wrong(&format!("hoist_disk_free_bytes {}", mib << 20), &[]);
    assert_eq!(disk(1_025), []);
    assert_eq!(disk(1_024), [("disk", Level::Warning)]);
    assert_eq!(disk(128), [("disk", Level::Critical)]);
    let ends = |days: u64| {
        let at = 1_000_000_000 + days * 86_400;
        let series = "hoist_certificate_not_after_timestamp_seconds{certificate=\"server\"}";
        wrong(&format!("{series} {at}"), &[])
    };
    assert_eq!(ends(15), []);
    assert_eq!(ends(14), [("certificates", Level::Warning)]);
    assert_eq!(ends(2), [("certificates", Level::Critical)]);
    let devices = |offline: u32| {
        let online = 100 - offline;
        let of = |presence, count| {
            format!("hoist_devices{{group=\"eu\",presence=\"{presence}\"}} {count}\n")
        };
        wrong(&(of("online", online) + &of("offline", offline)), &[])
    };
    assert_eq!(devices(9), []);
    assert_eq!(devices(10), [("devices", Level::Warning)]);
    assert_eq!(devices(30), [("devices", Level::Critical)]);
    let text = "hoist_devices{group=\"eu\",presence=\"offline\"} 5";
    let all_away = ["--offline-warning", "100%", "--offline-critical", "100%"];
    assert_eq!(wrong(text, &all_away), [("devices", Level::Critical)]);
}

/// An active deployment of 100 devices, so many of which failed, and that changed so long ago.
fn deployment(state: &str, failed: u32, hours: u64) -> String {
    let of = |status: &str, count: u32| {
        format!("hoist_deployment_devices{{deployment=\"7\",status=\"{status}\"}} {count}\n")
    };
    let changed = 1_000_000_000 - hours * 3_600;
    format!(
        "hoist_deployment_state{{deployment=\"7\",group=\"eu\",state=\"{state}\"}} 1\n\
         hoist_deployment_changed_timestamp_seconds{{deployment=\"7\"}} {changed}\n"
    ) + &of("inProgress", 1)
        + &of("failed", failed)
        + &of("successful", 100 - failed)
}

#[test]
fn a_deployment_that_fails_is_paused_or_does_not_move_is_told() {
    assert_eq!(wrong(&deployment("active", 0, 5), &[]), []);
    let few = wrong(&deployment("active", 1, 0), &[]);
    assert_eq!(few, [("deployments", Level::Warning)]);
    let many = wrong(&deployment("active", 10, 0), &[]);
    assert_eq!(many, [("deployments", Level::Critical)]);
    let paused = wrong(&deployment("paused", 0, 0), &[]);
    assert_eq!(paused, [("deployments", Level::Warning)]);
    let silent = wrong(&deployment("active", 0, 6), &[]);
    assert_eq!(silent, [("stuck", Level::Warning)]);
    let silent = wrong(&deployment("active", 0, 72), &[]);
    assert_eq!(silent, [("stuck", Level::Critical)]);
}

#[test]
fn a_backup_is_looked_at_where_somebody_says_how_old_it_may_be() {
    let wanted = ["--backup-critical", "8d"];
    assert_eq!(wrong("", &wanted), [("backup", Level::Critical)]);
    let warned = ["--backup-warning", "1d"];
    assert_eq!(wrong("", &warned), [("backup", Level::Warning)]);
    let fresh = format!("hoist_backup_timestamp_seconds {}", 1_000_000_000 - 86_400);
    assert_eq!(wrong(&fresh, &wanted), []);
}

#[test]
fn a_sink_that_takes_nothing_is_told_by_how_far_it_is_behind() {
    let behind = |events: u32| {
        let of = |sink: &str, events: u32| {
            format!("hoist_sink_waiting_events{{sink=\"{sink}\"}} {events}\n")
        };
        wrong(&(of("chat", 0) + &of("ops", events)), &[])
    };
    assert_eq!(behind(99), []);
    assert_eq!(behind(100), [("sinks", Level::Warning)]);
    assert_eq!(behind(1_000), [("sinks", Level::Critical)]);
}

#[test]
fn the_worst_decides_and_nothing_known_is_worse_than_a_warning() {
    let of = |levels: &[Level]| {
        let finding = |level: &Level| Finding::new("server", *level, String::new());
        Level::of(&levels.iter().map(finding).collect::<Vec<_>>()).exit()
    };
    assert_eq!(of(&[Level::Ok, Level::Ok]), 0);
    assert_eq!(of(&[Level::Ok, Level::Warning]), 1);
    assert_eq!(of(&[Level::Warning, Level::Unknown]), 3);
    assert_eq!(of(&[Level::Unknown, Level::Critical]), 2);
    assert_eq!(of(&[]), 3);
}
