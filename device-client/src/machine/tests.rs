//! One device in a world made of values: scripts end as a plan says, and power goes
//! wherever a test wants it to.

use std::collections::BTreeMap;
use std::sync::Arc;

use hoist_protocol::admission::Audience;
use hoist_protocol::id::{DeploymentId, Generation, ReleaseId, Resync, Round};
use hoist_protocol::reason::Reason;
use hoist_protocol::spec::{DeploymentSpec, DeviceSpec, GroupSpec, HOLD_ALL, Policy};
use hoist_protocol::status::{
    DeviceStatus, FinalResult, RetryCause, Rollback, ScriptExit, ScriptKind, Step, Success,
};

use super::*;
use crate::record::{RECORD_BYTES_MAX, Record, Ring, write_slot};

const DAY_MS: u64 = 86_400_000;

/// The machine, its disk and everything it did.
struct World {
    machine: Machine,
    record: Option<Record>,
    ring: Ring,
    own: Option<DeviceSpec>,
    forgotten: Option<Floor>,
    boot: u8,
    now_ms: u64,
    verdict: Verdict,
    plans: Vec<ArtifactPlan>,
    /// The exits of the runs of a script of an artifact, first to last; then with 0.
    exits: BTreeMap<(u8, ScriptKind), Vec<ScriptExit>>,
    /// Runs of any script that are refused before they begin.
    refused: u32,
    fetches_fail: Vec<Retry>,
    fetch_reason: Reason,
    fetch_cause: RetryCause,
    /// True if bytes were proven before a fetch fails, and what its server asks for.
    gained: bool,
    asked_ms: u64,
    sentence: String,
    random: u64,
    /// Scripts in the order they began.
    ran: Vec<(u8, ScriptKind, u32)>,
    /// When each of them began, Unix ms.
    ran_at: Vec<(u8, ScriptKind, u64)>,
    /// The time that a script of an artifact takes, ms.
    takes_ms: BTreeMap<u8, u64>,
    said: Vec<DeviceStatus>,
    infos: Vec<InfoExtent>,
    subscribed: u32,
    committed: u32,
    downloads: u32,
    distrusted: u32,
    reconnected: u32,
    /// True if a session does not end at once when it should.
    stays_connected: bool,
    warned: Vec<SpecRefusal>,
    applied: Vec<FinalResult>,
    /// Durable writes until the power goes.
    power: Option<u32>,
}

fn setup(record: Option<Record>, ring: Ring, own: Option<DeviceSpec>, boot: u8) -> Setup {
    Setup {
        device: "dev-01".parse().unwrap(),
        boot: BootId([boot; 8]),
        record,
        ring,
        lost: false,
        device_spec: own,
        forgotten: None,
        kept_release: None,
    }
}

fn plan(kinds: &[ScriptKind]) -> ArtifactPlan {
    let script = ScriptPlan {
        attempts: 1,
        idempotent: false,
    };
    ArtifactPlan {
        scripts: ScriptKind::ALL.map(|kind| kinds.contains(&kind).then_some(script)),
        reboot: false,
    }
}

fn entry(deployment: u32) -> DeploymentSpec {
    DeploymentSpec {
        deployment: DeploymentId(deployment),
        release: ReleaseId([u8::try_from(deployment).unwrap(); 16]),
        round: Round(0),
        audience: Audience::EVERYONE,
        policy: Policy {
            attempts: 2,
            ..Policy::default()
        },
    }
}

fn spec(generation: u64, entries: Vec<DeploymentSpec>) -> GroupSpec {
    GroupSpec {
        generation: Generation(generation),
        entries,
        ..GroupSpec::default()
    }
}

fn own_spec(generation: u64) -> DeviceSpec {
    DeviceSpec {
        generation: Generation(generation),
        group: "eu".parse().unwrap(),
        labels: Vec::new(),
        resync: Resync(0),
        holds: Vec::new(),
        rounds: Vec::new(),
        permits: Vec::new(),
        public_key: None,
    }
}

/// The key that signs specs here.
const SIGNER: KeyId = KeyId([3; 4]);

fn told_own(spec: DeviceSpec) -> Event {
    Event::DeviceSpec(spec, SIGNER)
}

fn told_group(spec: GroupSpec) -> Event {
    Event::GroupSpec(spec, SIGNER)
}

impl World {
    fn new(artifacts: usize) -> Self {
        Self {
            machine: Machine::new(setup(None, Ring::default(), None, 1)),
            record: None,
            ring: Ring::default(),
            own: None,
            forgotten: None,
            boot: 1,
            now_ms: 10 * DAY_MS,
            verdict: Verdict::Fits,
            plans: vec![plan(&ScriptKind::ALL); artifacts],
            exits: BTreeMap::new(),
            refused: 0,
            fetches_fail: Vec::new(),
            fetch_reason: Reason::DownloadFailed,
            fetch_cause: RetryCause::Http(503),
            gained: false,
            asked_ms: 0,
            sentence: "HTTP 503 from files".to_owned(),
            random: 7,
            ran: Vec::new(),
            ran_at: Vec::new(),
            takes_ms: BTreeMap::new(),
            said: Vec::new(),
            infos: Vec::new(),
            subscribed: 0,
            committed: 0,
            downloads: 0,
            distrusted: 0,
            reconnected: 0,
            stays_connected: false,
            warned: Vec::new(),
            applied: Vec::new(),
            power: None,
        }
    }

    fn online(mut self, spec: GroupSpec) -> Self {
        self.tell(Event::Started);
        self.tell(Event::Connected);
        self.tell(told_own(own_spec(1)));
        self.tell(told_group(spec));
        self
    }

    fn fails(mut self, artifact: u8, kind: ScriptKind, exits: &[ScriptExit]) -> Self {
        self.exits.insert((artifact, kind), exits.to_vec());
        self
    }

    /// Tells the machine and does what it says until it waits.
    fn tell(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let now = Now {
                unix_ms: self.now_ms,
                random: self.random,
            };
            for action in self.machine.handle(event, now) {
                if self.power == Some(0) {
                    self.power = None;
                    // Restarts after the cut, with the network gone.
                    self.restart();
                    events = vec![Event::Started];
                    break;
                }
                events.extend(self.act(action));
            }
        }
    }

    fn restart(&mut self) {
        let (record, ring, own) = (self.record.clone(), self.ring.clone(), self.own.clone());
        self.machine = Machine::new(Setup {
            forgotten: self.forgotten,
            ..setup(record, ring, own, self.boot)
        });
    }

    fn wrote(&mut self) {
        self.power = self.power.map(|writes| writes - 1);
    }

    fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Persist(record) => {
                assert!(write_slot(u64::MAX, &record).len() <= RECORD_BYTES_MAX);
                self.record = Some(record);
                self.wrote();
                None
            }
            Action::StoreOutcomes(ring) => {
                self.ring = ring;
                self.wrote();
                None
            }
            Action::Publish(status) => {
                self.said.push(status);
                None
            }
            Action::FetchManifest(entry) => {
                let release = entry.release;
                Some(Event::Manifest {
                    deployment: entry.deployment,
                    release,
                    verdict: self.verdict.clone(),
                })
            }
            Action::Download { .. } => Some(self.fetch()),
            Action::RunScript(run) => Some(self.script(run)),
            Action::Subscribe(_) => {
                self.subscribed += 1;
                None
            }
            Action::KeepDeviceSpec => {
                self.own = self.machine.own_spec().cloned();
                self.wrote();
                None
            }
            Action::ForgetDeviceSpec(floor) => {
                self.own = None;
                self.forgotten = Some(floor);
                self.wrote();
                None
            }
            Action::CommitInventory => {
                self.committed += 1;
                None
            }
            Action::Distrust => {
                self.distrusted += 1;
                None
            }
            Action::Reconnect => {
                self.reconnected += 1;
                (!self.stays_connected).then_some(Event::Disconnected)
            }
            Action::Warn(refusal) => {
                self.warned.push(refusal);
                None
            }
            Action::Applied(result) => {
                self.applied.push(result);
                None
            }
            Action::Reboot | Action::KeepRelease(_) | Action::CancelDownload | Action::Cleanup => {
                None
            }
            Action::PublishInfo(extent) => {
                self.infos.push(extent);
                None
            }
        }
    }

    fn script(&mut self, run: ScriptRun) -> Event {
        if self.refused > 0 {
            self.refused -= 1;
            return Event::ScriptRefused {
                reason: Reason::HashMismatch,
                output: b"swapped".to_vec(),
            };
        }
        self.ran.push((run.artifact, run.kind, run.attempt));
        self.ran_at.push((run.artifact, run.kind, self.now_ms));
        self.now_ms += self.takes_ms.get(&run.artifact).unwrap_or(&0);
        let exits = self.exits.entry((run.artifact, run.kind)).or_default();
        let exit = if exits.is_empty() {
            ScriptExit::Code(0)
        } else {
            exits.remove(0)
        };
        Event::ScriptDone {
            exit,
            output: b"said".to_vec(),
        }
    }

    fn fetch(&mut self) -> Event {
        self.downloads += 1;
        match self.fetches_fail.pop() {
            Some(retry) => Event::DownloadFailed(FetchFailure {
                cause: self.fetch_cause,
                gained: self.gained,
                after_ms: self.asked_ms,
                detail: self.sentence.clone(),
                ..FetchFailure::new(self.fetch_reason, retry)
            }),
            None => Event::Downloaded {
                plans: self.plans.clone().into(),
            },
        }
    }

    /// The broker has what was said last.
    fn acknowledge(&mut self) {
        let last = self.said.last().unwrap();
        let (seq, ended) = (last.seq, last.ended);
        self.tell(Event::Acknowledged { seq, ended });
        if std::mem::take(&mut self.infos).contains(&InfoExtent::Full) {
            self.tell(Event::InfoAcknowledged);
        }
    }

    /// Lets time pass until the machine waits for nothing.
    fn wait(&mut self) {
        for _ in 0..100 {
            let Some(at) = self.machine.next_timeout() else {
                return;
            };
            self.now_ms = self.now_ms.max(at);
            self.tell(Event::Timer);
        }
        panic!("the machine never comes to rest");
    }

    /// Lets time pass as long as this is true of the machine.
    fn wait_while(&mut self, waits: fn(&Machine) -> bool) {
        while waits(&self.machine) {
            self.now_ms = self.now_ms.max(self.machine.next_timeout().unwrap());
            self.tell(Event::Timer);
        }
    }

    fn job_stage(&self) -> Option<Stage> {
        self.machine.job().map(|job| job.stage)
    }

    fn result(&self) -> &FinalResult {
        &self.ring.outcomes.last().unwrap().result
    }

    fn runs(&self, kind: ScriptKind) -> Vec<u8> {
        let runs = self.ran.iter().filter(|(_, ran, _)| *ran == kind);
        runs.map(|(artifact, ..)| *artifact).collect()
    }

    fn failed(&self) -> (Reason, Rollback) {
        match self.result() {
            FinalResult::Failed(failure) => (failure.reason, failure.rollback),
            FinalResult::Successful(_) => panic!("successful"),
        }
    }
}

const FAIL: ScriptExit = ScriptExit::Code(1);

mod attempts;
mod confirm;
mod local;
mod lost;
mod past;
mod power;
mod proof;
mod removed;
mod reports;
mod resync;
mod sentences;
mod specs;
mod windows;
