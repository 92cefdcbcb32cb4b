//! The command that a wish for a deployment becomes.

use std::time::Duration;

use hoist_orchestrator_core::api::command::{Deploy, Limit};
use hoist_orchestrator_core::model::state::CompleteWhen;

use hoist_server::failure::Failure;

use crate::args::Plan;

pub(crate) mod rollout;

/// The command that a command line asks for.
///
/// # Errors
/// `E_CONFIG` for a policy that cannot be read.
pub(crate) fn body(wish: Plan, dry_run: bool) -> Result<Deploy, Failure> {
    let (group, groups) = match <[String; 1]>::try_from(wish.group) {
        Ok([group]) => (Some(group), None),
        Err(groups) => (None, Some(groups)),
    };
    let limited = wish.limit.is_some() || wish.until.is_some();
    let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    let ignore_windows = wish.rollout.ignore_windows;
    let (policy, rollout) = rollout::rollout(&wish.rollout)?;
    Ok(Deploy {
        release: wish.release,
        group,
        groups,
        start: wish.start,
        limit: limited.then_some(Limit {
            devices: wish.limit,
            until: wish.until,
        }),
        complete_when: wish.complete_when.map(CompleteWhen::from),
        timeout_secs: wish.device_timeout.map(seconds),
        attempts: wish.attempts,
        spread_secs: wish.spread.map(seconds),
        allow_downgrade: wish.allow_downgrade,
        reinstall: wish.reinstall,
        urgent: wish.urgent,
        selector: wish.selector,
        devices: (!wish.devices.is_empty()).then_some(wish.devices),
        rollout,
        policy,
        ignore_windows,
        dry_run,
    })
}
