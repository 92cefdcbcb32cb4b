//! Outcomes that a device says it reached and that nothing is recorded of (W5): it is asked
//! for them, again when it shows up once more, until it has told everything it still has.

use hoist_protocol::status::{DeviceStatus, TOLD_MAX};

use crate::input::Now;
use crate::mutant::{Mutant, is_planted};
use crate::row::DeviceRow;

/// Times a device is asked about the same outcomes: an answer can get lost with the broker
/// that took it, and a device that lost its memory never has them all.
const ASKS_MAX: u8 = 3;
/// Time for an answer, in attended ms.
const ANSWER_MS: u64 = 60_000;

/// Takes in what a status says about the number of outcomes; whether it is to be asked.
pub(crate) fn leaves(row: &mut DeviceRow, status: &DeviceStatus, now: Now) -> bool {
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
    if missing == 0 || told >= status.ended.min(kept) {
        // That is everything it has.
        row.asks = 0;
        return false;
    }
    if more {
        row.asks = 0;
        return ask(row);
    }
    let asked_ms = row.asked_ms.unwrap_or_default();
    is_unanswered(row) && asked_ms.saturating_add(ANSWER_MS) <= now.attended_ms && ask(row)
}

/// A device is back: its answer may have been lost with the connection before. Whether it is
/// to be asked again.
pub(crate) fn lasts(row: &mut DeviceRow) -> bool {
    is_unanswered(row) && ask(row)
}

fn is_unanswered(row: &DeviceRow) -> bool {
    row.asks > 0 && row.asks < ASKS_MAX
}

fn ask(row: &mut DeviceRow) -> bool {
    row.asks += 1;
    !is_planted(Mutant::EndedIgnored)
}
