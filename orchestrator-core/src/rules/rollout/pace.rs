//! The allowance of a rollout: how many slots may be given by now (S16). It is the least of what the
//! phase lets in, of what the devices at work leave room for, and of what the minute lets in. Slots
//! once given are never taken back.

use crate::model::counter::Totals;
use crate::model::rollout::{Part, Rollout};
use crate::model::row::{DeploymentRow, Given, RolloutRow};

/// A device that had its slot for so long and did not begin is not counted as one at work, in ms of
/// connected uptime: silence holds nobody up.
pub(crate) const SILENT_MS: u64 = 15 * 60 * 1_000;
/// The time for which a pace is told, in ms: devices spread their starts over it.
pub(crate) const MINUTE_MS: u64 = 60_000;
/// Times at which given slots are remembered: the distance between them is a part of [`SILENT_MS`].
const GIVEN_MAX: u64 = 32;

/// The slots that may be given by now.
#[must_use]
pub fn allowance(row: &DeploymentRow, state: &RolloutRow, totals: &Totals, now_ms: u64) -> u32 {
    if state.current().is_some() && !state.is_open {
        return row.slots;
    }
    let phase = match state.current().map(|phase| &phase.part) {
        Some(Part::Devices(devices)) => *devices,
        Some(Part::Percent(_) | Part::Selected(_)) | None => u32::MAX,
    };
    let working = match at_once(&state.rollout, totals) {
        Some(most) => {
            let begun = totals.started();
            let done = begun.saturating_sub(totals.in_progress());
            let silent = given_by(state, silent_since_ms(row, now_ms)).saturating_sub(begun);
            done.saturating_add(silent).saturating_add(most)
        }
        None => u32::MAX,
    };
    let paced = match state.rollout.starts_per_minute {
        Some(_) => state.paced,
        None => u32::MAX,
    };
    let least = phase.min(working).min(paced).max(row.slots);
    row.limit
        .map_or(least, |limit| least.min(limit.max(row.slots)))
}

/// Lets the pace go on: each minute so many more than have slots by then.
pub(crate) fn step(row: &DeploymentRow, state: &mut RolloutRow, totals: &Totals, now_ms: u64) {
    let Some(base) = state.rollout.starts_per_minute else {
        return;
    };
    if state.pace_due_ms <= now_ms {
        let growth = state.rollout.growth;
        let pace = growth.map_or(base, |growth| growth.of(base, totals.successful));
        state.paced = row.slots.saturating_add(pace);
        state.pace_due_ms = now_ms.saturating_add(MINUTE_MS);
    }
}

/// When the pace lets more in; none when it is something else that holds the rollout up, as a person
/// whose approval is waited for.
pub(crate) fn more_due_ms(row: &DeploymentRow, state: &RolloutRow) -> Option<u64> {
    let is_full = state.rollout.starts_per_minute.is_some() && row.slots >= state.paced;
    let reaches_more = row.line < state.reaches() || state.choice(0).is_some();
    (is_full && reaches_more).then_some(state.pace_due_ms)
}

/// Devices that may be at work at once.
fn at_once(rollout: &Rollout, totals: &Totals) -> Option<u32> {
    let base = rollout.max_in_progress?;
    // With a pace it is the pace that grows.
    let growth = rollout
        .growth
        .filter(|_| rollout.starts_per_minute.is_none());
    Some(growth.map_or(base, |growth| growth.of(base, totals.successful)))
}

/// Remembers how many slots were given by now.
pub(crate) fn remember(row: &DeploymentRow, state: &mut RolloutRow, now_ms: u64) {
    if state.rollout.max_in_progress.is_none() {
        return;
    }
    let since_ms = silent_since_ms(row, now_ms);
    let known = state.given.last().map_or(0, |given| given.slots);
    if row.slots > known {
        let given = Given {
            at_ms: now_ms,
            slots: row.slots,
        };
        match state.given.last_mut() {
            Some(last) if now_ms.saturating_sub(last.at_ms) < SILENT_MS / GIVEN_MAX => {
                last.slots = row.slots;
            }
            _ => state.given.push(given),
        }
    }
    // The newest of those that are old enough says everything that the ones before it say.
    let old = state.given.iter().filter(|given| given.at_ms <= since_ms);
    let useless = old.count().saturating_sub(1);
    state.given.drain(..useless);
}

/// When given slots next become old enough to be silent ones; none when none will.
pub(crate) fn silent_due_ms(row: &DeploymentRow, state: &RolloutRow, now_ms: u64) -> Option<u64> {
    let since_ms = silent_since_ms(row, now_ms);
    let wait_ms = now_ms.saturating_sub(since_ms);
    let young = state.given.iter().find(|given| given.at_ms > since_ms)?;
    Some(young.at_ms.saturating_add(wait_ms))
}

fn silent_since_ms(row: &DeploymentRow, now_ms: u64) -> u64 {
    let spread_ms = u64::from(row.spread_s).saturating_mul(1_000);
    now_ms.saturating_sub(SILENT_MS.saturating_add(spread_ms))
}

fn given_by(state: &RolloutRow, at_ms: u64) -> u32 {
    let by = state.given.iter().filter(|given| given.at_ms <= at_ms);
    by.map(|given| given.slots).max().unwrap_or(0)
}
