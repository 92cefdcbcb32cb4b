//! One modelled world: a server, a broker, devices, operators and time. [`World::apply`]
//! lets one thing happen and checks every invariant on what it touched.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use hoist_orchestrator_core::reply::Answer;
use hoist_protocol::id::{DeploymentId, Round, UserId};

use super::broker::{Broker, Payload};
use super::catalog::Catalog;
use super::choice::Choice;
use super::device::Device;
use super::dice::Dice;
use super::invariants::{Broken, Watch};
use super::line::{Line, device_number};
use super::order::Order;
use super::server::{Committed, Server};
use super::truth::Deed;

mod doing;

/// Unix time at the start, in ms: a whole hour.
pub const START_MS: u64 = 1_700_002_800_000;
/// The time that a step takes, ms.
const STEP_MS: u64 = 1;
/// Longest time in one step of waiting, in which no timer may be overrun, ms.
const ECHO_MS: u64 = 10_000;

/// Longer than anybody waits for in a rollout, ms.
const CALM_MS: u64 = 2 * 3_600_000;

/// Everything there is.
#[derive(Clone)]
pub struct World {
    /// True time, Unix ms.
    pub unix_ms: u64,
    /// Things that happened.
    pub step: u32,
    /// The broker.
    pub broker: Broker,
    /// The server.
    pub server: Server,
    /// The devices, registered or not yet; the first is `d1`.
    pub devices: Vec<Arc<Device>>,
    /// The releases that can be installed.
    pub catalog: Arc<Catalog>,
    /// The orders that operators still want.
    pub orders: VecDeque<Order>,
    /// Answers to operators, for those who want to read them.
    pub answers: Option<Vec<(u32, Answer)>>,
    /// True if nothing is lost or forged without anybody being told.
    pub honest: bool,
    /// Chance.
    pub dice: Dice,
    /// The memory of the invariants.
    pub watch: Watch,
    /// The events that the invariants have not looked at yet.
    pub told: Told,
    /// True time the server was connected, ms.
    pub uptime_ms: u64,
    /// The log of events, where somebody wants to read it.
    pub log: Option<Vec<String>>,
    /// Devices whose retained presence is a death: later than their birth, if they are online.
    pub misled: BTreeSet<u16>,
    /// Groups of which an old spec was brought back, and no newer one published since.
    pub replayed: BTreeSet<Line>,
    /// Devices whose tokens are worth nothing: they were removed and not added again.
    pub revoked: BTreeSet<u16>,
    /// Connected devices whose tokens were revoked since: they are turned out.
    pub leaving: BTreeSet<u16>,
    /// Devices that were ever removed: their history is gone with them.
    pub removed: BTreeSet<u16>,
    /// The time that a step takes, ms.
    pub step_ms: u64,
    /// When something was published or done last, true Unix ms.
    pub moved_ms: u64,
}

/// The events that the invariants have to look at, in the order in which they do.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Lines the server published, and what is retained on them now.
    pub published: Vec<(Line, Option<Payload>)>,
    /// The batches that the server committed.
    pub committed: Vec<Committed>,
    /// Deployments of which everything failed is tried again, and the round of that.
    pub retried: Vec<(DeploymentId, Round)>,
    /// Users who approved a phase of a rollout that waited for them.
    pub approved: Vec<((DeploymentId, u32), UserId)>,
    /// The deeds of devices.
    pub deeds: Vec<(u16, Deed)>,
}

impl World {
    /// A world in which nothing has happened.
    pub fn new(devices: u16, catalog: Catalog, dice: Dice) -> Self {
        Self {
            unix_ms: START_MS,
            step: 0,
            broker: Broker::new(matches!(dice, Dice::Seeded(_))),
            server: Server::new(),
            devices: (1..=devices)
                .map(|number| Arc::new(Device::new(number, false)))
                .collect(),
            catalog: Arc::new(catalog),
            orders: VecDeque::new(),
            answers: None,
            honest: true,
            dice,
            watch: Watch::new(devices),
            told: Told::default(),
            uptime_ms: 0,
            log: None,
            misled: BTreeSet::new(),
            replayed: BTreeSet::new(),
            revoked: BTreeSet::new(),
            leaving: BTreeSet::new(),
            removed: BTreeSet::new(),
            step_ms: STEP_MS,
            moved_ms: START_MS,
        }
    }

    /// A device by its number.
    pub fn device(&self, number: u16) -> &Device {
        &self.devices[usize::from(number) - 1]
    }

    /// Adds a command to those that operators want.
    pub fn want(&mut self, number: u32, text: impl Into<String>) {
        self.orders.push_back(Order::new(number, text));
    }

    fn say(&mut self, what: impl FnOnce() -> String) {
        let (step, ms) = (self.step, self.unix_ms - START_MS);
        if let Some(log) = &mut self.log {
            log.push(format!(
                "{step:5} {:>10.3} s  {}",
                ms as f64 / 1000.0,
                what()
            ));
        }
    }

    /// Lets one thing happen; what cannot happen now changes nothing but time.
    ///
    /// # Errors
    /// The first invariant that is broken by it.
    pub fn apply(&mut self, choice: Choice) -> Result<(), Broken> {
        self.act(choice);
        self.check()
    }

    /// Shows the invariants what happened since they looked last.
    ///
    /// # Errors
    /// The first that is broken by it.
    pub fn check(&mut self) -> Result<(), Broken> {
        let told = std::mem::take(&mut self.told);
        if !told.published.is_empty() || !told.deeds.is_empty() {
            self.moved_ms = self.unix_ms;
        }
        for (of, user) in told.approved {
            self.watch.approved(of, user);
        }
        for (line, payload) in &told.published {
            Arc::make_mut(&mut self.watch.rows).published(*line, payload.as_ref())?;
        }
        for committed in told.committed {
            self.watch
                .committed(&committed, self.uptime_ms, &self.server)?;
        }
        for (line, _) in &told.published {
            self.watch.rows.lists(*line)?;
        }
        for (id, round) in told.retried {
            self.watch.rows.retried(id, round)?;
        }
        for (number, deed) in told.deeds {
            let device = &self.devices[usize::from(number) - 1];
            let session = self.broker.session(number);
            let word = session.and_then(|session| session.inbox.front(Line::Device(number)));
            let told = word.is_none();
            let time = (self.unix_ms, self.uptime_ms);
            self.watch.did(device, deed, told, time)?;
        }
        Ok(())
    }

    fn pass(&mut self, ms: u64) {
        self.unix_ms += ms;
        self.server.advance(ms);
        if self.server.connected {
            self.uptime_ms += ms;
        }
    }

    /// Milliseconds until something wants to happen by itself, if anything does.
    pub fn next_due_ms(&self) -> Option<u64> {
        let devices = self.devices_due_ms();
        let server = self.server.next_due_ms(self.unix_ms);
        let echo = (!self.server.is_quiet()).then_some(ECHO_MS);
        devices.into_iter().chain(server).chain(echo).min()
    }

    fn devices_due_ms(&self) -> Option<u64> {
        let device = |device: &Arc<Device>| {
            let at = device.next_timeout()?;
            Some(at.saturating_sub(device.clock_ms(self.unix_ms)))
        };
        self.devices.iter().filter_map(device).min()
    }

    /// Milliseconds until a device wants something, while the server only looks again and again: a
    /// window may open in days only.
    pub fn looked_past_ms(&self) -> Option<u64> {
        let is_calm = self.unix_ms - self.moved_ms > CALM_MS;
        let only_looks = is_calm && self.server.is_quiet() && self.server.only_looks();
        self.devices_due_ms().filter(|_| only_looks)
    }

    /// True if nothing is due by itself but that rollouts are looked at, for so long already that no
    /// time of theirs is still to come.
    pub fn only_looks(&self) -> bool {
        let device = |device: &Arc<Device>| device.next_timeout().is_some();
        let is_calm = self.unix_ms - self.moved_ms > CALM_MS;
        is_calm && !self.devices.iter().any(device) && self.server.only_looks()
    }

    /// The number of a registered device, if the model knows it.
    pub fn number_of(&self, device: &hoist_protocol::id::DeviceId) -> Option<u16> {
        device_number(device).filter(|number| usize::from(*number) <= self.devices.len())
    }
}
