//! Devices that counted as failed because they did not answer.

use hoist_orchestrator_core::model::now::LivenessTimeouts;
use hoist_protocol::id::DeploymentId;

use super::super::{Broken, hold};
use super::{Known, Mirror};

impl Mirror {
    /// S7: its time was over by the true time the server was connected, and it was asked.
    pub(super) fn timed_out(
        &self,
        id: DeploymentId,
        number: u16,
        old: &Known,
        uptime_ms: u64,
    ) -> Result<(), Broken> {
        let timeout_s = self
            .deployments
            .get(&id)
            .map_or(0, |row| row.policy.timeout_s);
        let had_ms = uptime_ms - old.armed_ms;
        let grace_ms = LivenessTimeouts::default().grace_ms;
        // A removed device cannot be asked any more.
        let gone = !self.calls.contains_key(&number);
        let called = old.asked_ms;
        let asked = gone
            || called.is_some_and(|at_ms| at_ms >= old.armed_ms && uptime_ms - at_ms >= grace_ms);
        let name = "a-timeout-is-decided-after-asking";
        hold(had_ms >= u64::from(timeout_s) * 1000 && asked, name, || {
            format!(
                "d{number} in {id} had {had_ms} ms of {timeout_s} s, was called at {called:?} of {uptime_ms}"
            )
        })
    }
}
