//! Asking a device to report everything (W6).

use hoist_protocol::id::DeviceId;

use crate::model::row::DeviceRow;
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;
use crate::rules::rollout::outbox::{self, AdmissionChange};

/// Asks one device for a resync (W6); the engine publishes its spec.
pub(crate) fn ask_resync(
    ctx: &mut Ctx,
    row: &mut DeviceRow,
    device: &DeviceId,
) -> Result<(), Undecided> {
    row.resync.0 = row.resync.0.wrapping_add(1);
    row.asked_ms = Some(ctx.now.uptime_ms);
    outbox::changed(ctx, device, AdmissionChange::Tightens)
}
