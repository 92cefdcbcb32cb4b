//! The device's update machine: what happens to it goes in as events, what it wants done
//! comes out as actions. Pure: no I/O, no clock, no randomness, no threads. The agent,
//! `hoist sim` and the simulator drive the same machine.

mod action;
mod admit;
mod boot;
mod confirm;
mod event;
mod install;
mod link;
mod lost_memory;
mod plan;
mod report;
mod resync;
mod retry;
mod rollback;
mod state;
mod trust;
mod turn;
mod window;

pub use crate::job::{BootId, Cause, Job, LOCAL, Stage, Terms, Then};
pub use action::{Action, BootReason, InfoExtent, ScriptRun, SpecRefusal};
pub use event::{Event, FetchFailure, Now, Retry, Verdict};
pub use plan::{ArtifactPlan, ScriptPlan};
pub use retry::backoff_ms;
pub use trust::Before;

use alloc::boxed::Box;
use alloc::vec::Vec;

use hoist_protocol::envelope::KeyId;
use hoist_protocol::id::{DeviceId, Generation, ReleaseId, Seq};
use hoist_protocol::spec::{DeploymentSpec, DeviceSpec};
use hoist_protocol::status::DeviceStatus;
use serde::Serialize;

use crate::record::{Floor, Memory, Record, Ring, Slot};
use resync::ResyncAnswer;
use state::{Active, Link, Work};
use turn::Turn;

/// The facts that a machine starts from.
#[derive(Debug, Clone)]
pub struct Setup {
    /// This device.
    pub device: DeviceId,
    /// The running boot.
    pub boot: BootId,
    /// The journal; absent at the very first start.
    pub record: Option<Record>,
    /// The outcome ring.
    pub ring: Ring,
    /// Journal or ring was there and cannot be read (bad-inputs row 60).
    pub lost: bool,
    /// The stored DeviceSpec.
    pub device_spec: Option<DeviceSpec>,
    /// The generation of the DeviceSpec that was forgotten last, if one ever was.
    pub forgotten: Option<Floor>,
    /// The release that was kept to be finished.
    pub kept_release: Option<ReleaseId>,
}

/// The permission of the machine to start deployments (the agent's `hold` file).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Starts {
    /// It may.
    Allowed,
    /// Nothing new begins; a started deployment is finished.
    Vetoed,
}

/// One device.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    device: DeviceId,
    boot: BootId,
    ring: Ring,
    /// Last used status number, and the first that is not reserved.
    seq: Seq,
    reserved: Seq,
    acked: u32,
    generation: Generation,
    /// The key that signed that generation.
    signer: Option<KeyId>,
    /// The keys whose specs count; none where nobody names them.
    signers: Vec<KeyId>,
    /// The number of the root document that names them.
    root: u32,
    device_resync: ResyncAnswer,
    group_resync: ResyncAnswer,
    /// The format the journal is written in.
    format: u8,
    /// The device's memory of its past.
    memory: Memory,
    own_status_heard: bool,
    kept_release: Option<ReleaseId>,
    /// Device time of the last event.
    now_ms: u64,
    own: Option<DeviceSpec>,
    /// The key that signed it.
    own_by: Option<KeyId>,
    /// Specs of its own up to this generation are from before it was removed.
    forgotten: Option<Floor>,
    link: Link,
    work: Work,
    starts: Starts,
    last: Option<DeviceStatus>,
    reported_ms: u64,
    answer_ms: Option<u64>,
    /// Drawn last.
    turn: Option<Turn>,
}

impl Machine {
    /// A machine that continues from what was kept. Give it [`Event::Started`] first.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let memory = match &setup.record {
            _ if setup.lost => Memory::Lost,
            Some(record) => record.memory,
            None => Memory::New,
        };
        let record = setup.record.unwrap_or_default();
        // Acknowledged outcomes were counted, also when the ring that had them is lost.
        let mut ring = setup.ring;
        ring.ended = ring.ended.max(record.acked);
        // The outcome is written before the journal forgets the job (S15).
        let ended = |job: &Job| ring.is_over(job.deployment, Some(job.release), job.round);
        let (work, format) = match record.job {
            Some(job) if !ended(&job) => {
                let active = Active::new(job, record.terms);
                (Work::Active(Box::new(active)), record.format)
            }
            _ => (Work::Idle, Record::NEWEST),
        };
        Self {
            device: setup.device,
            boot: setup.boot,
            ring,
            seq: record.reserved,
            reserved: record.reserved,
            acked: record.acked,
            generation: record.generation,
            signer: record.signer,
            signers: Vec::new(),
            root: 0,
            device_resync: ResyncAnswer::new(record.device_resync),
            group_resync: ResyncAnswer::new(record.group_resync),
            format,
            memory,
            own_status_heard: false,
            kept_release: setup.kept_release,
            now_ms: record.time_ms,
            own: setup.device_spec,
            own_by: None,
            forgotten: setup.forgotten,
            link: Link::Offline,
            work,
            starts: Starts::Allowed,
            last: None,
            reported_ms: 0,
            answer_ms: None,
            turn: None,
        }
    }

    /// Takes an event and says what to do about it.
    #[must_use = "the machine counts on its actions being done"]
    pub fn handle(&mut self, event: Event, now: Now) -> Vec<Action> {
        let mut out = Vec::new();
        let out = &mut out;
        self.now_ms = now.unix_ms;
        match event {
            Event::Started => self.resume(now, out),
            Event::Connected => self.connected(),
            Event::Disconnected => self.disconnected(),
            Event::OwnStatus(status) => self.own_status(&status, out),
            Event::DeviceSpec(spec, by) => self.device_spec(spec, by, now, out),
            Event::Removed => self.removed(out),
            Event::GroupSpec(spec, by) => self.group_spec(spec, by, now, out),
            Event::Manifest {
                deployment,
                release,
                verdict,
            } => self.manifest((deployment, release), verdict, now, out),
            Event::Apply {
                release,
                verdict,
                allow_downgrade,
            } => self.apply(release, verdict, allow_downgrade, now, out),
            Event::DownloadProgress(percent) => self.progress(percent, now, out),
            Event::Downloaded { plans } => self.downloaded(plans, now, out),
            Event::DownloadFailed(failure) => self.download_failed(failure, now, out),
            Event::ScriptDone { exit, output } => self.script_ended(Ok(exit), output, now, out),
            Event::ScriptRefused { reason, output } => {
                self.script_ended(Err(reason), output, now, out);
            }
            Event::Acknowledged { seq, ended } => self.acknowledged(seq, ended, out),
            Event::InfoAcknowledged => self.info_acknowledged(out),
            Event::Timer => self.timer(now, out),
        }
        core::mem::take(out)
    }

    /// Vetoes or allows new starts; a veto lifted takes effect with the next spec.
    pub fn set_starts(&mut self, starts: Starts) -> Vec<Action> {
        let mut out = Vec::new();
        if self.starts != starts {
            self.starts = starts;
            self.ask_again(&mut out);
        }
        out
    }

    /// The permission to start deployments here.
    #[must_use]
    pub fn starts(&self) -> Starts {
        self.starts
    }

    /// Keeps device time, for a device that has no clock (W2): hourly.
    #[must_use = "the machine counts on its actions being done"]
    pub fn save_time(&mut self, now: Now) -> Vec<Action> {
        let mut out = Vec::new();
        self.now_ms = now.unix_ms;
        self.persist(&mut out);
        out
    }

    /// When [`Event::Timer`] is due, Unix ms.
    #[must_use]
    pub fn next_timeout(&self) -> Option<u64> {
        let link = match &self.link {
            Link::Member(member) => member.wake,
            Link::Offline | Link::Joining => None,
        };
        let work = match &self.work {
            Work::Active(active) => active.next_timeout(),
            Work::Idle | Work::Asking(_) => None,
        };
        [link, work, self.answer_ms].into_iter().flatten().min()
    }

    /// This device.
    #[must_use]
    pub fn device(&self) -> &DeviceId {
        &self.device
    }

    /// The outcomes so far.
    #[must_use]
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The started deployment, if any.
    #[must_use]
    pub fn job(&self) -> Option<&Job> {
        match &self.work {
            Work::Active(active) => Some(&active.job),
            Work::Idle | Work::Asking(_) => None,
        }
    }

    /// True if it waits for the manifest of this entry.
    #[must_use]
    pub fn asks_for(&self, entry: &DeploymentSpec) -> bool {
        matches!(&self.work, Work::Asking(asked) if asked == entry)
    }

    /// True if it follows a spec of its group that came in this connection.
    #[must_use]
    pub fn obeys(&self) -> bool {
        matches!(&self.link, Link::Member(member) if member.spec.is_some())
    }

    /// The DeviceSpec it obeys.
    #[must_use]
    pub fn own_spec(&self) -> Option<&DeviceSpec> {
        self.own.as_ref()
    }

    fn active_mut(&mut self) -> Option<&mut Active> {
        match &mut self.work {
            Work::Active(active) => Some(active),
            Work::Idle | Work::Asking(_) => None,
        }
    }

    fn timer(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.answer_ms.is_some_and(|at| at <= now.unix_ms) {
            self.answer_ms = None;
            self.answer_with_group(out);
        }
        if let Link::Member(member) = &self.link
            && member.wake.is_some_and(|at| at <= now.unix_ms)
        {
            self.ask_again(out);
        }
        self.work_timer(now, out);
    }
}

#[cfg(test)]
mod tests;
