//! Breadth-first search over states, on every core: no state is looked at twice, and the
//! first way to a broken invariant is a shortest one.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::super::choice::Choice;
use super::super::invariants::Broken;
use super::moves::{Moves, Reached, Walk};
use super::step::{State, Steps};
use super::table::{Table, hash128};
use super::{Explored, Left};

/// States taken from a layer at once.
const CHUNK: usize = 256;

#[derive(Clone)]
pub(super) struct Node {
    state: State,
    left: Left,
    /// Its place among the parents.
    place: u32,
}

/// How a state was reached first: from where, and by which of the moves there.
type Parent = (u32, u32);

/// What one thread found.
#[derive(Default)]
struct Found {
    parents: Vec<Parent>,
    next: Vec<Node>,
    transitions: u64,
    ends: usize,
    broken: Option<(Broken, u32, u32)>,
}

pub(super) struct Search<'a> {
    steps: &'a Steps,
    /// What was met, to the letter, and what counts of it.
    seen: Table<()>,
    states: AtomicUsize,
    states_max: usize,
    stop: AtomicBool,
    first: Node,
    threads: usize,
    found: Vec<Found>,
}

impl<'a> Search<'a> {
    pub(super) fn new(steps: &'a Steps, state: State, left: Left, states_max: usize) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            steps,
            seen: Table::new(),
            states: AtomicUsize::new(0),
            states_max,
            stop: AtomicBool::new(false),
            first: Node {
                state,
                left,
                place: u32::MAX,
            },
            threads,
            found: (0..threads).map(|_| Found::default()).collect(),
        }
    }

    pub(super) fn run(mut self, progress: impl Fn(usize, usize)) -> Explored {
        let mut layer = vec![self.first.clone()];
        self.is_new(&self.first.state, self.first.left);
        let mut depth = 0;
        while !layer.is_empty() && !self.stop.load(Ordering::Relaxed) {
            layer = self.layer(&layer);
            depth += usize::from(!layer.is_empty());
            progress(depth, self.states.load(Ordering::Relaxed));
        }
        let complete = !self.stop.load(Ordering::Relaxed);
        let broken = self.found.iter_mut().find_map(|found| found.broken.take());
        let sum = |of: fn(&Found) -> u64| self.found.iter().map(of).sum::<u64>();
        Explored {
            states: self.states.load(Ordering::Relaxed),
            transitions: sum(|found| found.transitions),
            ends: sum(|found| found.ends as u64) as usize,
            depth,
            complete,
            broken: broken.map(|(broken, place, nth)| (broken, self.way(place, nth))),
        }
    }

    /// Expands a layer; what is new is the next.
    fn layer(&mut self, layer: &[Node]) -> Vec<Node> {
        let mut found = std::mem::take(&mut self.found);
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for (thread, found) in found.iter_mut().enumerate() {
                let (next, search) = (&next, &*self);
                scope.spawn(move || search.work(layer, next, thread, found));
            }
        });
        let fresh = found
            .iter_mut()
            .flat_map(|found| std::mem::take(&mut found.next));
        let fresh = fresh.collect();
        self.found = found;
        fresh
    }

    fn work(&self, layer: &[Node], next: &AtomicUsize, thread: usize, found: &mut Found) {
        loop {
            let start = next.fetch_add(CHUNK, Ordering::Relaxed);
            if start >= layer.len() || self.stop.load(Ordering::Relaxed) {
                return;
            }
            for node in layer.iter().skip(start).take(CHUNK) {
                self.expand(node, thread, found);
            }
        }
    }

    fn expand(&self, node: &Node, thread: usize, found: &mut Found) {
        let mut nth = 0;
        let reach = |walk: &Walk, reached: Reached| {
            match reached {
                Reached::State => {
                    found.transitions += 1;
                    if self.is_new(&walk.state, walk.left) {
                        let place = found.parents.len() * self.threads + thread;
                        found.parents.push((node.place, nth));
                        found.next.push(Node {
                            state: walk.state,
                            left: walk.left,
                            place: place as u32,
                        });
                    }
                }
                Reached::End => found.ends += 1,
                Reached::Broken(broken) => {
                    found.broken.get_or_insert((broken, node.place, nth));
                    self.stop.store(true, Ordering::Relaxed);
                }
            }
            nth += 1;
        };
        let mut moves = Moves {
            steps: self.steps,
            reach,
            offers: Vec::new(),
        };
        moves.all(node.state, node.left);
    }

    fn is_new(&self, state: &State, left: Left) -> bool {
        let raw = hash128((state, left));
        if !self.seen.is_new(raw, ()) || !self.seen.is_new(self.steps.print(state, left), ()) {
            return false;
        }
        if self.states.fetch_add(1, Ordering::Relaxed) >= self.states_max {
            self.stop.store(true, Ordering::Relaxed);
        }
        true
    }

    /// The way to a state and by one of its moves on, walked once more.
    fn way(&self, mut place: u32, nth: u32) -> Vec<Choice> {
        let mut moves = vec![nth];
        while place != u32::MAX {
            let (thread, index) = (place as usize % self.threads, place as usize / self.threads);
            let (parent, nth) = self.found[thread].parents[index];
            moves.push(nth);
            place = parent;
        }
        let (mut state, mut left) = (self.first.state, self.first.left);
        let mut way = Vec::new();
        while let Some(wanted) = moves.pop() {
            let mut taken = None;
            let mut nth = 0;
            let reach = |walk: &Walk, _: Reached| {
                if nth == wanted {
                    taken = Some(walk.clone());
                }
                nth += 1;
            };
            let mut moves = Moves {
                steps: self.steps,
                reach,
                offers: Vec::new(),
            };
            moves.all(state, left);
            let Some(taken) = taken else { break };
            way.extend(taken.way);
            (state, left) = (taken.state, taken.left);
        }
        way
    }
}
