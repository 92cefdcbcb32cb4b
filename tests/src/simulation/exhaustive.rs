//! Small worlds explored to their ends: every order in which two devices, two deployments,
//! one abort, crashes and a message that is lost or repeated can meet, by breadth-first search
//! over hashed states of the same code. What a random seed misses, this does not.
//!
//! # What makes it small, and why nothing is lost by it
//!
//! - **Time stands still while anything can happen.** Nothing in this world is slow: what is
//!   due comes when all else is done, and every order of what is due together is tried.
//! - **What counts in a state** ([`super::canon`]): of a device's status numbers and sessions only
//!   their order, because only that device has them and the code compares them. It also counts
//!   them up, so histories with other gaps between them are taken as one.
//! - **Devices are alike** ([`state`]): two states in which only their names are changed round
//!   are one. Every step is taken under both names and must come to the same for what is
//!   shared; in test builds to a device that is known to be the same.
//! - **Private steps are taken at once** ([`turn`]): the server's start, connection,
//!   publications and reading; a device's reading of its own spec and of manifests, its
//!   download, and acknowledgments of what was said before. They touch their own party and the
//!   ends of queues that nobody else is at. What interrupts them is not left out: before each
//!   of them its party can crash, in it the power can go after every single effect, and its
//!   message can get lost or come twice. That the server never reads a status later than it
//!   could is what this leaves to the random runs.
//! - **A device's spec goes out in that device's turn**, before any group's. The server takes
//!   specs that have to go out together by their devices' names; only the device reads its
//!   spec, and its generation is compared with nobody else's.
//! - **What only a restart reads** does not count once its owner cannot crash any more.
//! - **A step is taken once** for all states that agree in the parts it can touch ([`step`]):
//!   it runs in a world that has nothing else, so it cannot depend on anything else. A state is
//!   three numbers, of what is shared and of each device, and what can happen to a device is
//!   found without the other: what the other gets of it, a message or the server's crash, it
//!   gets before anything else. Test builds compare with the whole world.
//!
//! A message gets lost as it does over TCP: with its connection, which its reader then makes
//! again. Messages that vanish without a word are in the random runs.

use std::fmt;

use super::catalog::{Catalog, Release, plan};
use super::choice::Choice;
use super::dice::Dice;
use super::invariants::{Broken, finally};
use super::world::World;
use hoist_protocol::status::ScriptKind;

mod look;
mod looking;
mod owner;
mod part;
mod proof;
mod search;
mod state;
mod step;
mod table;
mod touch;
mod turn;

use part::DEVICES;
use search::Search;
use state::View;
use step::Steps;
use turn::Turns;

/// The trouble that may still come in a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Left {
    /// Crashes of the server.
    pub server: u8,
    /// Power cuts of each device.
    pub device: [u8; DEVICES as usize],
    /// Messages lost or delivered twice.
    pub message: u8,
    /// Scripts that fail.
    pub script: u8,
}

impl Left {
    /// Nothing goes wrong.
    pub const NOTHING: Self = Self {
        server: 0,
        device: [0; DEVICES as usize],
        message: 0,
        script: 0,
    };

    fn server_crash(self) -> Option<Self> {
        let server = self.server.checked_sub(1)?;
        Some(Self { server, ..self })
    }

    fn power_cut(mut self, number: u16) -> Option<Self> {
        let cuts = &mut self.device[usize::from(number) - 1];
        *cuts = cuts.checked_sub(1)?;
        Some(self)
    }

    fn message(self) -> Option<Self> {
        let message = self.message.checked_sub(1)?;
        Some(Self { message, ..self })
    }

    fn script_fails(self) -> Option<Self> {
        let script = self.script.checked_sub(1)?;
        Some(Self { script, ..self })
    }
}

/// The bounds of the exploration.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The trouble that may come.
    pub left: Left,
    /// Deployments to the two devices; the first is aborted.
    pub deployments: u8,
    /// States after which the search gives up.
    pub states_max: usize,
}

/// Two devices, two deployments and an abort, in which all of this goes wrong.
const fn small(server: u8, device: [u8; DEVICES as usize], message: u8) -> Bounds {
    Bounds {
        left: Left {
            server,
            device,
            message,
            script: 0,
        },
        deployments: 2,
        states_max: 200_000_000,
    }
}

/// A crash of each party, and a message that is lost or repeated, all in one world.
pub const WHOLE: Bounds = small(1, [1; DEVICES as usize], 1);

/// One of these at a time: worlds that are explored in seconds.
pub const ONE_ACCIDENT: [Bounds; 3] = [
    small(1, [0, 0], 0),
    small(0, [1, 0], 0),
    small(0, [0, 0], 1),
];
/// More states than these have, in case a mistake makes them endless.
pub const ONE_ACCIDENT_MAX: usize = 200_000;

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (left, deployments) = (self.left, self.deployments);
        write!(f, "{DEVICES} devices, {deployments} deployments, 1 abort")?;
        let cuts: u8 = left.device.iter().sum();
        let wrong = [
            (left.server, "crashes of the server"),
            (cuts, "power cuts of devices"),
            (left.message, "messages lost or repeated"),
            (left.script, "scripts that fail"),
        ];
        for (count, what) in wrong.iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {what}")?;
        }
        Ok(())
    }
}

/// The result of a search.
#[derive(Debug, Default)]
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// Ways from one to another, or back to one that was met.
    pub transitions: u64,
    /// States in which nothing more can happen.
    pub ends: usize,
    /// Most ways that lead to a state one after the other.
    pub depth: usize,
    /// True if every state was reached.
    pub complete: bool,
    /// The first broken invariant, and what happens up to it.
    pub broken: Option<(Broken, Vec<Choice>)>,
}

/// Explores a small world, and says now and then how far it is: steps and states.
pub fn explore(bounds: Bounds, progress: impl Fn(usize, usize)) -> Explored {
    // The devices' names changed round in the other.
    let (first, other) = match (beginning(bounds, [1, 2]), beginning(bounds, [2, 1])) {
        (Ok(first), Ok(other)) => (first, other),
        (Err(broken), _) | (_, Err(broken)) => {
            return Explored {
                broken: Some((broken, Vec::new())),
                ..Explored::default()
            };
        }
    };
    let mut blank = World::new(DEVICES, Catalog::default(), Dice::Zero);
    blank.catalog = first.catalog.clone();
    blank.step_ms = 0;
    let turns = Turns::new(Steps::new(blank));
    let view = |world: &World| View::of(turns.steps.state(world), bounds.left);
    let views = [&view(&first), &view(&other)];
    Search::new(&turns, views, bounds.states_max).run(progress)
}

/// Says what happens on a way, step by step, and what is broken by the last.
pub fn tell(bounds: Bounds, way: &[Choice]) -> (Vec<String>, Option<Broken>) {
    let mut world = match beginning(bounds, [1, 2]) {
        Ok(world) => world,
        Err(broken) => return (Vec::new(), Some(broken)),
    };
    world.log = Some(Vec::new());
    let mut broken = None;
    for choice in way {
        broken = world.apply(*choice).err();
        if broken.is_some() {
            break;
        }
    }
    broken = broken.or_else(|| finally::check(&world).err());
    (world.log.take().unwrap_or_default(), broken)
}

/// Two devices at rest in a group, which they joined in this order, two releases, and the
/// commands still to come.
fn beginning(bounds: Bounds, names: [u16; 2]) -> Result<World, Broken> {
    let mut catalog = Catalog::default();
    let scripts = [ScriptKind::Install, ScriptKind::Rollback];
    for (release, artifact) in [("app@1", "app"), ("config@1", "config")] {
        let plans = vec![plan(&scripts, 1, false)];
        catalog
            .releases
            .push(Release::new(release, &[artifact], plans, false));
    }
    let mut world = World::new(DEVICES, catalog, Dice::Zero);
    world.step_ms = 0;
    let given = [
        "group create eu",
        "release add app@1",
        "release add config@1",
    ];
    let devices = names.map(|name| format!("device add d{name} --group eu"));
    let given = given.map(str::to_owned).into_iter().chain(devices);
    for (number, text) in (1..).zip(given) {
        world.want(number, text);
    }
    world.apply(Choice::ServerStart)?;
    for number in names {
        // Ahead of every generation, so that signed time teaches a device nothing.
        world.apply(Choice::DeviceClock(number, AHEAD_MS))?;
    }
    let mut choices = Vec::new();
    for _ in 0..1_000 {
        choices.clear();
        world.central_choices(&mut choices);
        for number in names {
            world.device_choices(number, &mut choices);
        }
        match choices.first() {
            Some(choice) => world.apply(*choice)?,
            None => break,
        }
    }
    let deployments = [
        "deploy app@1 --group eu --attempts 1 --timeout 10m",
        "deploy config@1 --group eu --attempts 1 --timeout 10m",
    ];
    let deployments = deployments.iter().take(usize::from(bounds.deployments));
    for (number, text) in (10..).zip(deployments.chain([&"abort 1"])) {
        world.want(number, *text);
    }
    // Long connected, and at a time that no spec was signed at.
    world.apply(Choice::Wait(AHEAD_MS))?;
    Ok(world)
}

/// The time by which clocks of devices are ahead, ms: more than there are generations.
const AHEAD_MS: u64 = 60_000;
