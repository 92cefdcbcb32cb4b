//! The retirement of deployments that have been over for long enough, page by page.

use hoist_orchestrator_core::engine::input::Input;
use hoist_orchestrator_core::model::now::Keep;
use hoist_orchestrator_core::model::search::Old;

use super::{Around, Server};

/// Rows of a page: few, so that much happens in between.
const PAGE: usize = 2;

impl Server {
    pub(super) fn keep(&self) -> Keep {
        Keep {
            ended_deployments_ms: self.keep_ms,
            silent_devices_ms: None,
        }
    }

    /// Looks for deployments that may be old; whether they are is decided by the rules.
    pub(super) fn retire(&mut self, around: &mut Around<'_>) {
        if self.keep_ms.is_none() || !self.connected {
            return;
        }
        let old = self.deployments().map(Old::Deployment);
        let inputs: Vec<Input> = old.map(Input::Old).collect();
        self.decide_all(inputs, around);
    }

    /// Finds a page of what is left of a removed deployment.
    pub(super) fn find_left(&mut self) {
        if let Some(deployment) = self.sweeps.pop_front() {
            self.found.push_back(self.rows.left(deployment, PAGE));
        }
    }
}
