//! The words that rows, rules and people share for a deployment.

use serde::{Deserialize, Serialize};

/// Where a deployment is. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DeploymentState {
    /// Not listed yet (S2).
    Scheduled,
    /// Listed: devices may start.
    Active,
    /// Ended by itself, with a reason (S3).
    Completed,
    /// Ended by an operator or a threshold (S3).
    Aborted,
    /// Not listed until a person lets it go on; who started finishes.
    Paused,
}

impl DeploymentState {
    /// True for one that has begun and has not ended.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Active | Self::Paused)
    }
}

/// The consequence of a gate that is not passed in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GiveUp {
    /// The deployment is paused.
    #[default]
    Pause,
    /// The next phase opens.
    Continue,
}

/// The consequence of too many failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// The deployment is paused; failures that the server inferred count too (S7).
    Pause,
    /// The deployment is aborted; only failures that devices reported count (S7).
    Abort,
    /// It is aborted, and another release is deployed to the devices that had started it.
    Fallback,
}

/// When a deployment completes by itself, limits aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CompleteWhen {
    /// Never: later joiners get it until an operator aborts it.
    #[default]
    Aborted,
    /// When every member is Successful.
    AllSuccessful,
}

/// The members that a deployment admits when it is listed (S10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineWord {
    /// Every member, and who joins later while there are slots.
    Everyone,
    /// Nobody, until the line below which as many as the limit start is found.
    Sought,
}
