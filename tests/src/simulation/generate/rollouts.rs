//! Rollouts in a world that was made: what operators add to the orders that are there already. They
//! have chance of their own, so that nothing else changes in that world.

use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::{GROUPS, has_many_deployments};

/// The label of a place.
const LABEL: &str = "site";
/// The places.
const SITES: [&str; 3] = ["a", "b", "c"];
/// Users besides the one who deploys.
const USERS: [&str; 3] = ["anna", "bert", "operator"];
/// Keeps this chance apart from that of everything else.
const APART: u64 = 0x0072_6f6c_6c6f_7574;

/// True if the deployments of a seed spread by rollouts.
pub fn has_rollouts(seed: u64, devices: Option<u16>) -> bool {
    matches!(seed % 4, 1 | 2) && !has_many_deployments(seed, devices)
}

/// Adds rollouts, places and what operators do with them.
pub(super) fn add(seed: u64, devices: u16, orders: Vec<String>) -> Vec<String> {
    let mut rng = Rng::with_seed(seed ^ APART);
    let is_deploy = |text: &&String| text.starts_with("deploy ");
    let deployments = orders.iter().filter(is_deploy).count().max(1);
    let releases: Vec<String> = orders
        .iter()
        .filter_map(|text| text.strip_prefix("release add "))
        .map(str::to_owned)
        .collect();
    let mut orders: Vec<String> = orders
        .into_iter()
        .map(|text| spread(&mut rng, devices, &releases, text))
        .collect();
    for _ in 0..rng.usize(2..=6) {
        let from = orders.len() / 2;
        let place = rng.usize(from..=orders.len());
        orders.insert(place, meanwhile(&mut rng, deployments));
    }
    // Nothing stays frozen, and most of what waits for people goes on.
    orders.extend(GROUPS.iter().map(|group| format!("unfreeze {group}")));
    orders.push("unfreeze".to_owned());
    orders
}

/// What operators do with a deployment that waits for them.
pub fn go_on(rng: &mut Rng, deployment: u32, phase: Option<u32>) -> Option<String> {
    match (rng.u8(0..10), phase) {
        (0, _) => None,
        (1, _) => Some(format!("abort {deployment}")),
        (_, Some(phase)) => Some(approve(rng, deployment, phase)),
        (_, None) => Some(format!("resume {deployment}")),
    }
}

fn approve(rng: &mut Rng, deployment: u32, phase: u32) -> String {
    let user = USERS[rng.usize(0..USERS.len())];
    format!("approve {deployment} --phase {phase} --as {user}")
}

fn meanwhile(rng: &mut Rng, deployments: usize) -> String {
    let deployment = rng.usize(1..=deployments);
    match rng.u8(0..12) {
        0..3 => format!("pause {deployment}"),
        3..6 => format!("resume {deployment}"),
        6..9 => {
            let (id, phase) = (u32::try_from(deployment).unwrap_or(1), rng.u32(1..=3));
            approve(rng, id, phase)
        }
        9 => format!("freeze {}", GROUPS[rng.usize(1..GROUPS.len())]),
        10 => "freeze".to_owned(),
        _ => "unfreeze".to_owned(),
    }
}

/// Gives a device its place, and a deployment its rollout.
fn spread(rng: &mut Rng, devices: u16, releases: &[String], text: String) -> String {
    if let Some(rest) = text.strip_prefix("device add d") {
        let number = rest.split(' ').next().and_then(|text| text.parse().ok());
        let site: usize = number.unwrap_or(0);
        return format!("{text} --label {LABEL}={}", SITES[site % SITES.len()]);
    }
    if !text.starts_with("deploy ") || rng.u8(0..8) == 0 {
        return text;
    }
    let mut text = text;
    match rng.u8(0..10) {
        0 | 1 => text += &format!(" --selector {}", selector(rng)),
        2 => {
            let names = (1..=devices).filter(|_| rng.bool());
            let names: Vec<String> = names.map(|number| format!("d{number}")).collect();
            if !names.is_empty() {
                text += &format!(" --devices {}", names.join(","));
            }
        }
        3 => text += " --urgent",
        _ => {}
    }
    let rollout = Value::Object(rollout(rng, releases));
    if rollout["windows"]["downloadAhead"] == json!(true) {
        // Devices that fetched are asked once each timeout until their window opens.
        text = text.replace("--timeout 1m ", "--timeout 1d ");
    }
    format!("{text} --rollout {rollout}")
}

fn selector(rng: &mut Rng) -> String {
    let site = SITES[rng.usize(0..SITES.len())];
    match rng.bool() {
        true => format!("{LABEL}={site}"),
        false => format!("{LABEL}!={site}"),
    }
}

fn rollout(rng: &mut Rng, releases: &[String]) -> Map<String, Value> {
    let mut rollout = Map::new();
    let mut put = |name: &str, value: Value| rollout.insert(name.to_owned(), value);
    if rng.u8(0..4) > 0 {
        put("phases", Value::Array(phases(rng)));
    }
    if rng.u8(0..4) == 0 {
        put("order", json!("stable"));
    }
    let is_paced = rng.u8(0..4) == 0;
    if is_paced {
        put("startsPerMinute", json!(rng.u8(1..=3)));
    }
    let is_bounded = rng.u8(0..3) == 0;
    if is_bounded {
        put("maxInProgress", json!(rng.u8(1..=3)));
    }
    if (is_paced || is_bounded) && rng.bool() {
        let growth = json!({"factor": 2, "everyEnded": rng.u8(1..=3), "upTo": rng.u8(3..=6)});
        put("growth", growth);
    }
    if rng.u8(0..3) == 0 {
        put("failure", failure(rng, releases));
    }
    match rng.u8(0..9) {
        0 | 1 => {
            let most = rng.u8(1..=2);
            put("budget", json!({"label": LABEL, "maxInProgress": most}));
        }
        2 => {
            let percent = [20, 50, 100][rng.usize(0..3)];
            put("budget", json!({"label": LABEL, "percent": percent}));
        }
        _ => {}
    }
    if rng.u8(0..6) == 0 {
        put("windows", windows(rng));
    }
    rollout
}

fn phases(rng: &mut Rng) -> Vec<Value> {
    let mut percent = 0;
    let mut devices = 0;
    let by_devices = rng.u8(0..3) > 0;
    let count = rng.usize(1..=3);
    let mut phases = Vec::new();
    for place in 0..count {
        let mut phase = Map::new();
        let mut put = |name: &str, value: Value| phase.insert(name.to_owned(), value);
        if place == 0 && rng.u8(0..5) == 0 {
            put("selector", json!(selector(rng)));
        } else if by_devices {
            devices += rng.u32(1..=3);
            put("devices", json!(devices));
        } else {
            percent += rng.u32(5..=30);
            put("percent", json!(percent));
        }
        if rng.u8(0..4) > 0 {
            put("gate", gate(rng));
        }
        match rng.u8(0..8) {
            0 => drop(put("approvals", json!(1))),
            1 => drop(put("approvals", json!(2))),
            _ => {}
        }
        phases.push(Value::Object(phase));
    }
    phases
}

/// Patience is short everywhere: what nobody waits for is over soon.
fn gate(rng: &mut Rng) -> Value {
    let mut gate = Map::new();
    let mut put = |name: &str, value: Value| gate.insert(name.to_owned(), value);
    put("giveUpSecs", json!([60, 600, 3_600][rng.usize(0..3)]));
    if rng.bool() {
        put("giveUp", json!("continue"));
    }
    if rng.bool() {
        put("successPercent", json!([1, 50, 80, 100][rng.usize(0..4)]));
    }
    if rng.u8(0..3) == 0 {
        put("minEnded", json!(rng.u8(1..=4)));
    }
    if rng.u8(0..4) == 0 {
        put("maxFailed", json!(rng.u8(0..=2)));
    }
    if rng.bool() {
        put("soakSecs", json!([1, 30, 300][rng.usize(0..3)]));
    }
    Value::Object(gate)
}

fn failure(rng: &mut Rng, releases: &[String]) -> Value {
    let mut failure = Map::new();
    let mut put = |name: &str, value: Value| failure.insert(name.to_owned(), value);
    match rng.bool() {
        true => put("devices", json!(rng.u8(1..=3))),
        false => put("percent", json!([20, 50, 100][rng.usize(0..3)])),
    };
    put("minEnded", json!(rng.u8(1..=3)));
    if rng.u8(0..4) == 0 {
        put("reasons", json!(["script-failed"]));
    }
    match rng.u8(0..3) {
        0 => put("then", json!("pause")),
        1 => put("then", json!("abort")),
        _ => {
            let release = &releases[rng.usize(0..releases.len())];
            put("fallback", json!(release));
            put("then", json!("fallback"))
        }
    };
    Value::Object(failure)
}

/// Some hours of each day, about the time at which worlds begin.
fn windows(rng: &mut Rng) -> Value {
    let zone = ["UTC", "Asia/Tokyo"][rng.usize(0..2)];
    let from = ["23:00", "02:30", "08:00"][rng.usize(0..3)];
    let minutes = [5, 60, 600][rng.usize(0..3)];
    let mut windows = json!({
        "timeZone": zone,
        "open": [{"days": "daily", "from": from, "minutes": minutes}],
    });
    if rng.bool() {
        windows["downloadAhead"] = json!(true);
    }
    if rng.bool() {
        windows["maxOverrunSecs"] = json!(600);
    }
    windows
}
