//! Actions that the machine wants done, in this order: everything persisted is durable before the
//! action after it begins.

use hoist_protocol::code::Code;
use hoist_protocol::id::{DeploymentId, GroupId, ReleaseId};
use hoist_protocol::spec::DeploymentSpec;
use hoist_protocol::status::{DeviceStatus, FinalResult, ScriptKind};
use serde::Serialize;

use crate::record::{Floor, Record, Ring};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Action {
    /// Make the record durable before anything after this.
    Persist(Record),
    /// Make the ring durable before anything after this.
    StoreOutcomes(Ring),
    /// Subscribe to this group's spec, now and again, and to no other's (W2).
    Subscribe(GroupId),
    /// Keep the DeviceSpec just handled, as received (W4).
    KeepDeviceSpec,
    /// Forget the DeviceSpec that is kept, and keep its generation in its place: no spec up
    /// to it makes the device a member again (W1).
    ForgetDeviceSpec(Floor),
    /// Get and check the manifest of an entry's release.
    FetchManifest(DeploymentSpec),
    /// Keep that manifest: what is started must be finished without the network.
    KeepRelease(ReleaseId),
    /// Fetch and prove every artifact of the kept release, or what is missing.
    Download {
        /// True if the signed entry allows an older counter.
        allow_downgrade: bool,
    },
    /// Stop a download that may be running.
    CancelDownload,
    /// Run a script.
    RunScript(ScriptRun),
    /// Publish the status, in the place of one still waiting (W7).
    Publish(DeviceStatus),
    /// Publish what the device is and has.
    PublishInfo(InfoExtent),
    /// Reboot the device.
    Reboot,
    /// Write the kept release into the inventory.
    CommitInventory,
    /// The installed artifacts of the kept release may not be whole any more: they never count as
    /// already there again (S12).
    Distrust,
    /// The result of [`crate::machine::Event::Apply`]: nobody else is told.
    Applied(FinalResult),
    /// Remove what nothing needs any more; nothing is started.
    Cleanup,
    /// Begin a new session: this one's number is not newer than earlier ones (W8).
    Reconnect,
    /// Tell people that a spec was not obeyed.
    Warn(SpecRefusal),
}

/// Why a spec was not obeyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum SpecRefusal {
    /// It has expired: nothing new starts (bad-inputs row 42).
    Stale,
    /// A newer one was seen before: somebody may be replaying it (bad-inputs row 29).
    Replayed,
}

impl SpecRefusal {
    /// The stable code.
    #[must_use]
    pub fn code(self) -> Code {
        match self {
            Self::Stale => Code::Stale,
            Self::Replayed => Code::Replayed,
        }
    }
}

/// One run of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ScriptRun {
    /// Of which artifact of the release.
    pub artifact: u8,
    /// Which script.
    pub kind: ScriptKind,
    /// For which deployment.
    pub deployment: DeploymentId,
    /// In which attempt.
    pub attempt: u32,
    /// The reason of the boot: the update's own reboot, or another.
    pub boot: BootReason,
}

/// Why the device was booted last, as a script may want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum BootReason {
    /// Not by the update.
    Normal,
    /// By the update.
    Update,
}

/// The extent of a DeviceInfo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum InfoExtent {
    /// Only if it differs from what was published in this run of the program.
    IfChanged,
    /// Everything, with the stored DeviceSpec.
    Full,
}
