//! Steps, taken once for all states that agree in what a step can touch. A step runs in a
//! world in which there is nothing else, so it cannot depend on anything else.

use std::sync::Arc;

use hoist_protocol::id::sha256;

use super::super::broker::Payload;
use super::super::canon::{Canon, Print};
use super::super::choice::Choice;
use super::super::device::Device;
use super::super::hash128::hash128;
use super::super::invariants::Broken;
use super::super::line::Line;
use super::super::server::Server;
use super::super::world::World;
use super::look::look;
use super::part::{ALL, Mask, PARTS, Part, Place, has_nothing_else, mask, places};
use super::table::{Shelf, Table};
use super::touch::{looked_at, touched};

/// A state: the number of each of its parts.
pub(super) type State = [u32; PARTS];

/// The effect on a device of a step of somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Share {
    /// This message of the server came out on a line that more than one can follow.
    Published(Line, u32),
    /// The server crashed: it has forgotten what it knew to be out.
    Crashed,
    /// The server has connected and reads everything that is retained.
    Connected,
}

struct Known {
    part: Part,
    print: Print,
}

/// The parts that a step makes of those it touches.
type Made = Result<Box<[u32]>, Broken>;

/// Every part and every step that was ever met.
pub(super) struct Steps {
    blank: World,
    parts: Shelf<Known>,
    known: Table<u32>,
    made: Shelf<Made>,
    steps: Table<u32>,
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
            known: Table::new(),
            made: Shelf::new(),
            steps: Table::new(),
            payloads: Shelf::new(),
            digests: Table::new(),
            nothing: [0; PARTS],
        };
        steps.nothing = steps.cut(&steps.blank, ALL, [0; PARTS]);
        steps
    }

    /// The state in which there is nothing.
    pub(super) fn nothing(&self) -> State {
        self.nothing
    }

    /// The parts that a world is in.
    pub(super) fn state(&self, world: &World) -> State {
        self.cut(world, ALL, self.nothing)
    }

    /// The world of a state.
    pub(super) fn world(&self, state: &State) -> World {
        self.join(state, ALL)
    }

    pub(super) fn part(&self, state: &State, place: usize) -> &Part {
        &self.parts.at(state[place]).part
    }

    /// The print of a part.
    pub(super) fn print(&self, number: u32) -> &Print {
        &self.parts.at(number).print
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

    /// Lets one thing happen where only these parts are, and looks at what it broke; what
    /// came out on lines that more than one can follow is added to `published`.
    pub(super) fn take(
        &self,
        state: &mut State,
        view: Mask,
        choice: Choice,
        published: &mut Vec<Share>,
    ) -> Result<(), Broken> {
        let act = |world: &mut World| {
            world.act(choice);
            Ok(())
        };
        self.step(state, touched(choice) & view, choice, act)?;
        if state[Place::Told.at()] == self.nothing[Place::Told.at()] {
            return Ok(());
        }
        let Part::Told(told) = self.part(state, Place::Told.at()) else {
            unreachable!("what is told is told")
        };
        for (line, payload) in &told.published {
            if let (None, Some(payload)) = (line.about(), payload) {
                published.push(Share::Published(*line, self.payload(*line, payload)));
            }
        }
        self.step(state, looked_at(told) & view, Choice::Review, World::check)
    }

    /// Lets a device have its share of somebody else's step.
    pub(super) fn hear(&self, state: &mut State, device: u16, share: Share) {
        let run = |world: &mut World| {
            match share {
                Share::Published(line, number) => {
                    world.broker.publish(line, &self.payloads.at(number).1);
                }
                Share::Crashed => world.server.crash(),
                Share::Connected => {
                    world.server.up = true;
                    world.act(Choice::ServerConnect(0));
                }
            }
            Ok(())
        };
        let places = [Place::Link, Place::Retained, Place::Lane, Place::Served];
        let mask = mask(&places.map(|place| place.of(device)));
        let heard = self.step(state, mask, (device, share), run);
        heard.expect("nothing is checked");
    }

    fn step(
        &self,
        state: &mut State,
        mask: Mask,
        what: impl std::hash::Hash,
        run: impl Fn(&mut World) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        let key = hash128((what, mask, self.numbers(state, mask)));
        let number = self.steps.get(key).unwrap_or_else(|| {
            let number = self.made.put(self.run(state, mask, &run));
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
        let made = ran.map(|()| self.cut(&world, mask, *state));
        made.map(|made| places(mask).map(|place| made[place]).collect())
    }

    /// The numbers of these parts.
    pub(super) fn numbers(&self, state: &State, mask: Mask) -> [u32; PARTS] {
        let mut numbers = [u32::MAX; PARTS];
        for place in places(mask) {
            numbers[place] = state[place];
        }
        numbers
    }

    /// A world with only these parts in it.
    pub(super) fn join(&self, state: &State, mask: Mask) -> World {
        let mut world = self.blank.clone();
        for place in places(mask) {
            self.parts.at(state[place]).part.put(&mut world, place);
        }
        world.server.look_for_timers();
        world
    }

    /// The differences between two states, for whoever reads a failure.
    pub(super) fn differences(&self, one: &State, other: &State) -> String {
        let places = (0..PARTS).filter(|place| one[*place] != other[*place]);
        let texts = places.map(|place| {
            let [one, other] = [one, other].map(|state| {
                let mut canon = Canon::in_words();
                look(self.part(state, place), place, &mut canon);
                canon.text()
            });
            format!("part {place}:\n{one}\n{other}\n")
        });
        texts.collect()
    }

    /// The number of a message of the server.
    fn payload(&self, line: Line, payload: &Payload) -> u32 {
        let number = || self.payloads.put((line, Arc::clone(payload)));
        self.digests.enter(hash128(sha256(payload)), number)
    }

    /// The parts of a world at these places, and those of a state elsewhere.
    fn cut(&self, world: &World, mask: Mask, mut state: State) -> State {
        assert!(has_nothing_else(world), "a part of the world is not cut");
        for place in places(mask) {
            let part = Part::cut(world, place);
            if self.parts.has(state[place]) && part.is(self.part(&state, place)) {
                continue;
            }
            let mut canon = Canon::default();
            look(&part, place, &mut canon);
            let print = canon.print();
            let known = self.known.get(print.exact);
            state[place] = known.unwrap_or_else(|| {
                let exact = print.exact;
                let number = self.parts.put(Known { part, print });
                self.known.enter(exact, || number)
            });
        }
        state
    }
}
