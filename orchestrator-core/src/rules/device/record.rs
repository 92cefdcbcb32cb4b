//! The record of a device in a deployment: its clock, and the moment when it is over.

use hoist_protocol::id::{DeploymentId, DeviceId, Round};
use hoist_protocol::reason::Reason;

use crate::model::effect::Event;
use crate::model::now::Now;
use crate::model::row::{RecordRow, RecordState};
use crate::model::timer::{TimerKind, clear_timer, set_timer};
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;

/// Moves a record's timer.
pub(crate) fn move_timer(
    ctx: &mut Ctx,
    id: DeploymentId,
    device: &DeviceId,
    old: Option<u64>,
    new: Option<u64>,
) -> Result<(), Undecided> {
    if old == new {
        return Ok(());
    }
    let kind = || TimerKind::Device(id, device.clone());
    if let Some(old) = old {
        clear_timer(ctx.txn, old, kind())?;
    }
    if let Some(new) = new {
        set_timer(ctx.txn, new, kind())?;
    }
    Ok(())
}

/// When a device that has just said something of its work is asked at the latest: its own
/// deadline comes first, ours is for those that fall silent (S7).
pub(crate) fn timeout_ms(timeout_s: u32, now: Now) -> u64 {
    let timeout_ms = u64::from(timeout_s).saturating_mul(1000);
    let wait_ms = timeout_ms.saturating_add(now.patience.grace_ms);
    now.uptime_ms.saturating_add(wait_ms)
}

/// The event when a record has ended: only for failures, so that a rollout to many healthy devices
/// costs no message each.
pub(crate) fn ended(
    deployment: DeploymentId,
    device: &DeviceId,
    record: &RecordRow,
) -> Option<Event> {
    let Round(round) = record.round;
    let (reason, rollback) = match &record.state {
        RecordState::Failed(failure) => (failure.reason, Some(failure.rollback.into())),
        RecordState::TimedOut => (Reason::TimedOut, None),
        RecordState::Successful(_) | RecordState::InProgress(_) => return None,
    };
    Some(Event::DeviceFailed {
        deployment,
        device: device.clone(),
        round,
        reason: reason.into(),
        provisional: record.state == RecordState::TimedOut,
        rollback,
    })
}
