//! Which tokens of devices are worth nothing, for whoever keeps the door: it has to know
//! before the first device knocks.

use hoist_orchestrator_core::model::key::Prefix;
use hoist_orchestrator_core::model::row::RevokedRow;
use hoist_protocol::id::DeviceId;

use crate::rows::{self, ReadError};
use crate::store::Store;

/// Every device that was ever removed, with the highest issue of its tokens that is revoked.
///
/// # Errors
/// [`ReadError`].
pub async fn all(store: &dyn Store) -> Result<Vec<(DeviceId, u32)>, ReadError> {
    let rows = rows::all::<RevokedRow>(store, &Prefix::Revoked).await?;
    let named = rows.into_iter().filter_map(|(key, row)| {
        let device = Prefix::Revoked.rest(&key)?.parse().ok()?;
        Some((device, row.issue))
    });
    Ok(named.collect())
}
