//! What the simulated devices themselves did, to hold the server's account against.

use std::collections::{BTreeMap, BTreeSet};

use hoist_protocol::id::{DeploymentId, DeviceId};
use hoist_protocol::status::FinalResult;
use serde::Serialize;

use crate::output::API_VERSION;
use crate::plural;

/// One deployment as its devices lived it.
#[derive(Debug, Default)]
struct Lived {
    started: BTreeSet<DeviceId>,
    ended: BTreeMap<DeviceId, End>,
    installs: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Successful,
    Failed,
}

/// All deployments the fleet took part in.
#[derive(Debug, Default)]
pub(super) struct Truth {
    deployments: BTreeMap<DeploymentId, Lived>,
}

/// The JSON of `hoist sim --json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Account {
    api_version: &'static str,
    kind: &'static str,
    devices: u32,
    /// Of the newest deployment.
    counts: Counts,
    deployments: BTreeMap<String, Summed>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
struct Counts {
    successful: usize,
    failed: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summed {
    started: usize,
    #[serde(flatten)]
    counts: Counts,
    installs: u64,
    failed_devices: Vec<DeviceId>,
}

impl Truth {
    /// A device has recorded that it started.
    pub(super) fn started(&mut self, deployment: DeploymentId, device: &DeviceId) {
        let started = &mut self.deployments.entry(deployment).or_default().started;
        if !started.contains(device) {
            started.insert(device.clone());
        }
    }

    /// A device ran an `install` script.
    pub(super) fn installed(&mut self, deployment: DeploymentId) {
        self.deployments.entry(deployment).or_default().installs += 1;
    }

    /// A device has recorded its end; a later round replaces an earlier one.
    pub(super) fn ended(
        &mut self,
        deployment: DeploymentId,
        device: &DeviceId,
        result: &FinalResult,
    ) {
        let end = match result {
            FinalResult::Successful(_) => End::Successful,
            FinalResult::Failed(_) => End::Failed,
        };
        let lived = self.deployments.entry(deployment).or_default();
        lived.ended.insert(device.clone(), end);
    }

    /// Whether any device has ended this deployment, and none is still at work on it.
    pub(super) fn is_over(&self, deployment: DeploymentId) -> bool {
        self.deployments.get(&deployment).is_some_and(|lived| {
            !lived.ended.is_empty() && lived.started.iter().all(|d| lived.ended.contains_key(d))
        })
    }

    /// The account of a fleet of this size.
    pub(super) fn account(&self, devices: u32) -> Account {
        let deployments: BTreeMap<DeploymentId, Summed> = self
            .deployments
            .iter()
            .map(|(id, lived)| (*id, lived.sum()))
            .collect();
        let newest = deployments.values().next_back();
        Account {
            api_version: API_VERSION,
            kind: "sim",
            devices,
            counts: newest.map(|newest| newest.counts).unwrap_or_default(),
            deployments: deployments
                .into_iter()
                .map(|(id, summed)| (id.to_string(), summed))
                .collect(),
        }
    }
}

impl Lived {
    fn failed(&self) -> Vec<DeviceId> {
        let failed = self.ended.iter().filter(|(_, end)| **end == End::Failed);
        failed.map(|(device, _)| device.clone()).collect()
    }

    fn sum(&self) -> Summed {
        let count = |end| self.ended.values().filter(|ended| **ended == end).count();
        Summed {
            started: self.started.len(),
            counts: Counts {
                successful: count(End::Successful),
                failed: count(End::Failed),
            },
            installs: self.installs,
            failed_devices: self.failed(),
        }
    }
}

impl Account {
    /// One line for people.
    pub(super) fn summary(&self) -> String {
        let Counts { successful, failed } = self.counts;
        let devices = plural::count(self.devices, "device");
        match u64::try_from(self.deployments.len()).unwrap_or(u64::MAX) {
            0 => format!("{devices} took part in no deployment"),
            number => format!(
                "{devices} took part in {}; in the newest {successful} succeeded and {failed} failed",
                plural::count(number, "deployment")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hoist_protocol::reason::Reason;
    use hoist_protocol::status::{Failure, Rollback, Success};

    const SUCCESS: FinalResult = FinalResult::Successful(Success::Installed);

    fn failure() -> FinalResult {
        FinalResult::Failed(Failure {
            reason: Reason::ScriptFailed,
            artifact: None,
            script: None,
            rollback: Rollback::Succeeded,
            output: Vec::new(),
        })
    }

    #[test]
    fn the_account_counts_each_device_once_and_shows_the_newest_deployment() {
        let mut truth = Truth::default();
        let [a, b]: [DeviceId; 2] = ["sim-00001".parse().unwrap(), "sim-00002".parse().unwrap()];
        for (deployment, result) in [(2, failure()), (10, SUCCESS)] {
            let deployment = DeploymentId(deployment);
            truth.started(deployment, &a);
            truth.started(deployment, &a);
            truth.installed(deployment);
            assert!(!truth.is_over(deployment), "one is still at work");
            truth.ended(deployment, &a, &result);
            truth.ended(deployment, &a, &result);
            assert!(truth.is_over(deployment));
        }
        truth.started(DeploymentId(10), &b);
        assert_eq!(
            serde_json::to_string(&truth.account(2)).unwrap(),
            r#"{"apiVersion":"hoist/v1","kind":"sim","devices":2,"counts":{"successful":1,"failed":0},"deployments":{"10":{"started":2,"successful":1,"failed":0,"installs":1,"failedDevices":[]},"2":{"started":1,"successful":0,"failed":1,"installs":1,"failedDevices":["sim-00001"]}}}"#
        );
    }
}
