//! Plans: the facts that the machine must know of fetched artifacts.

use serde::Serialize;

/// The facts that the machine must know of a fetched artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArtifactPlan {
    /// Its scripts by [`ScriptKind`](hoist_protocol::status::ScriptKind) in wire order.
    pub scripts: [Option<ScriptPlan>; 5],
    /// True if the device reboots before `verify`.
    pub reboot: bool,
}

/// The facts that the machine must know of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ScriptPlan {
    /// Runs inside one pass before it counts as failed.
    pub attempts: u8,
    /// A run cut off by a power loss may simply be repeated.
    pub idempotent: bool,
}
