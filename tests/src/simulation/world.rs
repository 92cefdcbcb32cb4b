//! One simulated run: a seed chooses what happens next, invariants are checked after every
//! step, and at the end everything comes up and must come to rest.

use std::collections::BTreeMap;

use fastrand::Rng;
use hoist_orchestrator_core::key::{DeploymentKey, DeviceKey};
use hoist_orchestrator_core::reply::DeploymentState;
use hoist_protocol::id::{DeploymentId, DeviceId, GroupId};

use super::broker::{Broker, Party};
use super::device::{Device, Surroundings};
use super::invariants::{ALWAYS, FINALLY, Memory};
use super::orders::{Order, orders};
use super::server::Server;

/// Steps of chance before everything comes up.
const STEPS: usize = 400;
/// Steps in which everything must come to rest.
const STEPS_TO_REST: usize = 20_000;
/// What a step takes, in ms: heads of one run have rising issue times.
const STEP_MS: u64 = 5;
/// Unix time at the start, in ms.
const START_MS: u64 = 1_700_000_000_000;

/// A device began a deployment.
pub struct Start {
    /// Which device.
    pub device: DeviceId,
    /// What it began.
    pub deployment: DeploymentId,
    /// The step at which the connection it used began.
    pub connected_at: usize,
}

/// A broken invariant and how to see it again.
#[derive(Debug)]
pub struct Violation {
    /// Its name.
    pub invariant: &'static str,
    /// What is wrong.
    pub what: String,
    /// The seed.
    pub seed: u64,
    /// The step after which it showed.
    pub step: usize,
    /// The last things that happened.
    pub log: Vec<String>,
}

/// Everything there is in one run.
pub struct World {
    /// Time that passes for everybody, Unix ms.
    pub unix_ms: u64,
    /// The broker.
    pub broker: Broker,
    /// The server.
    pub server: Server,
    /// The devices, registered or not yet.
    pub devices: Vec<Device>,
    /// Every start of a deployment on a device.
    pub starts: Vec<Start>,
    /// The step after which an aborted deployment is in no retained head.
    pub unlisted: BTreeMap<DeploymentId, usize>,
    rng: Rng,
    step: usize,
    /// Whether nothing crashes any more: the run is coming to rest.
    calm: bool,
    /// What the invariants were checked on last.
    checked: (u64, u64, usize),
    orders: Vec<Order>,
    connected_at: Vec<usize>,
    log: Vec<String>,
}

impl World {
    fn new(seed: u64, devices: Option<usize>) -> Self {
        let mut rng = Rng::with_seed(seed);
        let count = devices.unwrap_or_else(|| rng.usize(1..=12));
        Self {
            unix_ms: START_MS,
            broker: Broker::default(),
            server: Server::new(),
            devices: (0..count).map(Device::new).collect(),
            starts: Vec::new(),
            unlisted: BTreeMap::new(),
            orders: orders(&mut rng, count),
            connected_at: vec![0; count],
            rng,
            step: 0,
            calm: false,
            checked: (0, 0, 0),
            log: Vec::new(),
        }
    }

    /// Registered devices of a group.
    pub fn members(&self, group: &GroupId) -> impl Iterator<Item = &Device> {
        self.devices.iter().filter(move |device| {
            let row = self.server.row(&DeviceKey(device.id.clone()));
            row.is_some_and(|row| row.group == *group)
        })
    }

    /// Runs a seed to its end, with so many devices or as many as the seed says; returns
    /// the number of steps.
    ///
    /// # Errors
    /// The first [`Violation`].
    pub fn run(seed: u64, devices: Option<usize>) -> Result<usize, Box<Violation>> {
        let mut world = Self::new(seed, devices);
        let mut memory = Memory::default();
        world.server.start(&mut world.broker, world.unix_ms);
        for _ in 0..STEPS {
            world.happen();
            world.after_step(seed, &mut memory)?;
        }
        world.come_to_rest(seed, &mut memory)?;
        for (name, check) in FINALLY {
            check(&world, &mut memory).map_err(|what| world.violation(seed, name, what))?;
        }
        Ok(world.step)
    }

    fn after_step(&mut self, seed: u64, memory: &mut Memory) -> Result<(), Box<Violation>> {
        self.step += 1;
        self.unix_ms += STEP_MS;
        self.server.advance(STEP_MS);
        let checked = (self.server.version, self.broker.version, self.starts.len());
        if std::mem::replace(&mut self.checked, checked) == checked {
            return Ok(());
        }
        self.note_unlisted();
        for (name, check) in ALWAYS {
            check(self, memory).map_err(|what| self.violation(seed, name, what))?;
        }
        Ok(())
    }

    fn violation(&self, seed: u64, invariant: &'static str, what: String) -> Box<Violation> {
        let log = self.log[self.log.len().saturating_sub(40)..].to_vec();
        Box::new(Violation {
            invariant,
            what,
            seed,
            step: self.step,
            log,
        })
    }

    fn say(&mut self, what: String) {
        self.log.push(format!("{:5} {what}", self.step));
    }

    /// Lets one thing happen.
    fn happen(&mut self) {
        match self.rng.u8(0..100) {
            0..6 => self.give_order(),
            6..30 => self.deliver_to_server(),
            30..55 => self.deliver_to_device(),
            55..75 => self.let_device_work(),
            75..83 => self.switch_device(),
            83..94 => self.let_server_reconcile(),
            94..97 => self.pass_time(),
            97 => self.switch_server(),
            98 => self.cut_power(),
            _ => {
                if self.rng.u8(..) < 40 {
                    self.restart_broker();
                }
            }
        }
    }

    fn give_order(&mut self) {
        if !self.server.up || self.orders.is_empty() {
            return;
        }
        let order = self.orders.remove(0);
        self.say(format!("order {order:?}"));
        let input = self.server.order(&order);
        let effects = self.server.commit(&input, self.unix_ms);
        if self.crashes_now() {
            return;
        }
        self.server.apply(&effects);
    }

    /// A crash between two effects: what was committed stays, nothing else does.
    fn crashes_now(&mut self) -> bool {
        let crashes = !self.calm && self.rng.u8(..) < 5;
        if crashes {
            self.say("server crashes".into());
            self.server.crash();
        }
        crashes
    }

    fn deliver_to_server(&mut self) {
        if !self.server.up {
            return;
        }
        let Some(delivery) = self.broker.peek(&Party::Server, &mut self.rng) else {
            return;
        };
        if let Some(input) = self.server.read(&delivery) {
            self.say(format!("server takes {input:?}"));
            let effects = self.server.commit(&input, self.unix_ms);
            if self.crashes_now() {
                return;
            }
            self.server.apply(&effects);
        }
        // Without an acknowledgment it comes again.
        if self.rng.u8(..) >= 20 {
            self.broker.acknowledge(&Party::Server, &delivery.topic);
        }
    }

    fn any_device(&mut self) -> usize {
        self.rng.usize(0..self.devices.len())
    }

    fn deliver_to_device(&mut self) {
        let number = self.any_device();
        let party = Party::Device(number);
        let Some(message) = self.broker.peek(&party, &mut self.rng) else {
            return;
        };
        self.broker.acknowledge(&party, &message.topic);
        self.say(format!("d{number} gets {}", message.topic));
        self.with_device(number, |device, world| device.receive(&message, world));
    }

    fn let_device_work(&mut self) {
        let number = self.any_device();
        self.with_device(number, Device::work);
    }

    /// Lets a device act on the world, and notes what it starts.
    fn with_device(&mut self, number: usize, act: impl FnOnce(&mut Device, &mut Surroundings<'_>)) {
        let device = &mut self.devices[number];
        let before: Vec<DeploymentId> = device.started.keys().copied().collect();
        let mut world = Surroundings {
            broker: &mut self.broker,
            rng: &mut self.rng,
            unix_ms: self.unix_ms,
        };
        act(device, &mut world);
        let fresh = device
            .started
            .keys()
            .find(|id| !before.contains(id))
            .copied();
        if let Some(deployment) = fresh {
            let device = device.id.clone();
            self.say(format!("{device} starts {deployment}"));
            let connected_at = self.connected_at[number];
            self.starts.push(Start {
                device,
                deployment,
                connected_at,
            });
        }
    }

    fn switch_device(&mut self) {
        let number = self.any_device();
        if self.devices[number].online {
            self.say(format!("d{number} goes offline"));
            self.with_device(number, Device::disconnect);
        } else {
            self.connect(number);
        }
    }

    fn cut_power(&mut self) {
        let number = self.any_device();
        self.say(format!("d{number} loses power"));
        self.with_device(number, Device::cut_power);
    }

    fn connect(&mut self, number: usize) {
        self.say(format!("d{number} connects"));
        self.connected_at[number] = self.step;
        self.with_device(number, Device::connect);
    }

    fn let_server_reconcile(&mut self) {
        if self.server.up {
            self.server.reconcile(&mut self.broker, self.unix_ms);
        }
    }

    fn pass_time(&mut self) {
        let ms = self.rng.u64(1..120_000);
        self.unix_ms += ms;
        self.server.advance(ms);
        if self.server.up
            && let Some(timer) = self.server.due(self.unix_ms)
        {
            self.say(format!("timer {timer:?}"));
            let input = hoist_orchestrator_core::input::Input::TimerDue(timer);
            let effects = self.server.commit(&input, self.unix_ms);
            self.server.apply(&effects);
        }
    }

    fn switch_server(&mut self) {
        if self.server.up {
            self.say("server crashes".into());
            self.server.crash();
        } else {
            self.say("server starts".into());
            self.server.start(&mut self.broker, self.unix_ms);
        }
    }

    /// The broker restarts with nothing retained: everybody connects again.
    fn restart_broker(&mut self) {
        self.say("broker restarts empty".into());
        for number in 0..self.devices.len() {
            if self.devices[number].online {
                self.with_device(number, Device::disconnect);
            }
        }
        self.broker.restart_empty();
        if self.server.up {
            self.server.crash();
            self.server.start(&mut self.broker, self.unix_ms);
        }
    }

    /// Notes when an aborted deployment has left the last head that listed it.
    fn note_unlisted(&mut self) {
        for id in self.server.deployments() {
            if self.unlisted.contains_key(&id) {
                continue;
            }
            let Some(row) = self.server.row(&DeploymentKey(id)) else {
                continue;
            };
            let topic = format!("hoist/g/{}", row.group);
            let listed = self.broker.retained(&topic).is_some_and(|payload| {
                let head = hoist_protocol::codec::decode_prefix::<hoist_protocol::head::GroupHead>(
                    payload,
                );
                head.is_ok_and(|(head, _)| head.notices.iter().any(|n| n.deployment == id))
            });
            if row.state == DeploymentState::Aborted && !listed {
                self.unlisted.insert(id, self.step);
            }
        }
    }

    /// Why the world has not come to rest.
    fn what_is_busy(&self) -> String {
        let busy: Vec<_> = self.devices.iter().filter_map(Device::doing).collect();
        let (quiet, dirty) = (self.broker.is_quiet(), self.server.is_dirty());
        format!(
            "devices {busy:?}, broker quiet {quiet}, server dirty {dirty}, orders {:?}",
            self.orders
        )
    }

    /// Nothing stays down for long in the end.
    fn bring_up(&mut self) {
        if !self.server.up {
            self.server.start(&mut self.broker, self.unix_ms);
        }
        for number in 0..self.devices.len() {
            if !self.devices[number].online {
                self.connect(number);
            }
        }
    }

    fn come_to_rest(&mut self, seed: u64, memory: &mut Memory) -> Result<(), Box<Violation>> {
        self.say("everything comes up".into());
        self.calm = true;
        self.bring_up();
        for _ in 0..STEPS_TO_REST {
            let busy = self.devices.iter().any(|device| device.doing().is_some());
            if self.broker.is_quiet() && !self.server.is_dirty() && !busy && self.orders.is_empty()
            {
                return Ok(());
            }
            match self.rng.u8(0..26) {
                0..5 => self.deliver_to_server(),
                5..10 => self.deliver_to_device(),
                10..15 => self.let_device_work(),
                15..20 => self.let_server_reconcile(),
                20..25 => self.give_order(),
                _ => self.pass_time(),
            }
            self.bring_up();
            self.after_step(seed, memory)?;
        }
        Err(self.violation(seed, "everything-comes-to-rest", self.what_is_busy()))
    }
}
