//! What the rules cannot look at themselves: manifests to verify, lines that were searched.

use hoist_orchestrator_core::command::Command;
use hoist_orchestrator_core::input::Input;
use hoist_orchestrator_core::limit::Found;
use tokio::task::JoinError;

use super::{Service, ServiceError};
use crate::arrival::Asked;
use crate::release;
use crate::release_id;
use crate::rows::ReadError;

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

    /// A search for a line has ended; one that failed is asked for again by its timer.
    pub(super) async fn found(
        &mut self,
        found: Result<Result<Found, ReadError>, JoinError>,
    ) -> Result<(), ServiceError> {
        match found {
            Ok(Ok(found)) => self.decide_one(Input::LineFound(Box::new(found))).await,
            Ok(Err(corrupt @ ReadError::Corrupt { .. })) => Err(corrupt.into()),
            Ok(Err(ReadError::Store(error))) => {
                tracing::warn!(%error, "the line of a deployment was not found");
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "a search for the line of a deployment died");
                Ok(())
            }
        }
    }
}
