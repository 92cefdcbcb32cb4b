//! Refused reports. Nothing of them counts; that they were refused is remembered of a device
//! that is registered, so that an operator sees it.

use hoist_protocol::id::{DeviceId, Seq};

use crate::model::effect::{Effect, Sender};
use crate::model::error::Code;
use crate::model::evidence::SignatureEvidence;
use crate::model::key::{DeviceKey, RefusedKey};
use crate::model::row::{DeviceRow, Refusal, RefusedRow};
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;
use crate::rules::device::resync::ask_resync;

/// Least time between two resyncs because of wrong reports of a device, in ms of connected uptime: a
/// device whose key was replaced, or whose name another has too, must not be asked in a loop.
const ASK_PAUSE_MS: u64 = 60_000;

/// Refuses a report of a device as of its row.
pub(crate) fn rejected(code: Code, device: &DeviceId, row: Option<&DeviceRow>) -> Effect {
    Effect::Rejected {
        code,
        sender: Sender::Device {
            device: device.clone(),
            seq: row.and_then(|row| row.seq),
        },
    }
}

/// Something that does not decode, or is on no topic of ours. A device is asked once what it
/// meant: when it answers, what was refused is over.
pub(crate) fn refused(
    ctx: &mut Ctx,
    device: Option<&DeviceId>,
    code: Code,
) -> Result<(), Undecided> {
    let Some(device) = device else {
        let sender = Sender::Nobody;
        ctx.effects.push(Effect::Rejected { code, sender });
        return Ok(());
    };
    let key = DeviceKey(device.clone());
    let Some(mut row) = ctx.txn.read(&key)? else {
        ctx.effects.push(rejected(code, device, None));
        return Ok(());
    };
    let before = ctx.txn.read(&RefusedKey(device.clone()))?;
    ctx.effects.push(rejected(code, device, Some(&row)));
    if standing(&row, before.as_ref()).is_none() && ask(ctx, &mut row, device)? {
        ctx.txn.put(&key, &row);
    }
    Ok(())
}

/// Remembers what the adapter has counted of a device. Of one that is not registered
/// nothing is kept: anybody can make up names.
pub(crate) fn count(ctx: &mut Ctx, device: &DeviceId, refusal: Refusal) -> Result<(), Undecided> {
    if ctx.txn.read(&DeviceKey(device.clone()))?.is_some() {
        let key = RefusedKey(device.clone());
        let mut row = ctx.txn.read_or_empty(&key)?;
        row.add(refusal);
        ctx.txn.put(&key, &row);
    }
    Ok(())
}

/// The last refusal, when nothing of the device was taken in since.
pub(crate) fn standing(row: &DeviceRow, refused: Option<&RefusedRow>) -> Option<Refusal> {
    let last = refused.and_then(RefusedRow::last);
    last.filter(|last| last.seq == row.seq).copied()
}

/// Outcomes that do not verify are no outcomes; the device is asked again, not too often.
/// Signed ones of a device whose key is not known yet are no offence: it repeats what it last
/// said before it shows its key, and a resync is asked for once that is pinned.
pub(crate) fn unverified(
    ctx: &mut Ctx,
    device: &DeviceId,
    mut row: DeviceRow,
    evidence: SignatureEvidence,
) -> Result<(), Undecided> {
    let signed = evidence == SignatureEvidence::Invalid;
    if signed && row.public_key.is_none() && !row.unverified {
        row.unverified = true;
        ctx.txn.put(&DeviceKey(device.clone()), &row);
        return Ok(());
    }
    ctx.effects
        .push(rejected(Code::Signature, device, Some(&row)));
    row.unverified = true;
    ask(ctx, &mut row, device)?;
    ctx.txn.put(&DeviceKey(device.clone()), &row);
    Ok(())
}

/// A device counts its reports from a lower number again: its memory is gone, or two devices
/// have one name. This one is refused, but from then on its numbers are those that count, and
/// it is asked to report everything, not too often.
pub(crate) fn counts_again(
    ctx: &mut Ctx,
    device: &DeviceId,
    mut row: DeviceRow,
    seq: Seq,
) -> Result<(), Undecided> {
    row.seq = Some(seq);
    ctx.effects.push(rejected(Code::Seq, device, Some(&row)));
    ask(ctx, &mut row, device)?;
    ctx.txn.put(&DeviceKey(device.clone()), &row);
    Ok(())
}

/// When a device may be asked for a resync again for what it says, in ms of connected uptime.
pub(crate) fn may_ask_ms(row: &DeviceRow) -> u64 {
    row.asked_ms
        .map_or(0, |asked| asked.saturating_add(ASK_PAUSE_MS))
}

/// Asks a device for a resync unless that was done a moment ago; true if it is asked.
fn ask(ctx: &mut Ctx, row: &mut DeviceRow, device: &DeviceId) -> Result<bool, Undecided> {
    let again = may_ask_ms(row) <= ctx.now.uptime_ms;
    if again {
        ask_resync(ctx, row, device)?;
    }
    Ok(again)
}
