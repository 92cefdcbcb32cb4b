//! A device's turn among those that a spec spreads over some time (W1): drawn once for each
//! round of a deployment, so that a connection that comes and goes does not put it off.

use hoist_protocol::id::{DeploymentId, Round};
use hoist_protocol::spec::DeploymentSpec;
use serde::Serialize;

use super::Now;

/// When a device may begin what is spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Turn {
    of: (DeploymentId, Round),
    /// Unix ms.
    pub(super) due_ms: u64,
}

impl Turn {
    /// The one that was drawn before, or a new one: for a deployment that may begin from
    /// `open_ms` on, somewhere in the time after it. One that came while its window was closed,
    /// or comes while it is, is drawn anew, and one that is later than a new one could be.
    pub(super) fn of(
        drawn: Option<Self>,
        entry: &DeploymentSpec,
        open_ms: u64,
        spread_ms: u64,
        now: Now,
    ) -> Self {
        let of = (entry.deployment, entry.round);
        let stands = |drawn: &Self| {
            let in_time = open_ms <= now.unix_ms || drawn.due_ms >= open_ms;
            drawn.of == of && in_time && drawn.due_ms < open_ms + spread_ms
        };
        drawn.filter(stands).unwrap_or(Self {
            of,
            due_ms: open_ms + now.random % spread_ms,
        })
    }
}
