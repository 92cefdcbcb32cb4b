//! One modelled world: a server, a broker, devices, operators and time. [`World::apply`]
//! lets one thing happen and checks every invariant on what it touched.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use hoist_orchestrator_core::reply::Answer;
use hoist_protocol::codec::encode;
use hoist_protocol::id::{Attempt, DeploymentId, Round, Seq};
use hoist_protocol::status::{DeviceStatus, FinalResult, Outcome, Success};

use super::broker::{Broker, Payload};
use super::catalog::Catalog;
use super::choice::Choice;
use super::device::{Device, Surroundings};
use super::dice::Dice;
use super::invariants::{Broken, Watch};
use super::line::{Line, device_number};
use super::order::Order;
use super::server::{Committed, Fate, Server};
use super::truth::Deed;

/// Unix time at the start, in ms: a whole hour.
pub const START_MS: u64 = 1_700_002_800_000;
/// What a step takes, ms.
const STEP_MS: u64 = 1;
/// Longest time in one step of waiting, in which no timer may be overrun, ms.
const ECHO_MS: u64 = 10_000;

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
    /// What can be installed.
    pub catalog: Arc<Catalog>,
    /// What operators still want.
    pub orders: VecDeque<Order>,
    /// Answers to operators, for those who want to read them.
    pub answers: Option<Vec<(u32, Answer)>>,
    /// Whether nothing is lost or forged without anybody being told.
    pub honest: bool,
    /// Chance.
    pub dice: Dice,
    /// What the invariants remember.
    pub watch: Arc<Watch>,
    /// True time the server was connected, ms.
    pub attended_ms: u64,
    /// What happened, where somebody wants to read it.
    pub log: Option<Vec<String>>,
    /// Devices whose retained presence is a death: later than their birth, if they are online.
    pub misled: BTreeSet<u16>,
    /// Devices that were removed: their tokens are worth nothing until they are added again.
    pub revoked: BTreeSet<u16>,
    /// Devices that were ever removed: their history is gone with them.
    pub removed: BTreeSet<u16>,
    /// Whether the server ever crashed.
    pub crashed: bool,
    deeds: Vec<(u16, Deed)>,
    /// Deployments of which everything failed is tried again, and the round of that.
    retried: Vec<(DeploymentId, Round)>,
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
            watch: Arc::default(),
            attended_ms: 0,
            log: None,
            misled: BTreeSet::new(),
            revoked: BTreeSet::new(),
            removed: BTreeSet::new(),
            crashed: false,
            deeds: Vec::new(),
            retried: Vec::new(),
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
        self.step += 1;
        self.pass(STEP_MS);
        match choice {
            Choice::Order(fate) => self.obey(fate),
            Choice::Serve(line, fate) => self.serve(&[line], fate),
            Choice::Batch(count, fate) => self.batch(count, fate),
            Choice::Reconcile if self.server.connected => {
                let (server, broker) = (&mut self.server, &mut self.broker);
                let lines = server.reconcile(broker, &self.catalog, self.unix_ms);
                for line in lines {
                    self.say(|| format!("server publishes {line}"));
                    let watch = Arc::make_mut(&mut self.watch);
                    watch.published(line, self.broker.retained(line))?;
                }
            }
            Choice::Review => self.server.review(self.unix_ms),
            Choice::Timers => self.fire(),
            Choice::Search => self.server.search(),
            Choice::DrawLine => self.server.draw_line(self.unix_ms),
            Choice::ServerCrash
            | Choice::ServerStart
            | Choice::ServerCut
            | Choice::ServerConnect(_)
            | Choice::ServerClock(_) => self.server_link(choice),
            Choice::Will(_)
            | Choice::BrokerRestart(_)
            | Choice::LoseRetained(_)
            | Choice::LoseToServer(_)
            | Choice::LoseToDevice(..)
            | Choice::Replay(..)
            | Choice::Spoil(_)
            | Choice::Forge(_) => self.broker_fault(choice),
            Choice::Wait(ms) => {
                self.say(|| format!("{:.3} s pass", ms as f64 / 1000.0));
                self.pass(ms);
            }
            Choice::Reconcile => {}
            Choice::Hear(number, _)
            | Choice::Finish(number, _)
            | Choice::Wake(number)
            | Choice::Acknowledge(number)
            | Choice::Announce(number)
            | Choice::Connect(number)
            | Choice::Cut(number)
            | Choice::PowerCut(number)
            | Choice::Fuse(number, _)
            | Choice::Veto(number, _)
            | Choice::DeviceClock(number, _) => self.device_does(number, choice),
        }
        self.check()
    }

    /// Hands what happened to the invariants.
    fn check(&mut self) -> Result<(), Broken> {
        for number in std::mem::take(&mut self.server.reads) {
            self.broker.read(Line::Status(number));
        }
        self.crashed |= !self.server.up;
        for committed in std::mem::take(&mut self.server.committed) {
            self.revoke(&committed);
            Arc::make_mut(&mut self.watch).committed(
                &committed,
                self.attended_ms,
                &self.devices,
                &self.server,
            )?;
        }
        for (id, round) in std::mem::take(&mut self.retried) {
            self.watch.retried(id, round)?;
        }
        for (number, deed) in std::mem::take(&mut self.deeds) {
            let device = &self.devices[usize::from(number) - 1];
            Arc::make_mut(&mut self.watch).did(device, deed, self.unix_ms)?;
        }
        Ok(())
    }

    /// Whom the front door turns away, from the rows that say who is registered.
    fn revoke(&mut self, committed: &Committed) {
        for write in &committed.writes {
            let Some((3, name)) = write.key.0.split_first() else {
                continue;
            };
            let name = std::str::from_utf8(name)
                .ok()
                .and_then(|name| name.parse().ok());
            let Some(number) = name.and_then(|name| self.number_of(&name)) else {
                continue;
            };
            if write.bytes.is_some() {
                self.revoked.remove(&number);
            } else {
                self.revoked.insert(number);
                self.removed.insert(number);
                self.device_does(number, Choice::Cut(number));
            }
        }
    }

    fn pass(&mut self, ms: u64) {
        self.unix_ms += ms;
        self.server.advance(ms);
        if self.server.connected {
            self.attended_ms += ms;
        }
    }

    fn obey(&mut self, fate: Fate) {
        let now_ms = self.server.now(self.unix_ms).unix_ms;
        let Some(order) = self.orders.front_mut().filter(|_| self.server.connected) else {
            return;
        };
        let number = order.number;
        let text = order.text.clone();
        let input = match order.input(&self.catalog, now_ms) {
            Ok(input) => input,
            Err(error) => panic!("{text}: {error}"),
        };
        self.server
            .obey(&mut self.broker, &input, fate, self.unix_ms);
        self.say(|| format!("hoist {text}{}", told(fate)));
        if fate == Fate::Repeats {
            self.server.answers.clear();
        }
        for (request, answer) in std::mem::take(&mut self.server.answers) {
            if request.as_str() == format!("r{number}") {
                self.say(|| format!("    answered {answer:?}"));
                let named = text.split_whitespace().count() > 2;
                if let (Answer::Retried(result), false) = (&answer, named)
                    && result.devices > 0
                {
                    self.retried.push((result.deployment, Round(result.round)));
                }
                self.orders.pop_front();
                if let Some(answers) = &mut self.answers {
                    answers.push((number, answer));
                }
            }
        }
    }

    fn batch(&mut self, count: u8, fate: Fate) {
        let inbox = self.broker.server.as_ref();
        let lines = inbox
            .map(|inbox| inbox.lines().to_vec())
            .unwrap_or_default();
        let start = self.dice.below(lines.len());
        let lines: Vec<Line> = lines
            .into_iter()
            .skip(start)
            .take(usize::from(count))
            .collect();
        self.serve(&lines, fate);
    }

    fn serve(&mut self, lines: &[Line], fate: Fate) {
        if !self.server.connected || lines.is_empty() {
            return;
        }
        let inputs = self
            .server
            .serve(&mut self.broker, lines, fate, self.unix_ms);
        if self.log.is_some() {
            let inputs: Vec<String> = inputs.iter().map(|input| format!("{input:?}")).collect();
            let lines: Vec<String> = lines.iter().map(Line::to_string).collect();
            let what = format!("server takes {}{}", lines.join(" "), told(fate));
            self.say(|| format!("{what}: {}", inputs.join("; ")));
        }
    }

    fn fire(&mut self) {
        let due = self.server.due(self.unix_ms);
        if !self.server.connected || due.is_empty() {
            return;
        }
        self.say(|| format!("timers {due:?}"));
        self.server.fire(&due, self.unix_ms);
    }

    fn server_link(&mut self, choice: Choice) {
        let up = self.server.up;
        match choice {
            Choice::ServerCrash if up => self.server.crash(),
            Choice::ServerStart if !up => self.server.start(),
            Choice::ServerCut if self.server.connected => self.server.disconnect(self.unix_ms),
            Choice::ServerConnect(leaves_out) if up && !self.server.connected => {
                let dice = &mut self.dice;
                let leaves_out = |_| dice.chance(leaves_out);
                self.server
                    .connect(&mut self.broker, leaves_out, self.unix_ms);
            }
            Choice::ServerClock(ahead_ms) => self.server.ahead_ms = ahead_ms,
            _ => return,
        }
        self.say(|| format!("{choice:?}"));
    }

    fn broker_fault(&mut self, choice: Choice) {
        match choice {
            Choice::Will(place) => {
                let published = self.broker.publish_will(usize::from(place));
                if let Some(Line::Presence(number)) = published {
                    self.misled.insert(number);
                }
            }
            Choice::BrokerRestart(keeps) => {
                for number in 1..=self.devices.len() {
                    let number = u16::try_from(number).unwrap_or(u16::MAX);
                    if self.device(number).online {
                        self.device_does(number, Choice::Cut(number));
                    }
                }
                let dice = &mut self.dice;
                self.broker.restart(|_| dice.chance(keeps));
                if self.server.connected {
                    self.server.disconnect(self.unix_ms);
                }
            }
            Choice::LoseRetained(line) => self.broker.lose(line),
            Choice::LoseToServer(line) => {
                if let Some(inbox) = &mut self.broker.server {
                    inbox.pop(line);
                }
            }
            Choice::LoseToDevice(number, line) => {
                self.broker.pop(number, line);
            }
            Choice::Replay(line, place) => self.broker.replay(line, usize::from(place)),
            Choice::Spoil(line) => self.broker.publish(line, &Payload::from(*b"no message")),
            Choice::Forge(number) => self.forge(number),
            _ => return,
        }
        self.say(|| format!("{choice:?}"));
    }

    /// A status with a success that the device did not sign.
    fn forge(&mut self, number: u16) {
        let device = self.device(number);
        let heads = device.truth.head.iter().flat_map(|head| &head.notices);
        let Some(notice) = heads.last() else { return };
        let status = DeviceStatus {
            seq: Seq(1 << 40),
            ended: 1,
            running: None,
            outcomes: vec![Outcome {
                deployment: notice.deployment,
                round: Round(notice.round.0),
                attempt: Attempt(1),
                result: FinalResult::Successful(Success::Installed),
            }],
        };
        let mut payload = encode(&status);
        if self.dice.chance(128) {
            payload.extend([9; 32]);
        }
        self.broker.publish(Line::Status(number), &payload.into());
    }

    fn device_does(&mut self, number: u16, choice: Choice) {
        let place = usize::from(number) - 1;
        if let Choice::Connect(_) = choice {
            self.misled.remove(&number);
            let over = self.watch.over();
            Arc::make_mut(&mut self.devices[place]).truth.over = over;
        }
        let payload = match choice {
            Choice::Hear(_, line) => match self.broker.pop(number, line) {
                Some(payload) => Some(payload),
                None => return,
            },
            _ => None,
        };
        let revoked = self.revoked.contains(&number);
        let device = Arc::make_mut(&mut self.devices[place]);
        let mut world = Surroundings {
            broker: &mut self.broker,
            dice: &mut self.dice,
            catalog: &self.catalog,
            unix_ms: self.unix_ms,
        };
        match choice {
            Choice::Hear(_, line) => device.receive(line, &payload.unwrap_or_default(), &mut world),
            Choice::Finish(_, end) => device.finish(end, &mut world),
            Choice::Wake(_) if device.is_due(world.unix_ms) => device.wake(&mut world),
            Choice::Acknowledge(_) => device.acknowledge(&mut world),
            Choice::Announce(_) => device.announce(&mut world),
            Choice::Connect(_) if !device.online && !revoked => device.connect(&mut world),
            Choice::Cut(_) if device.online => device.disconnect(&mut world),
            Choice::PowerCut(_) => device.cut_power(&mut world),
            Choice::Fuse(_, writes) => device.fuse = Some(writes),
            Choice::Veto(_, vetoes) => device.veto(vetoes, &mut world),
            Choice::DeviceClock(_, ahead_ms) => device.ahead_ms = ahead_ms,
            _ => return,
        }
        let deeds = device.truth.take_deeds();
        self.say(|| format!("{choice:?}"));
        for deed in deeds {
            self.say(|| format!("    d{number}: {deed:?}"));
            self.deeds.push((number, deed));
        }
    }

    /// Milliseconds until something wants to happen by itself, if anything does.
    pub fn next_due_ms(&self) -> Option<u64> {
        let device = |device: &Arc<Device>| {
            let at = device.next_timeout()?;
            Some(at.saturating_sub(device.clock_ms(self.unix_ms)))
        };
        let devices = self.devices.iter().filter_map(device);
        let server = self.server.next_due_ms(self.unix_ms);
        let echo = (!self.server.is_quiet()).then_some(ECHO_MS);
        devices.chain(server).chain(echo).min()
    }

    /// The number of a registered device, if the model knows it.
    pub fn number_of(&self, device: &hoist_protocol::id::DeviceId) -> Option<u16> {
        device_number(device).filter(|number| usize::from(*number) <= self.devices.len())
    }
}

fn told(fate: Fate) -> String {
    match fate {
        Fate::Whole => String::new(),
        Fate::Repeats => ", unacknowledged".to_owned(),
        Fate::CrashBefore => ", crash before the commit".to_owned(),
        Fate::CrashAfter(effects) => format!(", crash {effects} effects after the commit"),
    }
}
