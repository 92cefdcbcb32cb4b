//! A device's side of the conversation with its server, around its [`Machine`]: the topics it
//! hears, how it announces itself, which status travels and which waits, what an
//! acknowledgment is for, when a proof is made. What happens goes in by the methods; what the
//! outside has to do comes out of [`Session::next_output`], in its order. Pure: no I/O, no
//! clock, no randomness, no threads. Whatever comes from the network is verified before.
//!
//! The agent, `hoist sim`, the simulator and `power_cut` drive the same session.

mod heard;
mod link;
mod output;
mod proof;
mod reconnect;
mod said;
mod trust;

pub use output::{Carries, Keep, Output, Task};
pub use reconnect::{Ended, Reconnects};
pub use trust::{Root, Trusted};

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use hoist_protocol::envelope::{PublicKey, signer_of};
use hoist_protocol::id::SessionCounter;
use hoist_protocol::spec::DeviceSpec;
use serde::{Serialize, Serializer};

use crate::machine::{Action, Event, Machine, Now, Setup, Starts};
use link::Link;
use proof::Proof;

/// The time for which the own spec is awaited before the device announces itself (W4), ms.
pub const ANNOUNCE_AFTER_MS: u64 = 5_000;

/// Device time (W2) and chance.
pub trait Clock {
    /// Both, for one event.
    fn now(&mut self) -> Now;
    /// Takes notice of a signed time: it is at least this late, Unix ms.
    fn signed(&mut self, unix_ms: u64);
    /// Forgets the signed times, which were of a key that nobody believes any more: it is at least
    /// this late, Unix ms.
    fn begin_anew(&mut self, unix_ms: u64);
}

/// The identity of a device, and what it was told last.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The key that it signs with.
    pub key: PublicKey,
    /// The kept DeviceSpec as received; empty when there is none.
    pub spec: Vec<u8>,
    /// The document that names the keys which the device believes.
    pub root: Root,
}

/// One device and its conversation.
#[derive(Clone)]
pub struct Session {
    machine: Machine,
    identity: Identity,
    number: SessionCounter,
    /// Absent without a connection.
    link: Option<Link>,
    /// The proof that a release is there already.
    proof: Proof,
    /// The last report of the device on itself, unless it may be lost.
    info: Option<Vec<u8>>,
    /// What the machine wants that was not looked at yet.
    todo: VecDeque<Action>,
    /// A write that failed: what is in `todo` waits for it.
    stuck: Option<Keep>,
    out: VecDeque<Output>,
    /// From when device time begins anew: what was kept of it, a revoked key has signed.
    anew_ms: Option<u64>,
}

impl Session {
    /// A session that continues from what was kept. Give it [`Event::Started`] first.
    #[must_use]
    pub fn new(setup: Setup, identity: Identity) -> Self {
        let mut machine = Machine::new(setup);
        machine.own_spec_is_by(signer_of::<DeviceSpec>(&identity.spec));
        let anew_ms = trust::believe(&mut machine, &identity.root);
        Self {
            machine,
            identity,
            anew_ms,
            number: SessionCounter(0),
            link: None,
            proof: Proof::default(),
            info: None,
            todo: VecDeque::new(),
            stuck: None,
            out: VecDeque::new(),
        }
    }

    /// The machine inside.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Tells the machine what happened beside the conversation: the start, the time, and what
    /// came of tasks.
    pub fn handle(&mut self, event: Event, clock: &mut impl Clock) {
        if let Some(unix_ms) = self.anew_ms.take() {
            clock.begin_anew(unix_ms);
        }
        let actions = self.machine.handle(event, clock.now());
        self.todo.extend(actions);
    }

    /// Vetoes or allows new starts.
    pub fn set_starts(&mut self, starts: Starts) {
        let actions = self.machine.set_starts(starts);
        self.todo.extend(actions);
    }

    /// Keeps device time, for a device that has no clock (W2): hourly.
    pub fn save_time(&mut self, clock: &mut impl Clock) {
        let actions = self.machine.save_time(clock.now());
        self.todo.extend(actions);
    }

    /// The next thing to do; none while a write that failed is waited for, but for what does
    /// not follow from it.
    #[must_use = "the machine counts on its actions being done"]
    pub fn next_output(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = self.out.pop_front() {
                return Some(output);
            }
            let action = match self.stuck {
                Some(_) => None,
                None => self.todo.pop_front(),
            };
            match action {
                Some(action) => self.carry_out(action),
                None => return self.waiting_status(),
            }
        }
    }

    /// What had to be kept could not be: it is what comes next once it is tried again.
    pub fn not_kept(&mut self, keep: Keep) {
        self.stuck = Some(keep);
    }

    /// Tries the write that failed again.
    pub fn keep_again(&mut self) {
        self.out.extend(self.stuck.take().map(Output::Keep));
    }

    /// The number of the machine's actions that wait for a write, or were not asked for yet.
    #[must_use]
    pub fn owed(&self) -> usize {
        self.todo.len() + usize::from(self.stuck.is_some())
    }

    fn carry_out(&mut self, action: Action) {
        let output = match action {
            Action::Persist(record) => Output::Keep(Keep::Record(record)),
            Action::StoreOutcomes(ring) => Output::Keep(Keep::Outcomes(ring)),
            Action::KeepDeviceSpec => Output::Keep(Keep::DeviceSpec(self.identity.spec.clone())),
            Action::ForgetDeviceSpec(generation) => {
                self.leave_group();
                Output::Keep(Keep::NoDeviceSpec(generation))
            }
            Action::KeepRelease(release) => Output::Keep(Keep::Release(release)),
            Action::CommitInventory => Output::Keep(Keep::Inventory),
            Action::Distrust => Output::Keep(Keep::Distrust),
            Action::Cleanup => Output::Keep(Keep::Needed),
            Action::Subscribe(group) => return self.follow(group),
            Action::FetchManifest(entry) => return self.fetch_manifest(entry),
            Action::Publish(status) => return self.publish(status),
            Action::PublishInfo(extent) => return self.report_on_itself(extent),
            Action::Download { allow_downgrade } => {
                return self.begin_task(Task::Download { allow_downgrade });
            }
            Action::RunScript(run) => return self.begin_task(Task::Script(run)),
            Action::CancelDownload => {
                self.proof.forget();
                Output::Stop
            }
            Action::Reboot => Output::Reboot,
            Action::Reconnect => Output::Disconnect,
            Action::Warn(refusal) => Output::Warn(refusal),
            Action::Applied(result) => Output::Applied(result),
        };
        self.out.push_back(output);
    }

    fn begin_task(&mut self, task: Task) {
        self.proof.forget();
        if let Task::Prove(entry) = &task {
            self.proof.begun(entry);
        }
        self.out.push_back(Output::Begin(task));
    }
}

/// Everything that makes a difference later: not the bytes that the machine knows as messages,
/// and not those that were said.
impl Serialize for Session {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            machine,
            identity,
            number,
            link,
            proof,
            info: _,
            todo,
            stuck,
            out,
            anew_ms,
        } = self;
        let waiting = (todo, stuck, out, anew_ms);
        (machine, &identity.root, number, link, proof, waiting).serialize(serializer)
    }
}

#[cfg(test)]
mod tests;
