//! Stored rows of what is frozen.

use hoist_protocol::id::UserId;
use serde::{Deserialize, Serialize};

/// The beginning of a freeze: from then on nobody starts anything, and who has started finishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// Unix time, in ms.
    pub at_ms: u64,
    /// By whom.
    pub by: UserId,
}

/// The freeze of everything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FleetFreezeRow {
    /// Since when and by whom, while it lasts.
    pub frozen: Option<Frozen>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::row::GroupRow;
    use crate::model::row::tests::golden;

    #[test]
    fn what_is_frozen_keeps_its_bytes() {
        let frozen = Some(Frozen {
            at_ms: 300,
            by: "al".parse().unwrap(),
        });
        golden(
            &FleetFreezeRow {
                frozen: frozen.clone(),
            },
            "0101ac0202616c",
        );
        let group = GroupRow {
            frozen,
            ..GroupRow::new(9)
        };
        golden(&group, "0200000000000901ac0202616c");
    }
}
