//! What every device of the demo is doing, as its own status says it: one symbol per
//! device, so that a person sees the rollout move.

use std::collections::BTreeMap;

use hoist_protocol::id::DeviceId;
use hoist_protocol::status::{DeviceStatus, FinalResult, Step};

/// What a device does, in one character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Nothing heard yet.
    Waiting,
    /// In progress, at this step.
    Doing(Step),
    /// Ended well.
    Successful,
    /// Ended badly; what it had before is back, or not.
    Failed,
}

impl Lane {
    fn symbol(self) -> char {
        match self {
            Self::Waiting => '·',
            Self::Doing(Step::Downloading(_)) => '▿',
            Self::Doing(Step::Downloaded) => '▾',
            Self::Doing(Step::Installing) => '▸',
            Self::Doing(Step::Rebooting) => '◌',
            Self::Doing(Step::Retrying | Step::RetryingAfter(_)) => '↻',
            Self::Successful => '✓',
            Self::Failed => '✗',
        }
    }
}

/// What the symbols mean.
pub(super) const LEGEND: &str =
    "· waiting  ▿ downloading  ▾ downloaded  ▸ installing  ↻ retrying  ✓ successful  ✗ failed";

/// All devices in the order of their names.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: BTreeMap<DeviceId, Lane>,
}

impl Lanes {
    pub(super) fn new(devices: impl IntoIterator<Item = DeviceId>) -> Self {
        let lanes = devices.into_iter().map(|device| (device, Lane::Waiting));
        Self {
            lanes: lanes.collect(),
        }
    }

    /// Takes a status; returns the device's lane when it is another now.
    pub(super) fn take(&mut self, device: &DeviceId, payload: &[u8]) -> Option<Lane> {
        let status = DeviceStatus::receive(payload).ok()?.status;
        let lane = self.lanes.get_mut(device)?;
        let now = match (status.running, status.outcomes.last()) {
            (Some(progress), _) => Lane::Doing(progress.step),
            (None, Some(outcome)) => match outcome.result {
                FinalResult::Successful(_) => Lane::Successful,
                FinalResult::Failed(_) => Lane::Failed,
            },
            (None, None) => return None,
        };
        if *lane == now {
            return None;
        }
        *lane = now;
        Some(now)
    }

    /// One symbol per device, in groups of ten.
    pub(super) fn line(&self) -> String {
        let mut line = String::new();
        for (index, lane) in self.lanes.values().enumerate() {
            if index > 0 && index % 10 == 0 {
                line.push(' ');
            }
            line.push(lane.symbol());
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hoist_protocol::codec::encode;
    use hoist_protocol::id::{Attempt, DeploymentId, Round};
    use hoist_protocol::status::{Outcome, Progress, Success};

    #[test]
    fn a_lane_follows_the_status_of_its_device() {
        let device: DeviceId = "dev-01".parse().unwrap();
        let mut lanes = Lanes::new([device.clone(), "dev-02".parse().unwrap()]);
        let mut status = DeviceStatus {
            running: Some(Progress {
                deployment: DeploymentId(1),
                round: Round(0),
                attempt: Attempt(1),
                step: Step::Installing,
            }),
            ..DeviceStatus::default()
        };
        let installing = Some(Lane::Doing(Step::Installing));
        assert_eq!(lanes.take(&device, &encode(&status)), installing);
        assert_eq!(lanes.take(&device, &encode(&status)), None, "nothing new");
        assert_eq!(lanes.line(), "▸·");
        status.running = None;
        status.outcomes = vec![Outcome {
            deployment: DeploymentId(1),
            round: Round(0),
            attempt: Attempt(1),
            result: FinalResult::Successful(Success::Installed),
        }];
        assert_eq!(
            lanes.take(&device, &encode(&status)),
            Some(Lane::Successful)
        );
        assert_eq!(lanes.take(&device, b"nonsense"), None);
        assert_eq!(lanes.line(), "✓·");
    }
}
