//! What a session wants done. Everything kept is durable before the next thing begins.

use alloc::vec::Vec;

use hoist_protocol::device::Presence;
use hoist_protocol::id::{ReleaseId, Seq};
use hoist_protocol::spec::DeploymentSpec;
use hoist_protocol::status::{DeviceStatus, FinalResult, Progress};
use hoist_protocol::topic::Topic;
use serde::Serialize;

use crate::machine::{InfoExtent, ScriptRun, SpecRefusal};
use crate::record::{Floor, Record, Ring};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Output {
    /// Make this durable. When that fails, [`Session::not_kept`](super::Session::not_kept) is
    /// told, and nothing that the machine wants after it is done before.
    Keep(Keep),
    /// Subscribe to a topic; also once more, when its retained message is wanted again.
    Subscribe(Topic),
    /// End a subscription.
    Unsubscribe(Topic),
    /// Publish the device's presence.
    Presence(Presence),
    /// Sign the status and publish it; its acknowledgment is told as [`Carries::Status`].
    Status(DeviceStatus),
    /// Tell people at the device how far it is; the server hears it when it can.
    Progress(Progress),
    /// Hand what the device is and has to [`Session::describe`](super::Session::describe), and
    /// publish what that gives; its acknowledgment is told as [`Carries::Info`].
    Describe(InfoExtent),
    /// Begin a task in the place of the one before.
    Begin(Task),
    /// Stop the task that may be running.
    Stop,
    /// Reboot the device.
    Reboot,
    /// End the connection and tell that it is over: another one, with another number, is wanted.
    Disconnect,
    /// Tell people that a spec was not obeyed.
    Warn(SpecRefusal),
    /// The end of what somebody brought to the device: nobody else is told.
    Applied(FinalResult),
}

/// Something that must survive a power cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Keep {
    /// The journal.
    Record(Record),
    /// The ring of outcomes.
    Outcomes(Ring),
    /// The DeviceSpec that is obeyed, as received (W4).
    DeviceSpec(Vec<u8>),
    /// No DeviceSpec: the one that is kept is forgotten, and its generation is kept in its
    /// place. No spec up to it makes the device a member again (W1).
    NoDeviceSpec(Floor),
    /// The manifest that was checked last: what is started must be finished without the network.
    Release(ReleaseId),
    /// The kept release as installed, in the inventory.
    Inventory,
    /// That the installed artifacts of the kept release may not be whole any more (S12).
    Distrust,
    /// Only what something needs: nothing is started.
    Needed,
}

/// Work that takes time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Task {
    /// Prove that the release of an entry is there already (S12);
    /// [`Session::proven`](super::Session::proven) is told.
    Prove(DeploymentSpec),
    /// Fetch and prove every artifact of the kept release, or what is missing.
    Download {
        /// True if the signed entry allows an older counter.
        allow_downgrade: bool,
    },
    /// Run a script.
    Script(ScriptRun),
}

/// The content of a publish, as far as its acknowledgment matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// A status.
    Status {
        /// Its number.
        seq: Seq,
        /// Outcomes that it accounted for.
        ended: u32,
    },
    /// A DeviceInfo.
    Info(InfoExtent),
    /// Anything else.
    Other,
}

impl Carries {
    /// The content of a publish with this status.
    #[must_use]
    pub fn status(status: &DeviceStatus) -> Self {
        Self::Status {
            seq: status.seq,
            ended: status.ended,
        }
    }
}
