//! Facts about a release that the adapter has found out before a decision.

use hoist_protocol::id::{DeploymentId, Name};
use hoist_protocol::release::ReleaseManifest;

/// Deployments that need a release: found by looking at all of them, before it is decided.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Uses {
    /// The highest number that was given when they were looked at.
    pub last: DeploymentId,
    /// Those that had not ended, or on which a device was at work.
    pub by: Vec<DeploymentId>,
}

/// A release whose signature and artifacts the adapter has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRelease {
    /// The manifest in its envelope, as it will be retained.
    pub sealed: Vec<u8>,
    /// The manifest.
    pub manifest: ReleaseManifest,
    /// The names of its artifacts, in manifest order, from their own manifests.
    pub artifacts: Vec<Name>,
}
