//! Policies in replies.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `policy-put`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyResult {
    /// The policy with its version, `careful@3`.
    pub policy: String,
}

/// A version of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyItem {
    /// The policy with its version, `careful@3`.
    pub policy: String,
    /// Its name.
    pub name: String,
    /// The version; the newest one in lists.
    pub version: u32,
    /// When it was put, RFC 3339.
    pub created_at: String,
    /// The user who put it.
    pub by: String,
}

/// `policy-show`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyDetail {
    /// Which, and who put it.
    #[serde(flatten)]
    pub policy: PolicyItem,
    /// The way in which deployments of it spread.
    pub rollout: Value,
}
