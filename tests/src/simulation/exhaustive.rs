//! Small worlds explored to their ends: every order in which two devices, two deployments,
//! one abort, crashes and one lost or repeated message can meet, by breadth-first search over
//! hashed states. What a random seed misses, this does not.

use std::collections::HashSet;

use hoist_protocol::status::ScriptKind;

use super::canon::fingerprint;
use super::catalog::{Catalog, Release, plan};
use super::choice::Choice;
use super::device::{Doing, End};
use super::dice::Dice;
use super::invariants::{Broken, finally};
use super::line::Line;
use super::server::Fate;
use super::world::World;

/// What may still go wrong in a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Crashes of the server.
    pub server: u8,
    /// Restarts of the broker, with nothing.
    pub broker: u8,
    /// Power cuts of each device.
    pub device: [u8; 2],
    /// Messages lost or delivered twice.
    pub message: u8,
    /// Scripts that fail.
    pub script: u8,
}

/// How much is explored.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// What may go wrong.
    pub left: Left,
    /// Deployments to the two devices; the first is aborted.
    pub deployments: u8,
    /// States after which the search gives up.
    pub states_max: usize,
}

/// Two devices, two deployments and an abort, with one crash of each party, each beside one
/// message that is lost or repeated, and beside a script that fails.
pub const WORLDS: [Bounds; 5] = [
    small(1, 0, [0, 0], 1, 0),
    small(0, 1, [0, 0], 1, 0),
    small(0, 0, [1, 0], 1, 0),
    small(1, 0, [1, 0], 0, 0),
    small(1, 0, [0, 0], 0, 1),
];

const fn small(server: u8, broker: u8, device: [u8; 2], message: u8, script: u8) -> Bounds {
    Bounds {
        left: Left {
            server,
            broker,
            device,
            message,
            script,
        },
        deployments: 2,
        states_max: 5_000_000,
    }
}

/// What a search came to.
#[derive(Debug, Default)]
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// States in which nothing more can happen.
    pub ends: usize,
    /// Steps of the longest way to a state.
    pub depth: usize,
    /// Whether every state was reached.
    pub complete: bool,
    /// The first broken invariant, and the way to it.
    pub broken: Option<(Broken, Vec<Choice>)>,
}

#[derive(Clone)]
struct Node {
    world: World,
    left: Left,
    /// Its place among the parents.
    place: u32,
}

/// Explores a small world.
pub fn explore(bounds: Bounds) -> Explored {
    let mut search = Search {
        seen: HashSet::new(),
        parents: Vec::new(),
        explored: Explored::default(),
    };
    let first = match beginning(bounds) {
        Ok(world) => world,
        Err(broken) => {
            search.explored.broken = Some((broken, Vec::new()));
            return search.explored;
        }
    };
    search.seen.insert(fingerprint(&first, bounds.left));
    search.parents.push((0, Choice::Review));
    let mut layer = vec![Node {
        world: first,
        left: bounds.left,
        place: 0,
    }];
    while !layer.is_empty() && search.explored.broken.is_none() {
        if search.seen.len() > bounds.states_max {
            search.explored.states = search.seen.len();
            return search.explored;
        }
        search.explored.depth += 1;
        layer = search.next_layer(layer);
    }
    search.explored.states = search.seen.len();
    search.explored.complete = search.explored.broken.is_none();
    search.explored
}

/// Says a way in which an invariant is broken, step by step.
pub fn tell(bounds: Bounds, way: &[Choice]) -> Vec<String> {
    let Ok(mut world) = beginning(bounds) else {
        return Vec::new();
    };
    world.log = Some(Vec::new());
    for choice in way {
        if settle(&mut world, *choice).is_err() {
            break;
        }
    }
    world.log.take().unwrap_or_default()
}

struct Search {
    seen: HashSet<u128>,
    /// How each state was reached first.
    parents: Vec<(u32, Choice)>,
    explored: Explored,
}

/// What one state leads to.
enum Found {
    Next(u128, Box<Node>, Choice),
    End,
    Broken(Broken, u32, Option<Choice>),
}

impl Search {
    /// Expands a layer on every core, then takes in what is new, in order.
    fn next_layer(&mut self, layer: Vec<Node>) -> Vec<Node> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = layer.len().div_ceil(threads).max(1);
        let seen = &self.seen;
        let found: Vec<Vec<Found>> = std::thread::scope(|scope| {
            let shares = layer.chunks(share);
            let work = |nodes: &[Node]| nodes.iter().flat_map(|node| expand(node, seen)).collect();
            let workers: Vec<_> = shares
                .map(|nodes| scope.spawn(move || work(nodes)))
                .collect();
            let joined = workers.into_iter().map(|worker| worker.join());
            joined
                .map(|found| found.expect("a search does not panic"))
                .collect()
        });
        drop(layer);
        let mut next = Vec::new();
        for found in found.into_iter().flatten() {
            match found {
                Found::Next(print, mut node, choice) => {
                    if self.seen.insert(print) {
                        let place = u32::try_from(self.parents.len()).unwrap_or(u32::MAX);
                        self.parents.push((node.place, choice));
                        node.place = place;
                        next.push(*node);
                    }
                }
                Found::End => self.explored.ends += 1,
                Found::Broken(broken, place, last) => {
                    if self.explored.broken.is_none() {
                        let way = self.way(place, last);
                        self.explored.broken = Some((broken, way));
                    }
                }
            }
        }
        next
    }

    fn way(&self, mut place: u32, last: Option<Choice>) -> Vec<Choice> {
        let mut way: Vec<Choice> = last.into_iter().collect();
        while place != 0 {
            let (parent, choice) = self.parents[place as usize];
            way.push(choice);
            place = parent;
        }
        way.reverse();
        way
    }
}

/// Two devices at rest in a group, two releases, and the commands still to come.
fn beginning(bounds: Bounds) -> Result<World, Broken> {
    let mut catalog = Catalog::default();
    let scripts = [ScriptKind::Install, ScriptKind::Rollback];
    for (release, artifact) in [("app@1", "app"), ("config@1", "config")] {
        let plans = vec![plan(&scripts, 1, false)];
        catalog
            .releases
            .push(Release::new(release, &[artifact], plans, false));
    }
    let mut world = World::new(2, catalog, Dice::Zero);
    let given = [
        "group create eu",
        "release add app@1",
        "release add config@1",
        "device add d1 --group eu",
        "device add d2 --group eu",
    ];
    for (number, text) in (1..).zip(given) {
        world.want(number, text);
    }
    settle(&mut world, Choice::ServerStart)?;
    let mut choices = Vec::new();
    for _ in 0..1_000 {
        choices.clear();
        world.central_choices(&mut choices);
        world.device_choices(1, &mut choices);
        world.device_choices(2, &mut choices);
        match choices.first() {
            Some(choice) => settle(&mut world, *choice)?,
            None => break,
        }
    }
    let deployments = [
        "deploy app@1 --group eu --attempts 1",
        "deploy config@1 --group eu --attempts 1",
    ];
    let deployments = deployments.iter().take(usize::from(bounds.deployments));
    for (number, text) in (10..).zip(deployments.chain([&"abort 1"])) {
        world.want(number, *text);
    }
    Ok(world)
}

/// Lets one thing happen, and after it everything whose order nobody else can tell: the
/// server starts and connects, publishes, and takes what is no status; devices take their own
/// heads and manifests, download, and hear that a status arrived.
fn settle(world: &mut World, choice: Choice) -> Result<(), Broken> {
    world.apply(choice)?;
    let mut choices = Vec::new();
    loop {
        choices.clear();
        world.central_choices(&mut choices);
        world.device_choices(1, &mut choices);
        world.device_choices(2, &mut choices);
        match choices.iter().find(|choice| is_private(world, **choice)) {
            Some(choice) => world.apply(*choice)?,
            None => return Ok(()),
        }
    }
}

/// Whether nobody else can tell when this happens.
fn is_private(world: &World, choice: Choice) -> bool {
    match choice {
        Choice::ServerStart | Choice::ServerConnect(_) | Choice::Reconcile | Choice::Will(_) => {
            true
        }
        Choice::Serve(line, _) => !matches!(line, Line::Status(_)),
        Choice::Hear(_, line) => !matches!(line, Line::Group(_)),
        Choice::Acknowledge(number) => !world.device(number).awaits_new_ack(),
        Choice::Finish(number, _) => world.device(number).doing() == Some(Doing::Download),
        Choice::Announce(_) | Choice::Wake(_) => true,
        _ => false,
    }
}

/// Everything that can happen in a state, and what it leads to.
fn expand(node: &Node, seen: &HashSet<u128>) -> Vec<Found> {
    let mut ways = Vec::new();
    quiet_ways(node, &mut ways);
    if ways.is_empty() {
        return match node.world.next_due_ms() {
            Some(ms) if ms > 0 => vec![wait(node, ms)],
            _ => vec![match finally::check(&node.world) {
                Ok(()) => Found::End,
                Err(broken) => Found::Broken(broken, node.place, None),
            }],
        };
    }
    accidents(node, &mut ways);
    let mut found = Vec::new();
    for (choice, left) in ways {
        let mut world = node.world.clone();
        if let Err(broken) = settle(&mut world, choice) {
            found.push(Found::Broken(broken, node.place, Some(choice)));
            continue;
        }
        let print = fingerprint(&world, left);
        if !seen.contains(&print) {
            let place = node.place;
            found.push(Found::Next(
                print,
                Box::new(Node { world, left, place }),
                choice,
            ));
        }
    }
    found
}

/// Time passes only when nothing else can happen.
fn wait(node: &Node, ms: u64) -> Found {
    let mut next = node.clone();
    let waited = settle(&mut next.world, Choice::Wait(ms));
    match waited.and_then(|()| settle(&mut next.world, Choice::Review)) {
        Err(broken) => Found::Broken(broken, node.place, Some(Choice::Wait(ms))),
        Ok(()) => {
            let print = fingerprint(&next.world, next.left);
            Found::Next(print, Box::new(next), Choice::Wait(ms))
        }
    }
}

fn quiet_ways(node: &Node, ways: &mut Vec<(Choice, Left)>) {
    let mut choices = Vec::new();
    node.world.central_choices(&mut choices);
    for number in 1..=2 {
        node.world.device_choices(number, &mut choices);
    }
    ways.extend(choices.into_iter().map(|choice| (choice, node.left)));
}

/// What may go wrong here, with what is left after it.
fn accidents(node: &Node, ways: &mut Vec<(Choice, Left)>) {
    let (world, left) = (&node.world, node.left);
    let quiet: Vec<Choice> = ways.iter().map(|(choice, _)| *choice).collect();
    if let Some(server) = left.server.checked_sub(1).filter(|_| world.server.up) {
        let left = Left { server, ..left };
        ways.push((Choice::ServerCrash, left));
        for choice in &quiet {
            match choice {
                Choice::Serve(line, _) => {
                    ways.push((Choice::Serve(*line, Fate::CrashAfter(0)), left))
                }
                Choice::Order(_) => ways.push((Choice::Order(Fate::CrashAfter(0)), left)),
                _ => {}
            }
        }
    }
    if let Some(broker) = left.broker.checked_sub(1) {
        ways.push((Choice::BrokerRestart(0), Left { broker, ..left }));
    }
    for (place, number) in [(0, 1), (1, 2)] {
        if let Some(cuts) = left.device[place].checked_sub(1) {
            let mut left = left;
            left.device[place] = cuts;
            ways.push((Choice::PowerCut(number), left));
        }
    }
    for choice in &quiet {
        if let (Choice::Finish(number, _), Some(script)) = (choice, left.script.checked_sub(1)) {
            ways.push((Choice::Finish(*number, End::Fails), Left { script, ..left }));
        }
        let Some(message) = left.message.checked_sub(1) else {
            continue;
        };
        let left = Left { message, ..left };
        match choice {
            Choice::Serve(line, _) => {
                ways.push((Choice::Serve(*line, Fate::Repeats), left));
                ways.push((Choice::LoseToServer(*line), left));
            }
            Choice::Hear(number, line) => ways.push((Choice::LoseToDevice(*number, *line), left)),
            _ => {}
        }
    }
}
