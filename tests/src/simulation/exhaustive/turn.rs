//! The next events of one party, which is a device or the shared parts. They are found with nobody
//! else in the world: others can be anywhere.

use super::super::choice::Choice;
use super::super::device::Doing;
use super::super::hash128::hash128;
use super::super::invariants::Broken;
use super::super::line::Line;
use super::super::world::World;
use super::looking::{Looking, Offer};
use super::part::{DEVICES, Mask, Part, Place, mask};
use super::state::{States, View};
use super::step::{Share, Steps};
use super::table::{Shelf, Table, pair};

/// Nobody: instead of a device, where what is shared has its turn.
pub(super) const NOBODY: u32 = u32::MAX;

/// The next events of one party.
pub(super) struct Turn {
    /// True if the turn happens before anything that somebody else does, because nobody can tell.
    pub(super) private: bool,
    /// True if the turn is the server's look for shared specs to publish.
    pub(super) reconciles: bool,
    /// True if anything but an accident can happen.
    pub(super) any: bool,
    /// True if the server has to look at its timers.
    pub(super) timers: bool,
    /// The numbers of what is shared and of the device afterwards.
    pub(super) outs: Box<[(u32, u32)]>,
    /// The invariant that is broken on the way.
    pub(super) broken: Option<Broken>,
}

impl Turn {
    /// True if the next step is part of the same turn: nobody else can tell, and nobody goes before
    /// it. The server looks at devices before it looks at groups, so that look begins a turn of its
    /// own, the last of all.
    fn goes_on_in(&self, next: &Self) -> bool {
        next.private && (self.reconciles || !next.reconciles)
    }
}

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
        let key = pair(shared, own);
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
            if step.goes_on_in(self.step(*shared, *own)) {
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
        if let Some(other) = &other {
            let counts = [&found, other].map(|look| look.outs.len());
            assert_eq!(counts[0], counts[1], "devices are not alike");
        }
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
            reconciles: found.reconciles,
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

    /// The events of a device of this name on the way to one of a turn's outs, or to the invariant
    /// that the turn breaks (none).
    pub(super) fn way(
        &self,
        shared: u32,
        own: u32,
        name: u16,
        to: Option<(u32, u32)>,
    ) -> Option<Vec<Choice>> {
        let step = self.step(shared, own);
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
            let rest = if step.goes_on_in(self.step(out.0, out.1)) {
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
        let mut looking = Looking::new(self);
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

    /// The choices of a device, or of the shared parts, in a view, accidents aside.
    pub(super) fn offers(&self, view: &View, device: u16, offers: &mut Vec<Offer>) {
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

    /// True if a timer about a device is due.
    pub(super) fn is_due(&self, view: &View, device: u16) -> bool {
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

/// True if nobody else can tell when this happens.
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
