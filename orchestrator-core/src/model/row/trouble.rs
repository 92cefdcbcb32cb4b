//! The row of a device that reports a trouble of its own.

use hoist_protocol::device::Trouble;
use serde::{Deserialize, Serialize};

/// There while its last word was that it has trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TroubleRow {
    /// Which.
    pub trouble: Trouble,
}
