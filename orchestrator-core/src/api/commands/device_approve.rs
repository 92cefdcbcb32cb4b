//! `device-approve`: pins a key on offer, the very one that a person has looked at. The device keeps its group and its records; it is
//! asked for a resync, because what it said meanwhile was not believed.

use hoist_protocol::access::Role;
use hoist_protocol::envelope::PublicKey;
use hoist_protocol::id::DeviceId;
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, Names, VerbEffect};
use crate::model::effect::{Effect, Event};
use crate::model::error::{Code, Rejection};
use crate::model::key::{DeviceKey, RevokedKey};
use crate::model::row::{DeviceRow, WaitingRow};
use crate::reply::Answer;
use crate::rules::device::resync::ask_resync;
use crate::rules::device::{access, identity};
use crate::rules::enrollment;
use crate::rules::stop::Stop;
use crate::rules::text::parse_name;
use crate::rules::waiting;

/// Digits of a fingerprint that are enough to name a key.
const DIGITS_MIN: usize = 8;

/// `device-approve`: the key that a device offers in the place of its pinned one is pinned. A
/// revoked device that enrolls anew comes in again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceApprove {
    /// The device's id.
    pub device: String,
    /// The offered key's fingerprint, or its first 8 digits or more: refused when another key
    /// is on offer by now. It may only be absent for the one key that a registered device offers which
    /// never had another, and was never removed or revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Body for DeviceApprove {
    const WORD: &'static str = "device-approve";
    const ROLE: Role = Role::Admin;
    const EFFECT: VerbEffect = VerbEffect::Changes;

    fn is_dry(&self) -> bool {
        self.dry_run
    }

    fn names(&self) -> Names<'_> {
        Names {
            device: Some(&self.device),
            more: self.fingerprint.as_deref().into_iter().collect(),
            ..Names::default()
        }
    }

    fn execute(&self, ask: &mut Ask) -> Result<Answer, Stop> {
        let device: DeviceId = parse_name("device", &self.device)?;
        let boards = waiting::standing(ask.ctx.txn, &device)?;
        if ask.ctx.txn.read(&DeviceKey(device.clone()))?.is_none() && !boards.is_empty() {
            return self.approve_waiting(ask, device, boards);
        }
        let (device, mut row) = ask.device(&self.device)?;
        // Revoking a claim sends away who came by it.
        row.offered_key = identity::offered(ask.ctx.txn, &row)?;
        let mut offered: Vec<PublicKey> = row.offered_key.into_iter().collect();
        let others = boards.iter().map(|board| board.key);
        offered.extend(others.filter(|key| row.offered_key != Some(*key)));
        if offered.is_empty() {
            return self.none_offered(ask, device, &row);
        }
        let is_first = is_first(ask, &device, &row)?;
        let key = self.named(&device, (&offered, is_first))?;
        pin(ask, &device, (row, key))?;
        let fingerprint = key.fingerprint();
        let told = Effect::Event(Event::DeviceApproved {
            device: device.clone(),
            fingerprint: fingerprint.clone(),
            by: ask.user.clone(),
        });
        ask.ctx.effects.push(told);
        Ok(Answer::DeviceApproved {
            device,
            fingerprint,
        })
    }
}

impl DeviceApprove {
    /// Registers a device that is not known, by a board of those that wait under its id.
    fn approve_waiting(
        &self,
        ask: &mut Ask,
        device: DeviceId,
        boards: Vec<WaitingRow>,
    ) -> Result<Answer, Stop> {
        for board in &boards {
            ask.may_change(&board.group)?;
        }
        let offered: Vec<PublicKey> = boards.iter().map(|board| board.key).collect();
        // Nobody vouches for such a device but the person who has seen its key.
        let key = self.named(&device, (&offered, false))?;
        let board = boards.into_iter().find(|board| board.key == key);
        let board = board.ok_or_else(|| not_offered(&device, &offered, None))?;
        ask.may_be_registered(&device)?;
        enrollment::approve(ask.ctx, &device, board)?;
        let fingerprint = key.fingerprint();
        Ok(Answer::DeviceApproved {
            device,
            fingerprint,
        })
    }

    /// Of a device that offers no other key, the pinned one was approved before, or is the one that it had
    /// when it was revoked.
    fn none_offered(
        &self,
        ask: &mut Ask,
        device: DeviceId,
        row: &DeviceRow,
    ) -> Result<Answer, Stop> {
        if let Some(revoked) = access::refusal(&device, row) {
            return Err(revoked.into());
        }
        let wanted = self.fingerprint.as_deref();
        match (wanted, row.public_key) {
            (Some(wanted), Some(pinned)) if is_of(wanted, &pinned.fingerprint()) => {
                access::key_is_good(ask.ctx, &device, &pinned)?;
                let fingerprint = pinned.fingerprint();
                Ok(Answer::DeviceApproved {
                    device,
                    fingerprint,
                })
            }
            _ => Err(not_offered(&device, &[], wanted).into()),
        }
    }

    /// The key that a person approves, of those on offer: the very one that the person has looked at.
    /// Another may be on offer by now, of whoever asked last, so that it has to be named; only the first
    /// one that a device ever offers may go without.
    fn named(
        &self,
        device: &DeviceId,
        (offered, is_first): (&[PublicKey], bool),
    ) -> Result<PublicKey, Rejection> {
        let Some(wanted) = self.fingerprint.as_deref() else {
            return match offered {
                [only] if is_first => Ok(*only),
                _ => Err(unnamed(device, offered)),
            };
        };
        let is_wanted = |key: &&PublicKey| is_of(wanted, &key.fingerprint());
        let mut found = offered.iter().filter(is_wanted);
        match (found.next(), found.next()) {
            (Some(key), None) => Ok(*key),
            (Some(_), Some(_)) => Err(unnamed(device, offered)),
            (None, _) => Err(not_offered(device, offered, Some(wanted))),
        }
    }
}

/// True if a device has never come in by a key or token that was good once, and is no more: whoever has
/// that might be the one that asks.
fn is_first(ask: &Ask, device: &DeviceId, row: &DeviceRow) -> Result<bool, Stop> {
    let before = ask.ctx.txn.read_or_empty(&RevokedKey(device.clone()))?;
    let never_out = before.issue == 0 && before.certificates == 0;
    Ok(row.public_key.is_none() && row.revoked().is_none() && never_out)
}

/// The device is believed by this key from now on.
fn pin(
    ask: &mut Ask,
    device: &DeviceId,
    (mut row, key): (DeviceRow, PublicKey),
) -> Result<(), Stop> {
    let before = row.public_key.replace(key);
    row.take_offer();
    row.unverified = false;
    identity::forget(ask.ctx, device)?;
    waiting::take(ask.ctx.txn, device)?;
    access::key_is_good(ask.ctx, device, &key)?;
    if row.revoked().is_some() {
        access::admit_again(ask.ctx, device, &mut row)?;
        return Ok(());
    }
    if before.is_some() {
        // Whoever has the board that was replaced is out at once.
        access::key_replaced(ask.ctx, device, &row)?;
    }
    ask_resync(ask.ctx, &mut row, device)?;
    ask.ctx.txn.put(&DeviceKey(device.clone()), &row);
    Ok(())
}

/// True if the text that a person typed names the key of this fingerprint.
fn is_of(wanted: &str, fingerprint: &str) -> bool {
    let wanted = wanted.to_ascii_lowercase();
    wanted.len() >= DIGITS_MIN && fingerprint.starts_with(&wanted)
}

/// The keys on offer, for people.
fn listed(offered: &[PublicKey]) -> String {
    let prints: Vec<String> = offered.iter().map(PublicKey::fingerprint).collect();
    match &prints[..] {
        [] => "no other key than the pinned one".to_owned(),
        [only] => format!("the key {only}"),
        several => format!("the keys {}", several.join(", ")),
    }
}

fn unnamed(device: &DeviceId, offered: &[PublicKey]) -> Rejection {
    let offers = listed(offered);
    let detail = format!("{device} offers {offers}: which one is approved has to be said");
    let print = match offered {
        [only] => only.fingerprint(),
        _ => "F".to_owned(),
    };
    Rejection::new(Code::NotOffered, detail)
        .field("fingerprint")
        .hint(format!(
            "compare it with the one that the device says, then `hoist device approve {device} --fingerprint {print}`"
        ))
}

fn not_offered(device: &DeviceId, offered: &[PublicKey], wanted: Option<&str>) -> Rejection {
    let offers = listed(offered);
    let (detail, field) = match wanted {
        Some(wanted) => (
            format!("{device} offers {offers}, not {wanted}"),
            "fingerprint",
        ),
        None => (format!("{device} offers {offers}"), "device"),
    };
    let hint = "look at its keys with `hoist device show ID`, or at those that wait with `hoist enroll waiting`";
    let hint = hint.replace("ID", device.as_str());
    Rejection::new(Code::NotOffered, detail)
        .field(field)
        .hint(hint)
}
