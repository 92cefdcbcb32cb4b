//! Boards that wait until an operator approves them: under the id of a device that is not registered
//! yet, or with another key than the one that it is known by. Several may wait under one id, and none
//! hides another. Each came by a claim and waits no longer than that is there, so that revoking a
//! claim sends all of them away at once.

use hoist_protocol::envelope::PublicKey;
use hoist_protocol::id::{ClaimId, DeviceId, GroupId};

use crate::model::effect::Effect;
use crate::model::enroll::EnrollAsk;
use crate::model::error::{Code, Rejection};
use crate::model::key::{ClaimKey, Key, RowKey, WaitingCountKey, WaitingKey};
use crate::model::row::{WAITING_MAX, WAITING_OF_CLAIM_MAX, WAITING_OF_DEVICE_MAX, WaitingRow};
use crate::model::timer::{Timer, TimerKind, clear_timer, set_timer};
use crate::model::txn::{Txn, Undecided};
use crate::rules::ctx::Ctx;
use crate::rules::stop::Stop;

/// Time for which a device waits for approval before it is forgotten, in ms.
const WAIT_MS: u64 = 7 * 24 * 60 * 60 * 1000;

fn places(device: &DeviceId) -> impl Iterator<Item = WaitingKey> {
    (0..WAITING_OF_DEVICE_MAX).map(|place| WaitingKey(device.clone(), place))
}

/// The rows of those that may wait under an id.
pub(crate) fn keys(device: &DeviceId) -> impl Iterator<Item = Key> {
    places(device).map(|key| key.key())
}

/// Those that have a row, also when their claims are gone.
fn rows(txn: &Txn, device: &DeviceId) -> Result<Vec<(WaitingKey, WaitingRow)>, Undecided> {
    txn.want(keys(device))?;
    let mut rows = Vec::new();
    for key in places(device) {
        rows.extend(txn.read(&key)?.map(|row| (key, row)));
    }
    Ok(rows)
}

/// The boards that wait under an id, and whose claims are there.
pub(crate) fn standing(txn: &Txn, device: &DeviceId) -> Result<Vec<WaitingRow>, Undecided> {
    let mut standing = Vec::new();
    for (_, row) in rows(txn, device)? {
        let claim = txn.read(&ClaimKey(row.claim.clone()))?;
        standing.extend(claim.map(|_| row));
    }
    Ok(standing)
}

/// One more board waits, to be in a group; those that wait under the same id stay.
pub(crate) fn begin(
    ctx: &mut Ctx,
    ask: &EnrollAsk,
    (id, group): (&ClaimId, &GroupId),
) -> Result<(), Stop> {
    let device = &ask.device;
    ctx.txn.want(keys(device))?;
    let count = ctx.txn.read_or_empty(&WaitingCountKey)?;
    let of_claim = ctx.txn.require(&ClaimKey(id.clone()))?;
    let (waiting, of) = match of_claim.waiting >= WAITING_OF_CLAIM_MAX {
        true => (of_claim.waiting, format!(" by the claim {id}")),
        false => (count.waiting, String::new()),
    };
    if count.waiting >= WAITING_MAX || !of.is_empty() {
        let why = format!("{waiting} devices wait for approval{of}, and {device} is one more");
        let hint = format!(
            "`hoist enroll waiting` lists them: approve those that are yours; `hoist enroll revoke {id}` \
             sends away who came by this claim, `hoist device remove ID --waiting` one of them, and \
             no registered device by that"
        );
        return Err(Rejection::new(Code::EnrollFull, why).hint(hint).into());
    }
    let Some(place) = place(ctx.txn, device, &ask.key)? else {
        return Err(crowded(ask).into());
    };
    if let Some(before) = ctx.txn.read(&place)? {
        leave(ctx.txn, &place, &before)?;
    }
    more(ctx.txn, id)?;
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
    ctx.txn.put(&place, &row);
    Ok(())
}

/// The place for a board under an id, if there is any: its own if it came by another claim, or one of
/// which the claim is gone.
fn place(txn: &Txn, device: &DeviceId, board: &PublicKey) -> Result<Option<WaitingKey>, Undecided> {
    let mut free = None;
    for key in places(device) {
        let Some(row) = txn.read(&key)? else {
            free.get_or_insert(key);
            continue;
        };
        if row.key == *board {
            return Ok(Some(key));
        }
        if txn.read(&ClaimKey(row.claim.clone()))?.is_none() {
            free.get_or_insert(key);
        }
    }
    Ok(free)
}

fn crowded(ask: &EnrollAsk) -> Rejection {
    let (device, print) = (&ask.device, ask.key.fingerprint());
    let why = format!(
        "{WAITING_OF_DEVICE_MAX} boards wait under the id {device}, and the one with the key {print} is one more"
    );
    Rejection::new(Code::EnrollFull, why).hint(format!(
        "`hoist enroll waiting` lists them: approve one, or send all of them away with \
         `hoist device remove {device} --waiting`"
    ))
}

/// Takes all that wait under an id out of those that do.
pub(crate) fn take(txn: &mut Txn, device: &DeviceId) -> Result<(), Undecided> {
    for (key, row) in rows(txn, device)? {
        leave(txn, &key, &row)?;
    }
    Ok(())
}

/// One waits no longer. It was not counted any more if the claim by which it came is gone.
fn leave(txn: &mut Txn, key: &WaitingKey, row: &WaitingRow) -> Result<(), Undecided> {
    txn.delete(key);
    let others = rows(txn, &key.0)?;
    if !others
        .iter()
        .any(|(_, other)| other.until_ms == row.until_ms)
    {
        clear_timer(txn, row.until_ms, TimerKind::Waiting(key.0.clone()))?;
    }
    let claim_key = ClaimKey(row.claim.clone());
    let Some(mut claim) = txn.read(&claim_key)? else {
        return Ok(());
    };
    claim.waiting = claim.waiting.saturating_sub(1);
    txn.put(&claim_key, &claim);
    fewer(txn, 1)
}

/// One more waits by a claim.
fn more(txn: &mut Txn, id: &ClaimId) -> Result<(), Undecided> {
    let claim_key = ClaimKey(id.clone());
    let (mut claim, mut count) = (
        txn.require(&claim_key)?,
        txn.read_or_empty(&WaitingCountKey)?,
    );
    claim.waiting = claim.waiting.saturating_add(1);
    count.waiting = count.waiting.saturating_add(1);
    txn.put(&claim_key, &claim);
    txn.put(&WaitingCountKey, &count);
    Ok(())
}

/// So many boards wait no longer.
fn fewer(txn: &mut Txn, gone: u32) -> Result<(), Undecided> {
    let mut count = txn.read_or_empty(&WaitingCountKey)?;
    count.waiting = count.waiting.saturating_sub(gone);
    txn.put(&WaitingCountKey, &count);
    Ok(())
}

/// Somebody has waited for too long under an id.
pub(crate) fn due(ctx: &mut Ctx, timer: &Timer, device: &DeviceId) -> Result<(), Undecided> {
    clear_timer(ctx.txn, timer.due_ms, timer.kind.clone())?;
    for (key, row) in rows(ctx.txn, device)? {
        if row.until_ms <= timer.due_ms {
            leave(ctx.txn, &key, &row)?;
        }
    }
    Ok(())
}

/// Takes a claim away, and with it all boards that wait by it, and whoever is connected by it.
pub(crate) fn end_claim(ctx: &mut Ctx, id: &ClaimId) -> Result<(), Undecided> {
    let key = ClaimKey(id.clone());
    let Some(claim) = ctx.txn.read(&key)? else {
        return Ok(());
    };
    ctx.txn.delete(&key);
    let timer = TimerKind::Claim(id.clone());
    clear_timer(ctx.txn, claim.forgotten_ms(), timer)?;
    fewer(ctx.txn, claim.waiting)?;
    ctx.effects.push(Effect::ClaimEnded(id.clone()));
    Ok(())
}

/// A claim has been over for long.
pub(crate) fn claim_due(ctx: &mut Ctx, timer: &Timer, id: &ClaimId) -> Result<(), Undecided> {
    clear_timer(ctx.txn, timer.due_ms, timer.kind.clone())?;
    end_claim(ctx, id)
}
