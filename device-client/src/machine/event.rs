//! Events of the machine. Everything that comes from the network is verified before.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use hoist_protocol::envelope::KeyId;
use hoist_protocol::id::{DeploymentId, ReleaseId, Seq};
use hoist_protocol::reason::Reason;
use hoist_protocol::spec::{DeviceSpec, GroupSpec};
use hoist_protocol::status::{DeviceStatus, RetryCause, ScriptExit};
use serde::Serialize;

use super::plan::ArtifactPlan;

/// Time and randomness of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Device time, Unix milliseconds.
    pub unix_ms: u64,
    /// Fresh random bits, for jitter only.
    pub random: u64,
}

/// Everything that can happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The program started: an unfinished deployment goes on.
    Started,
    /// A new session with the broker.
    Connected,
    /// The session is over.
    Disconnected,
    /// The device's own retained status, read when its journal is gone (W5).
    OwnStatus(DeviceStatus),
    /// The device's spec arrived, signed by this key.
    DeviceSpec(DeviceSpec, KeyId),
    /// The server says that it does not know this device (any more): it cleared the device's
    /// spec, or refuses its login because the token was revoked.
    Removed,
    /// A group's spec arrived on the subscription of the current group, signed by this key.
    GroupSpec(GroupSpec, KeyId),
    /// The manifest asked for by `FetchManifest` arrived and was checked.
    Manifest {
        /// For which deployment.
        deployment: DeploymentId,
        /// The release that was checked.
        release: ReleaseId,
        /// The verdict of the check.
        verdict: Verdict,
    },
    /// Somebody at the device wants this release installed, without a server.
    Apply {
        /// Which.
        release: ReleaseId,
        /// The verdict on its manifest.
        verdict: Verdict,
        /// True if its counter may be below the installed one.
        allow_downgrade: bool,
    },
    /// Percent of all artifacts fetched.
    DownloadProgress(u8),
    /// Every artifact is fetched, proven, and fits by its own manifest.
    Downloaded {
        /// In install order.
        plans: Arc<[ArtifactPlan]>,
    },
    /// An artifact could not be fetched.
    DownloadFailed(FetchFailure),
    /// The script asked for has ended.
    ScriptDone {
        /// The exit of the script.
        exit: ScriptExit,
        /// Tail of its output.
        output: Vec<u8>,
    },
    /// The script asked for was not run: what it needs is not as it must be (bad-inputs row 55).
    ScriptRefused {
        /// Why.
        reason: Reason,
        /// For people, in the place of its output.
        output: Vec<u8>,
    },
    /// A status was acknowledged by the broker.
    Acknowledged {
        /// Its number.
        seq: Seq,
        /// Outcomes the status accounted for.
        ended: u32,
    },
    /// The broker acknowledged the last DeviceInfo with the stored spec that is on its way.
    InfoAcknowledged,
    /// The time of `next_timeout` has come.
    Timer,
}

/// Why an artifact could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FetchFailure {
    /// Why.
    pub reason: Reason,
    /// The answer to the question whether time can help (S9).
    pub retry: Retry,
    /// The reason that people are told while the device waits.
    pub cause: RetryCause,
    /// True if new bytes were proven since it was asked for: the back-off begins again.
    pub gained: bool,
    /// Milliseconds for which the server does not want to be asked; 0 when it did not say.
    pub after_ms: u64,
    /// One sentence for people, in the place of a script's output.
    pub detail: String,
}

impl FetchFailure {
    /// A failure of which no more is known.
    #[must_use]
    pub fn new(reason: Reason, retry: Retry) -> Self {
        Self {
            reason,
            retry,
            cause: RetryCause::Failed(reason),
            gained: false,
            after_ms: 0,
            detail: String::new(),
        }
    }
}

/// The verdict of a check of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// It may be installed.
    Fits,
    /// Everything is installed and verified (S12).
    Already,
    /// It must not be installed.
    Refused {
        /// Why.
        reason: Reason,
        /// The same for people, with the particulars; may be empty.
        detail: String,
    },
}

impl Verdict {
    /// A refusal without particulars.
    #[must_use]
    pub fn refused(reason: Reason) -> Self {
        let detail = String::new();
        Self::Refused { reason, detail }
    }
}

/// The answer to the question whether another try can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Retry {
    /// Yes; it uses time, not attempts.
    Later,
    /// No.
    Useless,
}
