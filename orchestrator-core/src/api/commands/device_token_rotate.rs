//! `device-token-rotate`: another token for a device. The one before is good for a while too, so
//! that nobody has to be at the device in that moment. It is the way back of a revoked one.

use hoist_protocol::access::Role;
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, Names, VerbEffect};
use crate::model::error::{Code, Rejection};
use crate::model::row::Access;
use crate::reply::Answer;
use crate::rules::device::access;
use crate::rules::stop::Stop;

/// Time for which the token before is good too when nothing is said, and at most, in seconds.
const OVERLAP_S: u64 = 60 * 60;
const OVERLAP_S_MAX: u64 = 90 * 24 * 60 * 60;

/// `device-token-rotate`: at most two tokens of a device are good at a time. Its certificates stay
/// as they are. A revoked device comes in again with it; the key that it had gets no certificate
/// until `device-approve` names it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceTokenRotate {
    /// The device's id.
    pub device: String,
    /// Seconds for which the token before is good too, 90 days at most; default 1 hour. With 0 it
    /// is good no longer, and who is connected with it is not any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_secs: Option<u64>,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Body for DeviceTokenRotate {
    const WORD: &'static str = "device-token-rotate";
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
        let (device, mut row) = ask.device(&self.device)?;
        let overlap_s = self.overlap_secs.unwrap_or(OVERLAP_S);
        if overlap_s > OVERLAP_S_MAX {
            let why = format!(
                "overlapSecs is {overlap_s}, and has to be a number from 0 to {OVERLAP_S_MAX} (90 days)"
            );
            let refusal = Rejection::new(Code::Command, why);
            return Err(refusal.field("overlapSecs").into());
        }
        let by = ask.user.clone();
        access::rotate(ask.ctx, &device, &mut row, (overlap_s * 1_000, by))?;
        if self.dry_run {
            let group = row.group;
            return Ok(Answer::DevicePlanned { device, group });
        }
        Ok(Answer::TokenRotated {
            device,
            issue: row.issue,
            until_ms: match row.access {
                Access::Overlap { until_ms } => Some(until_ms),
                Access::Current | Access::Revoked(_) => None,
            },
        })
    }
}
