//! `approve`: a person lets the next phase of a rollout open (S16).

use hoist_protocol::access::Role;
use hoist_protocol::id::DeploymentId;
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, Names, VerbEffect};
use crate::model::error::{Code, Rejection};
use crate::model::key::{DeploymentKey, RolloutKey};
use crate::model::row::{DeploymentRow, Happening, RolloutRow};
use crate::reply::{Answer, RolloutResult};
use crate::rules::deployment::history::note;
use crate::rules::rollout::look;
use crate::rules::stop::Stop;

/// `approve`: the phase that waits for people opens once enough of them have approved it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approve {
    /// Which deployment.
    pub deployment: u32,
    /// The place of the phase, from 1, so that no other one is approved by mistake; the one that
    /// waits when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<u32>,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Body for Approve {
    const WORD: &'static str = "approve";
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
        let key = RolloutKey(id);
        let state = match row.allowed {
            Some(_) if row.end.is_none() => ask.ctx.txn.read(&key)?,
            _ => None,
        };
        let mut state = state.ok_or_else(|| refusal(id, "it has no phases to open"))?;
        let needed = self.needed(id, &state)?;
        if needed > 1 && row.created_by == *ask.user {
            let why = format!(
                "{} made deployment {id}, and two others have to approve its phases",
                ask.user
            );
            return Err(Rejection::new(Code::SelfApproval, why).into());
        }
        if !state.approved.contains(ask.user) {
            state.approved.push(ask.user.clone());
            let given = u8::try_from(state.approved.len()).unwrap_or(u8::MAX);
            let what = Happening::Approved(state.phase_is(), given, needed);
            note(ask.ctx, id, &mut row, (what, Some(ask.user.clone())))?;
            ask.ctx.txn.put(&key, &state);
            self.go_on(ask, id, &mut row)?;
        }
        let result = RolloutResult::of(ask.ctx.txn, id, &row)?;
        Ok(Answer::WentOn(result))
    }
}

impl Approve {
    /// The approvals that the phase which waits needs, or the refusal when none waits.
    fn needed(&self, id: DeploymentId, state: &RolloutRow) -> Result<u8, Rejection> {
        let number = state.phase_is().number;
        let waits = state
            .current()
            .filter(|phase| !state.is_open && phase.approvals > 0);
        match (waits, self.phase) {
            (None, _) => Err(refusal(id, "none of its phases waits for approval")),
            (Some(_), Some(wanted)) if wanted != number => {
                let why = format!("its phase {number} waits for approval, not phase {wanted}");
                Err(refusal(id, &why))
            }
            (Some(phase), _) => Ok(phase.approvals),
        }
    }

    fn go_on(&self, ask: &mut Ask, id: DeploymentId, row: &mut DeploymentRow) -> Result<(), Stop> {
        row.updated_ms = ask.ctx.now.unix_ms;
        ask.ctx.txn.put(&DeploymentKey(id), row);
        look::soon(ask.ctx, id, row)?;
        Ok(())
    }
}

fn refusal(id: DeploymentId, why: &str) -> Rejection {
    let why = format!("nothing of deployment {id} is to be approved: {why}");
    Rejection::new(Code::Approval, why).field("deployment")
}
