//! `retry`: devices that failed begin again (S13).

use hoist_protocol::access::Role;
use hoist_protocol::id::{DeploymentId, DeviceId, Round};
use hoist_protocol::topic::View;
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, Names, VerbEffect};
use crate::model::effect::Effect;
use crate::model::error::{Code, Rejection};
use crate::model::key::DeploymentKey;
use crate::model::row::Happening;
use crate::reply::{Answer, RetryResult};
use crate::rules::deployment::history::note;
use crate::rules::deployment::retry;
use crate::rules::rollout::look;
use crate::rules::stop::Stop;
use crate::rules::text::parse_name;

/// Devices named in one command: each costs a few rows in one decision.
const DEVICES_MAX: usize = 256;

/// `retry`: devices that failed begin again (S13).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retry {
    /// Which deployment.
    pub deployment: u32,
    /// Only these, at most 256; every failed device when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<String>>,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Body for Retry {
    const WORD: &'static str = "retry";
    const ROLE: Role = Role::Deployer;
    const EFFECT: VerbEffect = VerbEffect::Changes;

    fn is_dry(&self) -> bool {
        self.dry_run
    }

    fn names(&self) -> Names<'_> {
        Names {
            deployment: Some(self.deployment),
            more: self.devices.iter().flatten().map(String::as_str).collect(),
            ..Names::default()
        }
    }

    fn execute(&self, ask: &mut Ask) -> Result<Answer, Stop> {
        let id = DeploymentId(self.deployment);
        let mut row = ask.deployment(id)?;
        if !row.state.is_active() {
            let why = format!("deployment {id} is not active: nobody can begin");
            return Err(Rejection::new(Code::Ended, why).field("deployment").into());
        }
        let round = Round(row.last_round.0.saturating_add(1));
        let devices = match &self.devices {
            None => retry::all(ask.ctx, id, &mut row, round)?,
            Some(names) => retry::some(ask.ctx, id, &row, round, &named(names)?)?,
        };
        if devices > 0 {
            row.last_round = round;
            row.updated_ms = ask.ctx.now.unix_ms;
            let round = row.last_round.0;
            let what = Happening::Retried { round, devices };
            note(ask.ctx, id, &mut row, (what, Some(ask.user.clone())))?;
            look::soon(ask.ctx, id, &row)?;
            ask.ctx.txn.put(&DeploymentKey(id), &row);
            ask.ctx
                .effects
                .push(Effect::ViewChanged(View::Deployment(id)));
        }
        let result = RetryResult {
            deployment: id,
            round: row.last_round.0,
            devices,
        };
        Ok(Answer::Retried(result))
    }
}

fn named(names: &[String]) -> Result<Vec<DeviceId>, Rejection> {
    if names.is_empty() || names.len() > DEVICES_MAX {
        let why = format!("name 1 to {DEVICES_MAX} devices, or none at all for every failed one");
        return Err(Rejection::new(Code::Command, why).field("devices"));
    }
    let devices = names.iter().map(|name| parse_name("devices", name));
    let mut devices = devices.collect::<Result<Vec<DeviceId>, Rejection>>()?;
    devices.sort_unstable();
    devices.dedup();
    Ok(devices)
}
