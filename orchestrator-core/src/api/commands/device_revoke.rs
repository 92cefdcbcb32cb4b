//! `device-revoke`: nothing that a device has lets it in any more, and its session ends. It stays
//! registered, with its group and its records; `device-token-rotate` and `device-approve` let it
//! in again.

use hoist_protocol::access::Role;
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, Names, VerbEffect};
use crate::model::row::Revoked;
use crate::reply::Answer;
use crate::rules::device::access;
use crate::rules::stop::Stop;
use crate::rules::text::reason;

/// `device-revoke`: a device that was revoked before stays so, with the first reason.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceRevoke {
    /// The device's id.
    pub device: String,
    /// Why, for the record; at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Body for DeviceRevoke {
    const WORD: &'static str = "device-revoke";
    const ROLE: Role = Role::Admin;
    const EFFECT: VerbEffect = VerbEffect::Changes;

    fn is_dry(&self) -> bool {
        self.dry_run
    }

    fn names(&self) -> Names<'_> {
        Names {
            device: Some(&self.device),
            reason: self.reason.as_deref(),
            ..Names::default()
        }
    }

    fn execute(&self, ask: &mut Ask) -> Result<Answer, Stop> {
        let (device, mut row) = ask.device(&self.device)?;
        let reason = reason(self.reason.as_deref())?;
        if row.revoked().is_none() {
            let revoked = Revoked {
                at_ms: ask.ctx.now.unix_ms,
                by: ask.user.clone(),
                reason,
            };
            access::revoke(ask.ctx, &device, &mut row, revoked)?;
        }
        Ok(Answer::DeviceRevoked { device })
    }
}
