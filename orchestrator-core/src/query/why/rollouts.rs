//! The rollouts of the deployments that concern a device, with the counts that their gates look at.

use std::collections::BTreeMap;

use hoist_protocol::id::DeploymentId;

use super::Rows;
use crate::model::key::RolloutKey;
use crate::query::explain::RolloutContext;
use crate::query::{Need, Reader, totals};
use crate::rules::rollout::advance::counted;

/// Those of deployments that go on.
pub(super) fn of(
    reader: &Reader,
    rows: &BTreeMap<DeploymentId, Rows>,
) -> Result<BTreeMap<DeploymentId, RolloutContext>, Need> {
    let mut rollouts = BTreeMap::new();
    for (id, (row, _)) in rows {
        if row.allowed.is_none() || row.end.is_some() {
            continue;
        }
        if let Some(state) = reader.read(&RolloutKey(*id))? {
            let (totals, _) = totals(reader, *id)?;
            let counted = counted(row, &state, &totals);
            rollouts.insert(*id, RolloutContext { state, counted });
        }
    }
    Ok(rollouts)
}
