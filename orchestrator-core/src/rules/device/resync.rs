//! Asking a device to report everything (W6).

use hoist_protocol::id::DeviceId;

use crate::model::effect::Effect;
use crate::model::now::Now;
use crate::model::row::DeviceRow;
use crate::model::txn::{Txn, Undecided};
use crate::rules::rollout::outbox::{self, AdmissionChange};

/// Asks one device for a resync (W6); the engine publishes its spec.
pub(crate) fn ask_resync(
    txn: &mut Txn,
    row: &mut DeviceRow,
    device: &DeviceId,
    now: Now,
) -> Result<Effect, Undecided> {
    row.resync.0 = row.resync.0.wrapping_add(1);
    row.asked_ms = Some(now.uptime_ms);
    outbox::changed(txn, device, AdmissionChange::Tightens)
}
