//! The fallback of a rollout in which too many devices failed: another release goes to the devices that
//! had started, and to nobody else (S16).

use hoist_protocol::id::{DeploymentId, ReleaseId, Round};
use hoist_protocol::spec::{Overrides, Policy};

use super::history::note;
use super::{Placed, create};
use crate::model::key::{DeploymentKey, ReleaseKey};
use crate::model::rollout::{Only, Rollout};
use crate::model::row::{DeploymentRow, Happening, ReleaseRow, release_text};
use crate::model::state::{CompleteWhen, DeploymentState};
use crate::model::timer::{Timer, clear_timer};
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;
use crate::rules::stop::Stop;

/// A deployment was aborted, and is to be followed by its fallback.
pub(crate) fn due(ctx: &mut Ctx, timer: &Timer, id: DeploymentId) -> Result<(), Undecided> {
    clear_timer(ctx.txn, timer.due_ms, timer.kind.clone())?;
    let row = ctx.txn.read_unless_removed(id)?;
    let Some((mut row, release)) = row.and_then(|row| row.fallback.map(|release| (row, release)))
    else {
        return Ok(());
    };
    let what = match ctx.txn.read(&ReleaseKey(release))? {
        None => Happening::NoFallback("the release is not there any more".to_owned()),
        Some(other) => {
            let next = next(&row, (release, &other), ctx.now.unix_ms);
            let rollout = Rollout {
                only: Only::Began(id),
                ..Rollout::default()
            };
            match create(ctx, next, Some(&rollout)) {
                Ok(Placed::New(created) | Placed::There(created)) => {
                    Happening::FellBack(created.deployment)
                }
                Err(Stop::Rejected(refusal)) => Happening::NoFallback(refusal.detail),
                Err(Stop::Undecided(undecided)) => return Err(undecided),
            }
        }
    };
    note(ctx, id, &mut row, (what, None))?;
    ctx.txn.put(&DeploymentKey(id), &row);
    Ok(())
}

/// The deployment of the fallback. Devices that have the release which failed go down to it.
fn next(
    row: &DeploymentRow,
    (release, other): (ReleaseId, &ReleaseRow),
    unix_ms: u64,
) -> DeploymentRow {
    DeploymentRow {
        release,
        release_text: release_text(&other.manifest.name, &other.manifest.version),
        artifacts: other.artifacts.clone(),
        group: row.group.clone(),
        round: Round(0),
        last_round: Round(0),
        policy: Policy {
            attempts: row.policy.attempts,
            timeout_s: row.policy.timeout_s,
            overrides: Overrides {
                allow_downgrade: true,
                ..Overrides::default()
            },
            // What failed stands on these devices until then.
            urgent: true,
            ..Policy::default()
        },
        spread_s: 0,
        start_ms: None,
        until_ms: None,
        limit: None,
        slots: 0,
        line: 0,
        seek_due_ms: None,
        complete_when: CompleteWhen::default(),
        state: DeploymentState::Scheduled,
        end: None,
        created_ms: unix_ms,
        turn: 0,
        created_by: row.created_by.clone(),
        updated_ms: unix_ms,
        allowed: None,
        order: None,
        paused: None,
        history: 0,
        fallback: None,
    }
}
