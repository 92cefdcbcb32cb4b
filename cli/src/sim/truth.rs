//! The deeds of the simulated devices themselves, to hold the server's account against.

use std::collections::{BTreeMap, BTreeSet};

use hoist_orchestrator_core::reply::API_VERSION;
use hoist_protocol::id::{DeploymentId, DeviceId};
use hoist_protocol::status::{FinalResult, Outcome};
use serde::Serialize;

use crate::output::plural;

/// As in the server's own JSON.
const SUCCESSFUL: &str = "successful";
const FAILED: &str = "failed";

/// One deployment as its devices lived it.
#[derive(Debug, Default)]
struct Lived {
    started: BTreeSet<DeviceId>,
    /// The newest outcome of each device.
    ended: BTreeMap<DeviceId, Outcome>,
    /// The number of `install` scripts that each device ran.
    installs: BTreeMap<DeviceId, u64>,
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
    outcomes: Vec<Reached>,
}

/// The account of one device of its newest round.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Reached {
    device: DeviceId,
    status: &'static str,
    reason: Option<&'static str>,
    round: u32,
    attempt: u32,
    /// Runs of `install` in all rounds.
    installs: u64,
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
    pub(super) fn installed(&mut self, deployment: DeploymentId, device: &DeviceId) {
        let lived = self.deployments.entry(deployment).or_default();
        *lived.installs.entry(device.clone()).or_default() += 1;
    }

    /// A device has recorded its end; a later round replaces an earlier one.
    pub(super) fn ended(&mut self, device: &DeviceId, outcome: &Outcome) {
        let lived = self.deployments.entry(outcome.deployment).or_default();
        lived.ended.insert(device.clone(), outcome.clone());
    }

    /// True if any device has ended this deployment, and none is still at work on it.
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
    fn outcomes(&self) -> Vec<Reached> {
        let each = self.ended.iter();
        each.map(|(device, outcome)| {
            let (status, reason) = match &outcome.result {
                FinalResult::Successful(_) => (SUCCESSFUL, None),
                FinalResult::Failed(failure) => (FAILED, Some(failure.reason.word())),
            };
            Reached {
                device: device.clone(),
                status,
                reason,
                round: outcome.round.0,
                attempt: outcome.attempt.0,
                installs: self.installs.get(device).copied().unwrap_or_default(),
            }
        })
        .collect()
    }

    fn sum(&self) -> Summed {
        let outcomes = self.outcomes();
        let count = |status| outcomes.iter().filter(|one| one.status == status).count();
        let failed = outcomes.iter().filter(|one| one.status == FAILED);
        Summed {
            started: self.started.len(),
            counts: Counts {
                successful: count(SUCCESSFUL),
                failed: count(FAILED),
            },
            installs: self.installs.values().sum(),
            failed_devices: failed.map(|one| one.device.clone()).collect(),
            outcomes,
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
    use hoist_protocol::id::{Attempt, Round};
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

    fn outcome(deployment: u32, round: u32, result: FinalResult) -> Outcome {
        Outcome {
            deployment: DeploymentId(deployment),
            round: Round(round),
            attempt: Attempt(1),
            result,
        }
    }

    #[test]
    fn the_account_counts_each_device_once_and_shows_the_newest_deployment() {
        let mut truth = Truth::default();
        let [a, b]: [DeviceId; 2] = ["sim-00001".parse().unwrap(), "sim-00002".parse().unwrap()];
        for (number, result) in [(2, failure()), (10, SUCCESS)] {
            let deployment = DeploymentId(number);
            truth.started(deployment, &a);
            truth.started(deployment, &a);
            truth.installed(deployment, &a);
            assert!(!truth.is_over(deployment), "one is still at work");
            truth.ended(&a, &outcome(number, 0, result.clone()));
            truth.ended(&a, &outcome(number, 0, result));
            assert!(truth.is_over(deployment));
        }
        truth.started(DeploymentId(10), &b);
        assert_eq!(
            serde_json::to_string(&truth.account(2)).unwrap(),
            r#"{"apiVersion":"hoist/v1","kind":"sim","devices":2,"counts":{"successful":1,"failed":0},"deployments":{"10":{"started":2,"successful":1,"failed":0,"installs":1,"failedDevices":[],"outcomes":[{"device":"sim-00001","status":"successful","reason":null,"round":0,"attempt":1,"installs":1}]},"2":{"started":1,"successful":0,"failed":1,"installs":1,"failedDevices":["sim-00001"],"outcomes":[{"device":"sim-00001","status":"failed","reason":"script-failed","round":0,"attempt":1,"installs":1}]}}}"#
        );
    }

    #[test]
    fn a_later_round_is_the_word_of_a_device_and_its_installs_are_of_all_rounds() {
        let mut truth = Truth::default();
        let device: DeviceId = "sim-00001".parse().unwrap();
        for (round, result) in [(0, failure()), (1, SUCCESS)] {
            truth.started(DeploymentId(1), &device);
            truth.installed(DeploymentId(1), &device);
            truth.ended(&device, &outcome(1, round, result));
        }
        let account = serde_json::to_value(truth.account(1)).unwrap();
        let told = &account["deployments"]["1"]["outcomes"];
        assert_eq!(told.as_array().unwrap().len(), 1, "{told}");
        assert_eq!(told[0]["status"], "successful", "{told}");
        assert_eq!(
            (&told[0]["round"], &told[0]["installs"]),
            (&1.into(), &2.into())
        );
    }
}
