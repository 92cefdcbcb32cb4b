//! `device-remove`: a device's records stay with their deployments (S14), its token is worth
//! nothing from then on, and its spec, which is cleared, tells it that it belongs nowhere (W4). Who
//! waits under an id is sent away by the same verb, a registered device only if it is meant.

use hoist_protocol::access::Role;
use hoist_protocol::id::DeviceId;
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, Names, VerbEffect};
use crate::model::error::{Code, Rejection};
use crate::model::key::DeviceKey;
use crate::reply::Answer;
use crate::rules::device;
use crate::rules::stop::Stop;
use crate::rules::text::parse_name;
use crate::rules::waiting;

/// `device-remove`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceRemove {
    /// The device's id.
    pub device: String,
    /// Only sends away who waits for approval under this id: a registered device stays as it is,
    /// and the other key that it shows is on offer no longer; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waiting_only: bool,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Body for DeviceRemove {
    const WORD: &'static str = "device-remove";
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
        if let Some(sent_away) = self.send_away(ask)? {
            return Ok(sent_away);
        }
        if self.waiting_only {
            return self.withdraw(ask);
        }
        let (device, row) = ask.device(&self.device)?;
        let by = ask.user.clone();
        device::take_out(ask.ctx, &device, row, by)?;
        Ok(Answer::DeviceRemoved { device })
    }
}

impl DeviceRemove {
    /// The other key of a registered device is on offer no longer.
    fn withdraw(&self, ask: &mut Ask) -> Result<Answer, Stop> {
        let (device, mut row) = ask.device(&self.device)?;
        let waits = !waiting::standing(ask.ctx.txn, &device)?.is_empty();
        waiting::take(ask.ctx.txn, &device)?;
        if row.take_offer().is_none() && !waits {
            let why = format!("nobody waits for approval under the id {device}");
            let refusal = Rejection::new(Code::NotOffered, why).field("device");
            return Err(refusal
                .hint("`hoist enroll waiting` lists who waits")
                .into());
        }
        ask.ctx.txn.put(&DeviceKey(device.clone()), &row);
        Ok(Answer::DeviceRemoved { device })
    }

    /// A device that is not registered, and waits for approval, waits no longer; none if it does not.
    fn send_away(&self, ask: &mut Ask) -> Result<Option<Answer>, Stop> {
        let device: DeviceId = parse_name("device", &self.device)?;
        let is_known = ask.ctx.txn.read(&DeviceKey(device.clone()))?.is_some();
        let waits = waiting::standing(ask.ctx.txn, &device)?;
        if is_known || waits.is_empty() {
            return Ok(None);
        }
        for row in waits {
            ask.may_change(&row.group)?;
        }
        waiting::take(ask.ctx.txn, &device)?;
        Ok(Some(Answer::DeviceRemoved { device }))
    }
}
