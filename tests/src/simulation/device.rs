//! A device of the model: the real session with its update machine, and a modelled disk,
//! network, scripts and power. What it really did is in its [`Truth`].

use std::collections::BTreeMap;

use hoist_device_client::machine::{BootId, Event, InfoExtent, Now, ScriptRun, Setup, Starts};
use hoist_device_client::record::{Floor, Record, Ring};
use hoist_device_client::session::{Carries, Clock, Identity, Root, Session, Trusted};
use hoist_protocol::codec::{decode_prefix, encode};
use hoist_protocol::envelope::{KeyId, PublicKey};
use hoist_protocol::id::{DeploymentId, DeviceId, Name, ReleaseId, Seq};
use hoist_protocol::spec::{DeviceSpec, GroupSpec};
use hoist_protocol::status::DeviceStatus;
use serde::Serialize;

use super::broker::Broker;
use super::catalog::Catalog;
use super::dice::Dice;
use super::line::{Line, device_id, device_key, group_id};
use super::truth::Truth;

/// The key that signs specs here: signatures are not modelled.
const SIGNER: KeyId = KeyId([0; 4]);

mod act;
mod lie;
mod link;
mod look;
mod task;

pub use lie::Lie;

/// The data that survives a power cut.
#[derive(Clone, Default)]
pub(super) struct Disk {
    pub(super) record: Option<Record>,
    pub(super) ring: Ring,
    pub(super) spec: Option<DeviceSpec>,
    /// The generation of the spec that was forgotten last.
    pub(super) forgotten: Option<Floor>,
    pub(super) release: Option<ReleaseId>,
    /// Hash of what is installed under each artifact's name.
    pub(super) inventory: BTreeMap<Name, [u8; 32]>,
}

/// A task that was asked of the device and takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Doing {
    /// Proving that a release is there already.
    Proof,
    /// Fetching the kept release.
    Download,
    /// Running a script.
    Script(ScriptRun),
}

/// The end of a device's task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// Well.
    Done,
    /// Badly.
    Fails,
    /// A script asks for another time.
    Later,
    /// A script takes too long.
    TimesOut,
}

/// A device and the truth about it.
#[derive(Clone)]
pub struct Device {
    /// Its number in the world.
    pub number: u16,
    /// Its id.
    pub id: DeviceId,
    /// True if the device is of the type [`SPECIAL`].
    pub special: bool,
    /// True if the device has a session.
    pub online: bool,
    /// The time by which its clock is ahead, ms.
    pub ahead_ms: u64,
    /// Effects (writes, messages, scripts) after which the power goes.
    pub fuse: Option<u8>,
    /// The account of its real deeds.
    pub truth: Truth,
    pub(super) session: Session,
    pub(super) disk: Disk,
    pub(super) boots: u8,
    pub(super) doing: Option<Doing>,
    /// The status on its way to the broker has this number and `ended`.
    pub(super) in_flight: Option<(Seq, u32)>,
    /// Highest `ended` acknowledged.
    pub(super) acked: u32,
    /// The newest signed time, and when it was heard in true time.
    floor: (u64, u64),
    vetoes: bool,
    /// The lie in its next status.
    pub(super) lies: Option<Lie>,
}

/// The surroundings that a device can reach.
pub struct Surroundings<'a> {
    /// The broker.
    pub broker: &'a mut Broker,
    /// Chance.
    pub dice: &'a mut Dice,
    /// The releases that can be installed.
    pub catalog: &'a Catalog,
    /// True time, Unix ms.
    pub unix_ms: u64,
}

impl Device {
    /// A device that was never switched on.
    pub fn new(number: u16, special: bool) -> Self {
        let id = device_id(number);
        let disk = Disk::default();
        Self {
            number,
            session: session(number, &disk, 0),
            id,
            special,
            online: false,
            ahead_ms: 0,
            fuse: None,
            truth: Truth::default(),
            disk,
            boots: 0,
            doing: None,
            in_flight: None,
            acked: 0,
            floor: (0, 0),
            vetoes: false,
            lies: None,
        }
    }

    /// Its key: nothing is signed in the model, but the key is pinned, and a status with
    /// outcomes shows it.
    pub fn public_key(&self) -> PublicKey {
        device_key(self.number)
    }

    /// The spec it obeys.
    pub fn own_spec(&self) -> Option<&DeviceSpec> {
        self.session.machine().own_spec()
    }

    /// The task that takes time on the device.
    pub fn doing(&self) -> Option<Doing> {
        self.doing
    }

    /// True if a started deployment is not ended.
    pub fn is_working(&self) -> bool {
        self.session.machine().is_working()
    }

    /// True if a status waits for its acknowledgment.
    pub fn awaits_ack(&self) -> bool {
        self.in_flight.is_some()
    }

    /// True if that status carries an outcome which none before it did.
    pub fn awaits_new_ack(&self) -> bool {
        self.in_flight.is_some_and(|(_, ended)| ended > self.acked)
    }

    /// True if the device will still say that no spec came.
    pub fn may_announce(&self) -> bool {
        self.session.announces()
    }

    /// True if the device may start nothing (the agent's `hold` file).
    pub fn vetoes(&self) -> bool {
        self.vetoes
    }

    /// True if the device's answer to a resync has the outcome of a deployment.
    pub fn still_tells(&self, id: DeploymentId) -> bool {
        let mut past = self.session.machine().ring().past.iter();
        past.any(|ended| ended.deployment == id)
    }

    /// When its machine wants to be woken, by its own clock.
    pub fn next_timeout(&self) -> Option<u64> {
        self.session.machine().next_timeout()
    }

    /// Device time by its clock.
    pub fn clock_ms(&self, unix_ms: u64) -> u64 {
        clock_ms(self.floor, self.ahead_ms, unix_ms)
    }

    /// The server does not know it (any more).
    fn hear_removal(&mut self, world: &mut Surroundings<'_>) {
        self.truth.is_told_of_removal();
        let mut now = time(&mut self.floor, self.ahead_ms, world);
        self.session.removed(&mut now);
        let _cut = self.act(world);
    }

    /// Takes a message.
    pub fn receive(&mut self, line: Line, payload: &[u8], world: &mut Surroundings<'_>) {
        match line {
            Line::Device(_) if payload.is_empty() => self.hear_removal(world),
            Line::Device(_) => {
                if let Ok((spec, _)) = decode_prefix::<DeviceSpec>(payload) {
                    self.hear_own_spec(spec, world);
                }
            }
            Line::Group(place) => {
                let group = group_id(place);
                if let Ok((spec, _)) = decode_prefix::<GroupSpec>(payload)
                    && self.session.follows(&group)
                {
                    self.truth.heard(place, &spec);
                    let mut now = time(&mut self.floor, self.ahead_ms, world);
                    self.session.group_spec(&group, spec, SIGNER, &mut now);
                    let _cut = self.act(world);
                }
            }
            Line::Release(place) => self.manifest(world.catalog.at(place).id, world),
            Line::Status(_) if self.session.machine().wants_own_status() => {
                if let Ok((mut status, proof)) = decode_prefix::<DeviceStatus>(payload) {
                    if proof != self.public_key().0 {
                        status.outcomes.clear();
                    }
                    let mut now = time(&mut self.floor, self.ahead_ms, world);
                    self.session.own_status(Some(status), &mut now);
                    let _cut = self.act(world);
                }
            }
            Line::Status(_) | Line::Presence(_) | Line::Info(_) => {}
        }
    }

    fn hear_own_spec(&mut self, spec: DeviceSpec, world: &mut Surroundings<'_>) {
        let (generation, received) = (spec.generation, encode(&spec));
        let mut now = time(&mut self.floor, self.ahead_ms, world);
        self.session.device_spec(spec, SIGNER, &received, &mut now);
        let _cut = self.act(world);
        let own = self.own_spec();
        if own.is_some_and(|own| own.generation == generation) {
            self.truth.is_told_of_membership();
        }
    }

    /// True if its machine's time has come.
    pub fn is_due(&self, unix_ms: u64) -> bool {
        let now_ms = self.clock_ms(unix_ms);
        self.next_timeout().is_some_and(|at| at <= now_ms)
    }

    /// Wakes the machine.
    pub fn wake(&mut self, world: &mut Surroundings<'_>) {
        self.tell(Event::Timer, world);
    }

    /// The broker acknowledges the status on its way.
    pub fn acknowledge(&mut self, world: &mut Surroundings<'_>) {
        if let Some((seq, ended)) = self.in_flight.take() {
            self.acked = self.acked.max(ended);
            let mut now = time(&mut self.floor, self.ahead_ms, world);
            let status = Carries::Status { seq, ended };
            self.session.acknowledged(status, &mut now);
            while self.session.owes_full_info() {
                let info = Carries::Info(InfoExtent::Full);
                self.session.acknowledged(info, &mut now);
            }
            let _cut = self.act(world);
        }
    }

    /// No spec came for a while: it says who it is.
    pub fn announce(&mut self, world: &mut Surroundings<'_>) {
        self.session.announce();
        let _cut = self.act(world);
    }

    /// Vetoes new starts, or allows them again.
    pub fn veto(&mut self, vetoes: bool, world: &mut Surroundings<'_>) {
        self.vetoes = vetoes;
        let starts = if vetoes {
            Starts::Vetoed
        } else {
            Starts::Allowed
        };
        self.session.set_starts(starts);
        let _cut = self.act(world);
    }
}

/// Device time: the clock, but never before the newest signed time and what passed since (W2).
fn clock_ms((signed_ms, at_ms): (u64, u64), ahead_ms: u64, unix_ms: u64) -> u64 {
    (unix_ms + ahead_ms).max(signed_ms + unix_ms.saturating_sub(at_ms))
}

/// A device's clock, and chance.
struct Time<'a> {
    dice: &'a mut Dice,
    floor: &'a mut (u64, u64),
    ahead_ms: u64,
    unix_ms: u64,
}

fn time<'a>(floor: &'a mut (u64, u64), ahead_ms: u64, world: &'a mut Surroundings<'_>) -> Time<'a> {
    Time {
        dice: world.dice,
        floor,
        ahead_ms,
        unix_ms: world.unix_ms,
    }
}

impl Clock for Time<'_> {
    fn now(&mut self) -> Now {
        Now {
            unix_ms: clock_ms(*self.floor, self.ahead_ms, self.unix_ms),
            random: self.dice.bits(),
        }
    }

    fn signed(&mut self, signed_ms: u64) {
        if signed_ms > clock_ms(*self.floor, self.ahead_ms, self.unix_ms) {
            *self.floor = (signed_ms, self.unix_ms);
        }
    }

    fn begin_anew(&mut self, signed_ms: u64) {
        *self.floor = (signed_ms, self.unix_ms);
    }
}

fn session(number: u16, disk: &Disk, boots: u8) -> Session {
    let setup = Setup {
        device: device_id(number),
        boot: BootId([boots; 8]),
        record: disk.record.clone(),
        ring: disk.ring.clone(),
        lost: false,
        device_spec: disk.spec.clone(),
        forgotten: disk.forgotten,
        kept_release: disk.release,
    };
    let identity = Identity {
        key: device_key(number),
        spec: disk.spec.as_ref().map(encode).unwrap_or_default(),
        root: Root::Known(Trusted {
            number: 1,
            signers: Vec::new(),
            issued_ms: 0,
        }),
    };
    Session::new(setup, identity)
}
