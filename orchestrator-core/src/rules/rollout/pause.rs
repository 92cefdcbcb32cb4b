//! Pause and resume: a paused deployment is not listed, and who started finishes (S3, S16).

use hoist_protocol::id::{DeploymentId, UserId};
use hoist_protocol::topic::View;

use crate::model::counter;
use crate::model::effect::{Effect, Event};
use crate::model::key::{DeploymentKey, RolloutKey};
use crate::model::row::{DeploymentRow, Happening, PauseReason, Paused};
use crate::model::state::DeploymentState;
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;
use crate::rules::deployment::history::note;
use crate::rules::rollout::{look, threshold};

/// Pauses a deployment by a rule of its rollout. Does not write its row.
pub(crate) fn itself(
    ctx: &mut Ctx,
    id: DeploymentId,
    row: &mut DeploymentRow,
    (reason, text): (PauseReason, String),
) -> Result<(), Undecided> {
    let paused = Paused {
        reason,
        by: None,
        text,
        at_ms: ctx.now.unix_ms,
    };
    pause(ctx, id, row, paused)
}

/// Pauses a deployment. Does not write its row.
pub(crate) fn pause(
    ctx: &mut Ctx,
    id: DeploymentId,
    row: &mut DeploymentRow,
    paused: Paused,
) -> Result<(), Undecided> {
    let what = Happening::Paused(paused.text.clone());
    note(ctx, id, row, (what, paused.by.clone()))?;
    ctx.effects.push(Effect::Event(Event::DeploymentPaused {
        deployment: id,
        group: row.group.clone(),
        reason: paused.reason.into(),
        by: paused.by.clone(),
    }));
    row.state = DeploymentState::Paused;
    row.paused = Some(paused);
    changed(ctx, id, row);
    Ok(())
}

/// Lets a deployment go on. A gate that stopped it is set aside, and the failures that did count no
/// more: a person has looked at them. Does not write its row.
pub(crate) fn resume(
    ctx: &mut Ctx,
    id: DeploymentId,
    row: &mut DeploymentRow,
    by: &UserId,
) -> Result<(), Undecided> {
    let before = row.paused.take();
    row.state = DeploymentState::Active;
    note(ctx, id, row, (Happening::Resumed, Some(by.clone())))?;
    if row.allowed.is_some() {
        let key = RolloutKey(id);
        let mut state = ctx.txn.require(&key)?;
        let totals = counter::totals(ctx.txn, id)?;
        if let Some(failure) = &state.rollout.failure {
            state.resumed = threshold::counted(failure, &totals);
        }
        state.set_aside |= matches!(
            before.map(|before| before.reason),
            Some(PauseReason::Gate | PauseReason::GaveUp)
        );
        ctx.txn.put(&key, &state);
    }
    ctx.effects.push(Effect::Event(Event::DeploymentResumed {
        deployment: id,
        group: row.group.clone(),
        by: by.clone(),
    }));
    changed(ctx, id, row);
    look::soon(ctx, id, row)
}

fn changed(ctx: &mut Ctx, id: DeploymentId, row: &mut DeploymentRow) {
    row.updated_ms = ctx.now.unix_ms;
    ctx.txn.put(&DeploymentKey(id), row);
    ctx.effects.extend([
        Effect::GroupSpecChanged(row.group.clone()),
        Effect::ViewChanged(View::Deployment(id)),
        Effect::ViewChanged(View::Group(row.group.clone())),
        Effect::ViewChanged(View::Fleet),
    ]);
}
