//! The stored rows of policies: rollouts that have a name. A version of one never changes.

use hoist_protocol::id::UserId;
use serde::{Deserialize, Serialize};

/// A policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PolicyRow {
    /// Its versions so far: the newest one.
    pub versions: u32,
}

/// A version of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVersionRow {
    /// The rollout, as the JSON that commands have.
    pub rollout: String,
    /// The user who put it.
    pub by: UserId,
    /// Unix time, in ms.
    pub at_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::row::tests::golden;

    #[test]
    fn a_policy_and_its_version_keep_their_bytes() {
        golden(&PolicyRow { versions: 300 }, "01ac02");
        let version = PolicyVersionRow {
            rollout: "{}".into(),
            by: "al".parse().unwrap(),
            at_ms: 300,
        };
        golden(&version, "01027b7d02616cac02");
    }
}
