//! The ends of deployments: superseded, aborted, completed. An ended deployment is listed no more;
//! devices in progress finish (S4).

use hoist_protocol::id::{DeploymentId, UserId};
use hoist_protocol::topic::View;

use crate::model::counter;
use crate::model::effect::{Effect, Event};
use crate::model::key::{DeploymentKey, GroupCountKey, GroupKey, RowKey};
use crate::model::row::{DeploymentRow, End, EndReason, GroupRow, Happening};
use crate::model::state::{CompleteWhen, DeploymentState};
use crate::model::timer::{Timer, TimerKind, clear_timer};
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;
use crate::rules::deployment::history::note;
use crate::rules::group;
use crate::rules::rollout::{limit, look};

/// The end that a deployment is to get.
pub(crate) struct Ending {
    pub(crate) state: DeploymentState,
    pub(crate) reason: EndReason,
    pub(crate) by: Option<UserId>,
    pub(crate) text: String,
}

impl Ending {
    pub(crate) fn itself(reason: EndReason) -> Self {
        Self {
            state: DeploymentState::Completed,
            reason,
            by: None,
            text: String::new(),
        }
    }
}

/// Ends a deployment: it is listed no more (W2), its members freeze (S5). Devices in
/// progress finish, so their records, timers and counters go on (S4).
pub(crate) fn finish(
    ctx: &mut Ctx,
    id: DeploymentId,
    row: &mut DeploymentRow,
    group_row: &mut GroupRow,
    ending: Ending,
) -> Result<(), Undecided> {
    let count = GroupCountKey(row.group.clone());
    let members = ctx.txn.read_or_empty(&count)?.members;
    if row.state == DeploymentState::Scheduled
        && let Some(start) = row.start_ms
    {
        clear_timer(ctx.txn, start, TimerKind::Start(id))?;
    }
    if let Some(until) = row.until_ms {
        clear_timer(ctx.txn, until, TimerKind::Until(id))?;
    }
    limit::stop_seeking(ctx, id, row)?;
    look::stop(ctx, id, row)?;
    row.paused = None;
    let what = Happening::Ended(ending.reason);
    note(ctx, id, row, (what, ending.by.clone()))?;
    group_row.turn += 1;
    let event = Event::DeploymentEnded {
        deployment: id,
        group: row.group.clone(),
        reason: ending.reason.into(),
        by: ending.by.clone(),
    };
    row.state = ending.state;
    row.updated_ms = ctx.now.unix_ms;
    row.end = Some(End {
        reason: ending.reason,
        by: ending.by,
        text: ending.text,
        at_ms: ctx.now.unix_ms,
        members,
        turn: group_row.turn,
    });
    group_row.active.retain(|active| *active != id);
    group_row.scheduled.retain(|scheduled| *scheduled != id);
    ctx.txn.put(&DeploymentKey(id), row);
    ctx.txn.put(&GroupKey(row.group.clone()), group_row);
    ctx.effects.extend([
        Effect::Event(event),
        Effect::GroupSpecChanged(row.group.clone()),
        Effect::ViewChanged(View::Deployment(id)),
        Effect::ViewChanged(View::Group(row.group.clone())),
        Effect::ViewChanged(View::Fleet),
    ]);
    Ok(())
}

/// The latest change in a deployment, so that only completions that the change can cause are
/// looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// A device has started: has a record that it had not.
    pub(crate) started: bool,
    /// A device has ended, or is no member any more.
    pub(crate) ended: bool,
}

impl Change {
    /// A member left.
    pub(crate) const LEFT: Self = Self {
        started: false,
        ended: true,
    };
}

/// Completes a deployment when as many devices have started as it is limited to (S10), or,
/// if it was asked to, when every member is Successful (S1).
pub(crate) fn complete_if_due(
    ctx: &mut Ctx,
    id: DeploymentId,
    change: Change,
) -> Result<(), Undecided> {
    let row = ctx.txn.read_unless_removed(id)?;
    let Some(mut row) = row.filter(|row| row.state.is_active()) else {
        return Ok(());
    };
    look::soon(ctx, id, &row)?;
    let limit = row.limit.filter(|_| change.started);
    let all = change.ended && row.complete_when == CompleteWhen::AllSuccessful;
    if limit.is_none() && !all {
        return Ok(());
    }
    let mut keys: Vec<_> = counter::keys(id).collect();
    keys.extend([
        GroupCountKey(row.group.clone()).key(),
        GroupKey(row.group.clone()).key(),
    ]);
    ctx.txn.want(keys)?;
    let count = GroupCountKey(row.group.clone());
    let members = ctx.txn.read_or_empty(&count)?.members;
    let totals = counter::totals(ctx.txn, id)?;
    let successful = totals.successful.saturating_sub(totals.outside_successful);
    let started = totals.started();
    let reason = if limit.is_some_and(|limit| started >= limit) {
        EndReason::DeviceLimit
    } else if all && members > 0 && successful >= members {
        EndReason::AllSuccessful
    } else {
        return Ok(());
    };
    let mut group_row = group::require(ctx.txn, &row.group)?;
    let ending = Ending::itself(reason);
    finish(ctx, id, &mut row, &mut group_row, ending)
}

/// A deployment's end time has come (S10).
pub(crate) fn until_due(ctx: &mut Ctx, timer: &Timer, id: DeploymentId) -> Result<(), Undecided> {
    clear_timer(ctx.txn, timer.due_ms, timer.kind.clone())?;
    let row = ctx.txn.read_unless_removed(id)?;
    let lasts = |row: &DeploymentRow| row.end.is_none();
    let Some(mut row) = row.filter(lasts) else {
        return Ok(());
    };
    let mut group_row = group::require(ctx.txn, &row.group)?;
    let ending = Ending::itself(EndReason::EndTime);
    finish(ctx, id, &mut row, &mut group_row, ending)
}
