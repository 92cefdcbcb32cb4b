//! What the rules cannot look at themselves: manifests to verify.

use hoist_orchestrator_core::command::Command;

use super::Service;
use crate::arrival::Asked;
use crate::release;
use crate::release_id;

impl Service {
    /// Looks at what the core cannot: the beginning of an id, and the manifest of `release-add`.
    pub(super) async fn look_at_release(&self, asked: &mut Asked) {
        release_id::complete(&*self.store, asked).await;
        let Ok(Command::ReleaseAdd(add)) = &asked.command else {
            return;
        };
        let keys = &self.config.keys.release;
        match release::verify(&add.manifest, keys, &self.config.artifacts).await {
            Ok(verified) => asked.release = Some(verified),
            Err(rejection) => asked.command = Err(rejection),
        }
    }
}
