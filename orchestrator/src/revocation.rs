//! Which tokens and certificates of devices are worth nothing, and which claims there are, for whoever
//! keeps the door: it has to know before the first device knocks.

use hoist_orchestrator_core::model::key::Prefix;
use hoist_orchestrator_core::model::row::{Revocation, RevokedRow};
use hoist_protocol::id::{ClaimId, DeviceId};

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

/// Every claim that there is. Only its name is read: a row that cannot be read lets nobody in by itself.
///
/// # Errors
/// [`ReadError`].
pub async fn claims(store: &dyn Store) -> Result<Vec<ClaimId>, ReadError> {
    let keys = rows::keys(store, &Prefix::Claims).await?;
    let named = |key| Prefix::Claims.rest(key)?.parse().ok();
    Ok(keys.iter().filter_map(named).collect())
}
