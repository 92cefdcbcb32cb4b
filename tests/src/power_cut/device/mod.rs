//! The running program: the real machine and the real storage, in the agent's own order,
//! on a disk in memory; scripts, network and time are the world's.

mod act;
mod download;
mod script;
mod start;

use std::collections::VecDeque;
use std::sync::Arc;

use hoist_device_client::agent::storage::{Candidate, Storage};
use hoist_device_client::machine::{Action, Event, Machine, Now, Verdict};
use hoist_protocol::codec::encode;

use super::cut::{Cut, Moment};
use super::disk::Forking;
use super::fault::Fault;
use super::scenario::Flaw;
use super::trouble::Lasts;
use super::world::World;
use start::start;

/// A story of two deployments needs some 300 steps; one that needs this many goes round
/// in circles.
const STEPS_MAX: usize = 3_000;
/// The number of steps for which a disk is watched that is never cleared.
const FOREVER_STEPS: usize = 300;
/// From a power cut to the agent, and from its end to its next start.
const BOOT_MS: u64 = 10_000;
const RESTART_MS: u64 = 1_000;
/// As the agent: between two tries to write.
const WRITE_AGAIN_MS: u64 = 5_000;
/// Somebody clears the disk by then.
const CLEARED_MS: u64 = 10 * 60_000;

/// Cuts found on the way, each with the world after it.
pub struct Forks<'a> {
    /// Which cuts are wanted.
    pub forking: Forking,
    /// Where they end.
    pub until: Until,
    /// True if a world was never seen before.
    pub is_new: &'a dyn Fn(u64) -> bool,
    /// Those that were not.
    pub found: Vec<(Cut, World)>,
    /// All cuts, those to worlds that were seen before included.
    pub cuts: u64,
}

impl Forks<'_> {
    /// No cuts.
    pub fn none() -> Self {
        Self {
            forking: Forking::Off,
            until: Until::End,
            is_new: &|_| false,
            found: Vec::new(),
            cuts: 0,
        }
    }
}

/// Where cuts end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// With the order at hand: the device has recovered from the cut before.
    NextOrder,
    /// With the story.
    End,
}

/// Why the program is not running any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// It began again.
    Restart,
    /// Everything is done, or a promise is broken.
    Story,
}

/// The program and what it has in memory.
struct Device<'a, 'b> {
    world: &'a mut World,
    forks: &'a mut Forks<'b>,
    machine: Machine,
    storage: Storage,
    /// The actions of the machine that are not done yet.
    todo: VecDeque<Action>,
    write_again_ms: Option<u64>,
    /// The events from the broker.
    events: VecDeque<Event>,
    /// The events from the running task.
    told: VecDeque<Event>,
    online: bool,
    /// The process cannot write format 2.
    is_old: bool,
    steps: &'a mut usize,
}

/// Lets the device live from its next start to the end of its story.
pub fn live(world: &mut World, forks: &mut Forks<'_>) {
    let mut steps = 0;
    let last = match forks.until {
        Until::NextOrder => world.order,
        Until::End => usize::MAX,
    };
    world.disk.set_forking(forks.forking);
    while world.fault.is_none() {
        steps += 1;
        let over = match start(world, forks, &mut steps) {
            Some(mut device) => device.run(last),
            None => Over::Restart,
        };
        if over == Over::Story {
            break;
        }
        if steps > steps_max(world) {
            stuck(world);
            break;
        }
    }
    world.disk.set_forking(Forking::Off);
    collect(world, forks);
}

/// A disk that is never cleared may keep a device from ever ending.
fn is_hopeless(world: &World) -> bool {
    let trouble = world.disk.trouble();
    trouble.is_some_and(|trouble| trouble.lasts == Lasts::Forever && trouble.failed > 0)
}

fn steps_max(world: &World) -> usize {
    match is_hopeless(world) {
        true => FOREVER_STEPS,
        false => STEPS_MAX,
    }
}

fn stuck(world: &mut World) {
    if !is_hopeless(world) {
        world.blame(Fault::Stuck);
    }
}

/// Takes what the power cuts since the last call would have left.
fn collect(world: &World, forks: &mut Forks<'_>) {
    if forks.forking == Forking::Off {
        return;
    }
    for fork in world.disk.take_forks() {
        forks.cuts += 1;
        let moment = fork.cut.moment;
        let damaged = world.damaged || moment.is_damage();
        let (boot, pause_ms) = match moment {
            Moment::Killed => (world.boot, RESTART_MS),
            _ => (world.boot + 1, BOOT_MS),
        };
        let seen = world.fingerprint(&fork.disk, boot, damaged);
        if !(forks.is_new)(seen) {
            continue;
        }
        let world = World {
            disk: Arc::new(fork.disk),
            boot,
            damaged,
            now_ms: world.now_ms + pause_ms,
            ..world.clone()
        };
        forks.found.push((fork.cut, world));
    }
}

/// Somebody clears the disk in the end, unless nobody ever does.
fn clear_in_time(world: &mut World) {
    let Some(trouble) = world.disk.trouble() else {
        return;
    };
    let since_ms = *world.trouble_since_ms.get_or_insert(world.now_ms);
    if trouble.lasts != Lasts::Forever && world.now_ms >= since_ms + CLEARED_MS {
        world.note(|| "the disk is cleared".to_owned());
        world.disk.set_trouble(None);
    }
}

impl Device<'_, '_> {
    /// Runs to its end, or to the end of the story. Cuts end with order `last`.
    fn run(&mut self, last: usize) -> Over {
        loop {
            *self.steps += 1;
            if *self.steps > steps_max(self.world) {
                return Over::Restart;
            }
            if self.world.order > last {
                self.world.disk.set_forking(Forking::Off);
            }
            let over = self.step();
            if self.world.fault.is_some() {
                return Over::Story;
            }
            if let Some(over) = over {
                return over;
            }
        }
    }

    fn step(&mut self) -> Option<Over> {
        if !self.todo.is_empty() && self.write_again_ms.is_none() {
            return self.act();
        }
        if let Some(event) = self.events.pop_front().or_else(|| self.told.pop_front()) {
            self.handle(event);
            return None;
        }
        let now_ms = self.world.now_ms;
        if self.due_ms().is_some_and(|at| at <= now_ms) {
            self.handle(Event::Timer);
            return None;
        }
        if self.write_again_ms.is_some_and(|at| at <= now_ms) {
            self.write_again_ms = None;
            return None;
        }
        if self.todo.is_empty() && !self.online {
            return self.connect();
        }
        if self.todo.is_empty() && self.give_order() {
            return None;
        }
        self.pass_time()
    }

    fn due_ms(&self) -> Option<u64> {
        let deaf = self.world.scenario.flaw == Some(Flaw::DeafTimers);
        self.machine.next_timeout().filter(|_| !deaf)
    }

    fn handle(&mut self, event: Event) {
        let now = Now {
            unix_ms: self.world.now_ms,
            random: self.world.now_ms.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        };
        self.world.note(|| format!("event {event:?}"));
        let actions = self.machine.handle(event, now);
        self.todo.extend(actions);
    }

    /// A session begins once its number is durable.
    fn connect(&mut self) -> Option<Over> {
        let (session, actions) = self.machine.begin_session();
        self.todo.extend(actions);
        if let Some(over) = self.act() {
            return Some(over);
        }
        if !self.todo.is_empty() {
            return None;
        }
        self.online = true;
        self.world.note(|| format!("session {}", session.0));
        // A device without memory begins again once it knows better.
        if !self.machine.wants_own_status()
            && let Err(fault) = self.world.broker.begin_session(session.0)
        {
            self.world.blame(fault);
        }
        self.events.push_back(Event::Connected);
        let retained = self.world.broker.retained.clone();
        if let (true, Some(status)) = (self.machine.wants_own_status(), retained) {
            self.events.push_back(Event::OwnStatus(status));
        }
        self.hear_own_head();
        None
    }

    fn hear_own_head(&mut self) {
        let head = self.world.own_head();
        self.storage.head = encode(&head);
        self.events.push_back(Event::DeviceHead(head));
    }

    fn disconnect(&mut self) {
        self.online = false;
        self.events = VecDeque::from([Event::Disconnected]);
    }

    /// Gives the next order, once the order before has come to its end. True if anything was
    /// wanted.
    fn give_order(&mut self) -> bool {
        let Some(order) = self.world.order() else {
            return false;
        };
        if self.world.result().is_some() && !self.machine.is_working() {
            self.world.next_order();
            if self.world.scenario.moved == Some(self.world.order) {
                // It asks its new group itself.
                self.hear_own_head();
            } else if self.world.order().is_some() {
                self.events.push_back(Event::GroupHead(self.world.head()));
            }
            return true;
        }
        if order.notice.is_some() || self.machine.is_working() {
            return false;
        }
        self.ask(order.package);
        true
    }

    /// A person at the device wants something installed.
    fn ask(&mut self, package: usize) {
        self.world.asks += 1;
        let manifest = self.world.scenario.packages[package].manifest.clone();
        let (release, verdict) = self.check(&manifest, false);
        self.storage.candidate = Some(Candidate {
            id: release,
            bytes: encode(&manifest),
            release: manifest,
        });
        self.events.push_back(Event::Apply {
            release,
            verdict,
            allow_downgrade: false,
        });
    }

    fn check(
        &self,
        release: &hoist_protocol::release::ReleaseManifest,
        allow_downgrade: bool,
    ) -> (hoist_protocol::id::ReleaseId, Verdict) {
        let inventory = &self.storage.inventory;
        (
            release.id(),
            download::check_release(release, inventory, allow_downgrade),
        )
    }

    fn pass_time(&mut self) -> Option<Over> {
        let at = [self.due_ms(), self.write_again_ms]
            .into_iter()
            .flatten()
            .min();
        if let Some(at) = at {
            self.world.now_ms = self.world.now_ms.max(at);
            clear_in_time(self.world);
            return None;
        }
        if self.world.order().is_some() || self.machine.is_working() {
            stuck(self.world);
        }
        Some(Over::Story)
    }
}
