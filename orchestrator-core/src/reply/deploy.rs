//! The JSON of what `deploy` created, or found to be there.

use hoist_protocol::id::DeploymentId;
use serde::{Deserialize, Serialize};

use super::ResultBody;
use crate::model::state::DeploymentState;
use crate::rules::deployment::Created;

/// `deploy`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployResult {
    /// The new deployment, or the equal one that is there already.
    pub deployment: DeploymentId,
    /// Its state.
    pub state: DeploymentState,
    /// Devices in the group now.
    pub members: u32,
    /// Those that may start.
    pub eligible: u32,
    /// Those that may not.
    pub excluded: u32,
    /// True if it was there already, so that nothing is new.
    pub existing: bool,
}

/// `deploy` to several groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploySeveralResult {
    /// One per group, in the order asked for.
    pub deployments: Vec<DeployResult>,
}

/// The body of an answer to `deploy`.
pub(super) fn result(items: &[Created], existing: &[DeploymentId], several: bool) -> ResultBody {
    let result = |item: &Created| DeployResult {
        deployment: item.deployment,
        state: item.state,
        members: item.members,
        eligible: item.eligible,
        excluded: item.excluded,
        existing: existing.contains(&item.deployment),
    };
    match items {
        [only] if !several => ResultBody::Deployed(result(only)),
        items => ResultBody::DeployedSeveral(DeploySeveralResult {
            deployments: items.iter().map(result).collect(),
        }),
    }
}
