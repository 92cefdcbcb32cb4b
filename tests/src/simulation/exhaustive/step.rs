//! Steps, taken once for all states that agree in what a step can touch. A step runs in a
//! world in which there is nothing else, so it cannot depend on anything else.

use std::sync::Arc;

use hoist_protocol::id::sha256;

use super::super::broker::Payload;
use super::super::choice::Choice;
use super::super::device::{Device, Doing};
use super::super::invariants::Broken;
use super::super::line::Line;
use super::super::server::Server;
use super::super::world::World;
use super::Left;
use super::canon::{Print, fingerprint};
use super::look::text;
use super::part::{DEVICES, Mask, PARTS, Part, Place, mask, places};
use super::table::{Shelf, Table, hash128};

/// A state: the number of each of its parts.
pub(super) type State = [u32; PARTS];

/// Something that can happen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer {
    pub(super) choice: Choice,
    /// Whether nobody else can tell when it happens.
    pub(super) private: bool,
}

struct Known {
    part: Part,
    print: Print,
}

/// What a step makes of the parts it touches.
type Made = Result<Box<[u32]>, Broken>;

/// Every part and every step that was ever met.
pub(super) struct Steps {
    blank: World,
    parts: Shelf<Known>,
    numbers: Table<u32>,
    made: Shelf<Made>,
    steps: Table<u32>,
    offers: Shelf<Vec<Offer>>,
    offered: Table<u32>,
    payloads: Shelf<(Line, Payload)>,
    digests: Table<u32>,
    /// The state in which there is nothing.
    nothing: State,
}

impl Steps {
    /// Of worlds like this one, in which nothing has happened.
    pub(super) fn new(blank: World) -> Self {
        let mut steps = Self {
            blank,
            parts: Shelf::new(),
            numbers: Table::new(),
            made: Shelf::new(),
            steps: Table::new(),
            offers: Shelf::new(),
            offered: Table::new(),
            payloads: Shelf::new(),
            digests: Table::new(),
            nothing: [0; PARTS],
        };
        steps.nothing = steps.cut(&steps.blank, mask(&ALL), [0; PARTS]);
        steps
    }

    /// The state that a world is in.
    pub(super) fn state(&self, world: &World) -> State {
        self.cut(world, mask(&ALL), self.nothing)
    }

    /// The world of a state.
    pub(super) fn world(&self, state: &State) -> World {
        self.join(state, mask(&ALL))
    }

    /// What counts in a state, with something more.
    pub(super) fn print(&self, state: &State, left: Left) -> u128 {
        let Part::Clock {
            unix_ms,
            attended_ms,
        } = self.part(state, Place::Clock.at())
        else {
            unreachable!("a clock is a clock")
        };
        let prints = state.iter().enumerate().map(|(place, number)| {
            let (_, device) = Place::named(place);
            let again = device
                .checked_sub(1)
                .is_none_or(|device| left.device[usize::from(device)] > 0);
            (&self.parts.at(*number).print, again)
        });
        fingerprint(prints, (*unix_ms, *attended_ms), left)
    }

    pub(super) fn part(&self, state: &State, place: usize) -> &Part {
        &self.parts.at(state[place]).part
    }

    pub(super) fn server(&self, state: &State) -> &Server {
        match self.part(state, Place::Server.at()) {
            Part::Server(server) => server,
            _ => unreachable!("a server is a server"),
        }
    }

    pub(super) fn device(&self, state: &State, number: u16) -> &Device {
        match self.part(state, Place::Device.of(number)) {
            Part::Device(device) => device,
            _ => unreachable!("a device is a device"),
        }
    }

    /// Lets one thing happen and looks at what it broke.
    pub(super) fn take(&self, state: &mut State, choice: Choice) -> Result<(), Broken> {
        let act = |world: &mut World| {
            world.act(choice);
            Ok(())
        };
        self.step(state, touched(choice), choice, act)?;
        let told = Place::Told.at();
        if state[told] == self.nothing[told] {
            return Ok(());
        }
        self.step(state, self.looked_at(state), Choice::Review, World::check)
    }

    fn step(
        &self,
        state: &mut State,
        mask: Mask,
        choice: Choice,
        run: impl Fn(&mut World) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        let key = self.key(state, mask, Some(choice));
        let number = self.steps.get(key).unwrap_or_else(|| {
            let made = self.run(state, mask, &run);
            let number = self.made.put(made);
            self.steps.enter(key, || number)
        });
        match self.made.at(number) {
            Ok(made) => {
                for (place, made) in places(mask).zip(made) {
                    state[place] = *made;
                }
                Ok(())
            }
            Err(broken) => Err(broken.clone()),
        }
    }

    fn run(
        &self,
        state: &State,
        mask: Mask,
        run: &impl Fn(&mut World) -> Result<(), Broken>,
    ) -> Made {
        let mut world = self.join(state, mask);
        let ran = run(&mut world);
        let made = ran.map(|()| self.cut(&world, mask, self.nothing));
        if cfg!(debug_assertions) {
            self.prove(state, mask, run, &made);
        }
        made.map(|made| places(mask).map(|place| made[place]).collect())
    }

    /// The step does the same where everything else is there too, and touches nothing of it.
    fn prove(
        &self,
        state: &State,
        mask: Mask,
        run: &impl Fn(&mut World) -> Result<(), Broken>,
        made: &Result<State, Broken>,
    ) {
        let mut world = self.world(state);
        let whole = run(&mut world).map(|()| self.state(&world));
        let mut expected = *state;
        let expected = made.clone().map(|made| {
            places(mask).for_each(|place| expected[place] = made[place]);
            expected
        });
        if whole != expected {
            for place in places(self::mask(&ALL)) {
                if let (Ok(whole), Ok(expected)) = (&whole, &expected)
                    && whole[place] != expected[place]
                {
                    eprintln!("differs in {:?}", Place::named(place));
                }
            }
            panic!("a step touches more than it should");
        }
    }

    fn key(&self, state: &State, mask: Mask, choice: Option<Choice>) -> u128 {
        let mut ids = [u32::MAX; PARTS];
        for place in places(mask) {
            ids[place] = state[place];
        }
        hash128((choice, mask, ids))
    }

    fn join(&self, state: &State, mask: Mask) -> World {
        let mut world = self.blank.clone();
        for place in places(mask) {
            self.parts.at(state[place]).part.put(&mut world, place);
        }
        world
    }

    fn cut(&self, world: &World, mask: Mask, mut state: State) -> State {
        let parts: Vec<(usize, Part)> = places(mask)
            .map(|place| (place, Part::cut(world, place)))
            .collect();
        for (line, payload) in parts.iter().flat_map(|(_, part)| part.own_messages()) {
            let digest = sha256(&payload);
            let number = || self.payloads.put((line, Arc::clone(&payload)));
            self.digests.enter(hash128(digest), number);
        }
        let message = |digest: [u8; 32]| {
            let number = self.digests.get(hash128(digest))?;
            Some(self.payloads.at(number).clone())
        };
        for (place, part) in parts {
            let print = text(&part, place, &message).print();
            let known = self.numbers.get(print.exact);
            state[place] = known.unwrap_or_else(|| {
                let exact = print.exact;
                let number = self.parts.put(Known { part, print });
                self.numbers.enter(exact, || number)
            });
        }
        state
    }

    /// Everything that can happen in a state but accidents, the server's first.
    pub(super) fn offers(&self, state: &State, offers: &mut Vec<Offer>) {
        let server = mask(&[Place::Clock.at(), Place::Server.at(), Place::Orders.at()]);
        offers.extend(self.offered(state, server, |world, choices| {
            world.central_choices(choices)
        }));
        let connected = self.server(state).connected;
        let lanes = (1..=DEVICES).map(|number| Place::Lane.of(number));
        for place in lanes.chain([Place::Echo.at()]).filter(|_| connected) {
            let lines = |world: &World, choices: &mut Vec<Choice>| world.arrivals(choices);
            offers.extend(self.offered(state, mask(&[place]), lines));
        }
        for number in 1..=DEVICES {
            let device = mask(&[
                Place::Clock.at(),
                Place::Door.at(),
                Place::Device.of(number),
                Place::Link.of(number),
            ]);
            let choices = |world: &World, choices: &mut Vec<Choice>| {
                choices.extend(
                    world
                        .broker
                        .wills()
                        .first()
                        .map(|(number, _)| Choice::Will(*number)),
                );
                world.device_choices(number, choices);
            };
            offers.extend(self.offered(state, device, choices));
        }
    }

    fn offered(
        &self,
        state: &State,
        mask: Mask,
        choose: impl Fn(&World, &mut Vec<Choice>),
    ) -> &[Offer] {
        let key = self.key(state, mask, None);
        let number = self.offered.get(key).unwrap_or_else(|| {
            let world = self.join(state, mask);
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

    /// What the invariants look at, by what they are told.
    fn looked_at(&self, state: &State) -> Mask {
        let Part::Told(told) = self.part(state, Place::Told.at()) else {
            return 0;
        };
        let mut places = vec![Place::Told.at(), Place::Rows.at()];
        if !told.committed.is_empty() {
            places.extend([Place::Clock.at(), Place::Server.at()]);
        }
        if !(told.committed.is_empty() && told.deeds.is_empty()) {
            places.extend((1..=DEVICES).map(|number| Place::Past.of(number)));
        }
        for (number, _) in &told.deeds {
            places.extend([Place::Clock.at(), Place::Device.of(*number)]);
        }
        mask(&places)
    }
}

/// Every place.
const ALL: [usize; PARTS] = {
    let mut all = [0; PARTS];
    let mut place = 0;
    while place < PARTS {
        all[place] = place;
        place += 1;
    }
    all
};

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

/// The parts that something can touch.
fn touched(choice: Choice) -> Mask {
    use Place::{Clock, Door, Echo, Heads, Lane, Link, Orders, Reports, Rows, Server, Told};
    let (clock, server, told) = (Clock.at(), Server.at(), Told.at());
    let reported = |numbers: &[u16]| {
        let numbers = numbers.iter();
        mask(
            &numbers
                .flat_map(|number| [Lane.of(*number), Reports.of(*number)])
                .collect::<Vec<_>>(),
        )
    };
    match choice {
        Choice::Order(_) => mask(&[clock, server, told, Orders.at()]),
        Choice::Serve(line, _) => {
            let whose = match line.owner() {
                Some(number) => reported(&[number]),
                None => mask(&[Echo.at()]),
            };
            whose | mask(&[clock, server, told])
        }
        Choice::Reconcile => {
            let heads = [clock, server, told, Heads.at(), Echo.at()];
            mask(&heads) | mask(&[Link.of(1), Link.of(2)])
        }
        Choice::Review | Choice::Wait(_) | Choice::ServerClock(_) => mask(&[clock, server]),
        Choice::Timers => mask(&[clock, server, told]) | reported(&[1, 2]),
        Choice::Search | Choice::DrawLine => mask(&[clock, server, told]),
        Choice::ServerCrash | Choice::ServerStart | Choice::ServerCut => {
            mask(&[clock, server, told])
        }
        Choice::ServerConnect(_) => {
            mask(&[clock, server, told, Heads.at(), Echo.at()]) | reported(&[1, 2])
        }
        Choice::Will(number) => reported(&[number]) | mask(&[Door.at(), Link.of(number)]),
        Choice::LoseToServer(line) => match line.owner() {
            Some(number) => mask(&[Lane.of(number)]),
            None => mask(&[Echo.at()]),
        },
        Choice::LoseToDevice(number, _) | Choice::Repeat(number, _) => mask(&[Link.of(number)]),
        Choice::Fuse(number, _) | Choice::Veto(number, _) | Choice::DeviceClock(number, _) => {
            mask(&[clock, Door.at(), Heads.at(), told]) | device(number)
        }
        Choice::Connect(number) => {
            mask(&[clock, Door.at(), Heads.at(), Rows.at(), told]) | device(number)
        }
        Choice::Hear(number, _)
        | Choice::Finish(number, _)
        | Choice::Wake(number)
        | Choice::Acknowledge(number)
        | Choice::Announce(number)
        | Choice::Cut(number)
        | Choice::PowerCut(number) => mask(&[clock, Door.at(), Heads.at(), told]) | device(number),
        Choice::Batch(..)
        | Choice::BrokerRestart(_)
        | Choice::LoseRetained(_)
        | Choice::Replay(..)
        | Choice::Spoil(_)
        | Choice::Forge(_) => mask(&ALL),
    }
}

/// A device and what reaches it and comes from it.
fn device(number: u16) -> Mask {
    let places = [Place::Device, Place::Link, Place::Reports, Place::Lane];
    mask(&places.map(|place| place.of(number)))
}
