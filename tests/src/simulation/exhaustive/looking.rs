//! Everything that can happen next by one party, and everything that can go wrong before and
//! in it.

use super::super::choice::Choice;
use super::super::device::{Doing, End};
use super::super::invariants::Broken;
use super::super::server::Fate;
use super::Left;
use super::state::View;
use super::turn::Turns;

/// Something that can happen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer {
    pub(super) choice: Choice,
    /// True if nobody else can tell when the choice happens.
    pub(super) private: bool,
}

/// A view after something has happened, and how.
type Out = (View, Vec<Choice>, Result<(), Broken>);

/// Looks at everything that can happen next by one party.
pub(super) struct Looking<'a> {
    turns: &'a Turns,
    /// As in a [`Turn`](super::turn::Turn).
    pub(super) private: bool,
    pub(super) reconciles: bool,
    pub(super) any: bool,
    pub(super) timers: bool,
    pub(super) outs: Vec<Out>,
}

impl<'a> Looking<'a> {
    pub(super) fn new(turns: &'a Turns) -> Self {
        Self {
            turns,
            private: false,
            reconciles: false,
            any: false,
            timers: false,
            outs: Vec::new(),
        }
    }

    /// Looks at a device's turn, or (0) at that of what is shared.
    pub(super) fn all(&mut self, view: &View, device: u16) {
        let mut offers = Vec::new();
        self.turns.offers(view, device, &mut offers);
        let timers = |offer: &Offer| {
            matches!(
                offer.choice,
                Choice::Timers | Choice::Search | Choice::DrawLine
            )
        };
        self.timers = match device {
            0 => offers.iter().any(timers),
            _ => self.turns.is_due(view, device),
        };
        offers.retain(|offer| !timers(offer));
        self.any = !offers.is_empty();
        let first = offers.iter().find(|offer| offer.private).copied();
        self.private = first.is_some();
        let reconciles = |offer: Offer| matches!(offer.choice, Choice::Reconcile);
        self.reconciles = device == 0 && first.is_some_and(reconciles);
        match first {
            Some(Offer { choice, .. }) => {
                self.crash_of(Party::of(choice), view);
                self.follow(view, choice);
            }
            None => {
                self.crash_of(Party::numbered(device), view);
                for offer in offers {
                    self.follow(view, offer.choice);
                }
            }
        }
    }

    /// Lets something happen, and everything go wrong in it that can.
    fn follow(&mut self, view: &View, choice: Choice) {
        self.accidents(view, choice);
        self.take(view, view.left, &[choice]);
    }

    /// Lets these things happen, one after the other.
    fn take(&mut self, view: &View, left: Left, choices: &[Choice]) {
        let mut view = view.clone();
        view.left = left;
        let taken = choices
            .iter()
            .try_for_each(|choice| self.turns.take(&mut view, *choice));
        self.outs.push((view, choices.to_vec(), taken));
    }

    /// A party ends where it is.
    fn crash_of(&mut self, party: Party, view: &View) {
        let (choice, left) = match party {
            Party::Server => (Choice::ServerCrash, view.left.server_crash()),
            Party::Device(number) => (Choice::PowerCut(number), view.left.power_cut(number)),
        };
        let running = party != Party::Server || self.turns.steps.server(&view.parts).up;
        if let Some(left) = left.filter(|_| running) {
            self.take(view, left, &[choice]);
        }
    }

    /// Offers the accidents that can come in a step.
    fn accidents(&mut self, view: &View, choice: Choice) {
        let (crash, lost) = (view.left.server_crash(), view.left.message());
        let crashed = Fate::CrashAfter(0);
        let mut wrong = |left: Option<Left>, choices: &[Choice]| {
            if let Some(left) = left {
                self.take(view, left, choices);
            }
        };
        match choice {
            Choice::Order(_) => {
                wrong(crash, &[Choice::Order(crashed)]);
                wrong(lost, &[Choice::Order(Fate::Repeats)]);
            }
            Choice::Serve(line, _) => {
                wrong(crash, &[Choice::Serve(line, crashed)]);
                wrong(lost, &[Choice::Serve(line, Fate::Repeats)]);
                wrong(lost, &[Choice::LoseToServer(line), Choice::ServerCut]);
            }
            Choice::Hear(number, line) => {
                wrong(lost, &[Choice::Repeat(number, line)]);
                wrong(lost, &[Choice::Cut(number)]);
            }
            Choice::Acknowledge(number) => wrong(lost, &[Choice::Cut(number)]),
            Choice::Finish(number, _) => {
                let doing = self.turns.steps.device(&view.parts, number).doing();
                let script = matches!(doing, Some(Doing::Script(_) | Doing::Proof));
                let left = view.left.script_fails().filter(|_| script);
                if let Some(left) = left {
                    self.take(view, left, &[Choice::Finish(number, End::Fails)]);
                }
            }
            _ => {}
        }
        if let Party::Device(number) = Party::of(choice) {
            self.cut_inside(view, number, choice);
        }
    }

    /// The power goes after each of the effects of a step but the last: after that one it
    /// goes in the next state.
    fn cut_inside(&mut self, view: &View, number: u16, choice: Choice) {
        let Some(left) = view.left.power_cut(number) else {
            return;
        };
        for effects in 1.. {
            self.take(view, left, &[Choice::Fuse(number, effects), choice]);
            let Some((cut, _, Ok(()))) = self.outs.last() else {
                return;
            };
            if self.turns.steps.device(&cut.parts, number).fuse.is_some() {
                self.outs.pop();
                return;
            }
        }
    }
}

/// The party that takes a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Party {
    Server,
    Device(u16),
}

impl Party {
    /// A device, or the server for what is shared.
    fn numbered(device: u16) -> Self {
        match device {
            0 => Self::Server,
            device => Self::Device(device),
        }
    }

    fn of(choice: Choice) -> Self {
        match choice {
            Choice::Hear(number, _)
            | Choice::Finish(number, _)
            | Choice::Wake(number)
            | Choice::Acknowledge(number)
            | Choice::Announce(number)
            | Choice::Will(number)
            | Choice::Connect(number) => Self::Device(number),
            _ => Self::Server,
        }
    }
}
