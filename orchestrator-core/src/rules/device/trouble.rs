//! The trouble that a device reports of itself: it obeys nothing, or starts nothing, until
//! somebody acts there. The trouble is shown, and decides nothing.

use hoist_protocol::device::Trouble;
use hoist_protocol::id::DeviceId;

use crate::model::key::TroubleKey;
use crate::model::row::TroubleRow;
use crate::model::txn::{Txn, Undecided};

/// Remembers it, until the device says that it is no more.
pub(crate) fn note(
    txn: &mut Txn,
    device: &DeviceId,
    trouble: Option<Trouble>,
) -> Result<(), Undecided> {
    let key = TroubleKey(device.clone());
    let known = txn.read(&key)?.map(|row| row.trouble);
    match trouble {
        _ if known == trouble => {}
        Some(trouble) => txn.put(&key, &TroubleRow { trouble }),
        None => txn.delete(&key),
    }
    Ok(())
}
