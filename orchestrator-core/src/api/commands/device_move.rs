//! `device-move` (S14): a device obeys another group.

use hoist_protocol::access::Role;
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, Names, VerbEffect};
use crate::api::lookup;
use crate::reply::Answer;
use crate::rules::device;
use crate::rules::stop::Stop;

/// `device-move`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceMove {
    /// The device's id.
    pub device: String,
    /// The group it is to obey.
    pub group: String,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Body for DeviceMove {
    const WORD: &'static str = "device-move";
    const ROLE: Role = Role::Admin;
    const EFFECT: VerbEffect = VerbEffect::Changes;

    fn is_dry(&self) -> bool {
        self.dry_run
    }

    fn names(&self) -> Names<'_> {
        Names {
            device: Some(&self.device),
            group: Some(&self.group),
            ..Names::default()
        }
    }

    fn execute(&self, ask: &mut Ask) -> Result<Answer, Stop> {
        let (device, mut row) = ask.device(&self.device)?;
        let (group, _) = lookup::group(ask.ctx.txn, &self.group)?;
        ask.may_change(&group)?;
        device::move_to(ask.ctx, &device, &mut row, &group)?;
        Ok(Answer::DeviceMoved { device, group })
    }
}
