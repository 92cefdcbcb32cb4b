//! The world that a seed makes: a fleet, releases, and the orders of operators.

use fastrand::Rng;

use super::catalog::Catalog;
use super::device::Device;
use super::dice::Dice;
use super::line::GROUPS;
use super::world::World;

use std::sync::Arc;

mod rollouts;

pub use rollouts::{go_on, has_rollouts};

/// One seed in so many makes a world of few devices and many deployments.
const MANY_DEPLOYMENTS: u64 = 16;

/// The time that deployments are kept, where they are not for ever, in ms.
const KEEP_MS: u64 = 5_000;

/// True if a seed makes a world in which some deployments last while many more come and go: one
/// that keeps to the protocol, and one that does not.
pub fn has_many_deployments(seed: u64, devices: Option<u16>) -> bool {
    devices.is_none() && matches!(seed % MANY_DEPLOYMENTS, 6 | 13)
}

/// A world for a seed, with so many devices or as many as the seed says.
pub fn world(seed: u64, devices: Option<u16>) -> World {
    let mut rng = Rng::with_seed(seed);
    let many = has_many_deployments(seed, devices);
    let most = if many { 3 } else { 12 };
    let count = devices.unwrap_or_else(|| rng.u16(1..=most));
    let (catalog, orders) = if many {
        let catalog = Catalog::many(&mut rng);
        let orders = many_orders(&mut rng, count, &catalog);
        (catalog, orders)
    } else {
        let catalog = Catalog::generate(&mut rng);
        let orders = orders(&mut rng, count, &catalog);
        (catalog, orders)
    };
    let orders = match has_rollouts(seed, devices) {
        true => rollouts::add(seed, count, orders),
        false => orders,
    };
    let special: Vec<bool> = (0..count).map(|_| rng.u8(..) < 60).collect();
    let mut world = World::new(count, catalog, Dice::Seeded(rng));
    // Every second broker is one that keeps to the protocol.
    world.honest = seed.is_multiple_of(2);
    world.broker.overtakes = seed.is_multiple_of(3);
    // Some servers soon forget what is over.
    world.server.keep_ms = seed.is_multiple_of(5).then_some(KEEP_MS);
    for (number, special) in (1..).zip(special) {
        world.devices[usize::from(number) - 1] = Arc::new(Device::new(number, special));
    }
    for (number, text) in (1..).zip(orders) {
        world.want(number, text);
    }
    world
}

fn group(rng: &mut Rng) -> &'static str {
    GROUPS[[1, 1, 1, 2, 2, 0][rng.usize(0..6)]]
}

/// Groups and releases first, then devices and deployments as they come, with what
/// operators do to them some time after.
fn orders(rng: &mut Rng, devices: u16, catalog: &Catalog) -> Vec<String> {
    let mut orders: Vec<String> = GROUPS[1..]
        .iter()
        .map(|g| format!("group create {g}"))
        .collect();
    let releases = rng.usize(1..=3);
    let mut names: Vec<&str> = catalog
        .releases
        .iter()
        .map(|release| &*release.text)
        .collect();
    rng.shuffle(&mut names);
    names.truncate(releases + 1);
    orders.extend(names.iter().map(|name| format!("release add {name}")));
    let mut wanted: Vec<String> = (1..=devices)
        .map(|number| format!("device add d{number} --group {}", group(rng)))
        .collect();
    let deployments = rng.usize(1..=3);
    for _ in 0..deployments {
        let name = names[rng.usize(0..names.len())];
        wanted.push(deploy(rng, name));
    }
    rng.shuffle(&mut wanted);
    // Afterwards, so that most of them mean something.
    for _ in 0..rng.usize(0..=4 + usize::from(devices) / 10) {
        let from = wanted.len() / 2;
        let place = rng.usize(from..=wanted.len());
        wanted.insert(place, later(rng, devices, deployments));
    }
    orders.extend(wanted);
    orders
}

/// Some deployments that nothing takes the place of, and then more than twenty others.
fn many_orders(rng: &mut Rng, devices: u16, catalog: &Catalog) -> Vec<String> {
    let names: Vec<&str> = catalog.releases.iter().map(|r| &*r.text).collect();
    let mut orders = vec![format!("group create {}", GROUPS[1])];
    orders.push(format!("group create {}", GROUPS[2]));
    orders.extend(names.iter().map(|name| format!("release add {name}")));
    let add = |number| format!("device add d{number} --group {}", GROUPS[1]);
    orders.extend((1..=devices).map(add));
    let lasting = rng.usize(1..=7);
    let mut wanted: Vec<String> = names[..lasting].iter().map(|name| once(name)).collect();
    let deployments = lasting + rng.usize(21..=28);
    for _ in lasting..deployments {
        wanted.push(once(names[rng.usize(lasting..names.len())]));
    }
    for _ in 0..rng.usize(0..=4) {
        let place = rng.usize(wanted.len() / 4..=wanted.len());
        wanted.insert(place, later(rng, devices, deployments));
    }
    orders.extend(wanted);
    orders
}

fn once(name: &str) -> String {
    format!(
        "deploy {name} --group {} --timeout 1h --attempts 1",
        GROUPS[1]
    )
}

fn deploy(rng: &mut Rng, name: &str) -> String {
    let mut text = format!("deploy {name} --group {}", group(rng));
    let timeout = ["1m", "10m", "1h", "1d"][rng.usize(0..4)];
    text += &format!(" --timeout {timeout} --attempts {}", rng.u8(1..=3));
    match rng.u8(0..10) {
        0 => text += " --start +10m",
        1 => text += " --until +1h",
        2 => text += " --start +5m --until +30m",
        3 => text += " --complete-when all-successful",
        4 => text += " --spread 30s",
        5 | 6 => text += &format!(" --limit {}", rng.u8(1..=6)),
        _ => {}
    }
    text
}

fn later(rng: &mut Rng, devices: u16, deployments: usize) -> String {
    let device = rng.u16(1..=devices);
    let deployment = rng.usize(1..=deployments);
    match rng.u8(0..16) {
        0..4 => format!("abort {deployment}"),
        4 | 5 => format!("device remove d{device}"),
        6 => format!("device add d{device} --group {}", group(rng)),
        7..10 => format!("device move d{device} {}", group(rng)),
        10 => format!("device hold d{device}"),
        11 => format!("device hold d{device} --lift"),
        12..15 => format!("retry {deployment}"),
        _ => format!("retry {deployment} d{device}"),
    }
}
