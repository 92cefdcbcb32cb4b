//! One random run: a seed chooses what happens next, every invariant is checked on what it
//! touched, and at the end everything comes up and must come to rest.

use fastrand::Rng;

use super::choice::Choice;
use super::device::{End, Lie};
use super::dice::Dice;
use super::generate;
use super::invariants::{Broken, finally};
use super::line::Line;
use super::server::Fate;
use super::world::World;

mod after;

use after::{go_on, restarted};

/// Steps of chance before everything comes up, and more for each device.
const STEPS: u32 = 300;
const STEPS_PER_DEVICE: u32 = 25;
/// And for each order, where there are many: devices have time for most of them.
const STEPS_PER_ORDER: u32 = 80;
/// Steps in which everything must come to rest, and more for each device.
const STEPS_TO_REST: u32 = 20_000;
const STEPS_TO_REST_PER_DEVICE: u32 = 2_000;
/// Devices up to which the server crashes at any step with the same chance. After a crash it
/// hears of everything again: in a larger fleet it would hear of nothing new.
const CRASHES_DEVICES: usize = 12;
/// Longest wait of chance, ms.
const WAIT_MS_MAX: u64 = 90_000;
/// One run in so many also restarts the server at the end, which costs as much again.
const RESTARTED: u64 = 8;
const DAY_MS: u64 = 86_400_000;

/// A broken invariant and how to see it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The broken invariant.
    pub broken: Broken,
    /// The seed.
    pub seed: u64,
    /// The step after which it showed.
    pub step: u32,
    /// Everything that happened, if it was written down.
    pub log: Vec<String>,
}

/// The decision of a run to write events down or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// It does, which takes time.
    Kept,
    /// It does not.
    Dropped,
}

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// Steps it took.
    pub steps: u32,
    /// The log of events.
    pub log: Vec<String>,
}

/// Runs a seed to its end, with so many devices or as many as the seed says.
///
/// # Errors
/// The first [`Violation`].
pub fn run(seed: u64, devices: Option<u16>, log: Log) -> Result<Story, Box<Violation>> {
    let mut world = generate::world(seed, devices);
    world.log = (log == Log::Kept).then(Vec::new);
    let pace = match generate::has_many_deployments(seed, devices) {
        true => Pace::OneByOne,
        false => Pace::AtOnce,
    };
    let ended = live(&mut world, seed, pace);
    let (steps, log) = (world.step, world.log.take().unwrap_or_default());
    match ended {
        Ok(()) => Ok(Story { steps, log }),
        Err(broken) => Err(Box::new(Violation {
            broken,
            seed,
            step: steps,
            log,
        })),
    }
}

/// The speed of operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// As chance has it.
    AtOnce,
    /// Mostly they see what becomes of an order before the next.
    OneByOne,
}

impl Pace {
    /// Steps of chance.
    fn steps(self, world: &World) -> u32 {
        let devices = u32::try_from(world.devices.len()).unwrap_or(u32::MAX);
        let orders = u32::try_from(world.orders.len()).unwrap_or(u32::MAX);
        STEPS
            + STEPS_PER_DEVICE * devices
            + match self {
                Self::AtOnce => 0,
                Self::OneByOne => STEPS_PER_ORDER * orders,
            }
    }

    /// True if the next order is given now.
    fn is_next(self, world: &mut World) -> bool {
        self == Self::AtOnce || rng(world).u8(0..4) == 0
    }
}

fn live(world: &mut World, seed: u64, pace: Pace) -> Result<(), Broken> {
    world.apply(Choice::ServerStart)?;
    world.apply(Choice::ServerConnect(0))?;
    let mut choices = Vec::new();
    for _ in 0..pace.steps(world) {
        let choice = draw(world, &mut choices, pace);
        world.apply(choice)?;
    }
    come_up(world)?;
    rest(world)?;
    finally::check(world)?;
    if generate::has_rollouts(seed, None) {
        go_on(world)?;
    }
    if seed.is_multiple_of(RESTARTED) {
        restarted(world)?;
    }
    Ok(())
}

fn rng(world: &mut World) -> &mut Rng {
    match &mut world.dice {
        Dice::Seeded(rng) => rng,
        Dice::Zero => unreachable!("a random run has its seed"),
    }
}

fn any(world: &mut World, choices: &[Choice]) -> Option<Choice> {
    let place = world.dice.below(choices.len());
    choices.get(place).copied()
}

fn any_device(world: &mut World) -> u16 {
    let count = world.devices.len();
    u16::try_from(rng(world).usize(1..=count)).unwrap_or(1)
}

/// Draws what happens next.
fn draw(world: &mut World, choices: &mut Vec<Choice>, pace: Pace) -> Choice {
    choices.clear();
    let number = any_device(world);
    match rng(world).u16(0..1000) {
        0..60 if pace.is_next(world) => Choice::Order(fate(world)),
        0..60 => Choice::Reconcile,
        60..400 => {
            world.central_choices(choices);
            let choice = any(world, choices).unwrap_or(Choice::Reconcile);
            match choice {
                Choice::Serve(line, _) => Choice::Serve(line, fate(world)),
                Choice::ServerConnect(_) => Choice::ServerConnect(some(world)),
                choice => choice,
            }
        }
        400..450 => Choice::Batch(rng(world).u8(2..=8), fate(world)),
        450..880 => {
            world.device_choices(number, choices);
            match any(world, choices) {
                Some(Choice::Finish(number, _)) => Choice::Finish(number, end(world)),
                Some(choice) => choice,
                None => Choice::Reconcile,
            }
        }
        880..930 => Choice::Reconcile,
        930..960 => Choice::Wait(match rng(world).u8(..) {
            0..8 => rng(world).u64(..DAY_MS / 4),
            8..100 => rng(world).u64(..WAIT_MS_MAX),
            _ => rng(world).u64(..2_000),
        }),
        _ => accident(world, number),
    }
}

/// None mostly, and in honest worlds; sometimes many.
fn some(world: &mut World) -> u8 {
    match rng(world).u8(0..4) {
        0 if !world.honest => rng(world).u8(..),
        _ => 0,
    }
}

/// True if a crash of the server that chance proposes happens.
fn crashes(world: &mut World) -> bool {
    let devices = world.devices.len();
    devices <= CRASHES_DEVICES || rng(world).usize(..devices) < CRASHES_DEVICES
}

fn fate(world: &mut World) -> Fate {
    match rng(world).u8(..) {
        0..2 if crashes(world) => Fate::CrashBefore,
        2..6 if crashes(world) => Fate::CrashAfter(rng(world).u8(0..4)),
        6..20 => Fate::Repeats,
        _ => Fate::Whole,
    }
}

fn end(world: &mut World) -> End {
    match rng(world).u8(0..100) {
        0..70 => End::Done,
        70..90 => End::Fails,
        90..95 => End::Later,
        _ => End::TimesOut,
    }
}

/// Something that should not happen, but does.
fn accident(world: &mut World, number: u16) -> Choice {
    match rng(world).u8(0..40) {
        0..14 => Choice::Cut(number),
        14..18 => Choice::PowerCut(number),
        18..22 => Choice::Fuse(number, rng(world).u8(0..12)),
        22..24 => Choice::ServerCrash,
        24..26 => Choice::ServerCut,
        26 => Choice::BrokerRestart(some(world)),
        27 => Choice::Veto(number, true),
        28 => Choice::ServerClock(rng(world).u64(0..3) * DAY_MS),
        29 => Choice::DeviceClock(number, ahead_ms(world, number)),
        30 => Choice::Review,
        31 => Choice::Forge(number),
        32 => lie(world, number),
        33..40 if world.honest => Choice::Cut(number),
        _ => deceit(world, number),
    }
}

/// A lie. Where what is retained overtakes older messages, nobody counts from one again: the
/// older ones would count then, until the device's next word.
fn lie(world: &mut World, number: u16) -> Choice {
    match Lie::ALL[rng(world).usize(..Lie::ALL.len())] {
        Lie::Count if world.broker.overtakes => Choice::Lie(number, Lie::Work),
        lie => Choice::Lie(number, lie),
    }
}

/// The time by which a device's clock is ahead, ms: less than a day, or beyond the validity of any
/// spec, also of a server that is days ahead, so that nothing starts (W2). Work that goes on by
/// such a clock would wait for days once the clock is right again.
fn ahead_ms(world: &mut World, number: u16) -> u64 {
    let ahead_ms = rng(world).u64(..2 * DAY_MS);
    match ahead_ms < DAY_MS || world.device(number).is_working() {
        true => ahead_ms % DAY_MS,
        false => ahead_ms + 30 * DAY_MS,
    }
}

/// Something is lost, forged or brought back, and nobody is told.
fn deceit(world: &mut World, number: u16) -> Choice {
    let kind = rng(world).u8(0..7);
    let lines: Vec<Line> = match kind {
        0 | 1 => world.broker.all_retained().map(|(line, _)| line).collect(),
        2 | 3 => {
            let inbox = world.broker.server.as_ref();
            inbox
                .map(|inbox| inbox.lines().to_vec())
                .unwrap_or_default()
        }
        4 => {
            let session = world.broker.session(number);
            session
                .map(|session| session.inbox.lines().to_vec())
                .unwrap_or_default()
        }
        5 => world.broker.past().map(|(line, _)| line).collect(),
        _ => vec![Line::Group(1), Line::Group(2), Line::Device(number)],
    };
    let place = world.dice.below(lines.len());
    let Some(line) = lines.get(place).copied() else {
        return Choice::Review;
    };
    match kind {
        0 | 1 => Choice::LoseRetained(line),
        2 | 3 => Choice::LoseToServer(line),
        4 => Choice::LoseToDevice(number, line),
        5 => Choice::Replay(line, rng(world).u8(0..4)),
        _ => Choice::Spoil(line),
    }
}

/// Nothing stays down for long in the end. Where messages were lost silently, every
/// connection is made once more: they are missed no sooner.
fn come_up(world: &mut World) -> Result<(), Broken> {
    if !world.server.up {
        world.apply(Choice::ServerStart)?;
    }
    if !world.honest {
        world.apply(Choice::ServerCut)?;
    }
    world.apply(Choice::ServerConnect(0))?;
    for number in 1..=u16::try_from(world.devices.len()).unwrap_or(u16::MAX) {
        // A spec that was refused for a wrong clock is looked at again with a connection.
        if !world.honest || world.device(number).ahead_ms > 0 {
            world.apply(Choice::Cut(number))?;
        }
        world.apply(Choice::DeviceClock(number, 0))?;
    }
    Ok(())
}

/// Lets everything happen that can until nothing can.
///
/// # Errors
/// What is broken on the way, or that it never ends.
pub fn rest(world: &mut World) -> Result<(), Broken> {
    let devices = u32::try_from(world.devices.len()).unwrap_or(u32::MAX);
    let last = world.step + STEPS_TO_REST + STEPS_TO_REST_PER_DEVICE * devices;
    let mut choices = Vec::new();
    while world.step < last {
        choices.clear();
        // Devices and the rest of the world take turns by chance.
        if world.dice.chance(150) {
            device_with_something(world, &mut choices);
        }
        if choices.is_empty() {
            world.central_choices(&mut choices);
        }
        if choices.is_empty() {
            device_with_something(world, &mut choices);
        }
        let choice = match any(world, &choices) {
            Some(Choice::Finish(number, _)) => Choice::Finish(number, end(world)),
            Some(choice) => choice,
            None => match world.next_due_ms() {
                Some(0) | None if world.server.is_quiet() => return Ok(()),
                Some(_) if world.server.is_quiet() && world.only_looks() => return Ok(()),
                Some(ms) => {
                    let ms = world.looked_past_ms().unwrap_or(ms);
                    world.apply(Choice::Wait(ms))?;
                    Choice::Review
                }
                None => Choice::Review,
            },
        };
        world.apply(choice)?;
    }
    Err(Broken {
        invariant: "everything-comes-to-rest",
        what: busy(world),
    })
}

/// The choices of a device that has something to do, from a random device on.
fn device_with_something(world: &mut World, choices: &mut Vec<Choice>) {
    let count = u16::try_from(world.devices.len()).unwrap_or(u16::MAX);
    let first = any_device(world);
    for offset in 0..count {
        let number = (first - 1 + offset) % count + 1;
        world.device_choices(number, choices);
        if !choices.is_empty() {
            return;
        }
    }
}

fn busy(world: &World) -> String {
    let devices = world.devices.iter().filter(|device| device.is_working());
    let devices: Vec<_> = devices.map(|device| (&device.id, device.doing())).collect();
    let due = world.next_due_ms();
    let (quiet, orders) = (world.server.is_quiet(), world.orders.len());
    let waits = world.server.waits_for();
    format!("{devices:?}, due in {due:?} ms, server quiet {quiet}: {waits}, {orders} orders left")
}
