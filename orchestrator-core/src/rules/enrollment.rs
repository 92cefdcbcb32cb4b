//! Enrollment: which device gets a certificate, and by what. Whoever proves the pinned key of a
//! device is that device, and gets one whenever it asks; a claim that it names has to be good all the
//! same. Everybody else needs a claim: it registers a device that is not known and pins its key, and
//! counts how often; so a repeat costs nothing. A second key of a device, a device that was removed,
//! and the key that a device had when it was revoked wait until an operator approves them.

use hoist_protocol::envelope::PublicKey;
use hoist_protocol::id::{ClaimId, DeviceId};

use crate::model::effect::{Effect, Event, Sender};
use crate::model::enroll::{EnrollAsk, EnrollOutcome};
use crate::model::error::{Code, Rejection};
use crate::model::key::{ClaimKey, DeviceKey, Key, RevokedKey, RowKey};
use crate::model::now::{Mode, Now};
use crate::model::row::{ClaimRow, DeviceRow, WaitingRow};
use crate::model::txn::{Txn, Undecided};
use crate::rules::ctx::Ctx;
use crate::rules::device::refusal::rejected;
use crate::rules::device::{self, access, identity, name, resync::ask_resync};
use crate::rules::rollout::outbox::{self, AdmissionChange};
use crate::rules::stop::Stop;
use crate::rules::waiting;
use crate::rules::{audit, group};

/// The decision on a request.
enum Decided {
    /// For this issue of the device.
    Certify(u32),
    Waits(Rejection),
}

/// Rows that a request will surely look at.
pub(crate) fn hint(ask: &EnrollAsk) -> Vec<Key> {
    let mut keys = vec![
        DeviceKey(ask.device.clone()).key(),
        RevokedKey(ask.device.clone()).key(),
    ];
    if let Some(claim) = ask.claim.clone() {
        keys.push(ClaimKey(claim).key());
        keys.extend(waiting::keys(&ask.device));
    }
    keys
}

/// Decides a request.
pub(crate) fn asked(ctx: &mut Ctx, ask: &EnrollAsk) -> Result<(), Undecided> {
    let outcome = match decide(ctx, ask) {
        Ok(Decided::Certify(issue)) => EnrollOutcome::Certify {
            issue,
            key: ask.key,
        },
        Ok(Decided::Waits(rejection)) => EnrollOutcome::Waits(Box::new(rejection)),
        Err(Stop::Rejected(rejection)) => EnrollOutcome::Refused(Box::new(rejection)),
        Err(Stop::Undecided(undecided)) => return Err(undecided),
    };
    if let EnrollOutcome::Refused(why) = &outcome {
        let known = ctx.txn.read(&DeviceKey(ask.device.clone()))?;
        ctx.effects.push(match known {
            // Counted, and said as often as other refusals of one device.
            Some(row) => rejected(why.code, &ask.device, Some(&row)),
            // Anybody can make up names: those of a flood are one sender.
            None => Effect::Rejected {
                code: why.code,
                sender: Sender::Nobody,
            },
        });
    }
    ctx.effects.push(Effect::EnrollAnswered {
        device: ask.device.clone(),
        nonce: ask.nonce,
        outcome,
    });
    Ok(())
}

fn decide(ctx: &mut Ctx, ask: &EnrollAsk) -> Result<Decided, Stop> {
    is_sound(ask, ctx.now)?;
    let device = &ask.device;
    let known = ctx.txn.read(&DeviceKey(device.clone()))?;
    let is_pinned = |row: &DeviceRow| row.public_key == Some(ask.key);
    let is_taken = access::is_taken(ctx.txn, device, &ask.key)?;
    let is_out = |row: &DeviceRow| {
        let another_is_pinned = row.public_key.is_some() && !is_pinned(row);
        row.revoked().is_some() || (is_taken && !another_is_pinned)
    };
    if let (Some(row), None) = (&known, &ask.claim)
        && is_pinned(row)
    {
        return match is_out(row) {
            false => certify(ctx, device, row),
            true => Err(out(ask, row).into()),
        };
    }
    let (id, claim) = claim(ctx, ask, known.as_ref())?;
    match known {
        Some(row) if is_out(&row) => {
            let offered = list_other_key(ctx, ask, (&id, &row, Code::Revoked))?;
            Ok(ask_again(ctx, ask, (row, offered, id)))
        }
        Some(row) if is_pinned(&row) => certify(ctx, device, &row),
        Some(row) if row.public_key.is_some() || claim.approval => {
            let offered = list_other_key(ctx, ask, (&id, &row, Code::Reenrol))?;
            let by = came_by(ask, (&row, offered, id));
            identity::other_key(ctx, device, row, (offered, by))?;
            Ok(Decided::Waits(other_key(ask)))
        }
        Some(row) => pin(ctx, ask, row, (id, claim)),
        None => {
            name::may_be_registered(device, ask.is_user)?;
            let was_removed = ctx.txn.read(&RevokedKey(device.clone()))?.is_some();
            if claim.approval || was_removed {
                return wait(ctx, ask, &id, &claim);
            }
            let group = claim.group.clone();
            group::read(ctx.txn, &group)?.ok_or_else(|| group::unknown(&group))?;
            spend(ctx, id, claim)?;
            let mut row = DeviceRow::new(ctx.now.unix_ms);
            row.public_key = Some(ask.key);
            row.device_type.clone_from(&ask.device_type);
            let row = device::register(ctx, device, row, &group)?;
            audit::note_claimed(ctx, ask, (&row.group, None))?;
            certify(ctx, device, &row)
        }
    }
}

/// The refusal of a device whose key is not enough by itself: it was revoked.
fn out(ask: &EnrollAsk, row: &DeviceRow) -> Rejection {
    let device = &ask.device;
    access::refusal(device, row).unwrap_or_else(|| {
        let print = ask.key.fingerprint();
        let why = format!(
            "{device} was revoked with the key {print}, which nobody has approved since then"
        );
        Rejection::new(Code::Revoked, why).hint(format!(
            "if it is the device itself: `hoist device approve {device} --fingerprint {print}`"
        ))
    })
}

/// A certificate is to be made for the key that is pinned.
fn certify(ctx: &Ctx, device: &DeviceId, row: &DeviceRow) -> Result<Decided, Stop> {
    Ok(Decided::Certify(access::certificate_issue(
        ctx, device, row,
    )?))
}

/// Refuses what proves nothing, before anything is read.
fn is_sound(ask: &EnrollAsk, now: Now) -> Result<(), Rejection> {
    let device = &ask.device;
    if now.mode == Mode::Recovering {
        let why = "the server learns what its store has lost, and registers nobody meanwhile";
        return Err(
            Rejection::new(Code::Recover, why).hint("ask again when `hoist recover` is over")
        );
    }
    if ask.named != *device {
        let why = format!("{device} asks for a certificate of {}", ask.named);
        return Err(Rejection::new(Code::EnrollName, why));
    }
    if !ask.key.is_sound() {
        let why = format!("anybody could sign by the key that {device} shows");
        return Err(Rejection::new(Code::WeakKey, why));
    }
    if !ask.proven {
        let why = format!("{device} does not prove that the key which it shows is its own");
        return Err(Rejection::new(Code::Signature, why));
    }
    Ok(())
}

/// The claim of a request, if it is good for this device now.
fn claim(
    ctx: &Ctx,
    ask: &EnrollAsk,
    known: Option<&DeviceRow>,
) -> Result<(ClaimId, ClaimRow), Stop> {
    let device = &ask.device;
    let Some(id) = ask.claim.clone() else {
        if let Some(revoked) = known.and_then(|row| access::refusal(device, row)) {
            return Err(revoked.into());
        }
        let (code, why) = match known.is_some() {
            true => (Code::Reenrol, format!("{device} is known by another key")),
            false => (Code::Unknown, format!("{device} is not registered")),
        };
        return Err(Rejection::new(code, why).into());
    };
    let known = ctx.txn.read(&ClaimKey(id.clone()))?;
    let known = known.filter(|_| ask.claimed);
    let Some(claim) = known else {
        let why = format!("this server has no claim {id}, or not any more");
        return Err(Rejection::new(Code::Claim, why).into());
    };
    if claim.expires_ms <= ctx.now.unix_ms {
        let why = format!("the claim {id} has expired");
        return Err(Rejection::new(Code::ClaimExpired, why).into());
    }
    if !matches(&claim.ids, device.as_str()) {
        let why = format!("the claim {id} is for {}, not for {device}", claim.ids);
        return Err(Rejection::new(Code::ClaimDevice, why).into());
    }
    Ok((id, claim))
}

/// True if a pattern, in which `*` stands for any text, is one of this id.
pub(crate) fn matches(pattern: &str, id: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == id,
        Some((before, after)) => id
            .strip_prefix(before)
            .is_some_and(|rest| (0..=rest.len()).any(|at| matches(after, &rest[at..]))),
    }
}

/// One more device has come by a claim.
fn spend(ctx: &mut Ctx, id: ClaimId, mut claim: ClaimRow) -> Result<(), Stop> {
    if claim.used >= claim.uses {
        let why = format!(
            "{} of {} devices have come by the claim {id}",
            claim.used, claim.uses
        );
        return Err(Rejection::new(Code::ClaimUsed, why).into());
    }
    claim.used += 1;
    ctx.txn.put(&ClaimKey(id), &claim);
    Ok(())
}

/// The claim by which the key came that a device has on offer.
fn came_by(
    ask: &EnrollAsk,
    (row, offered, id): (&DeviceRow, PublicKey, ClaimId),
) -> Option<ClaimId> {
    match offered == ask.key {
        true => Some(id),
        false => row.offered_by.clone(),
    }
}

/// A revoked device asks to come in again, with whatever key: an operator decides, because whoever
/// has the device may have a claim too.
fn ask_again(
    ctx: &mut Ctx,
    ask: &EnrollAsk,
    (mut row, offered, id): (DeviceRow, PublicKey, ClaimId),
) -> Decided {
    let device = &ask.device;
    let fingerprint = ask.key.fingerprint();
    let why = format!(
        "{device} was revoked: it waits until an administrator has approved the key {fingerprint} \
         that it shows, and then goes on by itself"
    );
    let waits = Rejection::new(Code::Revoked, why).hint(format!(
        "if it may come in again, an administrator types `hoist device approve {device} --fingerprint {fingerprint}`"
    ));
    let by = came_by(ask, (&row, offered, id));
    let is_new = row.offered_key != Some(offered);
    if is_new || row.offered_by != by {
        row.offered_key = Some(offered);
        row.offered_by = by;
        ctx.txn.put(&DeviceKey(device.clone()), &row);
    }
    if is_new {
        ctx.effects.push(Effect::Event(Event::DeviceWaits {
            device: device.clone(),
            fingerprint,
        }));
    }
    Decided::Waits(waits)
}

/// A device that an operator has registered shows its first key.
fn pin(
    ctx: &mut Ctx,
    ask: &EnrollAsk,
    mut row: DeviceRow,
    (id, claim): (ClaimId, ClaimRow),
) -> Result<Decided, Stop> {
    if row.group != claim.group {
        let (device, group) = (&ask.device, &claim.group);
        let why = format!("the claim {id} is for the group {group}, and {device} is in another");
        return Err(Rejection::new(Code::ClaimDevice, why).into());
    }
    spend(ctx, id, claim)?;
    row.public_key = Some(ask.key);
    if std::mem::take(&mut row.unverified) {
        ask_resync(ctx, &mut row, &ask.device)?;
    } else {
        outbox::changed(ctx, &ask.device, AdmissionChange::Tightens)?;
    }
    ctx.txn.put(&DeviceKey(ask.device.clone()), &row);
    audit::note_claimed(ctx, ask, (&row.group, None))?;
    certify(ctx, &ask.device, &row)
}

fn other_key(ask: &EnrollAsk) -> Rejection {
    let device = &ask.device;
    let print = ask.key.fingerprint();
    let why = format!(
        "{device} is known by another key: it waits until an administrator has approved the key \
         {print} that it shows, and then goes on by itself"
    );
    Rejection::new(Code::Reenrol, why).hint(format!(
        "if its storage was replaced, an administrator types `hoist device approve {device} --fingerprint {print}`"
    ))
}

/// True if a board waits by this claim already, with the key that it shows.
fn is_waiting(txn: &Txn, ask: &EnrollAsk, id: &ClaimId) -> Result<bool, Undecided> {
    let waits = waiting::standing(txn, &ask.device)?;
    let is_it = |row: &WaitingRow| row.key == ask.key && row.claim == *id;
    Ok(waits.iter().any(is_it))
}

/// A board of a device that is known by another key waits among the others, so that people find it; if
/// there is no room, its key is on offer all the same. The key on offer is the newest: one that waits
/// already takes nobody's place when it asks again.
fn list_other_key(
    ctx: &mut Ctx,
    ask: &EnrollAsk,
    (id, row, why): (&ClaimId, &DeviceRow, Code),
) -> Result<PublicKey, Stop> {
    if is_waiting(ctx.txn, ask, id)? {
        return Ok(row.offered_key.unwrap_or(ask.key));
    }
    match waiting::begin(ctx, ask, (id, &row.group)) {
        Ok(()) => {
            audit::note_claimed(ctx, ask, (&row.group, Some(why)))?;
        }
        Err(Stop::Rejected(_)) => {}
        Err(undecided) => return Err(undecided),
    }
    Ok(ask.key)
}

/// A device that is not registered waits for approval, beside others of its name.
fn wait(ctx: &mut Ctx, ask: &EnrollAsk, id: &ClaimId, claim: &ClaimRow) -> Result<Decided, Stop> {
    let device = &ask.device;
    let fingerprint = ask.key.fingerprint();
    let why = format!(
        "{device} is not registered yet: it waits until an administrator has approved its key \
         {fingerprint}, and then goes on by itself"
    );
    let waits = Rejection::new(Code::Pending, why).hint(format!(
        "an administrator types `hoist device approve {device} --fingerprint {fingerprint}`"
    ));
    if is_waiting(ctx.txn, ask, id)? {
        return Ok(Decided::Waits(waits));
    }
    waiting::begin(ctx, ask, (id, &claim.group))?;
    audit::note_claimed(ctx, ask, (&claim.group, Some(Code::Pending)))?;
    ctx.effects.push(Effect::Event(Event::DeviceWaits {
        device: device.clone(),
        fingerprint,
    }));
    Ok(Decided::Waits(waits))
}

/// Registers a device by a board of those that wait, as an operator approves it. The others wait no
/// longer: what they show from now on is another key of a known device.
pub(crate) fn approve(ctx: &mut Ctx, device: &DeviceId, waiting: WaitingRow) -> Result<(), Stop> {
    waiting::take(ctx.txn, device)?;
    let group = waiting.group;
    group::read(ctx.txn, &group)?.ok_or_else(|| group::unknown(&group))?;
    let mut row = DeviceRow::new(ctx.now.unix_ms);
    row.public_key = Some(waiting.key);
    row.device_type = waiting.device_type;
    access::key_is_good(ctx, device, &waiting.key)?;
    let claim = ClaimKey(waiting.claim);
    if let Some(mut used) = ctx.txn.read(&claim)? {
        used.used = used.used.saturating_add(1);
        ctx.txn.put(&claim, &used);
    }
    device::register(ctx, device, row, &group)?;
    Ok(())
}
