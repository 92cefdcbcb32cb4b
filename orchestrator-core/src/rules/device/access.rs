//! What a device comes in with. A revoked one stays registered with its history: nothing that it
//! had is good any more, and something new lets it in again. A token that is replaced stays good
//! for a while if it is to.

use hoist_protocol::envelope::PublicKey;
use hoist_protocol::id::{DeviceId, UserId};

use crate::model::effect::{Effect, Event};
use crate::model::error::{Code, Rejection};
use crate::model::key::{DeviceKey, RevokedKey};
use crate::model::row::{Access, DeviceRow, Revoked, RevokedRow};
use crate::model::timer::{Timer, TimerKind, clear_timer, set_timer};
use crate::model::txn::{Txn, Undecided};
use crate::rules::ctx::Ctx;
use crate::rules::device::resync::ask_resync;
use crate::rules::device::{contact, hold, identity, presence, trouble};
use crate::rules::waiting;

/// Nothing that a device came in with until now is good any more. The caller writes its row.
pub(crate) fn end_all(
    ctx: &mut Ctx,
    device: &DeviceId,
    row: &mut DeviceRow,
) -> Result<(), Undecided> {
    end_overlap(ctx, device, row)?;
    let key = RevokedKey(device.clone());
    let before = ctx.txn.read_or_empty(&key)?;
    let revoked = RevokedRow {
        issue: before.issue.max(before.certificate_issue(row.issue)),
        at_ms: ctx.now.unix_ms,
        key: row.public_key.or(before.key),
        ..before
    };
    ctx.txn.put(&key, &revoked);
    ctx.effects.push(Effect::DeviceRevoked {
        device: device.clone(),
        until: revoked.revocation(),
    });
    Ok(())
}

/// Revokes a device: it stays registered, and is out until it has something new to come in with.
pub(crate) fn revoke(
    ctx: &mut Ctx,
    device: &DeviceId,
    row: &mut DeviceRow,
    revoked: Revoked,
) -> Result<(), Undecided> {
    // Before its spec is cleared: whoever is turned away leaves nothing behind.
    end_all(ctx, device, row)?;
    identity::forget(ctx, device)?;
    if row.take_offer().is_some() {
        waiting::take(ctx.txn, device)?;
    }
    trouble::note(ctx, device, None)?;
    presence::turned_out(ctx, row)?;
    contact::watch(ctx, device, row)?;
    ctx.effects.push(Effect::Event(Event::DeviceRevoked {
        device: device.clone(),
        group: row.group.clone(),
        by: revoked.by.clone(),
        reason: revoked.reason.clone(),
    }));
    hold::shut_out(ctx, device, row, |row| {
        row.access = Access::Revoked(revoked);
    })
}

/// A revoked device may come in again, with tokens and certificates of another issue. It is asked
/// for a resync, because nothing that it said meanwhile was taken in. Its row is written.
pub(crate) fn admit_again(
    ctx: &mut Ctx,
    device: &DeviceId,
    row: &mut DeviceRow,
) -> Result<(), Undecided> {
    row.issue = next_issue(ctx, device, row)?;
    if row.take_offer().is_some() {
        waiting::take(ctx.txn, device)?;
    }
    hold::change(ctx, device, row, |row| row.access = Access::Current)?;
    ask_resync(ctx, row, device)?;
    ctx.txn.put(&DeviceKey(device.clone()), row);
    ctx.effects.push(Effect::ReadReports(device.clone()));
    Ok(())
}

/// True if whoever took a device, before it was removed or revoked, has this key of it, and nobody has
/// approved it since.
pub(crate) fn is_taken(txn: &Txn, device: &DeviceId, key: &PublicKey) -> Result<bool, Undecided> {
    let revoked = txn.read_or_empty(&RevokedKey(device.clone()))?;
    Ok(revoked.key == Some(*key))
}

/// The key that a device had when it was revoked is not good by a new token alone. A revocation of an
/// older server did not note it.
fn key_is_taken(ctx: &mut Ctx, device: &DeviceId, row: &DeviceRow) -> Result<(), Undecided> {
    let key = RevokedKey(device.clone());
    let before = ctx.txn.read_or_empty(&key)?;
    let revoked = RevokedRow {
        key: row.public_key.or(before.key),
        ..before
    };
    ctx.txn.put(&key, &revoked);
    Ok(())
}

/// Somebody has approved a key of a device: it is good, whatever became of the device before.
pub(crate) fn key_is_good(
    ctx: &mut Ctx,
    device: &DeviceId,
    approved: &PublicKey,
) -> Result<(), Undecided> {
    let key = RevokedKey(device.clone());
    let before = ctx.txn.read_or_empty(&key)?;
    if before.key == Some(*approved) {
        let revoked = RevokedRow {
            key: None,
            ..before
        };
        ctx.txn.put(&key, &revoked);
    }
    Ok(())
}

/// Gives a device another token. The one before is good for so long after; one that was replaced
/// before it is good no longer. To a revoked device it is the way back, by the token alone: its key gets
/// it no certificate until somebody approves it. Its row is written.
pub(crate) fn rotate(
    ctx: &mut Ctx,
    device: &DeviceId,
    row: &mut DeviceRow,
    (overlap_ms, by): (u64, UserId),
) -> Result<(), Undecided> {
    let was_revoked = row.revoked().is_some();
    ctx.effects.push(Effect::Event(Event::DeviceTokenRotated {
        device: device.clone(),
        by,
        was_revoked,
    }));
    if was_revoked {
        key_is_taken(ctx, device, row)?;
        return admit_again(ctx, device, row);
    }
    if end_overlap(ctx, device, row)? {
        replaced(ctx, device, row.issue.saturating_sub(1))?;
    }
    let before = row.issue;
    row.issue = next_issue(ctx, device, row)?;
    match overlap_ms {
        0 => replaced(ctx, device, before)?,
        _ => {
            let until_ms = ctx.now.unix_ms.saturating_add(overlap_ms);
            set_timer(ctx.txn, until_ms, TimerKind::Overlap(device.clone()))?;
            row.access = Access::Overlap { until_ms };
        }
    }
    ctx.txn.put(&DeviceKey(device.clone()), row);
    Ok(())
}

/// Another key takes the place of the pinned one: certificates of that are good no longer. Tokens, which
/// are of no key, stay.
pub(crate) fn key_replaced(
    ctx: &mut Ctx,
    device: &DeviceId,
    row: &DeviceRow,
) -> Result<(), Undecided> {
    let key = RevokedKey(device.clone());
    let before = ctx.txn.read_or_empty(&key)?;
    let revoked = RevokedRow {
        certificates: before.certificate_issue(row.issue),
        ..before
    };
    ctx.txn.put(&key, &revoked);
    ctx.effects.push(Effect::Replaced {
        device: device.clone(),
        until: revoked.revocation(),
    });
    Ok(())
}

/// The issue of the certificate that a device is given now.
pub(crate) fn certificate_issue(
    ctx: &Ctx,
    device: &DeviceId,
    row: &DeviceRow,
) -> Result<u32, Undecided> {
    let revoked = ctx.txn.read_or_empty(&RevokedKey(device.clone()))?;
    Ok(revoked.certificate_issue(row.issue))
}

/// The token that a device had before is good no longer.
pub(crate) fn overlap_due(
    ctx: &mut Ctx,
    timer: &Timer,
    device: &DeviceId,
) -> Result<(), Undecided> {
    clear_timer(ctx.txn, timer.due_ms, timer.kind.clone())?;
    let until_ms = timer.due_ms;
    let key = DeviceKey(device.clone());
    let row = ctx.txn.read(&key)?;
    let Some(mut row) = row.filter(|row| row.access == Access::Overlap { until_ms }) else {
        return Ok(());
    };
    row.access = Access::Current;
    replaced(ctx, device, row.issue.saturating_sub(1))?;
    ctx.txn.put(&key, &row);
    Ok(())
}

/// The refusal of what a revoked device cannot be asked; none of any other.
pub(crate) fn refusal(device: &DeviceId, row: &DeviceRow) -> Option<Rejection> {
    row.revoked().map(|_| {
        let why = format!("{device} was revoked, and nothing that it has lets it in");
        let hint = format!("`hoist device token rotate {device}` gives it another token");
        Rejection::new(Code::Revoked, why)
            .field("device")
            .hint(hint)
    })
}

/// An issue that no token or certificate of the device has had.
fn next_issue(ctx: &mut Ctx, device: &DeviceId, row: &DeviceRow) -> Result<u32, Undecided> {
    let revoked = ctx.txn.read_or_empty(&RevokedKey(device.clone()))?;
    Ok(row.issue.max(revoked.issue).saturating_add(1))
}

/// Ends the time in which two tokens are good, if it is such a time. The caller writes the row.
fn end_overlap(ctx: &mut Ctx, device: &DeviceId, row: &mut DeviceRow) -> Result<bool, Undecided> {
    let Access::Overlap { until_ms } = row.access else {
        return Ok(false);
    };
    clear_timer(ctx.txn, until_ms, TimerKind::Overlap(device.clone()))?;
    row.access = Access::Current;
    Ok(true)
}

/// Tokens up to this issue are good no longer.
fn replaced(ctx: &mut Ctx, device: &DeviceId, issue: u32) -> Result<(), Undecided> {
    let key = RevokedKey(device.clone());
    let before = ctx.txn.read_or_empty(&key)?;
    let revoked = RevokedRow {
        tokens: before.tokens.max(issue),
        ..before
    };
    ctx.txn.put(&key, &revoked);
    ctx.effects.push(Effect::Replaced {
        device: device.clone(),
        until: revoked.revocation(),
    });
    Ok(())
}
