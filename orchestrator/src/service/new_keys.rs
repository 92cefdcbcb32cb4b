//! Keys that take the place of others while the orchestrator runs.

use hoist_orchestrator_core::engine::input::Input;
use hoist_protocol::root::RootDocument;

use super::{Service, ServiceError};
use crate::signer::Signer;

impl Service {
    /// Goes on with keys that somebody has put in the place of those before them. What was signed by
    /// an orchestrator's key before is signed anew, and published behind the root document.
    pub(super) async fn take_new_keys(&mut self) -> Result<(), ServiceError> {
        // Without a sender there are never any.
        if !self.config.new_keys.has_changed().unwrap_or(false) {
            return Ok(());
        }
        let Some(keys) = self.config.new_keys.borrow_and_update().clone() else {
            return Ok(());
        };
        let signer = Signer::new(keys.orchestrator.clone(), self.topics.clone());
        self.engine.sign_with(signer, keys.roots.clone());
        tracing::info!(
            root = keys.root_number,
            "a newer root document is in effect"
        );
        self.config.keys = keys;
        self.note_root().await
    }

    /// Tells the audit trail of the root document that is in effect, if it does not know of it: it may
    /// have been made while no server ran.
    pub(super) async fn note_root(&mut self) -> Result<(), ServiceError> {
        let keys = &self.config.keys;
        let newest = keys.roots.last();
        let newest = newest
            .map(|(_, sealed)| RootDocument::open_pinned(sealed, &keys.root_sha256))
            .and_then(Result::ok);
        let in_effect = newest.map(|root| Input::RootInEffect(Box::new(root)));
        let now = self.clock.now();
        self.note(in_effect, now).await.map(drop)
    }
}
