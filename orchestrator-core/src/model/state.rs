//! The words that rows, rules and people share for a deployment.

use serde::{Deserialize, Serialize};

/// The two states a deployment can be in when it is over, and the two before.
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
