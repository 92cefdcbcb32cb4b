//! When a rollout is looked at: soon after something happened in it, and not after its end.

use hoist_protocol::id::DeploymentId;

use crate::model::key::RolloutKey;
use crate::model::row::{DeploymentRow, RolloutRow};
use crate::model::state::DeploymentState;
use crate::model::timer::{TimerKind, clear_timer, set_timer};
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;

/// Events within this time are looked at together, in ms of connected uptime: a phase of many
/// devices costs few looks.
const TOGETHER_MS: u64 = 250;

/// Something happened in a deployment: its rollout, if it has one, is looked at soon.
pub(crate) fn soon(ctx: &mut Ctx, id: DeploymentId, row: &DeploymentRow) -> Result<(), Undecided> {
    if row.allowed.is_none() || row.state != DeploymentState::Active {
        return Ok(());
    }
    let due_ms = (ctx.now.uptime_ms / TOGETHER_MS).saturating_add(1) * TOGETHER_MS;
    set_timer(ctx.txn, due_ms, TimerKind::Rollout(id))
}

/// Somebody waits for a slot that only a minute to come gives: the rollout is looked at then.
pub(crate) fn with_more(ctx: &mut Ctx, id: DeploymentId) -> Result<(), Undecided> {
    let state = ctx.txn.require(&RolloutKey(id))?;
    match state.rollout.starts_per_minute {
        Some(_) => {
            let due_ms = state.pace_due_ms.max(ctx.now.uptime_ms.saturating_add(1));
            set_timer(ctx.txn, due_ms, TimerKind::Rollout(id))
        }
        None => Ok(()),
    }
}

/// Forgets when the rollout was to be looked at.
pub(crate) fn unset(
    ctx: &mut Ctx,
    id: DeploymentId,
    state: &mut RolloutRow,
) -> Result<(), Undecided> {
    match state.look_due_ms.take() {
        Some(due_ms) => clear_timer(ctx.txn, due_ms, TimerKind::Rollout(id)),
        None => Ok(()),
    }
}

/// A deployment ends: its rollout is not looked at any more.
pub(crate) fn stop(ctx: &mut Ctx, id: DeploymentId, row: &DeploymentRow) -> Result<(), Undecided> {
    let key = RolloutKey(id);
    let state = match row.allowed {
        Some(_) => ctx.txn.read(&key)?,
        None => None,
    };
    let Some(mut state) = state.filter(|state| state.look_due_ms.is_some()) else {
        return Ok(());
    };
    unset(ctx, id, &mut state)?;
    ctx.txn.put(&key, &state);
    Ok(())
}
