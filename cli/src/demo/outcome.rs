//! How the story of the demo came out.

use std::time::Duration;

use hoist_orchestrator_core::reply::DeploymentDetail;

/// The result of the story.
pub(super) struct Outcome {
    /// The server's own account.
    pub(super) detail: DeploymentDetail,
    pub(super) place: Place,
    pub(super) duration: Duration,
    /// Bytes of MQTT for the update, all devices, both directions.
    pub(super) control_bytes: u64,
}

/// Where it all ran.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) mqtt: String,
    pub(super) http: String,
    pub(super) data_dir: String,
}
