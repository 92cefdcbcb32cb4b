//! The rules of the design, driven through the one door with rows in memory.

use std::collections::BTreeMap;

use hoist_protocol::access::Role;
use hoist_protocol::admission::Audience;
use hoist_protocol::device::{DeviceInfo, Presence, PresenceState};
use hoist_protocol::envelope::PublicKey;
use hoist_protocol::id::{
    Attempt, DeploymentId, DeviceId, Generation, Round, Seq, SessionCounter, UserId, sha256,
};
use hoist_protocol::reason::Reason;
use hoist_protocol::release::{ArtifactRef, ReleaseManifest};
use hoist_protocol::spec::{DeviceSpec, GroupSpec};
use hoist_protocol::status::{
    DeviceStatus, Failure, FinalResult, Outcome, Progress, RetryCause, Rollback, ScriptExit,
    ScriptFailure, ScriptKind, Step, Success,
};

use crate::api::command::{
    Abort, Command, Deploy, DeviceAdd, DeviceHold, DeviceList, DeviceMove, DeviceRemove,
    GroupCreate, GroupList, Limit, Pause, ReleaseAdd, Retry,
};
use crate::api::request::CommandInput;
use crate::api::response::{Decision, Response};
use crate::engine::input::Input;
use crate::engine::memory::MemoryRows;
use crate::model::counter::{Counts, Totals, recount};
use crate::model::effect::{Effect, Effects};
use crate::model::error::Code;
use crate::model::evidence::{Delivered, SignatureEvidence};
use crate::model::key::{
    DeploymentKey, DeviceKey, GroupCountKey, Key, OutboxKey, Prefix, RecordKey, RequestKey,
};
use crate::model::now::{LivenessTimeouts, Now};
use crate::model::release::VerifiedRelease;
use crate::model::row::{DeviceRow, EndReason, OutboxRow, RecordRow, RecordState};
use crate::model::search::{PassSeek, Seek};
use crate::model::state::{CompleteWhen, DeploymentState};
use crate::model::timer::TimerKind;
use crate::model::txn::{Txn, Undecided};
use crate::query;
use crate::reply::view::DeploymentView;
use crate::reply::{AbortResult, Answer, DeviceItem, ResultBody, StatusWord};
use crate::rules::rollout::limit::SEEK_PAUSE_MS;

const GRACE_MS: u64 = 70_000;
const SETTLE_MS: u64 = 30_000;

/// A server's core with two clocks, driven by a test.
struct World {
    rows: MemoryRows,
    now: Now,
    requests: u32,
    /// Lines that were asked for.
    seeks: Vec<Seek>,
    /// Pages of passes that were asked for.
    pages: Vec<PassSeek>,
    /// True if specs of devices are not seen at the broker.
    slow: bool,
}

impl World {
    /// A group `eu` with these devices, and the release `fw@1.0.0`.
    fn with_devices(devices: &[&str]) -> Self {
        let now = Now {
            unix_ms: 1_800_000_000_000,
            uptime_ms: 0,
            patience: LivenessTimeouts {
                grace_ms: GRACE_MS,
                settle_ms: SETTLE_MS,
            },
            ..Now::default()
        };
        let mut world = Self {
            rows: MemoryRows::default(),
            now,
            requests: 0,
            seeks: Vec::new(),
            pages: Vec::new(),
            slow: false,
        };
        world.tell(Input::Connected);
        world.pass(SETTLE_MS);
        world.create_group("eu");
        world.add_release("fw", "1.0.0", &["app"]);
        for device in devices {
            world.add_device(device);
        }
        world
    }

    fn tell(&mut self, input: impl std::borrow::Borrow<Input>) -> Effects {
        self.decide(input).effects
    }

    fn decide(&mut self, input: impl std::borrow::Borrow<Input>) -> Decision {
        let decision = self.rows.decide(input.borrow(), self.now).unwrap();
        for effect in &decision.effects {
            match effect {
                Effect::FindLine(seek) => self.seeks.push(seek.clone()),
                Effect::Pass(seek) => self.pages.push((**seek).clone()),
                Effect::DeviceSpecChanged(device) if !self.slow => self.spec_out(device),
                _ => {}
            }
        }
        decision
    }

    /// The broker is seen to hold a device's spec.
    fn spec_out(&mut self, device: &DeviceId) {
        let row = self.rows.read(&OutboxKey(device.clone())).unwrap();
        if let Some(OutboxRow { change, .. }) = row {
            let device = device.clone();
            self.tell(Input::SpecOut { device, change });
        }
    }

    /// Answers every question for a line, and those that the answers raise.
    fn find_lines(&mut self) {
        loop {
            while !self.seeks.is_empty() {
                let seek = self.seeks.remove(0);
                let found = self.rows.find_line(&seek).unwrap();
                self.tell(found);
            }
            // Whoever gets no slot is told before the line is drawn.
            self.pass(SEEK_PAUSE_MS);
            self.fire_due();
            if self.seeks.is_empty() || self.slow {
                return;
            }
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now.unix_ms += ms;
        self.now.uptime_ms += ms;
    }

    fn fire_due(&mut self) -> Effects {
        let due = self.rows.due(self.now, usize::MAX);
        due.into_iter()
            .flat_map(|timer| self.tell(Input::TimerDue(timer)))
            .collect()
    }

    fn input(&mut self, command: Command) -> CommandInput {
        self.requests += 1;
        CommandInput {
            user: alice(),
            role: Some(Role::Admin),
            groups: Vec::new(),
            request: format!("r{}", self.requests).parse().unwrap(),
            verb: command.verb().word().to_owned(),
            from: "192.0.2.7".to_owned(),
            body_hash: sha256(format!("{command:?}").as_bytes()),
            command: Ok(command),
            release: None,
            uses: None,
            users: Vec::new(),
        }
    }

    fn order(&mut self, command: Command) -> Answer {
        let input = self.input(command);
        self.send(input)
    }

    fn send(&mut self, input: CommandInput) -> Answer {
        answer_of(self.decide(Input::Command(Box::new(input))))
    }

    fn add_release(&mut self, name: &str, version: &str, artifacts: &[&str]) -> Answer {
        let mut input = self.input(Command::ReleaseAdd(ReleaseAdd {
            manifest: format!("{name}@{version}:{artifacts:?}"),
            dry_run: false,
        }));
        input.release = Some(verified(name, version, artifacts));
        self.send(input)
    }

    fn create_group(&mut self, group: &str) -> Answer {
        self.order(Command::GroupCreate(GroupCreate {
            group: group.into(),
            selector: None,
            dry_run: false,
        }))
    }

    fn add_device(&mut self, device: &str) -> Answer {
        self.order(Command::DeviceAdd(DeviceAdd {
            device: device.into(),
            group: Some("eu".into()),
            ..DeviceAdd::default()
        }))
    }

    fn deploy(&mut self, release: &str) -> DeploymentId {
        self.deploy_as(deploy(release))
    }

    fn deploy_as(&mut self, deploy: Deploy) -> DeploymentId {
        match self.order(Command::Deploy(deploy)) {
            Answer::Deployed { items, .. } | Answer::DeployedBeside { items, .. } => {
                items[0].deployment
            }
            other => panic!("not deployed: {other:?}"),
        }
    }

    fn pause(&mut self, id: DeploymentId) -> Answer {
        self.order(Command::Pause(Pause {
            deployment: id.0,
            reason: Some("looks odd".into()),
            dry_run: false,
        }))
    }

    fn abort(&mut self, id: DeploymentId) -> AbortResult {
        let abort = Abort {
            deployment: id.0,
            reason: None,
            dry_run: false,
        };
        match self.order(Command::Abort(abort)) {
            Answer::Aborted(result) => result,
            other => panic!("not aborted: {other:?}"),
        }
    }

    fn say(&mut self, device: &str, status: DeviceStatus) -> Effects {
        self.tell(Input::Status {
            device: device.parse().unwrap(),
            status,
            evidence: SignatureEvidence::Valid,
            delivered: Delivered::Live,
        })
    }

    /// The broker hands out what it keeps of a device.
    fn keeps(&mut self, device: &str, status: DeviceStatus) -> Effects {
        self.tell(Input::Status {
            device: device.parse().unwrap(),
            status,
            evidence: SignatureEvidence::Valid,
            delivered: Delivered::Kept,
        })
    }

    fn record(&self, id: DeploymentId, device: &str) -> Option<RecordRow> {
        let key = RecordKey(id, device.parse().unwrap());
        self.rows.read(&key).unwrap()
    }

    fn view(&self, id: DeploymentId) -> DeploymentView {
        let view = self
            .rows
            .query(|reader| Ok(query::deployment_view(reader, id)?.ok_or(())));
        view.unwrap().unwrap()
    }

    fn resync(&self, device: &str) -> u32 {
        let key = DeviceKey(device.parse().unwrap());
        self.rows.read(&key).unwrap().unwrap().resync.0
    }

    fn spec(&self, group: &str) -> GroupSpec {
        let mut txn = Txn::default();
        let group = group.parse().unwrap();
        let rows = loop {
            match crate::engine::desired::read_group(&txn, &group) {
                Ok(found) => break found.unwrap(),
                Err(Undecided::Missing(keys)) => self.rows.load(&mut txn, keys),
                Err(other) => panic!("{other}"),
            }
        };
        crate::engine::desired::group_spec(&rows.group, &rows.deployments, Generation(1))
    }

    fn listed(&self) -> Vec<DeploymentId> {
        let spec = self.spec("eu");
        let everyone = |audience| audience == Audience::EVERYONE;
        assert!(spec.entries.iter().all(|entry| everyone(entry.audience)));
        spec.entries.iter().map(|n| n.deployment).collect()
    }

    fn device_row(&self, device: &str) -> DeviceRow {
        let key = DeviceKey(device.parse().unwrap());
        self.rows.read(&key).unwrap().unwrap()
    }

    fn device_spec(&self, device: &str) -> DeviceSpec {
        crate::engine::desired::device_spec(&self.device_row(device), Generation(1))
    }

    /// True if the specs of now let a device start what they list first.
    fn may_start(&self, device: &str) -> bool {
        let own = self.device_spec(device);
        let spec = self.spec(own.group.as_str());
        let id = device.parse().unwrap();
        let entry = spec.entries.first();
        entry.is_some_and(|entry| own.admits(entry, &id) && !own.holds(entry.deployment))
    }

    fn move_to(&mut self, device: &str, group: &str) -> Answer {
        self.order(Command::DeviceMove(DeviceMove {
            device: Some(device.into()),
            group: group.into(),
            ..DeviceMove::default()
        }))
    }

    fn hold(&mut self, device: &str, held: bool) -> Answer {
        self.order(Command::DeviceHold(DeviceHold {
            device: device.into(),
            held,
            dry_run: false,
        }))
    }

    fn remove(&mut self, device: &str) -> Answer {
        self.order(Command::DeviceRemove(DeviceRemove {
            device: device.into(),
            waiting_only: false,
            dry_run: false,
        }))
    }

    fn retry(&mut self, id: DeploymentId, devices: Option<&[&str]>) -> Answer {
        let names = |devices: &[&str]| devices.iter().map(|device| (*device).to_owned()).collect();
        self.order(Command::Retry(Retry {
            deployment: id.0,
            devices: devices.map(names),
            dry_run: false,
        }))
    }

    fn answer(&self, command: &Command) -> ResultBody {
        let answer = self
            .rows
            .query(|reader| command.answer(reader, &alice(), self.now));
        answer.unwrap().unwrap()
    }
}

use fleet::answer_of;
use said::*;

pub(crate) use fleet::rows_of_a_fleet;

mod access;
mod audit;
mod batches;
mod commands;
mod contact;
mod deployments;
mod doubt;
mod dry_runs;
mod dynamic;
mod enrollment;
mod events;
mod fleet;
mod freezes;
mod groups;
mod identity;
mod imports;
mod instances;
mod labels;
mod limits;
mod lists;
mod losses;
mod moves;
mod numbers;
mod plans;
mod recovery;
mod refusals;
mod releases;
mod removals;
mod retention;
mod rollouts;
mod rounds;
mod said;
mod slots;
mod statuses;
mod why;
