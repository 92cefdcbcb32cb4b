//! The report of a device on its work (W5): the running deployment and its final outcomes.
//! A status is signed exactly when it carries outcomes; an unsigned outcome is none.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::codec::{DecodeError, Message, decode_prefix, encode};
use crate::envelope::{Kind, OpenError, PrivateKey, PublicKey, SIGNATURE_BYTES, verify};
use crate::id::{Attempt, DeploymentId, Round, Seq};
use crate::reason::Reason;

/// Outcomes a device keeps with everything about them: its ring.
pub const OUTCOMES_MAX: usize = 8;
/// Most outcomes in a status: the answer to the resync of the device's own spec also tells,
/// without particulars, what left the ring.
pub const TOLD_MAX: usize = 64;
/// Longest tail of a failing script's output, in bytes; it travels once.
pub const OUTPUT_BYTES_MAX: usize = 256;

/// A device's retained report.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeviceStatus {
    /// Rises with every status, across restarts.
    pub seq: Seq,
    /// Final outcomes this device ever reached: more than recorded means that one was
    /// overwritten before it was read.
    pub ended: u32,
    /// The deployment that the device works on now.
    pub running: Option<Progress>,
    /// Final outcomes, oldest first; at most [`TOLD_MAX`].
    pub outcomes: Vec<Outcome>,
}

/// The progress of a running deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// In which round (S13).
    pub round: Round,
    /// Attempts begun so far; 0 before the first install intent (S9).
    pub attempt: Attempt,
    /// The step that the device takes now.
    pub step: Step,
}

/// The step inside InProgress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Step {
    /// Fetching artifacts, with percent done (0–100).
    Downloading(u8),
    /// Everything is fetched and verified.
    Downloaded,
    /// Scripts run.
    Installing,
    /// Waiting for the reboot and its evidence.
    Rebooting,
    /// Waiting to try again, for a reason that was not kept.
    Retrying,
    /// Waiting to try again, because of this.
    RetryingAfter(RetryCause),
}

/// Why a device waits before it tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RetryCause {
    /// The artifact server answered with this HTTP status.
    Http(u16),
    /// The artifact server's name was not found.
    NameNotFound,
    /// No connection to the artifact server.
    Unreachable,
    /// The connection to the artifact server ended too early.
    Cut,
    /// The artifact server fell silent.
    Silent,
    /// This script asked for it: it ended with 75.
    Later(ScriptKind),
    /// An attempt failed (S9).
    Failed(Reason),
    /// The next artifact begins when a window of the deployment opens.
    Window,
}

impl fmt::Display for RetryCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(status) => write!(f, "the artifact server answers {status}"),
            Self::NameNotFound => f.write_str("the artifact server's name is not found"),
            Self::Unreachable => f.write_str("the artifact server cannot be reached"),
            Self::Cut => f.write_str("the connection to the artifact server was cut"),
            Self::Silent => f.write_str("the artifact server does not answer"),
            Self::Later(kind) => write!(f, "the {} script asked for a later time", kind.word()),
            Self::Failed(reason) => write!(f, "an attempt failed: {}", reason.word()),
            Self::Window => f.write_str("the next artifact begins in the next window"),
        }
    }
}

/// A deployment's final result on a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// In which round (S13).
    pub round: Round,
    /// Attempts used.
    pub attempt: Attempt,
    /// The result of the deployment.
    pub result: FinalResult,
}

/// Successful or Failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FinalResult {
    /// The release is installed and verified.
    Successful(Success),
    /// It is not; what was begun has been rolled back, or not.
    Failed(Failure),
}

/// The manner in which a deployment succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Success {
    /// Installed by this deployment.
    Installed,
    /// Everything was there before; no script ran (S12).
    Already,
}

/// The failure of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Why.
    pub reason: Reason,
    /// Index of the artifact at fault in the release, where there is one.
    pub artifact: Option<u8>,
    /// The script at fault, where there is one.
    pub script: Option<ScriptFailure>,
    /// The state of the changes that had been begun.
    pub rollback: Rollback,
    /// Tail of the script's output, or a sentence where no script failed; at most [`OUTPUT_BYTES_MAX`] bytes.
    pub output: Vec<u8>,
}

/// A sentence for [`Failure::output`], in the place of a script's output: its first
/// [`OUTPUT_BYTES_MAX`] bytes, cut between characters.
#[must_use]
pub fn sentence(text: &str) -> Vec<u8> {
    text[..text.floor_char_boundary(OUTPUT_BYTES_MAX)].into()
}

/// Which script failed, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptFailure {
    /// Its kind.
    pub kind: ScriptKind,
    /// The end of the script.
    pub exit: ScriptExit,
}

/// The end of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScriptExit {
    /// By itself, with this code.
    Code(u8),
    /// Killed by this signal.
    Signal(u8),
    /// Stopped after its timeout.
    Timeout,
    /// Never started (missing interpreter, not executable).
    NotStarted,
    /// Cut off by a power loss or restart.
    Interrupted,
}

impl ScriptExit {
    /// The word for this end in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Code(_) => "exit",
            Self::Signal(_) => "signal",
            Self::Timeout => "timeout",
            Self::NotStarted => "not-started",
            Self::Interrupted => "interrupted",
        }
    }
}

/// The scripts an artifact can have, in wire order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ScriptKind {
    /// Before anything of the artifact is touched.
    PreInstall,
    /// Installs.
    Install,
    /// After installing.
    PostInstall,
    /// Proves that it works; after the reboot, if there is one.
    Verify,
    /// Restores what was there before.
    Rollback,
}

impl ScriptKind {
    /// Every kind, in wire order.
    pub const ALL: [Self; 5] = [
        Self::PreInstall,
        Self::Install,
        Self::PostInstall,
        Self::Verify,
        Self::Rollback,
    ];

    /// Its file name and its word in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::PreInstall => "pre-install",
            Self::Install => "install",
            Self::PostInstall => "post-install",
            Self::Verify => "verify",
            Self::Rollback => "rollback",
        }
    }
}

/// The state of the changes that a failed deployment had begun (S8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Rollback {
    /// Nothing had been begun.
    NotNeeded,
    /// Everything is as it was.
    Succeeded,
    /// A rollback script failed three times: the device needs a person.
    Failed,
}

impl Rollback {
    /// Every one, in wire order.
    pub const ALL: [Self; 3] = [Self::NotNeeded, Self::Succeeded, Self::Failed];

    /// Its word in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NotNeeded => "not-needed",
            Self::Succeeded => "ok",
            Self::Failed => "failed",
        }
    }
}

impl Step {
    /// Its word in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Downloading(_) => "downloading",
            Self::Downloaded => "downloaded",
            Self::Installing => "installing",
            Self::Rebooting => "rebooting",
            Self::Retrying | Self::RetryingAfter(_) => "retrying",
        }
    }

    /// True if the device waits to try again.
    #[must_use]
    pub fn is_retrying(self) -> bool {
        matches!(self, Self::Retrying | Self::RetryingAfter(_))
    }
}

impl Message for DeviceStatus {
    const VERSION: u8 = 1;
    const BYTES_MAX: usize = 4_096;

    fn check(&self) -> Result<(), &'static str> {
        if self.outcomes.len() > TOLD_MAX {
            return Err("more than 64 outcomes in a status");
        }
        if let Some(Progress {
            step: Step::Downloading(101..),
            ..
        }) = self.running
        {
            return Err("more than 100 percent downloaded");
        }
        let long = |outcome: &Outcome| match &outcome.result {
            FinalResult::Failed(failure) => failure.output.len() > OUTPUT_BYTES_MAX,
            FinalResult::Successful(_) => false,
        };
        if self.outcomes.iter().any(long) {
            return Err("more than 256 bytes of script output");
        }
        Ok(())
    }
}

/// A decoded status with its signature, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedStatus<'a> {
    /// The decoded status.
    pub status: DeviceStatus,
    /// The bytes the signature is over.
    pub body: &'a [u8],
    /// Present exactly when there should be one, or when outcomes came without: absent
    /// then, and the outcomes count for nothing.
    pub signature: Option<&'a [u8; SIGNATURE_BYTES]>,
}

impl DeviceStatus {
    /// The payload to publish on `topic`: signed exactly when there are outcomes.
    #[must_use]
    pub fn seal(&self, key: &PrivateKey, topic: &str) -> Vec<u8> {
        let mut payload = encode(self);
        if !self.outcomes.is_empty() {
            let signature = key.sign(Kind::Status, topic, &payload);
            payload.extend_from_slice(&signature);
        }
        payload
    }

    /// Decodes a payload without verifying it.
    ///
    /// # Errors
    /// [`DecodeError`]; also when a status without outcomes carries more bytes.
    pub fn receive(payload: &[u8]) -> Result<ReceivedStatus<'_>, DecodeError> {
        let (status, rest) = decode_prefix::<Self>(payload)?;
        let body = &payload[..payload.len() - rest.len()];
        let signature = match rest.len() {
            0 => None,
            SIGNATURE_BYTES if !status.outcomes.is_empty() => rest.try_into().ok(),
            count => return Err(DecodeError::Trailing { count }),
        };
        Ok(ReceivedStatus {
            status,
            body,
            signature,
        })
    }
}

impl ReceivedStatus<'_> {
    /// Verifies the signature for the topic it was received on.
    ///
    /// # Errors
    /// [`OpenError::Signature`] when it is wrong or missing while outcomes are present.
    pub fn verify(&self, key: &PublicKey, topic: &str) -> Result<(), OpenError> {
        match self.signature {
            Some(signature) => verify(key, Kind::Status, topic, self.body, signature),
            None if self.status.outcomes.is_empty() => Ok(()),
            None => Err(OpenError::Signature),
        }
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
