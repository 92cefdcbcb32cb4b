//! The plan of a deployment: the rules of `deploy` create the deployment in a transaction that is
//! never kept, and the plan is read from the result.

use hoist_protocol::access::Role;
use hoist_protocol::id::{DeploymentId, GroupId, UserId};
use serde::{Deserialize, Serialize};

use crate::api::body::Body;
use crate::api::commands::deploy::schedule::{Past, schedule};
use crate::api::commands::deploy::template::{groups, template};
use crate::api::commands::deploy::{Deploy, policy, spread};
use crate::model::counter;
use crate::model::error::Rejection;
use crate::model::key::{DeploymentKey, GroupCountKey, RowKey};
use crate::model::now::Now;
use crate::model::rollout::Rollout;
use crate::model::row::DeploymentRow;
use crate::model::state::DeploymentState;
use crate::model::time::format_time;
use crate::model::txn::Undecided;
use crate::query::{Need, Queried, Reader};
use crate::reply::{
    Counted, ErrorBody, Excluded, OtherDeployment, Plan as PlanItem, PlanResult, ResultBody,
    Schedule, Why, WindowsView, confirm_secs,
};
use crate::rules::ctx::Ctx;
use crate::rules::deployment::{self, Overlap, Placed};
use crate::rules::rollout::limit;
use crate::rules::stop::Stop;
use crate::rules::{freeze, group};

/// The plans of `deploy`: for each group the result that it would have, and the reason of a
/// refusal. The caller takes every write back.
pub(crate) fn plans(
    ctx: &mut Ctx,
    user: &UserId,
    command: &Deploy,
) -> Result<Vec<(PlanItem, Option<Rejection>)>, Stop> {
    let (groups, _) = groups(ctx.txn, command)?;
    let command = &policy::resolved(ctx.txn, command)?;
    let template = template(ctx.txn, user, command, ctx.now)?;
    let rollout = spread::rollout(command, ctx.now.unix_ms)?;
    let mut plans = Vec::new();
    for group in groups {
        let row = DeploymentRow {
            group,
            ..template.clone()
        };
        plans.push(plan_one(ctx, row, rollout.as_ref())?);
    }
    Ok(plans)
}

fn plan_one(
    ctx: &mut Ctx,
    row: DeploymentRow,
    rollout: Option<&Rollout>,
) -> Result<(PlanItem, Option<Rejection>), Undecided> {
    let group = group::require(ctx.txn, &row.group)?;
    let overlap = Overlap::read(ctx.txn, &row, &group)?;
    let count = ctx.txn.read_or_empty(&GroupCountKey(row.group.clone()))?;
    let reach = limit::reach(&row, count);
    let past = match rollout {
        Some(_) => past(ctx, &row.group)?,
        None => None,
    };
    let (created, refusal) = match deployment::create(ctx, row.clone(), rollout) {
        Ok(Placed::New(created) | Placed::There(created)) => (Some(created), None),
        Err(Stop::Rejected(refusal)) => {
            ctx.take_back();
            (None, Some(refusal))
        }
        Err(Stop::Undecided(undecided)) => return Err(undecided),
    };
    let there = |id: &DeploymentId| group.active.contains(id) || group.scheduled.contains(id);
    let excluded = [
        (Why::Held, count.held),
        (Why::Revoked, count.revoked),
        (Why::AboveLine, reach.beyond),
    ];
    let excluded = excluded.into_iter().filter(|(_, count)| *count > 0);
    let waits = match row.start_ms {
        Some(_) => DeploymentState::Scheduled,
        None => DeploymentState::Active,
    };
    let number = created.as_ref().map(|it| it.deployment);
    // What is there already takes no other's place, and nothing is created beside it.
    let existing = number.filter(there);
    let overlap = match existing {
        Some(_) => Overlap::default(),
        None => overlap,
    };
    let after = named(overlap.before(&row));
    let plan = PlanItem {
        release: row.release_text,
        id: row.release.to_string(),
        group: row.group.to_string(),
        existing,
        state: created.map_or(waits, |it| it.state),
        frozen: freeze::of(ctx.txn, &group)?.is_some(),
        members: count.members,
        eligible: reach.eligible,
        excluded: excluded
            .map(|(why, count)| Excluded { why, count })
            .collect(),
        supersedes: named(&overlap.superseded),
        conflicts: named(&overlap.conflicting),
        after,
        limit: row.limit,
        line: reach.line,
        start: row.start_ms.map(format_time),
        until: row.until_ms.map(format_time),
        complete_when: row.complete_when,
        timeout_secs: row.policy.timeout_s,
        attempts: row.policy.attempts,
        spread_secs: row.spread_s,
        windows: rollout.and_then(|rollout| WindowsView::of(&row.policy, rollout)),
        confirm_secs: confirm_secs(&row.policy),
        allow_downgrade: row.policy.overrides.allow_downgrade,
        reinstall: row.policy.overrides.reinstall,
        urgent: row.policy.urgent,
        schedule: rollout.map_or_else(Schedule::default, |rollout| {
            schedule(rollout, count.members, past.as_ref())
        }),
        counted: Counted::default(),
        refused: refusal.clone().map(ErrorBody::from),
        order: number.map(|id| row.order.unwrap_or(id.0)),
    };
    Ok((plan, refusal))
}

/// The newest deployment of a group among the newest of all, with its counts.
fn past(ctx: &mut Ctx, group: &GroupId) -> Result<Option<Past>, Undecided> {
    let last = ctx.txn.instance()?.last_deployment.0;
    let recent = (last.saturating_sub(RECENT).max(1)..=last).rev();
    let recent = recent.map(DeploymentId);
    ctx.txn
        .want(recent.clone().map(|id| DeploymentKey(id).key()))?;
    for id in recent {
        let row = ctx.txn.read(&DeploymentKey(id));
        let row = ctx.unless_damaged(row)?.flatten();
        if row.is_some_and(|row| row.group == *group) {
            let totals = counter::totals(ctx.txn, id);
            let totals = ctx.unless_damaged(totals)?;
            return Ok(totals.map(|totals| Past {
                deployment: id,
                totals,
            }));
        }
    }
    Ok(None)
}

/// Distance from the newest deployment within which one of the group is looked for.
const RECENT: u32 = 32;

fn named<'a>(
    others: impl IntoIterator<Item = &'a (DeploymentId, DeploymentRow)>,
) -> Vec<OtherDeployment> {
    let named = |(id, row): &(DeploymentId, DeploymentRow)| OtherDeployment {
        deployment: *id,
        release: row.release_text.clone(),
    };
    others.into_iter().map(named).collect()
}

/// `plan`: the body of `deploy`, asked by those who may only read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Plan(pub Deploy);

impl Body for Plan {
    const WORD: &'static str = "plan";
    const ROLE: Role = Role::Viewer;

    fn release_mut(&mut self) -> Option<&mut String> {
        Some(&mut self.0.release)
    }

    /// On a copy of the rows that is thrown away.
    fn answer(&self, reader: &mut Reader, user: &UserId, now: Now) -> Queried<ResultBody> {
        let mut txn = reader.rows().clone();
        match plans(&mut Ctx::new(&mut txn, now), user, &self.0) {
            Ok(plans) => {
                let plans = plans.into_iter().map(|(plan, _)| plan).collect();
                Ok(Ok(ResultBody::Planned(PlanResult { plans })))
            }
            Err(Stop::Rejected(rejection)) => Ok(Err(rejection)),
            Err(Stop::Undecided(undecided)) => Err(Need::Rows(undecided)),
        }
    }
}
