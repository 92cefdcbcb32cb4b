//! Windows of a started deployment: an artifact begins in one, or so shortly after one as its policy
//! allows; what was begun in a window may finish after it. Time that is spent waiting for a
//! window is not taken from what the deployment gives.

use alloc::vec::Vec;

use hoist_protocol::status::RetryCause;

use super::action::Action;
use super::admit::{open_for_ms, until_begin_ms};
use super::state::Active;
use super::{Machine, Now};
use crate::job::Stage;

/// The window that an artifact waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opening {
    /// When it opens, Unix ms.
    opens_ms: u64,
    /// When this device begins in it: all that wait for it are spread.
    turn_ms: u64,
}

impl Active {
    /// The window that the artifact at hand has to wait for, if none lets it begin now.
    pub(super) fn waits_for(&self, now: Now) -> Option<Opening> {
        let terms = &self.terms;
        // Only what was begun in a window can run over its end.
        let overrun_s = match self.job.attempt.0 {
            0 => 0,
            _ => terms.max_overrun_s,
        };
        let overrun_ms = u64::from(overrun_s) * 1_000;
        let closed_ms = until_begin_ms(&terms.windows, overrun_ms, now.unix_ms);
        let opens_ms = now.unix_ms + closed_ms;
        let spread_ms = u64::from(terms.spread_s) * 1_000;
        let within_ms = spread_ms.min(open_for_ms(&terms.windows, opens_ms));
        (closed_ms > 0).then(|| Opening {
            opens_ms,
            turn_ms: opens_ms + now.random % within_ms.max(1),
        })
    }
}

impl Machine {
    /// Nothing of the artifact at hand begins before its window opens.
    pub(super) fn wait_for_window(&mut self, opening: Opening, out: &mut Vec<Action>) {
        let Some(active) = self.active_mut() else {
            return;
        };
        let deadline_ms = opening.opens_ms + u64::from(active.terms.timeout_s) * 1_000;
        active.job.deadline_ms = active.job.deadline_ms.max(deadline_ms);
        active.cause = Some(RetryCause::Window);
        let stage = match active.job.stage {
            Stage::Fetching => Stage::Fetching,
            _ => Stage::Waiting,
        };
        self.enter(stage, out);
        if let Some(active) = self.active_mut() {
            active.wake = Some(opening.turn_ms);
        }
    }
}
