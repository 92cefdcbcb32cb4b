//! The time that devices spend in each step of an update, as their reports show it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hoist_protocol::id::{Attempt, DeploymentId, DeviceId, Round};
use hoist_protocol::status::DeviceStatus;

/// Devices at work that are followed at once: 100 bytes each. Beyond it, all begin anew.
const DEVICES_MAX: usize = 100_000;

/// One pass of a device through a deployment.
type Pass = (DeploymentId, Round, Attempt);

/// The step that a device is in.
#[derive(Debug)]
struct At {
    pass: Pass,
    step: &'static str,
    since: Instant,
}

/// The steps of all devices at work.
#[derive(Debug, Default)]
pub(super) struct Steps(HashMap<DeviceId, At>);

impl Steps {
    /// A device reports at this moment; at none when the report may be an old one, which says
    /// nothing of times. The step that is over, and the time that it took.
    pub(super) fn heard(
        &mut self,
        device: &DeviceId,
        status: &DeviceStatus,
        at: Option<Instant>,
    ) -> Option<(&'static str, Duration)> {
        let now = status.running.map(|running| {
            let pass = (running.deployment, running.round, running.attempt);
            (pass, running.step.word())
        });
        let before = self.0.get(device);
        if at.is_some() && before.map(|before| (before.pass, before.step)) == now {
            return None;
        }
        let before = self.0.remove(device);
        let since = at?;
        if let Some((pass, step)) = now {
            if self.0.len() >= DEVICES_MAX {
                self.0.clear();
            }
            self.0.insert(device.clone(), At { pass, step, since });
        }
        let before = before?;
        Some((before.step, since.saturating_duration_since(before.since)))
    }
}

#[cfg(test)]
mod tests {
    use hoist_protocol::status::{Progress, Step};

    use super::*;

    fn at(step: Step) -> DeviceStatus {
        DeviceStatus {
            running: Some(Progress {
                deployment: DeploymentId(1),
                round: Round(0),
                attempt: Attempt(0),
                step,
            }),
            ..DeviceStatus::default()
        }
    }

    #[test]
    fn a_step_lasts_from_its_first_report_to_the_first_of_another_one() {
        let (mut steps, begin) = (Steps::default(), Instant::now());
        let device: DeviceId = "d1".parse().unwrap();
        let mut hear = |status: &DeviceStatus, seconds: u64| {
            let at = begin + Duration::from_secs(seconds);
            steps.heard(&device, status, Some(at))
        };
        assert_eq!(hear(&at(Step::Downloading(10)), 0), None);
        assert_eq!(hear(&at(Step::Downloading(90)), 5), None);
        let took = Duration::from_secs(7);
        assert_eq!(hear(&at(Step::Installing), 7), Some(("downloading", took)));
        let took = Duration::from_secs(3);
        assert_eq!(
            hear(&DeviceStatus::default(), 10),
            Some(("installing", took))
        );
        assert_eq!(hear(&DeviceStatus::default(), 11), None);
    }

    #[test]
    fn a_report_that_was_kept_tells_no_times() {
        let (mut steps, begin) = (Steps::default(), Instant::now());
        let device: DeviceId = "d1".parse().unwrap();
        steps.heard(&device, &at(Step::Installing), Some(begin));
        assert_eq!(steps.heard(&device, &at(Step::Rebooting), None), None);
        let end = begin + Duration::from_secs(9);
        let ended = steps.heard(&device, &DeviceStatus::default(), Some(end));
        assert_eq!(ended, None);
    }
}
