//! What can happen next by one party, a device or what is shared, and everything that can go
//! wrong before and in it. It is found with nobody else in the world: others can be anywhere.

use super::super::choice::Choice;
use super::super::device::{Doing, End};
use super::super::invariants::Broken;
use super::super::line::Line;
use super::super::server::Fate;
use super::super::world::World;
use super::Left;
use super::part::{DEVICES, Mask, Part, Place, mask};
use super::state::{States, View};
use super::step::{Share, Steps};
use super::table::{Shelf, Table, hash128};

/// Nobody: instead of a device, where what is shared has its turn.
pub(super) const NOBODY: u32 = u32::MAX;

/// What can happen next by one party.
pub(super) struct Turn {
    /// Whether it happens before anything that somebody else does, because nobody can tell.
    pub(super) private: bool,
    /// Whether anything but an accident can happen.
    pub(super) any: bool,
    /// Whether the server has to look at its timers.
    pub(super) timers: bool,
    /// The numbers of what is shared and of the device afterwards.
    pub(super) outs: Box<[(u32, u32)]>,
    /// What is broken on the way.
    pub(super) broken: Option<Broken>,
}

/// Something that can happen.
#[derive(Debug, Clone, Copy)]
struct Offer {
    choice: Choice,
    private: bool,
}

/// A view after something has happened, and how.
type Out = (View, Vec<Choice>, Result<(), Broken>);

/// Every turn that was ever met.
pub(super) struct Turns {
    pub(super) steps: Steps,
    pub(super) states: States,
    turns: Shelf<Turn>,
    /// Turns, and turns up to the next step only.
    numbers: Table<u32>,
    step_numbers: Table<u32>,
    offers: Shelf<Vec<Offer>>,
    offered: Table<u32>,
}

impl Turns {
    pub(super) fn new(steps: Steps) -> Self {
        Self {
            steps,
            states: States::new(),
            turns: Shelf::new(),
            numbers: Table::new(),
            step_numbers: Table::new(),
            offers: Shelf::new(),
            offered: Table::new(),
        }
    }

    /// The turn of a device, or with [`NOBODY`] of what is shared.
    pub(super) fn turn(&self, shared: u32, own: u32) -> &Turn {
        self.known(&self.numbers, shared, own, Self::follow)
    }

    /// The same up to the next step only.
    fn step(&self, shared: u32, own: u32) -> &Turn {
        self.known(&self.step_numbers, shared, own, Self::find)
    }

    fn known(
        &self,
        numbers: &Table<u32>,
        shared: u32,
        own: u32,
        find: impl Fn(&Self, u32, u32) -> Turn,
    ) -> &Turn {
        let key = hash128((shared, own));
        let number = numbers.get(key).unwrap_or_else(|| {
            let turn = find(self, shared, own);
            let number = self.turns.put(turn);
            numbers.enter(key, || number)
        });
        self.turns.at(number)
    }

    /// Follows steps that nobody else can tell to their end.
    fn follow(&self, shared: u32, own: u32) -> Turn {
        let step = self.step(shared, own);
        let mut turn = Turn {
            outs: Box::default(),
            broken: step.broken.clone(),
            ..*step
        };
        let mut outs = Vec::new();
        for (shared, own) in &step.outs {
            if self.step(*shared, *own).private {
                let next = self.turn(*shared, *own);
                outs.extend_from_slice(&next.outs);
                turn.broken = turn.broken.or_else(|| next.broken.clone());
            } else {
                outs.push((*shared, *own));
            }
        }
        outs.sort_unstable();
        outs.dedup();
        turn.outs = outs.into();
        turn
    }

    fn find(&self, shared: u32, own: u32) -> Turn {
        let found = self.look(shared, own, 1);
        let other = match own {
            NOBODY => None,
            own => Some(self.look(shared, own, 2)),
        };
        let mut outs = Vec::new();
        let mut broken = None;
        for (nth, (view, _, ended)) in found.outs.iter().enumerate() {
            match ended {
                Ok(()) => outs.push(self.out(view, other.as_ref().map(|other| &other.outs[nth].0))),
                Err(error) => broken = broken.or_else(|| Some(error.clone())),
            }
        }
        Turn {
            private: found.private,
            any: found.any,
            timers: found.timers,
            outs: outs.into(),
            broken,
        }
    }

    /// Where something leads, by the view of it and that of the same under the other name.
    fn out(&self, view: &View, other: Option<&View>) -> (u32, u32) {
        let shared = self.states.shared(&self.steps, view);
        let Some(other) = other else {
            return (shared, NOBODY);
        };
        let again = self.states.shared(&self.steps, other);
        assert_eq!(shared, again, "devices are not alike");
        let views = [(view, 1), (other, 2)];
        (shared, self.states.own(&self.steps, views))
    }

    /// What happens to a device of this name on the way to one of a turn's outs, or to what
    /// is broken by it (none).
    pub(super) fn way(
        &self,
        shared: u32,
        own: u32,
        name: u16,
        to: Option<(u32, u32)>,
    ) -> Option<Vec<Choice>> {
        let looks = [1, 2].map(|name| self.look(shared, own, name).outs);
        for (first, second) in looks[0].iter().zip(&looks[1]) {
            let (_, way, ended) = [first, second][usize::from(name) - 1];
            if ended.is_err() {
                match to {
                    None => return Some(way.clone()),
                    Some(_) => continue,
                }
            }
            let other = Some(&second.0).filter(|_| own != NOBODY);
            let out = self.out(&first.0, other);
            let rest = if self.step(out.0, out.1).private {
                self.way(out.0, out.1, name, to)
            } else {
                (to == Some(out)).then(Vec::new)
            };
            if let Some(rest) = rest {
                return Some([way.clone(), rest].concat());
            }
        }
        None
    }

    fn look(&self, shared: u32, own: u32, name: u16) -> Looking<'_> {
        let device = match own {
            NOBODY => 0,
            _ => name,
        };
        let devices = [(device, own)];
        let devices = &devices[..usize::from(device > 0)];
        let mut view = self.states.view(&self.steps, shared, devices);
        let mut looking = Looking {
            turns: self,
            private: false,
            any: false,
            timers: false,
            outs: Vec::new(),
        };
        if device > 0 && !view.shares[0].is_empty() {
            for share in std::mem::take(&mut view.shares[0]) {
                self.steps.hear(&mut view.parts, device, share);
            }
            (looking.private, looking.any) = (true, true);
            looking.outs.push((view, Vec::new(), Ok(())));
            return looking;
        }
        looking.all(&view, device);
        looking
    }

    /// What a device, or what is shared, can do in a view, accidents aside.
    fn offers(&self, view: &View, device: u16, offers: &mut Vec<Offer>) {
        use Place::{Clock, Device, Echo, Lane, Link, Misled, Orders, Server};
        let server = self.steps.server(&view.parts);
        let mut add = |mask: Mask, choose: &dyn Fn(&World, &mut Vec<Choice>)| {
            offers.extend_from_slice(self.offered(view, mask, choose));
        };
        if device == 0 {
            let places = [Clock, Server, Orders, Echo].map(Place::at);
            add(mask(&places), &World::central_choices);
            return;
        }
        if server.connected {
            add(1 << Lane.of(device), &World::arrivals);
            if self.is_marked(view, device) {
                offers.push(Offer {
                    choice: Choice::Reconcile,
                    private: true,
                });
            }
        }
        let own = [Device, Link, Misled].map(|place| place.of(device));
        let mut add = |mask: Mask, choose: &dyn Fn(&World, &mut Vec<Choice>)| {
            offers.extend_from_slice(self.offered(view, mask, choose));
        };
        add(mask(&own) | 1 << Clock.at(), &|world, choices| {
            let will = world.broker.wills().first();
            choices.extend(will.map(|(number, _)| Choice::Will(*number)));
            world.device_choices(device, choices);
        });
    }

    fn is_marked(&self, view: &View, device: u16) -> bool {
        match self.steps.part(&view.parts, Place::Served.of(device)) {
            Part::Served { difference, .. } => difference.marked().next().is_some(),
            _ => unreachable!("what is served is served"),
        }
    }

    /// Whether a timer about a device is due.
    fn is_due(&self, view: &View, device: u16) -> bool {
        let places = [Place::Clock.at(), Place::Server.at()];
        let mask = mask(&places) | 1 << Place::Served.of(device);
        let due = |world: &World, choices: &mut Vec<Choice>| {
            if world.server.is_due(world.unix_ms) {
                choices.push(Choice::Timers);
            }
        };
        self.steps.server(&view.parts).connected && !self.offered(view, mask, due).is_empty()
    }

    fn offered(
        &self,
        view: &View,
        mask: Mask,
        choose: impl Fn(&World, &mut Vec<Choice>),
    ) -> &[Offer] {
        let key = hash128((mask, self.steps.numbers(&view.parts, mask)));
        let number = self.offered.get(key).unwrap_or_else(|| {
            let world = self.steps.join(&view.parts, mask);
            let mut choices = Vec::new();
            choose(&world, &mut choices);
            let offer = |choice| Offer {
                choice,
                private: is_private(&world, choice),
            };
            let number = self.offers.put(choices.into_iter().map(offer).collect());
            self.offered.enter(key, || number)
        });
        self.offers.at(number)
    }
}

/// Whether nobody else can tell when this happens.
fn is_private(world: &World, choice: Choice) -> bool {
    match choice {
        Choice::ServerStart
        | Choice::ServerConnect(_)
        | Choice::Reconcile
        | Choice::Serve(..)
        | Choice::Will(_)
        | Choice::Announce(_)
        | Choice::Wake(_) => true,
        Choice::Hear(_, line) => !matches!(line, Line::Group(_)),
        Choice::Acknowledge(number) => !world.device(number).awaits_new_ack(),
        Choice::Finish(number, _) => world.device(number).doing() == Some(Doing::Download),
        _ => false,
    }
}

/// Looks at everything that can happen next by one party.
struct Looking<'a> {
    turns: &'a Turns,
    private: bool,
    any: bool,
    timers: bool,
    outs: Vec<Out>,
}

impl Looking<'_> {
    fn all(&mut self, view: &View, device: u16) {
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

    /// What can go wrong in a step.
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
                let script = matches!(doing, Some(Doing::Script(_)));
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

impl Turns {
    /// Lets one thing happen in a view; devices that are not in it get their shares later.
    pub(super) fn take(&self, view: &mut View, choice: Choice) -> Result<(), Broken> {
        let up = self.steps.server(&view.parts).up;
        let mut shares = Vec::new();
        let taken = self
            .steps
            .take(&mut view.parts, view.mask, choice, &mut shares);
        if up && !self.steps.server(&view.parts).up {
            shares.push(Share::Crashed);
        }
        if let Choice::ServerConnect(_) = choice {
            shares.push(Share::Connected);
        }
        let absent = (1..=DEVICES).filter(|name| !view.has(*name)).count();
        for others in view.shares.iter_mut().rev().take(absent) {
            others.extend_from_slice(&shares);
        }
        taken
    }
}

/// Who takes a step.
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
