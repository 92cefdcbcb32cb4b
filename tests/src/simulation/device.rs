//! A device of the model: the real update machine with a modelled disk, network, scripts
//! and power, and the truth about what it did.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use fastrand::Rng;
use hoist_device_client::machine::{
    Action, ArtifactPlan, BootId, Event, Machine, Now, Retry, ScriptPlan, ScriptRun, Setup, Verdict,
};
use hoist_device_client::record::{Record, Ring};
use hoist_protocol::codec::{decode, decode_prefix, encode};
use hoist_protocol::device::{DeviceInfo, Presence, PresenceState};
use hoist_protocol::envelope::PublicKey;
use hoist_protocol::head::{DeviceHead, GroupHead};
use hoist_protocol::id::{DeploymentId, DeviceId, Generation, Round, SessionCounter};
use hoist_protocol::reason::Reason;
use hoist_protocol::status::{DeviceStatus, FinalResult, ScriptExit, ScriptKind};
use hoist_protocol::topic::{Topic, Topics};

use super::broker::{Broker, Message, Party};

/// What survives a power cut.
#[derive(Default)]
struct Disk {
    record: Option<Record>,
    ring: Ring,
    head: Option<DeviceHead>,
}

/// One run of an install script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Install {
    /// In which round.
    pub round: Round,
    /// In which attempt.
    pub attempt: u32,
    /// Of which artifact.
    pub artifact: u8,
}

/// A device and the truth about it.
pub struct Device {
    /// Its number in the world.
    pub number: usize,
    /// Its id.
    pub id: DeviceId,
    /// Whether it has a session.
    pub online: bool,
    machine: Machine,
    disk: Disk,
    boots: u8,
    session: SessionCounter,
    arrived: Option<DeviceHead>,
    /// What the manifest, download or script asked for will come to.
    doing: Option<Event>,
    generations: BTreeMap<String, Generation>,
    /// Every deployment it ever started, with every install script it ran.
    pub started: BTreeMap<DeploymentId, Vec<Install>>,
    /// The last final result per deployment: round and success.
    pub finals: BTreeMap<DeploymentId, (Round, bool)>,
    /// Heads whose generation fell, which must not happen.
    pub fallen_generations: u32,
}

impl Device {
    /// A device that was never switched on.
    pub fn new(number: usize) -> Self {
        let id: DeviceId = format!("d{number:03}").parse().expect("a valid id");
        let disk = Disk::default();
        Self {
            number,
            machine: machine(&id, &disk, 0),
            id,
            online: false,
            disk,
            boots: 0,
            session: SessionCounter(0),
            arrived: None,
            doing: None,
            generations: BTreeMap::new(),
            started: BTreeMap::new(),
            finals: BTreeMap::new(),
            fallen_generations: 0,
        }
    }

    fn party(&self) -> Party {
        Party::Device(self.number)
    }

    fn topic(&self, of: fn(DeviceId) -> Topic) -> String {
        Topics::default().format(&of(self.id.clone()))
    }

    /// Its key: nothing is signed in the model, but it is pinned.
    fn public_key(&self) -> PublicKey {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(self.number as u64).to_le_bytes());
        PublicKey(key)
    }

    /// Tells the machine and does what it wants; what comes of that is told afterwards.
    fn tell(&mut self, event: Event, world: &mut Surroundings<'_>) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let now = Now {
                unix_ms: world.unix_ms,
                random: world.rng.u64(..),
            };
            for action in self.machine.handle(event, now) {
                match action {
                    Action::Publish(status) => events.extend(self.publish(&status, world)),
                    Action::Reboot => return self.cut_power(world),
                    action => self.act(action, world),
                }
            }
        }
    }

    fn act(&mut self, action: Action, world: &mut Surroundings<'_>) {
        match action {
            Action::Persist(record) => self.persist(record),
            Action::StoreOutcomes(ring) => self.store(ring),
            Action::KeepDeviceHead => self.disk.head = self.arrived.clone(),
            Action::Subscribe(group) => {
                let topic = Topics::default().format(&Topic::GroupHead(group));
                world.broker.subscribe(&self.party(), &topic);
            }
            Action::FetchManifest(notice) => {
                let (release, verdict) = (notice.release, Verdict::Fits);
                self.doing = Some(Event::Manifest { release, verdict });
            }
            Action::Download { .. } => self.doing = Some(download(world.rng)),
            Action::CancelDownload => self.doing = None,
            Action::RunScript(run) => self.run_script(run, world.rng),
            Action::PublishInfo(_) => self.publish_info(world.broker),
            // Told elsewhere, or of no consequence in the model.
            Action::Publish(_)
            | Action::Reboot
            | Action::KeepRelease(_)
            | Action::CommitInventory
            | Action::Distrust
            | Action::Reconnect
            | Action::Warn(_)
            | Action::Applied(_)
            | Action::Cleanup => {}
        }
    }

    fn persist(&mut self, record: Record) {
        if let Some(job) = &record.job {
            self.started.entry(job.deployment).or_default();
        }
        self.disk.record = Some(record);
    }

    fn store(&mut self, ring: Ring) {
        for outcome in &ring.outcomes {
            let success = matches!(outcome.result, FinalResult::Successful(_));
            self.finals
                .insert(outcome.deployment, (outcome.round, success));
        }
        self.disk.ring = ring;
    }

    fn run_script(&mut self, run: ScriptRun, rng: &mut Rng) {
        if run.kind == ScriptKind::Install {
            let round = self.machine.job().map(|job| job.round).unwrap_or_default();
            let install = Install {
                round,
                attempt: run.attempt,
                artifact: run.artifact,
            };
            self.started
                .entry(run.deployment)
                .or_default()
                .push(install);
        }
        let exit = match (run.kind, rng.u8(0..100)) {
            (ScriptKind::Verify, 0..25) | (ScriptKind::Rollback, 0..10) => ScriptExit::Code(1),
            (ScriptKind::Install, 0..5) => ScriptExit::Code(75),
            (ScriptKind::Install, 5..10) => ScriptExit::Timeout,
            _ => ScriptExit::Code(0),
        };
        self.doing = Some(Event::ScriptDone {
            exit,
            output: Vec::new(),
        });
    }

    /// Publishes a status; what comes of it is an acknowledgment, or a broken connection.
    fn publish(&mut self, status: &DeviceStatus, world: &mut Surroundings<'_>) -> Option<Event> {
        if !self.online {
            return None;
        }
        world
            .broker
            .publish(&self.topic(Topic::Status), encode(status));
        if world.rng.u8(..) >= 5 {
            return Some(Event::Acknowledged {
                ended: status.ended,
            });
        }
        self.leave(world);
        Some(Event::Disconnected)
    }

    fn publish_info(&self, broker: &mut Broker) {
        if self.online {
            let known = self
                .machine
                .own_head()
                .is_some_and(|head| head.public_key.is_some());
            let public_key = (!known).then(|| self.public_key());
            let info = DeviceInfo {
                public_key,
                ..DeviceInfo::default()
            };
            broker.publish(&self.topic(Topic::Info), encode(&info));
        }
    }

    fn publish_presence(&self, broker: &mut Broker, state: PresenceState) {
        let presence = Presence {
            state,
            session: self.session,
        };
        broker.publish(&self.topic(Topic::Presence), encode(&presence));
    }

    /// Switches it on, or connects it again.
    pub fn connect(&mut self, world: &mut Surroundings<'_>) {
        if self.boots == 0 {
            self.boot(world);
        }
        self.online = true;
        let (session, actions) = self.machine.begin_session();
        self.session = session;
        for action in actions {
            self.act(action, world);
        }
        world.broker.connect(self.party());
        self.publish_presence(world.broker, PresenceState::Online);
        self.tell(Event::Connected, world);
        world
            .broker
            .subscribe(&self.party(), &self.topic(Topic::DeviceHead));
    }

    /// The connection is gone; the will speaks for it.
    fn leave(&mut self, world: &mut Surroundings<'_>) {
        self.online = false;
        world.broker.disconnect(&self.party());
        self.publish_presence(world.broker, PresenceState::Offline);
    }

    /// Loses its connection.
    pub fn disconnect(&mut self, world: &mut Surroundings<'_>) {
        self.leave(world);
        self.tell(Event::Disconnected, world);
    }

    /// Loses power, and with it everything that is not on disk, and boots again.
    pub fn cut_power(&mut self, world: &mut Surroundings<'_>) {
        if self.online {
            self.leave(world);
        }
        self.boot(world);
    }

    fn boot(&mut self, world: &mut Surroundings<'_>) {
        self.boots = self.boots.wrapping_add(1).max(1);
        self.doing = None;
        self.arrived = None;
        self.machine = machine(&self.id, &self.disk, self.boots);
        self.tell(Event::Started, world);
    }

    /// Takes a head.
    pub fn receive(&mut self, message: &Message, world: &mut Surroundings<'_>) {
        match Topics::default().parse(&message.topic) {
            Ok(Topic::DeviceHead(_)) => {
                let Ok((head, _)) = decode_prefix::<DeviceHead>(&message.payload) else {
                    return;
                };
                self.note(&message.topic, head.generation);
                self.arrived = Some(head.clone());
                self.tell(Event::DeviceHead(head), world);
            }
            Ok(Topic::GroupHead(group)) => {
                let Ok((head, _)) = decode_prefix::<GroupHead>(&message.payload) else {
                    return;
                };
                self.note(&message.topic, head.generation);
                // The agent has left the topics of other groups.
                if self
                    .machine
                    .own_head()
                    .is_some_and(|own| own.group == group)
                {
                    self.tell(Event::GroupHead(head), world);
                }
            }
            _ => {}
        }
    }

    fn note(&mut self, topic: &str, generation: Generation) {
        let known = self.generations.entry(topic.to_owned()).or_default();
        self.fallen_generations += u32::from(generation < *known);
        *known = generation.max(*known);
    }

    /// What it works on, waits for or has yet to hear.
    pub fn doing(&self) -> Option<String> {
        let job = self.machine.job();
        (job.is_some() || self.doing.is_some()).then(|| {
            format!(
                "{}: {job:?}, {:?}, due {:?}",
                self.id,
                self.doing,
                self.machine.next_timeout()
            )
        })
    }

    /// Lets one thing come to its end, or its time come.
    pub fn work(&mut self, world: &mut Surroundings<'_>) {
        let due = self
            .machine
            .next_timeout()
            .is_some_and(|at| at <= world.unix_ms);
        if due {
            self.tell(Event::Timer, world);
        } else if let Some(event) = self.doing.take() {
            // Only the manifest needs the connection.
            if self.online || !matches!(event, Event::Manifest { .. }) {
                self.tell(event, world);
            }
        }
    }
}

/// What a device can reach outside itself.
pub struct Surroundings<'a> {
    /// The broker.
    pub broker: &'a mut Broker,
    /// Chance.
    pub rng: &'a mut Rng,
    /// Device time.
    pub unix_ms: u64,
}

fn machine(id: &DeviceId, disk: &Disk, boots: u8) -> Machine {
    Machine::new(Setup {
        device: id.clone(),
        boot: BootId([boots; 8]),
        record: disk.record.clone(),
        ring: disk.ring.clone(),
        lost: false,
        device_head: disk.head.clone(),
        kept_release: None,
    })
}

/// What a download will come to: mostly one or two artifacts, some of which reboot.
fn download(rng: &mut Rng) -> Event {
    if rng.u8(0..100) < 15 {
        return Event::DownloadFailed {
            reason: Reason::DownloadFailed,
            retry: Retry::Later,
        };
    }
    let script = |idempotent| {
        Some(ScriptPlan {
            attempts: 1,
            idempotent,
        })
    };
    let artifact = |rng: &mut Rng| ArtifactPlan {
        scripts: [None, script(false), None, script(true), script(true)],
        reboot: rng.u8(0..100) < 20,
    };
    let count = rng.usize(1..=2);
    let plans: Vec<ArtifactPlan> = (0..count).map(|_| artifact(rng)).collect();
    Event::Downloaded {
        plans: Arc::from(plans),
        verdict: Verdict::Fits,
    }
}

/// A status as the modelled server's adapter reads it.
pub fn read_status(payload: &[u8]) -> Option<DeviceStatus> {
    decode(payload).ok()
}
