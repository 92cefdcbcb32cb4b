//! Deployments that were removed.

use hoist_protocol::id::DeploymentId;

use super::super::{Broken, hold};
use super::Mirror;

impl Mirror {
    /// The number of what was removed stays its own.
    pub(super) fn is_new(&self, id: DeploymentId) -> Result<(), Broken> {
        hold(!self.gone.contains(&id), "a-number-is-given-once", || {
            format!("{id} was removed and is there")
        })
    }
}
