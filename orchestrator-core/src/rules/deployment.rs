//! Deployments: creating, superseding, starting at a time, aborting and completing. Each
//! costs a few rows, however many devices the group has (S5).

use hoist_protocol::id::DeploymentId;
use hoist_protocol::spec::DEPLOYMENT_SPECS_MAX;
use hoist_protocol::topic::View;
use serde::{Deserialize, Serialize};

use crate::model::damage::Damage;
use crate::model::effect::{Effect, Event};
use crate::model::error::{Code, Rejection};
use crate::model::key::{DeploymentKey, GroupCountKey, GroupKey, RolloutKey, RowKey};
use crate::model::rollout::Rollout;
use crate::model::row::{DeploymentRow, EndReason, GroupCountRow, GroupRow, Happening, RolloutRow};
use crate::model::state::DeploymentState;
use crate::model::timer::{Timer, TimerKind, clear_timer, set_timer};
use crate::model::txn::{Txn, Undecided};
use crate::rules::group;
use crate::rules::rollout::{advance, limit, window};
use crate::rules::stop::Stop;

pub(crate) mod end;
pub(crate) mod fallback;
mod full;
pub(crate) mod history;
pub(crate) mod numbers;
pub mod retention;
pub(crate) mod retry;
pub mod settled;

use crate::rules::ctx::Ctx;
use end::{Ending, finish};
use history::note;

/// Deployments of a group that wait for their start time: they are in one row.
const SCHEDULED_MAX: usize = 32;

/// Creates one deployment, or finds the equal one that is there already, without an effect
/// (bad-inputs row 39).
pub(crate) fn create(
    ctx: &mut Ctx,
    mut row: DeploymentRow,
    rollout: Option<&Rollout>,
) -> Result<Placed, Stop> {
    let group = row.group.clone();
    let mut group_row = group::require(ctx.txn, &group)?;
    let there: Vec<DeploymentId> = [&group_row.active[..], &group_row.scheduled[..]].concat();
    ctx.txn.want(
        there
            .iter()
            .map(|id| DeploymentKey(*id).key())
            .chain([GroupCountKey(group.clone()).key()]),
    )?;
    let count = ctx.txn.read_or_empty(&GroupCountKey(group.clone()))?;
    for id in there {
        let known = ctx.txn.require(&DeploymentKey(id));
        // One that is lost is listed no more: nothing is equal to it, and nothing stands in its way.
        let known = ctx.unless_damaged(known)?;
        let Some(known) = known.filter(|known| same_wish(known, &row)) else {
            continue;
        };
        let state = ctx.txn.read(&RolloutKey(id))?;
        if state.as_ref().map(|state| &state.rollout) == rollout {
            return Ok(Placed::There(result(id, &known, count)));
        }
    }
    let id = numbers::next(ctx)?;
    // A number seen elsewhere may not be noted yet: never write over a deployment.
    ctx.txn.read(&DeploymentKey(id))?;
    if let Some(rollout) = rollout {
        row.allowed = Some(0);
        ctx.txn.read(&RolloutKey(id))?;
        let state = RolloutRow::new(rollout.clone());
        ctx.txn.put(&RolloutKey(id), &state);
        if let Some(windows) = &rollout.windows {
            window::watch(ctx, id, windows)?;
        }
    }
    let by = Some(row.created_by.clone());
    note(ctx, id, &mut row, (Happening::Created, by))?;
    group_row.turn += 1;
    row.turn = group_row.turn;
    ctx.effects.push(Effect::Event(Event::DeploymentCreated {
        deployment: id,
        release: row.release_text.clone(),
        group: group.clone(),
        by: row.created_by.clone(),
    }));
    if let Some(start) = row.start_ms {
        if group_row.scheduled.len() >= SCHEDULED_MAX {
            return Err(full::scheduled(&group, &group_row.scheduled).into());
        }
        group_row.scheduled.push(id);
        set_timer(ctx.txn, start, TimerKind::Start(id))?;
    } else {
        let overlap = Overlap::read(ctx.txn, &row, &group_row)?;
        if let Some(refusal) = overlap.refusal(&row) {
            return Err(full::named(ctx.txn, refusal, &overlap.independent, count)?.into());
        }
        activate(ctx, id, &mut row, &mut group_row, overlap)?;
    }
    if let Some(until) = row.until_ms {
        set_timer(ctx.txn, until, TimerKind::Until(id))?;
    }
    ctx.txn.put(&DeploymentKey(id), &row);
    ctx.txn.put(&GroupKey(group), &group_row);
    ctx.effects.push(Effect::ViewChanged(View::Deployment(id)));
    Ok(Placed::New(result(id, &row, count)))
}

fn result(deployment: DeploymentId, row: &DeploymentRow, count: GroupCountRow) -> Created {
    let reach = limit::reach(row, count);
    Created {
        deployment,
        state: row.state,
        members: count.members,
        eligible: reach.eligible,
        excluded: count.members.saturating_sub(reach.eligible),
    }
}

fn same_wish(a: &DeploymentRow, b: &DeploymentRow) -> bool {
    a.release == b.release
        && a.policy == b.policy
        && a.spread_s == b.spread_s
        && a.start_ms == b.start_ms
        && a.until_ms == b.until_ms
        && a.limit == b.limit
        && a.complete_when == b.complete_when
        && a.order == b.order
}

/// The active deployments of a group beside one that is to be listed (S11).
#[derive(Default)]
pub(crate) struct Overlap {
    /// Those whose artifacts it covers: it takes their place.
    pub(crate) superseded: Vec<(DeploymentId, DeploymentRow)>,
    /// Those it shares some artifacts with: it cannot be listed beside them.
    pub(crate) conflicting: Vec<(DeploymentId, DeploymentRow)>,
    /// The others.
    pub(crate) independent: Vec<(DeploymentId, DeploymentRow)>,
    /// Those that are lost, and are not listed because of that.
    lost: Vec<Damage>,
}

impl Overlap {
    pub(crate) fn read(
        txn: &Txn,
        row: &DeploymentRow,
        group_row: &GroupRow,
    ) -> Result<Self, Undecided> {
        let active = group_row.active.iter().copied().map(DeploymentKey);
        txn.want(active.map(|key| key.key()))?;
        let mut overlap = Self::default();
        for id in &group_row.active {
            let other = match txn.require_or_damage(&DeploymentKey(*id))? {
                Ok(other) => other,
                Err(damage) => {
                    overlap.lost.push(damage);
                    continue;
                }
            };
            let shared = |name| row.artifacts.contains(name);
            let kind = if other.artifacts.iter().all(shared) {
                &mut overlap.superseded
            } else if other.artifacts.iter().any(shared) {
                &mut overlap.conflicting
            } else {
                &mut overlap.independent
            };
            kind.push((*id, other));
        }
        Ok(overlap)
    }

    /// Those that a device carries out before this one, when it may start them all.
    pub(crate) fn before(
        &self,
        row: &DeploymentRow,
    ) -> impl Iterator<Item = &(DeploymentId, DeploymentRow)> {
        let urgent = row.policy.urgent;
        self.independent
            .iter()
            .filter(move |(_, other)| other.policy.urgent || !urgent)
    }

    /// Why the deployment cannot be listed, if it cannot.
    fn refusal(&self, row: &DeploymentRow) -> Option<Rejection> {
        if let Some((other, old)) = self.conflicting.first() {
            let why = format!(
                "deployment {other} of {} is active with some of the same artifacts",
                old.release_text
            );
            return Some(Rejection::new(Code::Conflict, why).field("release"));
        }
        // A group's row has room for no more, also of those that are lost.
        (self.independent.len() + self.lost.len() >= DEPLOYMENT_SPECS_MAX).then(|| {
            let why = format!(
                "group {} has {DEPLOYMENT_SPECS_MAX} active deployments",
                row.group
            );
            Rejection::new(Code::GroupFull, why).field("group")
        })
    }
}

/// Lists a deployment that nothing refuses; it supersedes what it covers (S11).
fn activate(
    ctx: &mut Ctx,
    id: DeploymentId,
    row: &mut DeploymentRow,
    group_row: &mut GroupRow,
    overlap: Overlap,
) -> Result<(), Undecided> {
    ctx.effects
        .extend(overlap.lost.into_iter().map(Effect::Damaged));
    for (other, mut old) in overlap.superseded {
        let end = Ending {
            text: format!("by deployment {id}"),
            ..Ending::itself(EndReason::Superseded)
        };
        finish(ctx, other, &mut old, group_row, end)?;
    }
    row.state = DeploymentState::Active;
    row.updated_ms = ctx.now.unix_ms;
    match row.allowed {
        Some(_) => advance::begin(ctx, id, row)?,
        None => limit::open(ctx, id, row, group_row.leaving)?,
    }
    group_row.active.push(id);
    group_row.active.sort_unstable();
    group_row.scheduled.retain(|scheduled| *scheduled != id);
    ctx.effects.extend([
        Effect::PublishRelease(row.release),
        Effect::GroupSpecChanged(row.group.clone()),
        Effect::ViewChanged(View::Group(row.group.clone())),
        Effect::ViewChanged(View::Fleet),
    ]);
    Ok(())
}

/// A scheduled deployment's start time has come (S2).
pub(crate) fn start_due(ctx: &mut Ctx, timer: &Timer, id: DeploymentId) -> Result<(), Undecided> {
    clear_timer(ctx.txn, timer.due_ms, timer.kind.clone())?;
    let row = ctx.txn.read_unless_removed(id)?;
    let Some(mut row) = row.filter(|row| row.state == DeploymentState::Scheduled) else {
        return Ok(());
    };
    let mut group_row = group::require(ctx.txn, &row.group)?;
    ctx.txn.want(
        group_row
            .active
            .iter()
            .map(|other| DeploymentKey(*other).key())
            .chain([GroupCountKey(row.group.clone()).key()]),
    )?;
    let overlap = Overlap::read(ctx.txn, &row, &group_row)?;
    if overlap.refusal(&row).is_some() {
        let ending = Ending {
            state: DeploymentState::Aborted,
            ..Ending::itself(EndReason::Conflict)
        };
        return finish(ctx, id, &mut row, &mut group_row, ending);
    }
    note(ctx, id, &mut row, (Happening::Started, None))?;
    activate(ctx, id, &mut row, &mut group_row, overlap)?;
    ctx.txn.put(&DeploymentKey(id), &row);
    ctx.txn.put(&GroupKey(row.group.clone()), &group_row);
    ctx.effects.extend([
        Effect::Event(Event::DeploymentStarted { deployment: id }),
        Effect::ViewChanged(View::Deployment(id)),
    ]);
    Ok(())
}

/// A deployment that was asked for.
pub(crate) enum Placed {
    /// It was created.
    New(Created),
    /// An equal one is there already.
    There(Created),
}

/// The result of `deploy` for one group, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// The new deployment, or the equal one that is there already.
    pub deployment: DeploymentId,
    /// Its state.
    pub state: DeploymentState,
    /// Devices in the group now.
    pub members: u32,
    /// Those that may start.
    pub eligible: u32,
    /// Those that may not.
    pub excluded: u32,
}
