//! Devices that wait until an operator approves them: not registered yet, or with another key than
//! the one they are known by. Each came by a claim and waits no longer than that is there, so that
//! revoking a claim sends all of them away at once.

use hoist_protocol::id::{ClaimId, DeviceId, GroupId};

use crate::model::enroll::EnrollAsk;
use crate::model::error::{Code, Rejection};
use crate::model::key::{ClaimKey, WaitingCountKey, WaitingKey};
use crate::model::row::{ClaimRow, WAITING_MAX, WAITING_OF_CLAIM_MAX, WaitingRow};
use crate::model::timer::{Timer, TimerKind, clear_timer, set_timer};
use crate::model::txn::{Txn, Undecided};
use crate::rules::ctx::Ctx;
use crate::rules::stop::Stop;

/// Time for which a device waits for approval before it is forgotten, in ms.
const WAIT_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// A device that waits, if the claim by which it came is there.
pub(crate) fn standing(txn: &Txn, device: &DeviceId) -> Result<Option<WaitingRow>, Undecided> {
    let Some(row) = txn.read(&WaitingKey(device.clone()))? else {
        return Ok(None);
    };
    let claim = txn.read(&ClaimKey(row.claim.clone()))?;
    Ok(claim.map(|_| row))
}

/// One more device waits, to be in a group; of several keys that it shows the last one counts.
pub(crate) fn begin(
    ctx: &mut Ctx,
    ask: &EnrollAsk,
    (id, group): (&ClaimId, &GroupId),
) -> Result<(), Stop> {
    let device = &ask.device;
    // What is left of a claim that is gone, or of another one.
    take(ctx.txn, device)?;
    let mut count = ctx.txn.read_or_empty(&WaitingCountKey)?;
    let mut of_claim = ctx.txn.require(&ClaimKey(id.clone()))?;
    let (waiting, of) = match of_claim.waiting >= WAITING_OF_CLAIM_MAX {
        true => (of_claim.waiting, format!(" by the claim {id}")),
        false => (count.waiting, String::new()),
    };
    if count.waiting >= WAITING_MAX || !of.is_empty() {
        let why = format!("{waiting} devices wait for approval{of}, and {device} is one more");
        return Err(Rejection::new(Code::EnrollFull, why).into());
    }
    count.waiting += 1;
    of_claim.waiting += 1;
    ctx.txn.put(&WaitingCountKey, &count);
    ctx.txn.put(&ClaimKey(id.clone()), &of_claim);
    let since_ms = ctx.now.unix_ms;
    let until_ms = since_ms.saturating_add(WAIT_MS);
    set_timer(ctx.txn, until_ms, TimerKind::Waiting(device.clone()))?;
    let row = WaitingRow {
        claim: id.clone(),
        group: group.clone(),
        key: ask.key,
        device_type: ask.device_type.clone(),
        since_ms,
        until_ms,
    };
    ctx.txn.put(&WaitingKey(device.clone()), &row);
    Ok(())
}

/// Takes a device that waits out of those that do. It is none if the claim by which it came is gone.
pub(crate) fn take(txn: &mut Txn, device: &DeviceId) -> Result<Option<WaitingRow>, Undecided> {
    let key = WaitingKey(device.clone());
    let Some(row) = txn.read(&key)? else {
        return Ok(None);
    };
    txn.delete(&key);
    clear_timer(txn, row.until_ms, TimerKind::Waiting(device.clone()))?;
    let claim_key = ClaimKey(row.claim.clone());
    let Some(mut claim) = txn.read(&claim_key)? else {
        return Ok(None);
    };
    claim.waiting = claim.waiting.saturating_sub(1);
    txn.put(&claim_key, &claim);
    fewer(txn, 1)?;
    Ok(Some(row))
}

/// So many devices wait no longer.
fn fewer(txn: &mut Txn, gone: u32) -> Result<(), Undecided> {
    let mut count = txn.read_or_empty(&WaitingCountKey)?;
    count.waiting = count.waiting.saturating_sub(gone);
    txn.put(&WaitingCountKey, &count);
    Ok(())
}

/// A device has waited for too long.
pub(crate) fn due(ctx: &mut Ctx, timer: &Timer, device: &DeviceId) -> Result<(), Undecided> {
    clear_timer(ctx.txn, timer.due_ms, timer.kind.clone())?;
    let waits = ctx.txn.read(&WaitingKey(device.clone()))?;
    if waits.is_some_and(|row| row.until_ms <= timer.due_ms) {
        take(ctx.txn, device)?;
    }
    Ok(())
}

/// Takes a claim away, and with it all devices that wait by it.
pub(crate) fn end_claim(txn: &mut Txn, id: &ClaimId) -> Result<Option<ClaimRow>, Undecided> {
    let key = ClaimKey(id.clone());
    let Some(claim) = txn.read(&key)? else {
        return Ok(None);
    };
    txn.delete(&key);
    clear_timer(txn, claim.forgotten_ms(), TimerKind::Claim(id.clone()))?;
    fewer(txn, claim.waiting)?;
    Ok(Some(claim))
}

/// A claim has been over for long.
pub(crate) fn claim_due(ctx: &mut Ctx, timer: &Timer, id: &ClaimId) -> Result<(), Undecided> {
    clear_timer(ctx.txn, timer.due_ms, timer.kind.clone())?;
    end_claim(ctx.txn, id).map(drop)
}
