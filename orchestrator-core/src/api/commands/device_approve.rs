//! `device-approve`: pins the key on offer. The device keeps its group and its records; it is
//! asked for a resync, because what it said meanwhile was not believed.

use hoist_protocol::access::Role;
use hoist_protocol::envelope::PublicKey;
use hoist_protocol::id::DeviceId;
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, Names, VerbEffect};
use crate::model::effect::{Effect, Event};
use crate::model::error::{Code, Rejection};
use crate::model::key::DeviceKey;
use crate::model::row::DeviceRow;
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
    /// is on offer by now. Whatever is on offer when absent.
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
            ..Names::default()
        }
    }

    fn execute(&self, ask: &mut Ask) -> Result<Answer, Stop> {
        if let Some(approved) = self.approve_waiting(ask)? {
            return Ok(approved);
        }
        let (device, mut row) = ask.device(&self.device)?;
        let wanted = self.fingerprint.as_deref();
        let is_wanted = |key: &PublicKey| wanted.is_none_or(|wanted| is_named(wanted, key));
        let pinned = row
            .public_key
            .filter(|key| wanted.is_some() && is_wanted(key));
        if let (Some(pinned), None, None) = (pinned, row.offered_key, row.revoked()) {
            // Approved before, or the one that it had when it was revoked.
            access::key_is_good(ask.ctx, &device, &pinned)?;
            let fingerprint = pinned.fingerprint();
            return Ok(Answer::DeviceApproved {
                device,
                fingerprint,
            });
        }
        let Some(offered) = row.offered_key.filter(is_wanted) else {
            let revoked = access::refusal(&device, &row).filter(|_| row.offered_key.is_none());
            return Err(revoked
                .unwrap_or_else(|| not_offered(&device, &row, wanted))
                .into());
        };
        let before = row.public_key.replace(offered);
        row.offered_key = None;
        row.unverified = false;
        identity::forget(ask.ctx, &device)?;
        waiting::take(ask.ctx.txn, &device)?;
        access::key_is_good(ask.ctx, &device, &offered)?;
        if row.revoked().is_some() {
            access::admit_again(ask.ctx, &device, &mut row)?;
        } else {
            if before.is_some() {
                // Whoever has the board that was replaced is out at once.
                access::key_replaced(ask.ctx, &device, &row)?;
            }
            ask_resync(ask.ctx, &mut row, &device)?;
            ask.ctx.txn.put(&DeviceKey(device.clone()), &row);
        }
        let fingerprint = offered.fingerprint();
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
    /// Registers a device that is not known and waits for approval; none if it does not. Nobody
    /// vouches for such a device but the person who has seen its key: it has to be named.
    fn approve_waiting(&self, ask: &mut Ask) -> Result<Option<Answer>, Stop> {
        let device: DeviceId = parse_name("device", &self.device)?;
        let is_known = ask.ctx.txn.read(&DeviceKey(device.clone()))?.is_some();
        let waiting = waiting::standing(ask.ctx.txn, &device)?;
        let Some(waiting) = waiting.filter(|_| !is_known) else {
            return Ok(None);
        };
        ask.may_change(&waiting.group)?;
        let fingerprint = waiting.key.fingerprint();
        let wanted = self.fingerprint.as_deref();
        if !wanted.is_some_and(|wanted| is_named(wanted, &waiting.key)) {
            let detail =
                format!("{device} waits with the key {fingerprint}, and that is not named");
            let refusal = Rejection::new(Code::NotOffered, detail).field("fingerprint");
            return Err(refusal
                .hint(format!(
                    "compare it with the one that the device says, then `hoist device approve {device} --fingerprint {fingerprint}`"
                ))
                .into());
        }
        ask.may_be_registered(&device)?;
        enrollment::approve(ask.ctx, &device)?;
        Ok(Some(Answer::DeviceApproved {
            device,
            fingerprint,
        }))
    }
}

/// True if the text that a person typed names the key.
fn is_named(wanted: &str, key: &PublicKey) -> bool {
    let wanted = wanted.to_ascii_lowercase();
    wanted.len() >= DIGITS_MIN && key.fingerprint().starts_with(&wanted)
}

fn not_offered(device: &DeviceId, row: &DeviceRow, wanted: Option<&str>) -> Rejection {
    let offers = match row.offered_key {
        Some(key) => format!("{device} offers the key {}", key.fingerprint()),
        None => format!("{device} offers no other key than the pinned one"),
    };
    let (detail, field) = match wanted {
        Some(wanted) => (format!("{offers}, not {wanted}"), "fingerprint"),
        None => (offers, "device"),
    };
    Rejection::new(Code::NotOffered, detail)
        .field(field)
        .hint(format!(
            "look at its keys with `hoist device show {device}`"
        ))
}
