//! Breadth-first search over states, on every core: no state is looked at twice, and the
//! first way to a broken invariant is a shortest one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasherDefault;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::super::choice::Choice;
use super::super::hash128::Hash128;
use super::super::invariants::{Broken, finally};
use super::Explored;
use super::state::{State, View};
use super::turn::{NOBODY, Turn, Turns};

/// States taken from a layer at once.
const CHUNK: usize = 256;
/// One way in so many is also walked in the whole world, in a build that checks itself.
const PROVED: u64 = 8;
/// Parts of what was met that are locked by themselves, by what is shared.
const SHARDS: usize = 1 << 14;

/// States that were met, each with the one before it; the first has itself.
type Met = HashMap<State, State, BuildHasherDefault<Hash128>>;

/// Steps, each with the state before it.
pub(super) type Path = Vec<(State, Step)>;

/// The findings of one thread.
#[derive(Default)]
struct Found {
    next: Vec<State>,
    transitions: u64,
    ends: usize,
    /// The broken invariant, and the way to it from a state.
    broken: Option<(Broken, State, Path)>,
}

/// The party that has a turn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// The first device of a state.
    First,
    Second,
    /// The shared part comes last: a device's spec goes out before a group's.
    Shared,
}

/// A step from a state.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// A turn, to one of its outs, or to what it breaks.
    Turn(Who, Option<(u32, u32)>),
    /// The server looks at its timers.
    Timers,
    /// So many ms pass.
    Wait(u64),
}

/// The freedom of the other parties to do what nobody can tell during a turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    Rest,
    MayGoOn,
}

pub(super) struct Search<'a> {
    pub(super) turns: &'a Turns,
    met: Vec<Mutex<Met>>,
    states: AtomicUsize,
    states_max: usize,
    stop: AtomicBool,
    threads: usize,
    pub(super) first: State,
}

impl<'a> Search<'a> {
    /// From a state of which these are two views, the devices' names changed round in the
    /// other.
    pub(super) fn new(turns: &'a Turns, views: [&View; 2], states_max: usize) -> Self {
        Self {
            turns,
            met: (0..SHARDS).map(|_| Mutex::default()).collect(),
            states: AtomicUsize::new(0),
            states_max,
            stop: AtomicBool::new(false),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            first: turns.states.whole(&turns.steps, views[0], views[1]),
        }
    }

    pub(super) fn run(self, progress: impl Fn(usize, usize)) -> Explored {
        let mut found: Vec<Found> = (0..self.threads).map(|_| Found::default()).collect();
        let mut layer = vec![Self::kept(self.first)];
        self.is_new(self.first, Self::kept(self.first));
        let mut depth = 0;
        while !layer.is_empty() && !self.stop.load(Ordering::Relaxed) {
            layer = self.layer(&layer, &mut found);
            depth += usize::from(!layer.is_empty());
            progress(depth, self.states.load(Ordering::Relaxed));
        }
        let complete = !self.stop.load(Ordering::Relaxed);
        let broken = found.iter_mut().find_map(|found| found.broken.take());
        Explored {
            states: self.states.load(Ordering::Relaxed),
            transitions: found.iter().map(|found| found.transitions).sum(),
            ends: found.iter().map(|found| found.ends).sum(),
            depth,
            complete,
            broken: broken.map(|(broken, state, last)| (broken, self.way(state, &last))),
        }
    }

    /// Expands a layer; what is new is the next.
    fn layer(&self, layer: &[State], found: &mut [Found]) -> Vec<State> {
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for found in found.iter_mut() {
                let (next, search) = (&next, &*self);
                scope.spawn(move || search.work(layer, next, found));
            }
        });
        let fresh = found.iter_mut();
        let fresh = fresh.flat_map(|found| std::mem::take(&mut found.next));
        let mut fresh: Vec<State> = fresh.collect();
        // States that have much in common are near each other in memory.
        fresh.sort_unstable();
        fresh
    }

    /// Threads are far from each other in a layer: what is near is locked together.
    fn work(&self, layer: &[State], next: &AtomicUsize, found: &mut Found) {
        let each = layer.len().div_ceil(CHUNK).div_ceil(self.threads);
        loop {
            let taken = next.fetch_add(1, Ordering::Relaxed);
            if taken >= each * self.threads || self.stop.load(Ordering::Relaxed) {
                return;
            }
            let chunk = taken % self.threads * each + taken / self.threads;
            for state in layer.iter().skip(chunk * CHUNK).take(CHUNK) {
                self.expand(*state, found);
            }
        }
    }

    fn expand(&self, state: State, found: &mut Found) {
        let Found {
            next,
            transitions,
            broken: first,
            ..
        } = found;
        let ends = self.walk(state, |path, reached| {
            *transitions += 1;
            if cfg!(debug_assertions) && transitions.is_multiple_of(PROVED) {
                self.prove(path, &reached);
            }
            match reached {
                Ok(reached) if self.is_new(reached, state) => next.push(Self::kept(reached)),
                Ok(_) => {}
                Err(broken) => {
                    self.stop.store(true, Ordering::Relaxed);
                    first.get_or_insert_with(|| (broken, state, path.to_vec()));
                }
            }
        });
        found.ends += ends;
    }

    /// The result of choices that the whole world takes part in.
    fn whole(&self, state: State, choices: &[Choice]) -> Result<State, Broken> {
        let (steps, states) = (&self.turns.steps, &self.turns.states);
        let [view, other] = [[1, 2], [2, 1]].map(|names| {
            let mut view = states.together(steps, state, names);
            let mut choices = choices.iter();
            let taken = choices.try_for_each(|choice| self.turns.take(&mut view, *choice));
            taken.map(|()| view)
        });
        Ok(states.whole(steps, &view?, &other?))
    }

    /// The turns in a state.
    fn turns(&self, state: State) -> [(Who, &'a Turn); 3] {
        let [shared, first, second] = state;
        let round = self.turns.states.changed_round(&self.turns.steps, shared);
        [
            (Who::First, self.turns.turn(shared, first)),
            (Who::Second, self.turns.turn(round, second)),
            (Who::Shared, self.turns.turn(shared, NOBODY)),
        ]
    }

    /// The state with its devices changed round as it is kept.
    fn kept(state: State) -> State {
        let [shared, first, second] = state;
        [shared, first.min(second), first.max(second)]
    }

    fn is_new(&self, state: State, before: State) -> bool {
        let state = Self::kept(state);
        let shard = &self.met[state[0] as usize % SHARDS];
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        match shard.entry(state) {
            Entry::Occupied(_) => return false,
            Entry::Vacant(vacant) => vacant.insert(before),
        };
        drop(shard);
        if self.states.fetch_add(1, Ordering::Relaxed) >= self.states_max {
            self.stop.store(true, Ordering::Relaxed);
        }
        true
    }

    fn before(&self, state: State) -> Option<State> {
        let shard = &self.met[state[0] as usize % SHARDS];
        let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        shard.get(&state).copied().filter(|before| *before != state)
    }

    /// The events of a path, with the devices by these names.
    pub(super) fn choices(&self, path: &[(State, Step)], names: [u16; 2]) -> Vec<Choice> {
        let choices = path.iter().map(|(state, step)| {
            let [shared, first, second] = *state;
            let way = match step {
                Step::Wait(ms) => return vec![Choice::Wait(*ms), Choice::Review],
                Step::Timers => return vec![Choice::Timers],
                Step::Turn(Who::Shared, to) => self.turns.way(shared, NOBODY, 1, *to),
                Step::Turn(Who::First, to) => self.turns.way(shared, first, names[0], *to),
                Step::Turn(Who::Second, to) => {
                    let round = self.turns.states.changed_round(&self.turns.steps, shared);
                    self.turns.way(round, second, names[1], *to)
                }
            };
            way.unwrap_or_default()
        });
        choices.flatten().collect()
    }

    /// The way to a state and by a path on, found again.
    fn way(&self, state: State, last: &[(State, Step)]) -> Vec<Choice> {
        let mut chain = vec![state];
        while let Some(before) = self.before(chain[chain.len() - 1]) {
            chain.push(before);
        }
        chain.reverse();
        let mut way = Vec::new();
        let mut names = match Self::kept(self.first) == self.first {
            true => [1, 2],
            false => [2, 1],
        };
        for (from, to) in chain.iter().zip(chain.iter().skip(1)) {
            let mut piece = None;
            let reach = |path: &[(State, Step)], reached: Result<State, Broken>| {
                if let (None, Ok(reached)) = (&piece, reached)
                    && Self::kept(reached) == *to
                {
                    piece = Some((self.choices(path, names), reached));
                }
            };
            self.walk(*from, reach);
            let Some((choices, reached)) = piece else {
                break;
            };
            way.extend(choices);
            if reached != *to {
                names.reverse();
            }
        }
        way.extend(self.choices(last, names));
        way
    }

    /// Everything that a state leads to; returns how many of it are ends.
    fn walk(
        &self,
        state: State,
        reach: impl FnMut(&[(State, Step)], Result<State, Broken>),
    ) -> usize {
        let mut walk = Walk {
            search: self,
            path: Vec::new(),
            ends: 0,
            reach,
        };
        walk.from(state);
        walk.ends
    }
}

/// Everything that a state leads to: from it on, through steps that nobody else can tell.
struct Walk<'a, F: FnMut(&[(State, Step)], Result<State, Broken>)> {
    search: &'a Search<'a>,
    path: Path,
    ends: usize,
    reach: F,
}

impl<F: FnMut(&[(State, Step)], Result<State, Broken>)> Walk<'_, F> {
    fn from(&mut self, state: State) {
        let turns = self.search.turns(state);
        for (who, turn) in turns {
            self.follow(state, who, turn, Others::Rest);
        }
        if turns.iter().any(|(_, turn)| turn.timers) {
            let reached = self.search.whole(state, &[Choice::Timers]);
            self.arrive(state, Step::Timers, reached);
        } else if turns.iter().all(|(_, turn)| !turn.any) {
            self.quiet(state);
        }
    }

    fn follow(&mut self, state: State, who: Who, turn: &Turn, others: Others) {
        let turns = self.search.turns;
        for (shared, own) in &turn.outs {
            let [_, first, second] = state;
            let next = match who {
                Who::First => [*shared, *own, second],
                Who::Second => {
                    let shared = turns.states.changed_round(&turns.steps, *shared);
                    [shared, first, *own]
                }
                Who::Shared => [*shared, first, second],
            };
            let step = Step::Turn(who, Some((*shared, *own)));
            if next[0] == state[0] && others == Others::Rest {
                // It has come to rest itself, and nobody else can tell.
                self.path.push((state, step));
                (self.reach)(&self.path, Ok(next));
                self.path.pop();
            } else {
                self.arrive(state, step, Ok(next));
            }
        }
        if let Some(broken) = &turn.broken {
            self.arrive(state, Step::Turn(who, None), Err(broken.clone()));
        }
    }

    fn arrive(&mut self, state: State, step: Step, reached: Result<State, Broken>) {
        self.path.push((state, step));
        let private = reached.as_ref().ok().and_then(|next| {
            let turns = self.search.turns(*next);
            turns.into_iter().find(|(_, turn)| turn.private)
        });
        match (reached, private) {
            (Ok(next), Some((who, turn))) => self.follow(next, who, turn, Others::MayGoOn),
            (reached, _) => (self.reach)(&self.path, reached),
        }
        self.path.pop();
    }

    /// Time passes only when nothing else can happen.
    fn quiet(&mut self, state: State) {
        let turns = self.search.turns;
        let view = turns.states.together(&turns.steps, state, [1, 2]);
        let world = turns.steps.world(&view.parts);
        if let Some(ms) = world.next_due_ms().filter(|ms| *ms > 0) {
            let choices = [Choice::Wait(ms), Choice::Review];
            let reached = self.search.whole(state, &choices);
            return self.arrive(state, Step::Wait(ms), reached);
        }
        self.ends += 1;
        if let Err(broken) = finally::check(&world) {
            (self.reach)(&self.path, Err(broken));
        }
    }
}
