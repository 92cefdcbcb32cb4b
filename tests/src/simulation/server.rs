//! The server of the model: the real core on rows that survive a crash, and the adapter's
//! order of things: decide, commit, publish, acknowledge. Everything else it knows is lost
//! with a crash.

use std::collections::BTreeSet;
use std::str::FromStr;

use hoist_orchestrator_core::command::{Abort, Command, Deploy, DeviceAdd, GroupRef, ReleaseAdd};
use hoist_orchestrator_core::desired;
use hoist_orchestrator_core::effect::{Effect, Effects};
use hoist_orchestrator_core::input::{
    CommandInput, Input, Now, SignatureEvidence, VerifiedRelease,
};
use hoist_orchestrator_core::key::{DeploymentKey, DeviceKey, Prefix, RowKey};
use hoist_orchestrator_core::memory::MemoryRows;
use hoist_orchestrator_core::timer::Timer;
use hoist_orchestrator_core::txn::{Txn, Undecided};
use hoist_protocol::access::Role;
use hoist_protocol::codec::{Message, decode, decode_prefix, encode};
use hoist_protocol::head::{DeviceHead, GroupHead};
use hoist_protocol::id::{DeploymentId, DeviceId, Generation, GroupId, sha256};
use hoist_protocol::release::{ArtifactRef, ReleaseManifest};
use hoist_protocol::topic::{Topic, Topics};

use super::broker::{Broker, Message as Delivery, Party};
use super::device::read_status;
use super::orders::Order;

/// The server and its durable rows.
pub struct Server {
    /// Survives crashes.
    pub rows: MemoryRows,
    /// Rises with every row written: what has not changed need not be checked again.
    pub version: u64,
    /// Whether it runs.
    pub up: bool,
    topics: Topics,
    requests: u64,
    attended_ms: u64,
    dirty_groups: BTreeSet<GroupId>,
    dirty_devices: BTreeSet<DeviceId>,
}

impl Server {
    /// A server on an empty store, not started.
    pub fn new() -> Self {
        Self {
            rows: MemoryRows::default(),
            version: 0,
            up: false,
            topics: Topics::default(),
            requests: 0,
            attended_ms: 0,
            dirty_groups: BTreeSet::new(),
            dirty_devices: BTreeSet::new(),
        }
    }

    /// Starts or restarts: connects, subscribes, and looks at everything again.
    pub fn start(&mut self, broker: &mut Broker, unix_ms: u64) {
        self.up = true;
        broker.connect(Party::Server);
        for below in ["s/+/+", "p/+/+", "i/+/+"] {
            broker.subscribe(&Party::Server, &self.topics.filter(below));
        }
        let effects = self.commit(&Input::Connected, unix_ms);
        self.apply(&effects);
        self.dirty_groups = self.all(&Prefix::Groups);
        self.dirty_devices = self.all(&Prefix::Devices);
    }

    /// Loses everything that is not durable.
    pub fn crash(&mut self) {
        self.up = false;
        self.dirty_groups.clear();
        self.dirty_devices.clear();
    }

    /// Lets attended time pass.
    pub fn advance(&mut self, ms: u64) {
        if self.up {
            self.attended_ms += ms;
        }
    }

    fn all<T: FromStr + Ord>(&self, prefix: &Prefix) -> BTreeSet<T> {
        let keys = self.rows.scan(&prefix.bytes());
        keys.filter_map(|(key, _)| prefix.rest(key)?.parse().ok())
            .collect()
    }

    /// Decides one input against the durable rows and commits it.
    pub fn commit(&mut self, input: &Input, unix_ms: u64) -> Effects {
        self.version += 1;
        let now = Now {
            unix_ms,
            attended_ms: self.attended_ms,
            ..Now::default()
        };
        self.rows
            .decide(input, now)
            .unwrap_or_else(|error| panic!("{error}: {error:?}"))
    }

    /// Notes what effects ask for.
    pub fn apply(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::GroupHeadChanged(group) => {
                    self.dirty_groups.insert(group.clone());
                }
                Effect::DeviceHeadChanged(device) => {
                    self.dirty_devices.insert(device.clone());
                }
                _ => {}
            }
        }
    }

    /// Reads a delivery as the adapter does, or `None` when it means nothing.
    pub fn read(&self, delivery: &Delivery) -> Option<Input> {
        Some(match self.topics.parse(&delivery.topic).ok()? {
            Topic::Status(device) if delivery.payload.is_empty() => Input::StatusCleared { device },
            Topic::Status(device) => Input::Status {
                device,
                status: read_status(&delivery.payload)?,
                evidence: SignatureEvidence::Valid,
            },
            Topic::Presence(device) => Input::Presence {
                device,
                presence: decode(&delivery.payload).ok()?,
            },
            Topic::Info(device) => Input::Info {
                device,
                info: Box::new(decode(&delivery.payload).ok()?),
            },
            _ => return None,
        })
    }

    /// The input of an operator's order.
    pub fn order(&mut self, order: &Order) -> Input {
        self.requests += 1;
        let mut release = None;
        let command = match order {
            Order::Group(group) => Command::GroupCreate(GroupRef {
                group: group.to_string(),
            }),
            Order::Device(device, group) => Command::DeviceAdd(DeviceAdd {
                device: device.to_string(),
                group: Some(group.to_string()),
                ..DeviceAdd::default()
            }),
            Order::Release(name, version) => {
                release = Some(verified_release(name, version));
                Command::ReleaseAdd(ReleaseAdd {
                    manifest: String::new(),
                })
            }
            Order::Deploy(release, group) => Command::Deploy(Deploy {
                release: release.clone(),
                group: Some(group.to_string()),
                ..Deploy::default()
            }),
            Order::Abort(id) => Command::Abort(Abort {
                deployment: id.0,
                reason: None,
                dry_run: false,
            }),
        };
        Input::Command(Box::new(CommandInput {
            user: "operator".parse().expect("a valid id"),
            role: Some(Role::Admin),
            groups: Vec::new(),
            request: format!("r{}", self.requests).parse().expect("a valid id"),
            body_hash: sha256(format!("{order:?}").as_bytes()),
            command: Ok(command),
            release,
        }))
    }

    /// The timer that is due, if one is.
    pub fn due(&self, unix_ms: u64) -> Option<Timer> {
        let now = Now {
            unix_ms,
            attended_ms: self.attended_ms,
            ..Now::default()
        };
        self.rows.due(now).into_iter().next()
    }

    /// Whether reconcile has something to look at.
    pub fn is_dirty(&self) -> bool {
        !self.dirty_groups.is_empty() || !self.dirty_devices.is_empty()
    }

    /// Publishes one head that differs from what is retained.
    pub fn reconcile(&mut self, broker: &mut Broker, unix_ms: u64) {
        if let Some(group) = self.dirty_groups.pop_first() {
            if let Some((topic, payload)) = self.desired_group(&group, broker, unix_ms) {
                broker.publish(&topic, payload);
            }
        } else if let Some(device) = self.dirty_devices.pop_first()
            && let Some((topic, payload)) = self.desired_device(&device, broker, unix_ms)
        {
            broker.publish(&topic, payload);
        }
    }

    /// The head of a group when it is not what is retained.
    fn desired_group(
        &self,
        group: &GroupId,
        broker: &Broker,
        unix_ms: u64,
    ) -> Option<(String, Vec<u8>)> {
        let topic = self.topics.format(&Topic::GroupHead(group.clone()));
        let mut txn = Txn::default();
        let (row, deployments) = loop {
            match desired::read_group(&txn, group) {
                Ok(found) => break found?,
                Err(Undecided::Missing(keys)) => self.rows.load(&mut txn, keys),
                Err(corrupt) => panic!("{corrupt:?}"),
            }
        };
        let retained: Option<GroupHead> = retained(broker, &topic);
        let same = |generation| desired::group_head(&row, &deployments, generation);
        if retained
            .as_ref()
            .is_some_and(|head| *head == same(head.generation))
        {
            return None;
        }
        let previous = retained.map(|head| head.generation);
        let generation = desired::next_generation(previous, unix_ms);
        Some((topic, encode(&same(generation))))
    }

    /// The head of a device when it is not what is retained.
    fn desired_device(
        &self,
        device: &DeviceId,
        broker: &Broker,
        unix_ms: u64,
    ) -> Option<(String, Vec<u8>)> {
        let topic = self.topics.format(&Topic::DeviceHead(device.clone()));
        let row = self.row(&DeviceKey(device.clone()))?;
        let retained: Option<DeviceHead> = retained(broker, &topic);
        let same = |generation| desired::device_head(&row, generation);
        if retained
            .as_ref()
            .is_some_and(|head| *head == same(head.generation))
        {
            return None;
        }
        let previous = retained.map(|head| head.generation);
        let generation = desired::next_generation(previous, unix_ms);
        Some((topic, encode(&same(generation))))
    }

    /// Heads that are not as desired, for the end of a run.
    pub fn undesired(&self, broker: &Broker, unix_ms: u64) -> Vec<String> {
        let groups: BTreeSet<GroupId> = self.all(&Prefix::Groups);
        let devices: BTreeSet<DeviceId> = self.all(&Prefix::Devices);
        let groups = groups
            .iter()
            .filter_map(|group| self.desired_group(group, broker, unix_ms));
        let devices = devices
            .iter()
            .filter_map(|device| self.desired_device(device, broker, unix_ms));
        groups.chain(devices).map(|(topic, _)| topic).collect()
    }

    /// A durable row.
    pub fn row<K: RowKey>(&self, key: &K) -> Option<K::Row> {
        self.rows.read(key).expect("a readable row")
    }

    /// Every deployment there is.
    pub fn deployments(&self) -> Vec<DeploymentId> {
        let ids = (1..).map(DeploymentId);
        ids.take_while(|id| self.row(&DeploymentKey(*id)).is_some())
            .collect()
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

fn retained<M: Message>(broker: &Broker, topic: &str) -> Option<M> {
    decode_prefix(broker.retained(topic)?)
        .ok()
        .map(|(head, _)| head)
}

fn verified_release(name: &str, version: &str) -> VerifiedRelease {
    let manifest = ReleaseManifest {
        name: name.parse().expect("a valid name"),
        version: version.to_owned(),
        counter: 1,
        floor: 0,
        device_types: Vec::new(),
        attributes: Vec::new(),
        artifacts: vec![ArtifactRef {
            size: 1,
            hash: sha256(format!("{name}{version}").as_bytes()),
        }],
    };
    VerifiedRelease {
        sealed: encode(&manifest),
        artifacts: vec![manifest.name.clone()],
        manifest,
    }
}

/// What a generation of a retained head is, for the invariant that it never falls.
pub fn generation_of(topic: &str, payload: &[u8]) -> Option<Generation> {
    match Topics::default().parse(topic).ok()? {
        Topic::GroupHead(_) => decode_prefix::<GroupHead>(payload)
            .ok()
            .map(|(h, _)| h.generation),
        Topic::DeviceHead(_) => decode_prefix::<DeviceHead>(payload)
            .ok()
            .map(|(h, _)| h.generation),
        _ => None,
    }
}
