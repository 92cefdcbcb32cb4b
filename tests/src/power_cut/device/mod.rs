//! The running program: the real session with its machine and the real storage, on a disk in
//! memory; scripts, network and time are the world's.

mod act;
mod download;
mod script;
mod start;

use std::collections::VecDeque;
use std::sync::Arc;

use hoist_device_client::agent::storage::{Candidate, Storage};
use hoist_device_client::machine::{Event, Now, Verdict};
use hoist_device_client::session::{Carries, Clock, Session};
use hoist_protocol::codec::encode;
use hoist_protocol::envelope::KeyId;
use hoist_protocol::id::{GroupId, ReleaseId};
use hoist_protocol::release::ReleaseManifest;
use hoist_protocol::spec::{DeviceSpec, GroupSpec};
use hoist_protocol::status::DeviceStatus;

use super::cut::{Cut, Moment};
use super::disk::Forking;
use super::fault::Fault;
use super::manner::Online;
use super::scenario::{Expect, Flaw};
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

/// Something that the device hears of.
#[derive(Debug)]
enum Heard {
    OwnStatus(DeviceStatus),
    OwnSpec(DeviceSpec),
    GroupSpec(GroupId, GroupSpec),
    Manifest(ReleaseId),
    Acknowledged(Carries),
    Proven(Verdict),
    Happened(Event),
}

/// The key that signs specs here: signatures are not modelled.
const SIGNER: KeyId = KeyId([0; 4]);

/// The time of an event; of chance there is none.
struct Time(u64);

impl Clock for Time {
    fn now(&mut self) -> Now {
        Now {
            unix_ms: self.0,
            random: self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        }
    }

    fn signed(&mut self, _: u64) {}

    fn begin_anew(&mut self, _: u64) {}
}

/// The program and what it has in memory.
struct Device<'a, 'b> {
    world: &'a mut World,
    forks: &'a mut Forks<'b>,
    session: Session,
    storage: Storage,
    write_again_ms: Option<u64>,
    /// The messages from the broker, and what happens by itself.
    events: VecDeque<Heard>,
    /// The words of the running task.
    told: VecDeque<Heard>,
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
        if let Some(heard) = self.events.pop_front().or_else(|| self.told.pop_front()) {
            self.handle(heard);
            return self.act();
        }
        let now_ms = self.world.now_ms;
        if self.due_ms().is_some_and(|at| at <= now_ms) {
            self.handle(Heard::Happened(Event::Timer));
            return self.act();
        }
        if self.write_again_ms.is_some_and(|at| at <= now_ms) {
            self.write_again_ms = None;
            self.session.keep_again();
            return self.act();
        }
        let connects = !self.session.is_online() && self.world.has_network();
        if self.session.owed() == 0 && connects {
            return self.connect();
        }
        if self.session.owed() == 0 && self.give_order() {
            return None;
        }
        self.pass_time()
    }

    fn due_ms(&self) -> Option<u64> {
        let deaf = self.world.scenario.flaw == Some(Flaw::DeafTimers);
        let timeout = self.session.machine().next_timeout();
        timeout.filter(|_| !deaf)
    }

    fn handle(&mut self, heard: Heard) {
        self.world.note(|| format!("event {heard:?}"));
        let mut time = Time(self.world.now_ms);
        match heard {
            Heard::OwnStatus(status) => self.session.own_status(Some(status), &mut time),
            Heard::OwnSpec(spec) => {
                if self.world.online == Online::Connected {
                    self.world.online = Online::Told;
                }
                let received = encode(&spec);
                self.session.device_spec(spec, SIGNER, &received, &mut time);
            }
            Heard::GroupSpec(group, spec) => {
                self.session.group_spec(&group, spec, SIGNER, &mut time);
            }
            Heard::Manifest(release) => self.manifest(release, &mut time),
            Heard::Acknowledged(carries) => self.session.acknowledged(carries, &mut time),
            Heard::Proven(verdict) => self.session.proven(verdict, &mut time),
            Heard::Happened(event) => self.session.handle(event, &mut time),
        }
    }

    /// A session begins once its number is durable.
    fn connect(&mut self) -> Option<Over> {
        self.session.begin();
        if let Some(over) = self.act() {
            return Some(over);
        }
        if self.session.owed() > 0 {
            return None;
        }
        if self.world.online == Online::Not {
            self.world.online = Online::Connected;
        }
        self.session.connected(&mut Time(self.world.now_ms));
        self.act()
    }

    fn hear_own_spec(&mut self) {
        let spec = self.world.own_spec();
        self.events.push_back(Heard::OwnSpec(spec));
    }

    fn hear_group_spec(&mut self) {
        let group = self.world.own_spec().group;
        let spec = self.world.spec();
        self.events.push_back(Heard::GroupSpec(group, spec));
    }

    fn disconnect(&mut self) {
        self.events.clear();
        self.session.disconnected(&mut Time(self.world.now_ms));
    }

    /// Gives the next order, once the order before has come to its end. True if anything was
    /// wanted.
    fn give_order(&mut self) -> bool {
        let Some(order) = self.world.order() else {
            return false;
        };
        let ended = match order.expect {
            // It has heard all that could let it begin.
            Expect::Nothing => self.session.machine().obeys(),
            _ => self.world.result().is_some(),
        };
        if ended && !self.session.machine().is_working() {
            self.world.next_order();
            if self.world.has_permits() {
                self.hear_own_spec();
            }
            if self.world.scenario.moved == Some(self.world.order) {
                // It asks its new group itself.
                self.hear_own_spec();
            } else if self.world.order().is_some() {
                self.hear_group_spec();
            }
            return true;
        }
        if order.entry.is_some() || self.session.machine().is_working() {
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
        self.events.push_back(Heard::Happened(Event::Apply {
            release,
            verdict,
            allow_downgrade: false,
        }));
    }

    fn check(&self, release: &ReleaseManifest, allow_downgrade: bool) -> (ReleaseId, Verdict) {
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
        if self.world.order().is_some() || self.session.machine().is_working() {
            stuck(self.world);
        }
        Some(Over::Story)
    }
}
