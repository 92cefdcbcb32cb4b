//! The work of every device of the demo, as its own status says it: the one source of all that is
//! drawn, one symbol per device and the counts.

use std::collections::BTreeMap;

use hoist_protocol::id::DeviceId;
use hoist_protocol::status::{DeviceStatus, FinalResult, Step};

/// The work of a device, in one character.
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
    /// One character for it.
    pub(super) fn symbol(self) -> char {
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

/// The number of devices in each kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    pub(super) waiting: usize,
    pub(super) in_progress: usize,
    pub(super) successful: usize,
    pub(super) failed: usize,
}

impl Tally {
    /// All devices.
    pub(super) fn all(self) -> usize {
        self.waiting + self.in_progress + self.successful + self.failed
    }
}

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

    /// All lanes, in the order of the devices' names.
    pub(super) fn all(&self) -> impl ExactSizeIterator<Item = Lane> {
        self.lanes.values().copied()
    }

    /// The number of devices in each kind of work.
    pub(super) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for lane in self.all() {
            *match lane {
                Lane::Waiting => &mut tally.waiting,
                Lane::Doing(_) => &mut tally.in_progress,
                Lane::Successful => &mut tally.successful,
                Lane::Failed => &mut tally.failed,
            } += 1;
        }
        tally
    }

    /// True if every device has said how it ended.
    pub(super) fn are_over(&self) -> bool {
        self.all()
            .all(|lane| matches!(lane, Lane::Successful | Lane::Failed))
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
        let symbols = |lanes: &Lanes| lanes.all().map(Lane::symbol).collect::<String>();
        assert_eq!(symbols(&lanes), "▸·");
        assert_eq!((lanes.tally().in_progress, lanes.tally().waiting), (1, 1));
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
        assert_eq!(symbols(&lanes), "✓·");
        assert_eq!((lanes.tally().successful, lanes.tally().all()), (1, 2));
        assert!(!lanes.are_over(), "one has not begun");
    }
}
