//! What a state leads to: everything that can happen in it, and everything that can go wrong
//! before, in and after it.

use super::super::choice::Choice;
use super::super::device::{Doing, End};
use super::super::invariants::{Broken, finally};
use super::super::server::Fate;
use super::Left;
use super::part::DEVICES;
use super::step::{Offer, State, Steps};

/// A state with what may still go wrong, and the way to it from the one before.
#[derive(Clone)]
pub(super) struct Walk {
    pub(super) state: State,
    pub(super) left: Left,
    pub(super) way: Vec<Choice>,
}

/// Where a way leads.
pub(super) enum Reached {
    State,
    /// Nothing more can happen.
    End,
    Broken(Broken),
}

/// All that a state leads to, always in the same order.
pub(super) struct Moves<'a, F: FnMut(&Walk, Reached)> {
    pub(super) steps: &'a Steps,
    pub(super) reach: F,
    pub(super) offers: Vec<Offer>,
}

impl<F: FnMut(&Walk, Reached)> Moves<'_, F> {
    /// Follows everything that can happen in a state.
    pub(super) fn all(&mut self, state: State, left: Left) {
        let walk = Walk {
            state,
            left,
            way: Vec::new(),
        };
        self.offers.clear();
        self.steps.offers(&walk.state, &mut self.offers);
        let offers = self.offers.clone();
        if offers.is_empty() {
            self.quiet(&walk);
        }
        for number in 1..=DEVICES {
            self.crash_of(Party::Device(number), &walk);
        }
        self.crash_of(Party::Server, &walk);
        for offer in offers {
            self.follow(walk.clone(), offer.choice);
        }
    }

    /// Time passes only when nothing else can happen.
    fn quiet(&mut self, walk: &Walk) {
        let world = self.steps.world(&walk.state);
        match world.next_due_ms().filter(|ms| *ms > 0) {
            Some(ms) => self.settle(walk.clone(), &[Choice::Wait(ms), Choice::Review]),
            None => {
                let reached = match finally::check(&world) {
                    Ok(()) => Reached::End,
                    Err(broken) => Reached::Broken(broken),
                };
                (self.reach)(walk, reached);
            }
        }
    }

    /// Lets something happen and after it everything whose order nobody else can tell; at
    /// each of these steps everything may go wrong that can.
    fn follow(&mut self, mut walk: Walk, mut choice: Choice) {
        loop {
            self.accidents(&walk, choice);
            if let Err(broken) = self.take(&mut walk, choice) {
                return (self.reach)(&walk, Reached::Broken(broken));
            }
            match self.private(&walk.state) {
                Some(next) => choice = next,
                None => return (self.reach)(&walk, Reached::State),
            }
            if let Some(party) = Party::of(choice) {
                self.crash_of(party, &walk);
            }
        }
    }

    /// Lets these things happen, and after them everything that nobody else can tell.
    fn settle(&mut self, mut walk: Walk, choices: &[Choice]) {
        let mut taken = choices
            .iter()
            .try_for_each(|choice| self.take(&mut walk, *choice));
        while let (Ok(()), Some(choice)) = (&taken, self.private(&walk.state)) {
            taken = self.take(&mut walk, choice);
        }
        let reached = match taken {
            Ok(()) => Reached::State,
            Err(broken) => Reached::Broken(broken),
        };
        (self.reach)(&walk, reached);
    }

    fn take(&self, walk: &mut Walk, choice: Choice) -> Result<(), Broken> {
        walk.way.push(choice);
        self.steps.take(&mut walk.state, choice)
    }

    fn private(&mut self, state: &State) -> Option<Choice> {
        self.offers.clear();
        self.steps.offers(state, &mut self.offers);
        let private = self.offers.iter().find(|offer| offer.private);
        private.map(|offer| offer.choice)
    }

    /// A party ends where it is.
    fn crash_of(&mut self, party: Party, walk: &Walk) {
        let (choice, left) = match party {
            Party::Server => (Choice::ServerCrash, walk.left.server_crash()),
            Party::Device(number) => (Choice::PowerCut(number), walk.left.power_cut(number)),
        };
        let running = party != Party::Server || self.steps.server(&walk.state).up;
        if let Some(left) = left.filter(|_| running) {
            let mut walk = walk.clone();
            walk.left = left;
            self.settle(walk, &[choice]);
        }
    }

    /// What can go wrong in a step.
    fn accidents(&mut self, walk: &Walk, choice: Choice) {
        let left = walk.left;
        let crash = Fate::CrashAfter(0);
        let wrong: &[(Option<Left>, &[Choice])] = &match choice {
            Choice::Order(_) => [
                (left.server_crash(), &[Choice::Order(crash)][..]),
                (left.message(), &[Choice::Order(Fate::Repeats)]),
                (None, &[]),
            ],
            Choice::Serve(line, _) => [
                (left.server_crash(), &[Choice::Serve(line, crash)][..]),
                (left.message(), &[Choice::Serve(line, Fate::Repeats)]),
                (
                    left.message(),
                    &[Choice::LoseToServer(line), Choice::ServerCut],
                ),
            ],
            Choice::Hear(number, line) => [
                (left.message(), &[Choice::Repeat(number, line)][..]),
                (left.message(), &[Choice::Cut(number)]),
                (None, &[]),
            ],
            Choice::Acknowledge(number) => [
                (left.message(), &[Choice::Cut(number)][..]),
                (None, &[]),
                (None, &[]),
            ],
            Choice::Finish(number, _) => {
                let doing = self.steps.device(&walk.state, number).doing();
                let script = left.script_fails();
                let script = script.filter(|_| matches!(doing, Some(Doing::Script(_))));
                [
                    (script, &[Choice::Finish(number, End::Fails)][..]),
                    (None, &[]),
                    (None, &[]),
                ]
            }
            _ => [(None, &[]), (None, &[]), (None, &[])],
        };
        for (left, choices) in wrong {
            if let Some(left) = left {
                let mut walk = walk.clone();
                walk.left = *left;
                self.settle(walk, choices);
            }
        }
        if let Some(Party::Device(number)) = Party::of(choice) {
            self.cut_inside(walk, number, choice);
        }
    }

    /// The power goes after each of the effects of a step but the last: after that one it
    /// goes in the next state.
    fn cut_inside(&mut self, walk: &Walk, number: u16, choice: Choice) {
        let Some(left) = walk.left.power_cut(number) else {
            return;
        };
        for effects in 1.. {
            let mut cut = walk.clone();
            cut.left = left;
            let fuse = Choice::Fuse(number, effects);
            let taken = self
                .take(&mut cut, fuse)
                .and_then(|()| self.take(&mut cut, choice));
            if let Err(broken) = taken {
                return (self.reach)(&cut, Reached::Broken(broken));
            }
            if self.steps.device(&cut.state, number).fuse.is_some() {
                return;
            }
            self.settle(cut, &[]);
        }
    }
}

/// Who takes a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Party {
    Server,
    Device(u16),
}

impl Party {
    fn of(choice: Choice) -> Option<Self> {
        match choice {
            Choice::Order(_)
            | Choice::Serve(..)
            | Choice::Reconcile
            | Choice::Timers
            | Choice::Search
            | Choice::DrawLine
            | Choice::ServerConnect(_) => Some(Self::Server),
            Choice::Hear(number, _)
            | Choice::Finish(number, _)
            | Choice::Wake(number)
            | Choice::Acknowledge(number)
            | Choice::Announce(number)
            | Choice::Connect(number) => Some(Self::Device(number)),
            _ => None,
        }
    }
}
