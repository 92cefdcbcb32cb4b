//! Every case of a scenario: every cut, every second one before the device has recovered
//! from it, and every way in which its disk refuses. A cut that leaves a world behind that
//! another one left is not lived through again: what follows depends on nothing else.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::cut::{Cut, Moment};
use super::device::{Forks, Until, live};
use super::disk::Forking;
use super::fault::Fault;
use super::scenario::Scenario;
use super::stories::find;
use super::trouble::{Illness, Lasts, Trouble};
use super::world::World;

/// The depth of the exploration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Single cuts.
    Once,
    /// And every second cut while the device recovers.
    Twice,
}

/// The results of all cases.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Cases: each was lived through, or leads to a world that was.
    pub cases: u64,
    /// Stories lived through.
    pub stories: u64,
    /// Cases with a fault, by its name.
    pub faults: BTreeMap<&'static str, Bad>,
}

/// Cases with one fault.
#[derive(Debug, Clone)]
pub struct Bad {
    /// The number of cases.
    pub cases: u64,
    /// The fault of the first, and what tells it again.
    pub first: String,
}

impl Tally {
    /// Cases with a fault of this name.
    pub fn count(&self, name: &str) -> u64 {
        self.faults.get(name).map_or(0, |bad| bad.cases)
    }

    /// Cases with any fault.
    pub fn bad(&self) -> u64 {
        self.faults.values().map(|bad| bad.cases).sum()
    }

    /// Adds what another came to.
    pub fn add(&mut self, other: Self) {
        self.cases += other.cases;
        self.stories += other.stories;
        for (name, bad) in other.faults {
            match self.faults.get_mut(name) {
                Some(known) => known.cases += bad.cases,
                None => drop(self.faults.insert(name, bad)),
            }
        }
    }

    /// The first case of every fault, for people.
    pub fn firsts(&self) -> Vec<&str> {
        self.faults.values().map(|bad| bad.first.as_str()).collect()
    }

    fn ended(&mut self, world: &World, case: impl FnOnce() -> String) {
        self.stories += 1;
        if let Some(fault) = &world.fault {
            let bad = self.faults.entry(fault.name()).or_insert_with(|| Bad {
                cases: 0,
                first: format!("{fault}\n{}", case()),
            });
            bad.cases += 1;
        }
    }
}

/// Lives through a story; a panic is a fault.
fn tell(world: &mut World, forks: &mut Forks<'_>) {
    let lived = catch_unwind(AssertUnwindSafe(|| live(world, forks)));
    if let Err(panic) = lived {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        world.blame(Fault::Panic(text.unwrap_or_default().to_owned()));
    }
}

/// Ok if the story goes as its scenario says when nothing goes wrong.
pub fn goes_as_expected(scenario: Scenario) -> Result<(), String> {
    let mut world = World::new(Arc::new(scenario));
    world.log = Some(Vec::new());
    tell(&mut world, &mut Forks::none());
    if world.fault.is_none() && world.went_as_expected() {
        return Ok(());
    }
    let log = world.log.unwrap_or_default().join("\n");
    Err(format!("{log}\n{:?} {:?}", world.fault, world.results))
}

fn forking(world: &World) -> Forking {
    match world.scenario.damage && !world.damaged {
        true => Forking::Damage,
        false => Forking::Cuts,
    }
}

/// Cuts the power of a device wherever it hurts; stops early at `enough` bad cases.
pub fn cuts(scenario: &Scenario, depth: Depth, enough: u64) -> Tally {
    let seen = Mutex::new(HashSet::new());
    let is_new = |world| {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(world)
    };
    let mut tally = Tally::default();
    let mut world = World::new(Arc::new(scenario.clone()));
    let wanted = forking(&world);
    let firsts = branch(&mut world, wanted, Until::End, &is_new, &mut tally);
    tally.cases += 1;
    tally.ended(&world, || case(&world, &[]));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut tally = Tally::default();
        while let Some((first, world)) = firsts.get(next.fetch_add(1, Ordering::Relaxed)) {
            after(*first, world.clone(), depth, &is_new, &mut tally);
            if tally.bad() >= enough {
                next.store(firsts.len(), Ordering::Relaxed);
            }
        }
        tally
    };
    for more in on_every_core(work) {
        tally.add(more);
    }
    tally
}

/// One first cut and, if wanted, every second one.
fn after(
    first: Cut,
    mut world: World,
    depth: Depth,
    is_new: &dyn Fn(u64) -> bool,
    tally: &mut Tally,
) {
    let wanted = match depth {
        Depth::Once => Forking::Off,
        Depth::Twice => forking(&world),
    };
    let seconds = branch(&mut world, wanted, Until::NextOrder, is_new, tally);
    tally.ended(&world, || case(&world, &[first]));
    for (second, mut world) in seconds {
        tell(&mut world, &mut Forks::none());
        tally.ended(&world, || case(&world, &[first, second]));
    }
}

/// Lives through a story and returns where it could have been cut off.
fn branch(
    world: &mut World,
    forking: Forking,
    until: Until,
    is_new: &dyn Fn(u64) -> bool,
    tally: &mut Tally,
) -> Vec<(Cut, World)> {
    let mut forks = Forks {
        forking,
        until,
        is_new,
        found: Vec::new(),
        cuts: 0,
    };
    tell(world, &mut forks);
    tally.cases += forks.cuts;
    forks.found
}

/// Lets the disk refuse at every operation, in every way, for as long as every `Lasts`.
pub fn troubles(scenario: &Scenario, lasts: &[Lasts], enough: u64) -> Tally {
    let scenario = Arc::new(scenario.clone());
    let mut world = World::new(scenario.clone());
    tell(&mut world, &mut Forks::none());
    let touches = world.disk.touches();
    let every = (0..touches).flat_map(|from| {
        Illness::ALL
            .iter()
            .flat_map(move |(illness, _)| lasts.iter().map(move |lasts| (from, *illness, *lasts)))
    });
    let every: Vec<_> = every.collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut tally = Tally::default();
        while let Some((from, illness, lasts)) = every.get(next.fetch_add(1, Ordering::Relaxed)) {
            let trouble = Trouble::new(*illness, *from, *lasts);
            let mut world = World::new(scenario.clone());
            ail(&mut world, trouble);
            tally.cases += 1;
            tally.ended(&world, || trouble_case(&world, trouble));
            if tally.bad() >= enough {
                next.store(every.len(), Ordering::Relaxed);
            }
        }
        tally
    };
    let mut tally = Tally::default();
    for more in on_every_core(work) {
        tally.add(more);
    }
    tally
}

/// A story with trouble, and after it a power cut on a disk that is well: what was said to
/// be kept is kept, and whatever was not finished is.
fn ail(world: &mut World, trouble: Trouble) {
    world.disk.set_trouble(Some(trouble));
    tell(world, &mut Forks::none());
    if world.fault.is_some() {
        return;
    }
    world.note(|| "the power goes, and the disk is well again".to_owned());
    world.disk.set_trouble(None);
    world.disk.lose_what_is_not_synced();
    world.boot += 1;
    tell(world, &mut Forks::none());
}

fn on_every_core(work: impl Fn() -> Tally + Sync) -> Vec<Tally> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(&work)).collect();
        let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined.map(|tally| tally.expect("no panic")).collect()
    })
}

fn case(world: &World, cuts: &[Cut]) -> String {
    let mut case = world.scenario.name.to_owned();
    for cut in cuts {
        let _ = write!(case, ":{}:{}", cut.operation, cut.moment.word());
    }
    case
}

fn trouble_case(world: &World, trouble: Trouble) -> String {
    let Trouble {
        illness,
        from,
        lasts,
        ..
    } = trouble;
    let name = world.scenario.name;
    format!("{name}:{from}:{}:{}", illness.word(), lasts.word())
}

/// Lives through one case again: its log, and the fault if there is one.
///
/// # Errors
/// What cannot be understood in it.
pub fn replay(case: &str) -> Result<(Vec<String>, Option<Fault>), String> {
    let mut words = case.split(':');
    let name = words.next().unwrap_or_default();
    let scenario = find(name).ok_or(format!("no scenario is called {name:?}"))?;
    let mut world = World::new(Arc::new(scenario));
    world.log = Some(Vec::new());
    let words: Vec<_> = words.collect();
    if let [from, illness, lasts] = words[..] {
        let from = number(from)?;
        let illness = word(&Illness::ALL, illness)?;
        let lasts = word(&Lasts::ALL, lasts)?;
        ail(&mut world, Trouble::new(illness, from, lasts));
        return Ok((world.log.unwrap_or_default(), world.fault));
    }
    for pair in words.chunks(2) {
        let [operation, moment] = pair else {
            return Err("a cut is an operation and a moment".to_owned());
        };
        let operation = number(operation)?;
        let moment = word(&Moment::ALL, moment)?;
        let wanted = Cut { operation, moment };
        let forking = forking(&world);
        let (end, mut tally) = (Until::End, Tally::default());
        let found = branch(&mut world, forking, end, &|_| true, &mut tally);
        let found = found.into_iter().find(|(cut, _)| *cut == wanted);
        let (_, after) = found.ok_or(format!("there is no cut {wanted:?}"))?;
        world = after;
        world.note(|| format!("CUT {wanted:?}"));
    }
    tell(&mut world, &mut Forks::none());
    Ok((world.log.unwrap_or_default(), world.fault))
}

fn number(word: &str) -> Result<usize, String> {
    word.parse().map_err(|_| format!("{word:?} is no number"))
}

fn word<T: Copy>(all: &[(T, &str)], wanted: &str) -> Result<T, String> {
    let found = all.iter().find(|(_, word)| *word == wanted);
    let words: Vec<_> = all.iter().map(|(_, word)| *word).collect();
    found
        .map(|(value, _)| *value)
        .ok_or(format!("{wanted:?} is none of {}", words.join(", ")))
}
