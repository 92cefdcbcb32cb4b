//! The state from which a recovery goes on.

use hoist_orchestrator_core::model::key::RecoveryKey;
use hoist_orchestrator_core::model::txn::Txn;
use hoist_protocol::id::Generation;

use super::ServiceError;
use crate::rows;
use crate::store::Store;

/// The generation up to which the store knew of what was signed, when its recovery began.
pub(super) async fn known(store: &dyn Store) -> Result<Generation, ServiceError> {
    let mut txn = Txn::default();
    let row = rows::resolve(store, &mut txn, |txn| txn.read(&RecoveryKey)).await?;
    Ok(Generation(row.unwrap_or_default().known_ms))
}
