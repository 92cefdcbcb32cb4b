//! `abort` (S4), with what it means in counts; the same again is the same answer.

use hoist_protocol::access::Role;
use hoist_protocol::id::DeploymentId;
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, Names, VerbEffect};
use crate::model::counter;
use crate::model::error::{Code, Rejection};
use crate::model::row::EndReason;
use crate::model::state::DeploymentState;
use crate::reply::{AbortResult, Answer};
use crate::rules::deployment::end::{Ending, finish};
use crate::rules::group;
use crate::rules::stop::Stop;
use crate::rules::text::reason;

/// `abort`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Abort {
    /// Which deployment.
    pub deployment: u32,
    /// Why, for the record; at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Body for Abort {
    const WORD: &'static str = "abort";
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
        let by = ask.user.clone();
        let ctx = &mut *ask.ctx;
        match row.state {
            DeploymentState::Completed => {
                let why = format!("deployment {id} is completed");
                return Err(Rejection::new(Code::Ended, why).field("deployment").into());
            }
            DeploymentState::Aborted => {}
            DeploymentState::Scheduled | DeploymentState::Active | DeploymentState::Paused => {
                let mut group_row = group::require(ctx.txn, &row.group)?;
                let ending = Ending {
                    state: DeploymentState::Aborted,
                    reason: EndReason::Operator,
                    by: Some(by),
                    text,
                };
                finish(ctx, id, &mut row, &mut group_row, ending)?;
            }
        }
        let members = row.end.as_ref().map_or(0, |end| end.members);
        let counts = counter::totals(ctx.txn, id)?.counts(members);
        let result = AbortResult {
            deployment: id,
            state: row.state,
            never_start: counts.pending,
            finishing: counts.in_progress,
            unaffected: counts.successful + counts.failed,
        };
        Ok(Answer::Aborted(result))
    }
}
