//! Refused reports. Nothing of them counts; that they were refused is remembered of a device
//! that is registered, so that an operator sees it.

use hoist_protocol::id::{DeviceId, Seq};

use crate::model::effect::{Effect, Effects, Sender};
use crate::model::error::Code;
use crate::model::evidence::SignatureEvidence;
use crate::model::key::{DeviceKey, RefusedKey};
use crate::model::now::Now;
use crate::model::row::{DeviceRow, Refusal, RefusedRow};
use crate::model::txn::{Txn, Undecided};
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
    txn: &mut Txn,
    device: Option<&DeviceId>,
    code: Code,
    now: Now,
) -> Result<Effects, Undecided> {
    let Some(device) = device else {
        let sender = Sender::Nobody;
        return Ok(vec![Effect::Rejected { code, sender }]);
    };
    let key = DeviceKey(device.clone());
    let Some(mut row) = txn.read(&key)? else {
        return Ok(vec![rejected(code, device, None)]);
    };
    let before = txn.read(&RefusedKey(device.clone()))?;
    let mut effects = vec![rejected(code, device, Some(&row))];
    if standing(&row, before.as_ref()).is_none()
        && let Some(asks) = ask(txn, &mut row, device, now)?
    {
        effects.push(asks);
        txn.put(&key, &row);
    }
    Ok(effects)
}

/// Remembers what the adapter has counted of a device. Of one that is not registered
/// nothing is kept: anybody can make up names.
pub(crate) fn count(
    txn: &mut Txn,
    device: &DeviceId,
    refusal: Refusal,
) -> Result<Effects, Undecided> {
    if txn.read(&DeviceKey(device.clone()))?.is_some() {
        let key = RefusedKey(device.clone());
        let mut row = txn.read_or_empty(&key)?;
        row.add(refusal);
        txn.put(&key, &row);
    }
    Ok(Effects::new())
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
    txn: &mut Txn,
    device: &DeviceId,
    mut row: DeviceRow,
    evidence: SignatureEvidence,
    now: Now,
) -> Result<Effects, Undecided> {
    let signed = evidence == SignatureEvidence::Invalid;
    if signed && row.public_key.is_none() && !row.unverified {
        row.unverified = true;
        txn.put(&DeviceKey(device.clone()), &row);
        return Ok(Effects::new());
    }
    let mut effects = vec![rejected(Code::Signature, device, Some(&row))];
    row.unverified = true;
    effects.extend(ask(txn, &mut row, device, now)?);
    txn.put(&DeviceKey(device.clone()), &row);
    Ok(effects)
}

/// A device counts its reports from a lower number again: its memory is gone, or two devices
/// have one name. This one is refused, but from then on its numbers are those that count, and
/// it is asked to report everything, not too often.
pub(crate) fn counts_again(
    txn: &mut Txn,
    device: &DeviceId,
    mut row: DeviceRow,
    seq: Seq,
    now: Now,
) -> Result<Effects, Undecided> {
    row.seq = Some(seq);
    let mut effects = vec![rejected(Code::Seq, device, Some(&row))];
    effects.extend(ask(txn, &mut row, device, now)?);
    txn.put(&DeviceKey(device.clone()), &row);
    Ok(effects)
}

/// When a device may be asked for a resync again for what it says, in ms of connected uptime.
pub(crate) fn may_ask_ms(row: &DeviceRow) -> u64 {
    row.asked_ms
        .map_or(0, |asked| asked.saturating_add(ASK_PAUSE_MS))
}

/// Asks a device for a resync unless that was done a moment ago.
fn ask(
    txn: &mut Txn,
    row: &mut DeviceRow,
    device: &DeviceId,
    now: Now,
) -> Result<Option<Effect>, Undecided> {
    let again = may_ask_ms(row) <= now.uptime_ms;
    again.then(|| ask_resync(txn, row, device, now)).transpose()
}
