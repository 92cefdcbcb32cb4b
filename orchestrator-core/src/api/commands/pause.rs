//! `pause` and `resume`: a paused deployment starts nobody, and who started finishes (S16).

use hoist_protocol::access::Role;
use hoist_protocol::id::DeploymentId;
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, Names, VerbEffect};
use crate::model::error::{Code, Rejection};
use crate::model::key::DeploymentKey;
use crate::model::row::{PauseReason, Paused};
use crate::model::state::DeploymentState;
use crate::reply::{Answer, RolloutResult};
use crate::rules::rollout::pause;
use crate::rules::stop::Stop;
use crate::rules::text::reason;

/// `pause`: nobody starts until it goes on, and who started finishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pause {
    /// Which deployment.
    pub deployment: u32,
    /// Why, for the record; at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// `resume`: a paused deployment goes on. A gate that stopped it is set aside, and the failures
/// that did count no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resume {
    /// Which deployment.
    pub deployment: u32,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Body for Pause {
    const WORD: &'static str = "pause";
    const ROLE: Role = Role::Deployer;
    const EFFECT: VerbEffect = VerbEffect::Changes;

    fn is_dry(&self) -> bool {
        self.dry_run
    }

    fn names(&self) -> Names<'_> {
        Names {
            deployment: Some(self.deployment),
            reason: self.reason.as_deref(),
            ..Names::default()
        }
    }

    fn execute(&self, ask: &mut Ask) -> Result<Answer, Stop> {
        let id = DeploymentId(self.deployment);
        let mut row = ask.deployment(id)?;
        let text = reason(self.reason.as_deref())?;
        match row.state {
            DeploymentState::Active => {
                let paused = Paused {
                    reason: PauseReason::Operator,
                    by: Some(ask.user.clone()),
                    text,
                    at_ms: ask.ctx.now.unix_ms,
                };
                pause::pause(ask.ctx, id, &mut row, paused)?;
                ask.ctx.txn.put(&DeploymentKey(id), &row);
            }
            DeploymentState::Paused => {}
            state => return Err(neither(id, state).into()),
        }
        let result = RolloutResult::of(ask.ctx.txn, id, &row)?;
        Ok(Answer::WentOn(result))
    }
}

impl Body for Resume {
    const WORD: &'static str = "resume";
    const ROLE: Role = Role::Deployer;
    const EFFECT: VerbEffect = VerbEffect::Changes;

    fn is_dry(&self) -> bool {
        self.dry_run
    }

    fn names(&self) -> Names<'_> {
        Names {
            deployment: Some(self.deployment),
            ..Names::default()
        }
    }

    fn execute(&self, ask: &mut Ask) -> Result<Answer, Stop> {
        let id = DeploymentId(self.deployment);
        let mut row = ask.deployment(id)?;
        if row.state != DeploymentState::Paused {
            return Err(neither(id, row.state).into());
        }
        pause::resume(ask.ctx, id, &mut row, ask.user)?;
        ask.ctx.txn.put(&DeploymentKey(id), &row);
        let result = RolloutResult::of(ask.ctx.txn, id, &row)?;
        Ok(Answer::WentOn(result))
    }
}

/// The refusal of a deployment that cannot be paused, or cannot go on.
fn neither(id: DeploymentId, state: DeploymentState) -> Rejection {
    let (code, why) = match state {
        DeploymentState::Active => (Code::NotPaused, "is active and not paused"),
        DeploymentState::Paused => (Code::NotPaused, "is paused"),
        DeploymentState::Scheduled => (
            Code::NotPaused,
            "is scheduled: it starts nobody before its start time",
        ),
        DeploymentState::Completed => (Code::Ended, "is completed"),
        DeploymentState::Aborted => (Code::Ended, "is aborted"),
    };
    Rejection::new(code, format!("deployment {id} {why}")).field("deployment")
}
