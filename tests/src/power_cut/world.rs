//! A device without power, and everything around it: what a story goes on from.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use hoist_device_client::agent::inventory::{Condition, Inventory};
use hoist_device_client::record::{Ring, Slot};
use hoist_protocol::id::{DeploymentId, Generation, Resync, Round};
use hoist_protocol::reason::Reason;
use hoist_protocol::spec::{DeploymentSpec, DeviceSpec, GroupSpec};
use hoist_protocol::status::{FinalResult, Rollback};

use super::broker::Broker;
use super::disk::Disk;
use super::fault::Fault;
use super::manner::Online;
use super::package::Package;
use super::scenario::{AGENT_NAME, Expect, Flaw, Order, Scenario};
use super::software::{Software, State};

/// The state directory.
pub const DIR: &str = "/state";
const START_MS: u64 = 1_000_000_000;
/// The age by which the specs of the group that a device is moved to are older, ms.
const OLDER_MS: u64 = 3_600_000;

/// Everything but the running program.
#[derive(Debug, Clone)]
pub struct World {
    /// The scenario of the device.
    pub scenario: Arc<Scenario>,
    /// The device's disk.
    pub disk: Arc<Disk>,
    /// The software as its scripts left it.
    pub software: Software,
    /// The messages that were heard of the device.
    pub broker: Broker,
    /// Which order is given.
    pub order: usize,
    /// The number of times that the person of the order asked.
    pub asks: u32,
    /// The answer that the person was given.
    pub answer: Option<FinalResult>,
    /// Time, Unix ms.
    pub now_ms: u64,
    /// The running boot, and the boot that the software knows of.
    pub boot: u64,
    pub known_boot: u64,
    /// The record that must be read back, encoded.
    pub journal: Kept<Option<Vec<u8>>>,
    pub ring: Kept<Vec<u8>>,
    /// The session since a `verify` ended last.
    pub online: Online,
    /// True if a cut damaged data that was synced.
    pub damaged: bool,
    /// When somebody began to look after a disk that refuses.
    pub trouble_since_ms: Option<u64>,
    /// The end of every order.
    pub results: Vec<FinalResult>,
    /// The fault that was found.
    pub fault: Option<Fault>,
    /// The log of events, for people; only when somebody reads it.
    pub log: Option<Vec<String>>,
}

/// The content that was written last, and the contents that may have been written since.
#[derive(Debug, Clone)]
pub struct Kept<T>(Vec<T>);

impl<T: PartialEq> Kept<T> {
    /// Begins to write something.
    pub fn begin(&mut self, content: T) {
        self.0.retain(|other| *other != content);
        self.0.push(content);
    }

    /// Takes the content that was begun last as durable.
    pub fn is_durable(&mut self) {
        self.0.drain(..self.0.len().saturating_sub(1));
    }

    /// True if this may be read back.
    pub fn may_be(&self, content: &T) -> bool {
        self.0.contains(content)
    }
}

impl World {
    /// A new device.
    pub fn new(scenario: Arc<Scenario>) -> Self {
        let disk = Disk::new(Path::new(DIR));
        if scenario.flaw == Some(Flaw::LyingDisk) {
            disk.lie();
        }
        let mut luck = scenario.luck;
        luck.swallows = scenario.flaw == Some(Flaw::SwallowedOutcomes);
        Self {
            disk: Arc::new(disk),
            software: Software::with(&scenario.came_with),
            broker: Broker::new(luck),
            order: 0,
            asks: 0,
            answer: None,
            now_ms: START_MS,
            boot: 1,
            known_boot: 1,
            journal: Kept(vec![None]),
            ring: Kept(vec![Ring::default().encode()]),
            online: Online::Not,
            damaged: false,
            trouble_since_ms: None,
            results: Vec::new(),
            fault: None,
            log: None,
            scenario,
        }
    }

    /// Writes down what happened, if somebody reads it.
    pub fn note(&mut self, what: impl FnOnce() -> String) {
        let operations = self.disk.operations();
        let now_ms = self.now_ms - START_MS;
        if let Some(log) = &mut self.log {
            log.push(format!("{operations:>4} {now_ms:>8} ms  {}", what()));
        }
    }

    /// Keeps the first fault.
    pub fn blame(&mut self, fault: Fault) {
        self.note(|| format!("FAULT {fault}"));
        self.fault.get_or_insert(fault);
    }

    /// The order at hand.
    pub fn order(&self) -> Option<Order> {
        self.scenario.orders.get(self.order).copied()
    }

    /// The package that the order at hand installs.
    pub fn package(&self) -> Option<&Package> {
        self.scenario.packages.get(self.order()?.package)
    }

    /// The outcome of the order at hand, once it is known outside of the device.
    pub fn result(&self) -> Option<FinalResult> {
        match self.order()?.entry {
            None => self.answer.clone(),
            Some(key) => self
                .broker
                .outcome(key)
                .map(|outcome| outcome.result.clone()),
        }
    }

    /// The next order is given.
    pub fn next_order(&mut self) {
        self.results.extend(self.result());
        self.order += 1;
        self.answer = None;
        self.software.begin_order();
        self.note(|| "the next order is given".to_owned());
    }

    /// True if the running agent is one that knows only format 1.
    pub fn agent_is_old(&self) -> bool {
        let came_with = &self.scenario.came_with;
        let updates_itself = came_with.iter().any(|(name, _)| *name == AGENT_NAME);
        updates_itself && self.software.now(AGENT_NAME) != State::Version(2)
    }

    /// True if the device was moved.
    fn is_moved(&self) -> bool {
        self.scenario.moved.is_some_and(|from| self.order >= from)
    }

    /// True if the device can connect.
    pub fn has_network(&self) -> bool {
        let breaks = self
            .order()
            .is_some_and(|order| order.manner.breaks_network);
        let mut parts = self
            .package()
            .into_iter()
            .flat_map(|package| &package.parts);
        !breaks || !parts.all(|part| self.software.is_installed(part))
    }

    /// The permits of the device: that of the order at hand.
    fn permits(&self) -> Vec<(DeploymentId, Round)> {
        let permit = self.order().and_then(|order| {
            let (deployment, _) = order.entry?;
            Some((DeploymentId(deployment), Round(order.manner.permit?)))
        });
        permit.into_iter().collect()
    }

    /// True if another spec of the device comes with each order.
    pub fn has_permits(&self) -> bool {
        let mut orders = self.scenario.orders.iter();
        orders.any(|order| order.manner.permit.is_some())
    }

    /// The spec of the device.
    pub fn own_spec(&self) -> DeviceSpec {
        let moved = self.is_moved();
        let group = if moved { "us" } else { "eu" };
        let changes = if self.has_permits() { self.order } else { 0 };
        DeviceSpec {
            generation: Generation(START_MS + u64::from(moved) + changes as u64),
            group: group.parse().expect("a valid group"),
            labels: Vec::new(),
            resync: Resync(0),
            holds: Vec::new(),
            rounds: Vec::new(),
            permits: self.permits(),
            public_key: None,
        }
    }

    /// The spec of its group.
    pub fn spec(&self) -> GroupSpec {
        let entry = |order: &Order| {
            let (deployment, round) = order.entry?;
            Some(DeploymentSpec {
                deployment: DeploymentId(deployment),
                release: self.scenario.packages[order.package].id(),
                round: Round(round),
                audience: order.manner.audience(),
                policy: order.manner.policy(order.attempts),
            })
        };
        let lasting = self.scenario.lasting.min(self.order);
        let lasting = self.scenario.orders[..lasting].iter();
        let entries = lasting.chain(&self.order()).filter_map(entry).collect();
        let older_ms = if self.is_moved() { OLDER_MS } else { 0 };
        GroupSpec {
            generation: Generation(START_MS - older_ms + self.order as u64),
            entries,
            ..GroupSpec::default()
        }
    }

    /// Ok if a result is true.
    ///
    /// # Errors
    /// The fault of a result that is not.
    pub fn judge(&self, result: &FinalResult, inventory: &Inventory) -> Result<(), Fault> {
        let untrue = |why: &str| {
            let what = format!("{result:?} is not true: {why}; {:?}", self.software);
            Err(Fault::LostOutcome(what))
        };
        self.judge_inventory(inventory)?;
        let Some(package) = self.package() else {
            return untrue("nothing was ordered");
        };
        match result {
            FinalResult::Successful(_) => {
                let mut parts = package.parts.iter();
                if !parts.all(|part| self.software.is_installed(part)) {
                    return untrue("not everything is installed");
                }
                // A device that lost its memory may doubt what is true.
                let mut artifacts = package.artifacts.iter();
                if !self.damaged
                    && !artifacts.all(|artifact| inventory.has(artifact.reference.id()))
                {
                    return untrue("it is not in the inventory");
                }
            }
            FinalResult::Failed(failure) => {
                if failure.reason == Reason::StateLost {
                    return match self.damaged {
                        true => Ok(()),
                        false => untrue("nothing was damaged"),
                    };
                }
                if failure.rollback != Rollback::Failed && !self.software.is_as_before() {
                    return untrue("not everything is as before");
                }
            }
        }
        Ok(())
    }

    /// Ok if the software that the inventory calls confirmed is installed.
    ///
    /// # Errors
    /// The software that is not.
    pub fn judge_inventory(&self, inventory: &Inventory) -> Result<(), Fault> {
        for installed in &inventory.installed {
            let now = self.software.now(installed.name.as_str());
            let said = installed
                .version
                .parse()
                .map_or(State::Broken, State::Version);
            if installed.condition == Condition::Confirmed && now != said {
                let what = format!("{} is {now:?}, confirmed as {said:?}", installed.name);
                return Err(Fault::LostOutcome(what));
            }
        }
        Ok(())
    }

    /// True if a story without cuts went as it should.
    pub fn went_as_expected(&self) -> bool {
        let results = self.results.iter().map(expectation);
        let expected = self.scenario.orders.iter().map(|order| order.expect);
        let expected = expected.filter(|expected| *expected != Expect::Nothing);
        results.eq(expected)
    }

    /// A fingerprint of everything that the rest of the story depends on, with this disk.
    pub fn fingerprint(&self, disk: &Disk, boot: u64, damaged: bool) -> u64 {
        let mut hasher = DefaultHasher::new();
        let into = &mut hasher;
        disk.fingerprint(into);
        self.software.hash(into);
        self.broker.fingerprint(into);
        (self.order, self.asks, self.answer.is_some()).hash(into);
        (self.now_ms, boot, self.known_boot, damaged, self.online).hash(into);
        (&self.journal.0, &self.ring.0).hash(into);
        hasher.finish()
    }
}

fn expectation(result: &FinalResult) -> Expect {
    use hoist_protocol::status::Success;
    match result {
        FinalResult::Successful(Success::Installed) => Expect::Installed,
        FinalResult::Successful(Success::Already) => Expect::Already,
        FinalResult::Failed(failure) => Expect::Failed(failure.reason, failure.rollback),
    }
}
