//! Outcomes that a device says it reached and that nothing is recorded of (W5): it is asked
//! for them, again when no answer comes, until it has told everything it still has. Whatever
//! it says, it is asked once a minute at most: a question that comes too soon waits.

use hoist_protocol::id::DeviceId;
use hoist_protocol::status::{DeviceStatus, TOLD_MAX};

use crate::model::key::DeviceKey;
use crate::model::row::DeviceRow;
use crate::model::timer::{Timer, TimerKind, clear_timer, set_timer};
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;
use crate::rules::device::refusal::may_ask_ms;
use crate::rules::device::resync::ask_resync;

/// Times a device is asked about the same outcomes: an answer can get lost with the broker
/// that took it, and a device that lost its memory never has them all.
const ASKS_MAX: u8 = 3;
/// In the place of the times it was asked: it has told everything it has.
const TOLD: u8 = u8::MAX;

/// Takes in what a status says about the number of outcomes; whether the device is to be
/// asked now. The caller writes the device's row.
pub(crate) fn leaves(
    ctx: &mut Ctx,
    device: &DeviceId,
    row: &mut DeviceRow,
    status: &DeviceStatus,
) -> Result<bool, Undecided> {
    if status.ended < row.ended {
        // It lost its memory and counts anew: what it lost is not asked for.
        row.recorded = row.recorded.min(status.ended);
    }
    row.ended = status.ended;
    let missing = row.ended.saturating_sub(row.recorded);
    let told = u32::try_from(status.outcomes.len()).unwrap_or(u32::MAX);
    let kept = u32::try_from(TOLD_MAX).unwrap_or(u32::MAX);
    let more = missing > row.missed;
    row.missed = missing;
    if told >= status.ended.min(kept) {
        // That is everything it has.
        row.asks = TOLD;
    } else if more {
        row.asks = 0;
    }
    lasts(ctx, device, row)
}

/// A broker is gone, and with it perhaps every answer: the times a device was asked do not
/// count, unless it has told everything.
pub(crate) fn broker_is_new(row: &mut DeviceRow) {
    if row.asks != TOLD {
        row.asks = 0;
    }
}

/// True if outcomes are missing that a device is to be asked about now, because its status says so
/// or because it is back and its answer may have been lost with the connection before. If it was
/// asked a moment ago, a timer asks it later. The caller writes the device's row.
pub(crate) fn lasts(
    ctx: &mut Ctx,
    device: &DeviceId,
    row: &mut DeviceRow,
) -> Result<bool, Undecided> {
    if row.missed == 0 || row.asks >= ASKS_MAX {
        return Ok(false);
    }
    let due_ms = may_ask_ms(row);
    if due_ms > ctx.now.uptime_ms {
        set_timer(ctx.txn, due_ms, TimerKind::Doubt(device.clone()))?;
        return Ok(false);
    }
    row.asks += 1;
    Ok(true)
}

/// The pause after a question is over, and another waits; a device that is away is asked when
/// it is back.
pub(crate) fn due(ctx: &mut Ctx, timer: &Timer, device: &DeviceId) -> Result<(), Undecided> {
    clear_timer(ctx.txn, timer.due_ms, timer.kind.clone())?;
    let key = DeviceKey(device.clone());
    let instance = ctx.txn.instance()?;
    let row = ctx.txn.read(&key)?;
    let Some(mut row) = row.filter(|row| row.is_there(&instance) != Some(false)) else {
        return Ok(());
    };
    if lasts(ctx, device, &mut row)? {
        ask_resync(ctx, &mut row, device)?;
        ctx.txn.put(&key, &row);
    }
    Ok(())
}
