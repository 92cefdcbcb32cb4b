//! The findings of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

/// The events of a run, and the difference between both accounts.
#[derive(Debug, Clone, Default)]
pub struct Found {
    pub(super) kills: u32,
    /// The same kills by the moment they came in.
    pub(super) by_point: BTreeMap<&'static str, u32>,
    /// Orderly ones of the server with its broker.
    pub(super) broker_restarts: u32,
    pub(super) agent_kills: u32,
    pub(super) clock_steps: u32,
    pub(super) devices: u32,
    /// Real agents among them.
    pub(super) agents: u32,
    pub(super) deployments: u32,
    /// Outcomes that the server has.
    pub(super) outcomes: u64,
    /// Failures among them.
    pub(super) failed: u64,
    pub(super) seconds: f64,
    /// From starts until the server was ready, in ms.
    pub(super) starts_ms: Vec<u64>,
    /// Outcomes that a device reached and the server does not have, and beginnings without end.
    pub(super) lost: u64,
    /// Outcomes that the server has and no device reached, and installs beyond the attempts.
    pub(super) duplicated: u64,
    /// Outcomes that are others by the two accounts, and counters that are not their number.
    pub(super) mismatched: u64,
}

impl Found {
    /// True if the records are the devices' own.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost + self.duplicated + self.mismatched == 0
    }

    /// The one line of JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "kills": self.kills,
            "devices": self.devices,
            "deployments": self.deployments,
            "outcomes": self.outcomes,
            "seconds": self.seconds.round(),
            "lost": self.lost,
            "duplicated": self.duplicated,
            "mismatched": self.mismatched,
            "recoveryMsP99": percentile(&self.starts_ms, 99),
            "killsByPoint": self.by_point,
            "brokerRestarts": self.broker_restarts,
            "agents": self.agents,
            "agentKills": self.agent_kills,
            "clockSteps": self.clock_steps,
            "failed": self.failed,
        })
    }

    pub(super) fn after(mut self, time: Duration) -> Self {
        self.seconds = time.as_secs_f64();
        self
    }
}

/// The value that so many percent do not exceed; none of none.
fn percentile(values: &[u64], percent: usize) -> Option<u64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().checked_sub(1)?;
    sorted.get(last * percent / 100).copied()
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills, {} deployments to {} devices, {} outcomes in {:.0} s: {} lost, {} \
             duplicated, {} mismatched",
            self.kills,
            self.deployments,
            self.devices,
            self.outcomes,
            self.seconds,
            self.lost,
            self.duplicated,
            self.mismatched
        )
    }
}
