//! The row of the numbers of deployments.

use hoist_protocol::id::DeploymentId;
use serde::{Deserialize, Serialize};

/// The numbers that are spoken for. Each orchestrator reserves several at once and gives them one by
/// one by its own row, so that two of them seldom write this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NumbersRow {
    /// The highest number that is reserved by anyone, or was seen elsewhere.
    pub reserved: DeploymentId,
}
