//! Keys that take the place of others while the orchestrator runs.

use super::Service;
use crate::signer::Signer;

impl Service {
    /// Goes on with keys that somebody has put in the place of those before them. What was signed by
    /// an orchestrator's key before is signed anew, and published behind the root document.
    pub(super) fn take_new_keys(&mut self) {
        // Without a sender there are never any.
        if !self.config.new_keys.has_changed().unwrap_or(false) {
            return;
        }
        let Some(keys) = self.config.new_keys.borrow_and_update().clone() else {
            return;
        };
        let signer = Signer::new(keys.orchestrator.clone(), self.topics.clone());
        self.engine.sign_with(signer, keys.roots.clone());
        tracing::info!(
            root = keys.root_number,
            "a newer root document is in effect"
        );
        self.config.keys = keys;
    }
}
