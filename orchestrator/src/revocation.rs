//! Which tokens and certificates of devices are worth nothing, for whoever keeps the door: it has to know
//! before the first device knocks.

use hoist_orchestrator_core::model::key::Prefix;
use hoist_orchestrator_core::model::row::{Revocation, RevokedRow};
use hoist_protocol::id::DeviceId;

use crate::rows::{self, ReadError};
use crate::store::Store;

/// Every device of which something is worth nothing any more, with what that is.
///
/// # Errors
/// [`ReadError`].
pub async fn all(store: &dyn Store) -> Result<Vec<(DeviceId, Revocation)>, ReadError> {
    let rows = rows::all::<RevokedRow>(store, &Prefix::Revoked).await?;
    let named = rows.into_iter().filter_map(|(key, row)| {
        let device = Prefix::Revoked.rest(&key)?.parse().ok()?;
        Some((device, row.revocation()))
    });
    Ok(named.collect())
}
