//! The facts that a device reports of itself besides those in its row, for planning.

use hoist_protocol::device::DeviceInfo;
use hoist_protocol::id::DeviceId;

use crate::model::key::FactsKey;
use crate::model::row::FactsRow;
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;

/// Keeps what an info says, or forgets it with its device.
pub(super) fn note(
    ctx: &mut Ctx,
    device: &DeviceId,
    info: Option<&DeviceInfo>,
) -> Result<(), Undecided> {
    let key = FactsKey(device.clone());
    ctx.txn.read(&key)?;
    match info {
        Some(info) => {
            let (attributes, floor) = (info.attributes.clone(), info.floor);
            ctx.txn.put(&key, &FactsRow { attributes, floor });
        }
        None => ctx.txn.delete(&key),
    }
    Ok(())
}
