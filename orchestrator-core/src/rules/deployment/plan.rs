//! What a deployment would do: it is created by the very rules, in a transaction that is
//! never kept, and told about.

use hoist_protocol::id::{DeploymentId, UserId};

use super::{Beside, create, groups, template};
use crate::api::command::Deploy;
use crate::engine::decide::Stop;
use crate::model::error::Rejection;
use crate::model::input::Now;
use crate::model::key::GroupCountKey;
use crate::model::row::DeploymentRow;
use crate::model::time::format_time;
use crate::model::txn::{Txn, Undecided};
use crate::reply::{Counted, DeploymentState, ErrorBody, Excluded, OtherDeployment, Plan, Why};
use crate::rules::group;
use crate::rules::rollout::limit;

/// What `deploy` would do to each group, and why it would refuse it. The caller takes every
/// write back.
pub(crate) fn plan(
    txn: &mut Txn,
    user: &UserId,
    command: &Deploy,
    now: Now,
) -> Result<Vec<(Plan, Option<Rejection>)>, Stop> {
    let (groups, _) = groups(txn, command)?;
    let template = template(txn, user, command, now)?;
    let mut plans = Vec::new();
    for group in groups {
        let row = DeploymentRow {
            group,
            ..template.clone()
        };
        plans.push(plan_one(txn, row, now)?);
    }
    Ok(plans)
}

fn plan_one(
    txn: &mut Txn,
    row: DeploymentRow,
    now: Now,
) -> Result<(Plan, Option<Rejection>), Undecided> {
    let group = group::read(txn, &row.group)?.unwrap_or_default();
    let beside = Beside::read(txn, &row, &group)?;
    let count = txn.read(&GroupCountKey(row.group.clone()))?;
    let count = count.unwrap_or_default();
    let reach = limit::reach(&row, count);
    let (created, refusal) = match create(txn, row.clone(), now) {
        Ok((created, _)) => (Some(created), None),
        Err(Stop::Rejected(refusal)) => {
            txn.take_back();
            (None, Some(refusal))
        }
        Err(Stop::Undecided(undecided)) => return Err(undecided),
    };
    let there = |id: &DeploymentId| group.active.contains(id) || group.scheduled.contains(id);
    let excluded = [(Why::Held, count.held), (Why::AboveLine, reach.beyond)];
    let excluded = excluded.into_iter().filter(|(_, count)| *count > 0);
    let waits = match row.start_ms {
        Some(_) => DeploymentState::Scheduled,
        None => DeploymentState::Active,
    };
    let number = created.as_ref().map(|it| it.deployment);
    // What is there already takes no other's place, and nothing is created beside it.
    let existing = number.filter(there);
    let beside = match existing {
        Some(_) => Beside::default(),
        None => beside,
    };
    let plan = Plan {
        release: row.release_text,
        id: row.release.to_string(),
        group: row.group.to_string(),
        existing,
        state: created.map_or(waits, |it| it.state),
        members: count.members,
        eligible: reach.eligible,
        excluded: excluded
            .map(|(why, count)| Excluded { why, count })
            .collect(),
        supersedes: named(&beside.covered),
        conflicts: named(&beside.overlapping),
        after: named(&beside.apart),
        limit: row.limit,
        line: reach.line,
        start: row.start_ms.map(format_time),
        until: row.until_ms.map(format_time),
        complete_when: row.complete_when,
        timeout_secs: row.policy.timeout_s,
        attempts: row.policy.attempts,
        spread_secs: row.spread_s,
        allow_downgrade: row.policy.overrides.allow_downgrade,
        reinstall: row.policy.overrides.reinstall,
        counted: Counted::default(),
        refused: refusal.clone().map(ErrorBody::from),
        number,
    };
    Ok((plan, refusal))
}

fn named(others: &[(DeploymentId, DeploymentRow)]) -> Vec<OtherDeployment> {
    let named = |(id, row): &(DeploymentId, DeploymentRow)| OtherDeployment {
        deployment: *id,
        release: row.release_text.clone(),
    };
    others.iter().map(named).collect()
}
