//! The deployments that need a release: every one is looked at, before its removal is decided on.

use hoist_orchestrator_core::model::key::Prefix;
use hoist_orchestrator_core::model::release::Uses;
use hoist_orchestrator_core::model::row::DeploymentRow;
use hoist_orchestrator_core::rules::deployment::settled::is_over;

use crate::release_id;
use crate::retention::counted;
use crate::rows::{self, ReadError};
use crate::store::Store;

/// Deployments of a release, as a command names it, that are not over on every device.
///
/// # Errors
/// [`ReadError`].
pub(crate) async fn find(store: &dyn Store, text: &str) -> Result<Uses, ReadError> {
    // First: whatever is made from now on has a higher number.
    let mut uses = Uses {
        last: rows::instance(store).await?.last_deployment,
        by: Vec::new(),
    };
    let Some(release) = release_id::named(store, text).await? else {
        return Ok(uses);
    };
    let prefix = Prefix::Deployments;
    for (key, row) in rows::all::<DeploymentRow>(store, &prefix).await? {
        let Some(id) = prefix
            .deployment(&key)
            .filter(|_| row.release == release || row.fallback == Some(release))
        else {
            continue;
        };
        let (totals, _) = counted(store, id).await?;
        if !is_over(&row, &totals) {
            uses.by.push(id);
        }
    }
    Ok(uses)
}
