//! The substitute of a simulated device for files, downloads and scripts: it takes a while, and
//! goes wrong as often as asked.

use std::sync::Arc;
use std::time::Duration;

use hoist_device_client::machine::{ArtifactPlan, ScriptPlan};
use hoist_protocol::id::DeploymentId;
use hoist_protocol::status::ScriptKind;

use crate::random::Random;
use crate::rate::Percent;

/// A download takes up to this long.
const DOWNLOAD_MS: u64 = 1_000;
/// A script takes up to this long.
const SCRIPT_MS: u64 = 300;

/// The rates at which things go wrong.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trouble {
    pub(super) seed: u64,
    /// A transfer fails and is tried again.
    pub(super) loss: Percent,
    /// A device cannot install a deployment, in no attempt.
    pub(super) fail: Percent,
    /// Mean time between lost connections.
    pub(super) flap: Option<Duration>,
}

/// The luck of one device.
#[derive(Debug, Clone)]
pub(super) struct Luck {
    trouble: Trouble,
    member: u64,
    random: Random,
}

impl Luck {
    pub(super) fn new(trouble: Trouble, member: u64) -> Self {
        Self {
            trouble,
            member,
            random: Random::of(trouble.seed, member),
        }
    }

    /// Jitter for the machine.
    pub(super) fn random(&mut self) -> u64 {
        self.random.next()
    }

    /// A time below a bound.
    pub(super) fn below(&mut self, bound: Duration) -> Duration {
        let bound = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.random.below(bound))
    }

    /// The time that the next download takes, and true if it fails.
    pub(super) fn download(&mut self) -> (Duration, bool) {
        let lost = self.trouble.loss.hits(self.random.next());
        (self.below(Duration::from_millis(DOWNLOAD_MS)), lost)
    }

    /// The time that the next script takes.
    pub(super) fn script(&mut self) -> Duration {
        self.below(Duration::from_millis(SCRIPT_MS))
    }

    /// When the connection is lost next.
    pub(super) fn flap(&mut self) -> Option<Duration> {
        let mean = self.trouble.flap?;
        Some(self.below(mean * 2))
    }

    /// True if `verify` fails in every attempt of a deployment: fixed by the seed, so that a
    /// rehearsal can be repeated.
    pub(super) fn is_doomed(&self, deployment: DeploymentId) -> bool {
        let fate = self.member << 32 | u64::from(deployment.0);
        self.trouble
            .fail
            .hits(Random::of(self.trouble.seed, fate).next())
    }
}

/// The artifacts of a modelled release: each has `install`, `verify` and `rollback`.
pub(super) fn plans(artifacts: usize) -> Arc<[ArtifactPlan]> {
    let has = |kind| {
        matches!(
            kind,
            ScriptKind::Install | ScriptKind::Verify | ScriptKind::Rollback
        )
    };
    let plan = ScriptPlan {
        attempts: 1,
        idempotent: false,
    };
    let scripts = ScriptKind::ALL.map(|kind| has(kind).then_some(plan));
    let artifact = ArtifactPlan {
        scripts,
        reboot: false,
    };
    vec![artifact; artifacts].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(fail: &str, loss: &str) -> Trouble {
        Trouble {
            seed: 7,
            loss: loss.parse().unwrap(),
            fail: fail.parse().unwrap(),
            flap: None,
        }
    }

    #[test]
    fn the_seed_decides_who_fails_in_about_the_share_asked_for() {
        let doomed = |deployment| -> Vec<u64> {
            (0..1_000)
                .filter(|member| {
                    Luck::new(trouble("10%", "0%"), *member).is_doomed(DeploymentId(deployment))
                })
                .collect()
        };
        assert_eq!(doomed(1), doomed(1));
        assert_ne!(doomed(1), doomed(2), "not always the same devices");
        assert!((60..140).contains(&doomed(1).len()), "{}", doomed(1).len());
    }

    #[test]
    fn without_loss_no_download_fails_and_with_all_loss_every_one() {
        let lost = |loss: &str| {
            let mut luck = Luck::new(trouble("0%", loss), 1);
            (0..100).filter(|_| luck.download().1).count()
        };
        assert_eq!((lost("0%"), lost("100%")), (0, 100));
    }
}
