//! The server's records beside what the devices did.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::server::Server;
use super::{Failed, Plan};

/// What was found in the end.
#[derive(Debug, Clone, Default)]
pub struct Found {
    kills: u32,
    devices: u32,
    deployments: u32,
    outcomes: u64,
    seconds: f64,
    /// Outcomes that a device reached and the server does not have.
    lost: u64,
    /// Outcomes that the server has and no device reached, and installs beyond the attempts.
    duplicated: u64,
    /// Devices that failed by one account and not by the other.
    mismatched: u64,
}

impl Found {
    /// Whether the records are the devices' own.
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
        })
    }

    pub(super) fn after(mut self, time: Duration) -> Self {
        self.seconds = time.as_secs_f64();
        self
    }
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

/// Passes of a device through a deployment, when nobody says otherwise.
const ATTEMPTS: u64 = 3;

pub(super) fn compare(
    server: &Server,
    plan: Plan,
    deployments: u32,
    truth: &Value,
) -> Result<Found, Failed> {
    let mut found = Found {
        kills: plan.kills,
        devices: plan.devices,
        deployments,
        ..Found::default()
    };
    for number in 1..=deployments {
        let text = number.to_string();
        let lived = &truth["deployments"][&text];
        let count = |of: &Value, what: &str| of[what].as_u64().unwrap_or(0);
        let recorded = server.view(number)?;
        let counts = &recorded["counts"];
        let ended = count(lived, "successful") + count(lived, "failed");
        let known = count(counts, "successful") + count(counts, "failed");
        found.outcomes += known;
        found.lost += ended.saturating_sub(known);
        found.duplicated += known.saturating_sub(ended);
        let attempts = count(lived, "successful") + count(lived, "failed") * ATTEMPTS;
        found.duplicated += count(lived, "installs").saturating_sub(attempts);
        let listed = [
            "device",
            "list",
            "--deployment",
            &text,
            "--status",
            "failed",
            "--limit",
            "100000",
        ];
        let listed = server.ask_json(&listed)?;
        let names = |value: &Value, key: Option<&str>| -> BTreeSet<String> {
            let each = value.as_array().into_iter().flatten();
            let name = each.filter_map(|one| key.map_or(one, |key| &one[key]).as_str());
            name.map(str::to_owned).collect()
        };
        let own = names(&lived["failedDevices"], None);
        let theirs = names(&listed, Some("device"));
        found.mismatched += u64::try_from(own.symmetric_difference(&theirs).count())?;
    }
    Ok(found)
}
