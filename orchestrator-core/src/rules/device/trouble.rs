//! The trouble that a device reports of itself: it obeys nothing, or starts nothing, until
//! somebody acts there. The trouble is shown, and decides nothing.

use hoist_protocol::device::Trouble;
use hoist_protocol::id::DeviceId;

use crate::model::key::TroubleKey;
use crate::model::row::TroubleRow;
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;

/// Remembers it, until the device says that it is no more.
pub(crate) fn note(
    ctx: &mut Ctx,
    device: &DeviceId,
    trouble: Option<Trouble>,
) -> Result<(), Undecided> {
    let key = TroubleKey(device.clone());
    let known = ctx.txn.read(&key)?.map(|row| row.trouble);
    match trouble {
        _ if known == trouble => {}
        Some(trouble) => ctx.txn.put(&key, &TroubleRow { trouble }),
        None => ctx.txn.delete(&key),
    }
    Ok(())
}
