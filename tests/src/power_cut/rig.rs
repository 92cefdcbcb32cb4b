//! One device from its first start to the end of one deployment, with the power cuts it
//! is given, and the truth about what its scripts did.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use hoist_device_client::agent::files::{Files, PRIVATE_FILE, write_atomic};
use hoist_device_client::agent::journal::{Found, TwoSlots};
use hoist_device_client::machine::{
    Action, ArtifactPlan, BootId, Event, Machine, Now, ScriptPlan, ScriptRun, Setup, Verdict,
};
use hoist_device_client::record::{RECORD_BYTES_MAX, RING_BYTES_MAX, Record, Ring};
use hoist_protocol::admission::Audience;
use hoist_protocol::codec::{decode, encode};
use hoist_protocol::head::{DeviceHead, GroupHead, Notice, Policy};
use hoist_protocol::id::{DeploymentId, Generation, ReleaseId, RollCall, Round};
use hoist_protocol::status::{DeviceStatus, FinalResult, Outcome, ScriptExit, ScriptKind};

use super::disk::Disk;
pub use super::disk::{Cut, Moment};

/// A device needs some 60 steps; one that needs this many goes round in circles.
const STEPS_MAX: usize = 600;
const START_MS: u64 = 1_000_000_000;
const DIR: &str = "/state";

/// What is deployed, and how its scripts end.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// For people.
    pub name: &'static str,
    /// Artifacts of the release.
    pub artifacts: u8,
    /// Whether each needs a reboot.
    pub reboot: bool,
    /// Whether a cut-off install may simply be repeated.
    pub idempotent: bool,
    /// `verify` of this artifact fails in attempts up to this number.
    pub fails: Option<(u8, u32)>,
}

/// How the device does what the machine says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As it is said.
    AsSaid,
    /// A mistake this program must see: effects first, then the journal.
    EffectsFirst,
    /// Another: final outcomes are not written.
    OutcomesForgotten,
    /// Another: what the broker never got is taken for acknowledged.
    Unsent,
    /// Another: a timer never wakes the device.
    TimersForgotten,
}

/// What must never happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// An install that is not idempotent ran twice in one attempt.
    DoubleInstall,
    /// The device never comes to an end.
    Stuck,
    /// No outcome reached the broker, or more than one, or one that is not true.
    LostOutcome(String),
}

/// How a run went.
#[derive(Debug, Default)]
pub struct Story {
    /// What happened, for people.
    pub log: Vec<String>,
    /// Durable writes begun.
    pub writes: usize,
    /// What went wrong.
    pub fault: Option<Fault>,
}

struct Rig {
    scenario: Scenario,
    order: Order,
    disk: Arc<Disk>,
    machine: Machine,
    journal: TwoSlots<Record>,
    outcomes: TwoSlots<Ring>,
    boot: u8,
    now_ms: u64,
    events: VecDeque<Event>,
    online: bool,
    /// The device's retained status.
    retained: Option<DeviceStatus>,
    heard: Vec<Outcome>,
    installs: BTreeMap<(u8, u32), u32>,
    installed: BTreeMap<u8, bool>,
    log: Vec<String>,
}

/// Runs a scenario with these cuts.
#[must_use]
pub fn run(scenario: Scenario, order: Order, cuts: &[Cut]) -> Story {
    let disk = Arc::new(Disk::new(Path::new(DIR), cuts));
    let mut rig = Rig::new(scenario, order, Arc::clone(&disk));
    let ended = rig.live();
    let fault = rig.judge(ended);
    Story {
        log: rig.log,
        writes: disk.operations(),
        fault,
    }
}

type Started = (Machine, TwoSlots<Record>, TwoSlots<Ring>);

fn start(disk: &Arc<Disk>, boot: u8) -> Started {
    let files: Arc<dyn Files> = disk.clone();
    let dir = Path::new(DIR);
    let (journal, record) = TwoSlots::open(files.clone(), dir, "journal", RECORD_BYTES_MAX)
        .expect("a readable journal");
    let (outcomes, ring) =
        TwoSlots::open(files, dir, "outcomes", RING_BYTES_MAX).expect("a readable ring");
    let lost = record == Found::Lost || ring == Found::Lost;
    let machine = Machine::new(Setup {
        device: "dev-01".parse().expect("a valid id"),
        boot: BootId([boot; 8]),
        record: content(record),
        ring: content(ring).unwrap_or_default(),
        lost,
        device_head: get(disk, "head").and_then(|bytes| decode(&bytes).ok()),
        kept_release: get(disk, "release").map(|_| ReleaseId([1; 16])),
    });
    (machine, journal, outcomes)
}

fn get(disk: &Disk, name: &str) -> Option<Vec<u8>> {
    disk.read(&Path::new(DIR).join(name), u64::MAX).ok()
}

fn content<T>(found: Found<T>) -> Option<T> {
    match found {
        Found::Content(content) => Some(content),
        Found::Nothing | Found::Lost => None,
    }
}

impl Rig {
    fn new(scenario: Scenario, order: Order, disk: Arc<Disk>) -> Self {
        let (machine, journal, outcomes) = start(&disk, 1);
        Self {
            scenario,
            order,
            disk,
            machine,
            journal,
            outcomes,
            boot: 1,
            now_ms: START_MS,
            events: VecDeque::from([Event::Started]),
            online: false,
            retained: None,
            heard: Vec::new(),
            installs: BTreeMap::new(),
            installed: BTreeMap::new(),
            log: Vec::new(),
        }
    }

    /// Whether it came to an end.
    fn live(&mut self) -> bool {
        for _ in 0..STEPS_MAX {
            if let Some(event) = self.events.pop_front() {
                let now = self.now();
                let actions = self.machine.handle(event, now);
                self.act(actions);
            } else if !self.online {
                self.connect();
            } else if let Some(at) = self.due() {
                self.now_ms = self.now_ms.max(at);
                self.events.push_back(Event::Timer);
            } else {
                return !self.machine.is_working();
            }
        }
        false
    }

    fn due(&self) -> Option<u64> {
        let at = self.machine.next_timeout();
        at.filter(|_| self.order != Order::TimersForgotten)
    }

    fn now(&self) -> Now {
        Now {
            unix_ms: self.now_ms,
            random: 7,
        }
    }

    fn connect(&mut self) {
        self.online = true;
        let (_, actions) = self.machine.begin_session();
        if !self.act(actions) {
            return;
        }
        self.events.push_back(Event::Connected);
        if let (true, Some(status)) = (self.machine.wants_own_status(), self.retained.clone()) {
            self.events.push_back(Event::OwnStatus(status));
        }
        self.events.push_back(Event::DeviceHead(own_head()));
    }

    /// Whether the power stayed on.
    fn act(&mut self, mut actions: Vec<Action>) -> bool {
        match self.order {
            Order::EffectsFirst => {
                actions.sort_by_key(|action| matches!(action, Action::Persist(_)));
            }
            Order::OutcomesForgotten => {
                actions.retain(|action| !matches!(action, Action::StoreOutcomes(_)));
            }
            Order::AsSaid | Order::Unsent | Order::TimersForgotten => {}
        }
        for action in actions {
            self.one(action);
            if self.disk.is_off() {
                self.restart();
                return false;
            }
        }
        true
    }

    fn one(&mut self, action: Action) {
        // A write fails only because the power is off, which the caller sees.
        let _off = match action {
            Action::Persist(record) => {
                let stage = record.job.as_ref().map(|job| job.stage);
                self.log.push(format!(
                    "write {}: journal {stage:?}",
                    self.disk.operations()
                ));
                self.journal.write(&record).is_ok()
            }
            Action::StoreOutcomes(ring) => {
                self.log
                    .push(format!("write {}: outcomes", self.disk.operations()));
                self.outcomes.write(&ring).is_ok()
            }
            Action::KeepDeviceHead => self.keep("head", &encode(&own_head())),
            Action::KeepRelease(id) => self.keep("release", &id.0),
            Action::CommitInventory => self.keep("inventory", b"installed"),
            Action::Subscribe(_) => self.tell(Event::GroupHead(head())),
            Action::FetchManifest(notice) => self.tell(Event::Manifest {
                release: notice.release,
                verdict: Verdict::Fits,
            }),
            // Without the release kept before, nothing can be fetched.
            Action::Download { .. } if get(&self.disk, "release").is_some() => {
                let plans = vec![self.plan(); usize::from(self.scenario.artifacts)];
                self.tell(Event::Downloaded {
                    plans: plans.into(),
                    verdict: Verdict::Fits,
                })
            }
            Action::RunScript(run) => self.script(run),
            Action::Publish(status) => self.publish(status),
            Action::Reboot => {
                self.restart();
                true
            }
            Action::Cleanup => {
                if !self.machine.is_working() {
                    let _off = self.disk.remove(&Path::new(DIR).join("release"));
                }
                true
            }
            Action::Reconnect => {
                self.online = false;
                self.tell(Event::Disconnected)
            }
            Action::Download { .. }
            | Action::CancelDownload
            | Action::PublishInfo(_)
            | Action::Distrust
            | Action::Warn(_)
            | Action::Applied(_) => true,
        };
    }

    fn keep(&mut self, name: &str, bytes: &[u8]) -> bool {
        self.log
            .push(format!("write {}: {name}", self.disk.operations()));
        let path = Path::new(DIR).join(name);
        write_atomic(self.disk.as_ref(), &path, bytes, PRIVATE_FILE).is_ok()
    }

    fn tell(&mut self, event: Event) -> bool {
        self.events.push_back(event);
        true
    }

    fn script(&mut self, run: ScriptRun) -> bool {
        self.log.push(format!("script {run:?}"));
        match run.kind {
            ScriptKind::Install => {
                *self
                    .installs
                    .entry((run.artifact, run.attempt))
                    .or_default() += 1;
                self.installed.insert(run.artifact, true);
            }
            ScriptKind::Rollback => drop(self.installed.insert(run.artifact, false)),
            _ => {}
        }
        let fails = self.scenario.fails.is_some_and(|(artifact, attempts)| {
            run.kind == ScriptKind::Verify && run.artifact == artifact && run.attempt <= attempts
        });
        self.tell(Event::ScriptDone {
            exit: ScriptExit::Code(u8::from(fails)),
            output: Vec::new(),
        })
    }

    fn publish(&mut self, status: DeviceStatus) -> bool {
        if self.online {
            for outcome in &status.outcomes {
                if self.order != Order::Unsent && !self.heard.contains(outcome) {
                    self.heard.push(outcome.clone());
                }
            }
            let ended = status.ended;
            self.retained = Some(status);
            self.events.push_back(Event::Acknowledged { ended });
        }
        true
    }

    fn restart(&mut self) {
        self.log
            .push("the power is cut; the device boots".to_owned());
        self.boot += 1;
        self.disk.switch_on();
        self.online = false;
        (self.machine, self.journal, self.outcomes) = start(&self.disk, self.boot);
        self.events = VecDeque::from([Event::Started]);
    }

    fn plan(&self) -> ArtifactPlan {
        let script = |idempotent| {
            Some(ScriptPlan {
                attempts: 1,
                idempotent,
            })
        };
        let install = script(self.scenario.idempotent);
        ArtifactPlan {
            scripts: [
                script(true),
                install,
                script(true),
                script(true),
                script(true),
            ],
            reboot: self.scenario.reboot,
        }
    }

    fn judge(&self, ended: bool) -> Option<Fault> {
        if !self.scenario.idempotent && self.installs.values().any(|runs| *runs > 1) {
            return Some(Fault::DoubleInstall);
        }
        if !ended {
            return Some(Fault::Stuck);
        }
        let lost = |what: String| Some(Fault::LostOutcome(what));
        let [outcome] = self.heard.as_slice() else {
            return lost(format!("heard {:?}", self.heard));
        };
        let success = matches!(outcome.result, FinalResult::Successful(_));
        let all = (0..self.scenario.artifacts)
            .all(|artifact| self.installed.get(&artifact).copied().unwrap_or(false) == success);
        if !all || success != get(&self.disk, "inventory").is_some() {
            return lost(format!("{outcome:?} is not true: {:?}", self.installed));
        }
        None
    }
}

fn own_head() -> DeviceHead {
    DeviceHead {
        generation: Generation(1),
        group: "eu".parse().expect("a valid group"),
        labels: Vec::new(),
        roll_call: RollCall(0),
        holds: Vec::new(),
        rounds: Vec::new(),
        public_key: None,
    }
}

fn head() -> GroupHead {
    let notice = Notice {
        deployment: DeploymentId(1),
        release: ReleaseId([1; 16]),
        round: Round(0),
        audience: Audience::EVERYONE,
        policy: Policy {
            attempts: 3,
            ..Policy::default()
        },
    };
    GroupHead {
        generation: Generation(START_MS),
        notices: vec![notice],
        ..GroupHead::default()
    }
}
