//! The course of a rollout as a plan tells it.

use serde::{Deserialize, Serialize};

/// The course of a rollout, as far as it can be told before it begins.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// Its phases, and at the end everybody; empty without a rollout.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PlannedPhase>,
    /// Messages that it publishes at least; null without a rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publishes: Option<u32>,
    /// The bounds of its pace, each a sentence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bounds: Vec<String>,
    /// The gates and thresholds that the newest deployment of the group would not have passed, each
    /// a sentence with its numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub would_stop: Vec<String>,
}

/// A phase of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedPhase {
    /// Its place, from 1.
    pub index: u32,
    /// Its name; empty when it has none.
    pub name: String,
    /// The devices that it reaches, those of the phases before included; null when their labels
    /// decide.
    pub devices: Option<u32>,
    /// The condition under which it is passed, as a sentence; null for everybody behind the last.
    pub gate: Option<String>,
    /// Users who have to approve before it opens.
    pub approvals: u8,
    /// Seconds from the start before which it does not open.
    pub earliest_secs: u64,
}
