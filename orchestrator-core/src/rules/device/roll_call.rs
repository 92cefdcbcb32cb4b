//! Asking a device to report everything (W6).

use hoist_protocol::id::DeviceId;

use crate::model::effect::Effect;
use crate::model::now::Now;
use crate::model::row::DeviceRow;
use crate::model::txn::{Txn, Undecided};
use crate::rules::rollout::outbox::{self, Means};

/// Calls the roll of one device (W6); the engine publishes its head.
pub(crate) fn call_roll(
    txn: &mut Txn,
    row: &mut DeviceRow,
    device: &DeviceId,
    now: Now,
) -> Result<Effect, Undecided> {
    row.roll_call.0 = row.roll_call.0.wrapping_add(1);
    row.asked_ms = Some(now.attended_ms);
    outbox::changed(txn, device, Means::Restricts)
}
