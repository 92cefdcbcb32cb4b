//! Deployments that a device ended, remembered beyond the outcomes it still tells of: whatever a
//! spec can list again must be known to be over (S13), also long after its outcome was told.

use alloc::vec::Vec;

use hoist_protocol::id::Attempt;
use hoist_protocol::id::{DeploymentId, ReleaseId, Round};
use hoist_protocol::reason::Reason;
use hoist_protocol::spec::DeploymentSpec;
use hoist_protocol::status::{Failure, FinalResult, Outcome, Rollback, Success, TOLD_MAX};
use serde::{Deserialize, Serialize};

/// Deployments that are remembered: eight times what a spec can list, so that those of a
/// group that was left, or paused, are still known when they are listed again.
pub const PAST_MAX: usize = TOLD_MAX;
/// Deployments that a spec lists are kept away from the end at which things are forgotten by so
/// many places. Each spec is looked at before what it lists ends, so eight would do.
const CLEAR_PLACES: usize = PAST_MAX / 2;

/// The first bytes of a release's id: enough to tell a deployment from one that got the
/// same number from another server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseMark([u8; 4]);

impl ReleaseMark {
    /// Of a release.
    #[must_use]
    pub fn of(release: ReleaseId) -> Self {
        let [a, b, c, d, ..] = release.0;
        Self([a, b, c, d])
    }
}

/// The end of a deployment on this device, without particulars; at most three bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// It is installed: nothing begins it again.
    Successful(Success),
    /// It is not: a higher round begins it again.
    Failed(Reason, Rollback),
}

impl From<&FinalResult> for Ending {
    fn from(result: &FinalResult) -> Self {
        match result {
            FinalResult::Successful(success) => Self::Successful(*success),
            FinalResult::Failed(failure) => Self::Failed(failure.reason, failure.rollback),
        }
    }
}

impl From<Ending> for FinalResult {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Successful(success) => Self::Successful(success),
            Ending::Failed(reason, rollback) => Self::Failed(Failure {
                reason,
                artifact: None,
                script: None,
                rollback,
                output: Vec::new(),
            }),
        }
    }
}

/// A deployment that ended on this device; at most 18 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Which.
    pub deployment: DeploymentId,
    /// The release that it was to install, unless only a status told of it.
    pub release: Option<ReleaseMark>,
    /// The last round in which it ended.
    pub round: Round,
    /// The way it ended.
    pub ending: Ending,
}

impl Ended {
    /// The outcome that the server is told once its particulars are gone.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        Outcome {
            deployment: self.deployment,
            round: self.round,
            attempt: Attempt::default(),
            result: self.ending.into(),
        }
    }

    fn is_of(&self, deployment: DeploymentId, release: Option<ReleaseMark>) -> bool {
        let same = match (self.release, release) {
            (Some(kept), Some(asked)) => kept == asked,
            _ => true,
        };
        self.deployment == deployment && same
    }
}

/// Every deployment that is remembered, the first to be forgotten first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Past(Vec<Ended>);

impl Past {
    /// Remembers an end. A success stands, whatever is said later.
    pub fn add(&mut self, mut ended: Ended) {
        let mut all = self.0.iter();
        let known = all.position(|known| known.deployment == ended.deployment);
        if let Some(known) = known.map(|place| self.0.remove(place))
            && known.is_of(ended.deployment, ended.release)
        {
            ended.release = ended.release.or(known.release);
            ended.round = ended.round.max(known.round);
            if let Ending::Successful(_) = known.ending {
                ended.ending = known.ending;
            }
        }
        if self.0.len() == PAST_MAX {
            self.0.remove(0);
        }
        self.0.push(ended);
    }

    /// True if a round of a deployment is over: a success stands, and a failure until a higher
    /// round (S13). Without a release, whatever it was to install.
    #[must_use]
    pub fn is_over(
        &self,
        deployment: DeploymentId,
        release: Option<ReleaseId>,
        round: Round,
    ) -> bool {
        let release = release.map(ReleaseMark::of);
        self.0.iter().any(|ended| {
            ended.is_of(deployment, release)
                && (matches!(ended.ending, Ending::Successful(_)) || ended.round >= round)
        })
    }

    /// True if it tells of an outcome, or of one of a higher round.
    #[must_use]
    pub fn tells_of(&self, outcome: &Outcome) -> bool {
        let mut all = self.0.iter();
        all.any(|ended| ended.deployment == outcome.deployment && ended.round >= outcome.round)
    }

    /// Keeps what a spec lists from being forgotten soon, and says whether that changed
    /// anything. A spec only ever keeps: an old one, or none, makes nothing be forgotten.
    pub fn keep_listed(&mut self, entries: &[DeploymentSpec]) -> bool {
        let is_listed = |ended: &Ended| {
            let mut entries = entries.iter();
            entries.any(|entry| entry.deployment == ended.deployment)
        };
        let free = PAST_MAX.saturating_sub(self.0.len());
        let near = CLEAR_PLACES.saturating_sub(free);
        if !self.0.iter().take(near).any(is_listed) {
            return false;
        }
        // All of them at once, so that they cost one write together.
        let (listed, others): (Vec<_>, _) = self.0.drain(..).partition(is_listed);
        self.0 = others;
        self.0.extend(listed);
        true
    }

    /// Everything, the first to be forgotten first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Ended> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hoist_protocol::admission::Audience;
    use hoist_protocol::spec::Policy;

    const RELEASE: ReleaseId = ReleaseId([9; 16]);

    const SUCCESSFUL: Ending = Ending::Successful(Success::Installed);
    const FAILED: Ending = Ending::Failed(Reason::ScriptFailed, Rollback::Succeeded);

    fn ended(deployment: u32, round: u32, ending: Ending) -> Ended {
        Ended {
            deployment: DeploymentId(deployment),
            release: Some(ReleaseMark::of(RELEASE)),
            round: Round(round),
            ending,
        }
    }

    fn entry(deployment: u32) -> DeploymentSpec {
        DeploymentSpec {
            deployment: DeploymentId(deployment),
            release: RELEASE,
            round: Round(0),
            audience: Audience::EVERYONE,
            policy: Policy::default(),
        }
    }

    fn is_over(past: &Past, deployment: u32, round: u32) -> bool {
        past.is_over(DeploymentId(deployment), Some(RELEASE), Round(round))
    }

    #[test]
    fn a_failure_stands_until_a_higher_round_and_a_success_for_ever_s13() {
        let mut past = Past::default();
        past.add(ended(1, 3, FAILED));
        assert!(is_over(&past, 1, 0) && is_over(&past, 1, 3) && !is_over(&past, 1, 4));
        past.add(ended(1, 4, SUCCESSFUL));
        assert!(is_over(&past, 1, u32::MAX));
        past.add(ended(1, 2, FAILED));
        assert!(is_over(&past, 1, u32::MAX), "a success stands");
        assert_eq!(past.iter().count(), 1, "one place a deployment");
    }

    #[test]
    fn a_number_that_another_server_gave_out_again_is_another_deployment() {
        let mut past = Past::default();
        past.add(ended(1, 0, SUCCESSFUL));
        let other = Some(ReleaseId([8; 16]));
        assert!(!past.is_over(DeploymentId(1), other, Round(0)));
        past.add(Ended {
            release: other.map(ReleaseMark::of),
            ..ended(1, 0, FAILED)
        });
        assert!(past.is_over(DeploymentId(1), other, Round(0)));
        assert!(!past.is_over(DeploymentId(1), other, Round(1)));
        // What only a status told of has no release, and is over all the same.
        past.add(Ended {
            release: None,
            ..ended(2, 0, FAILED)
        });
        assert!(is_over(&past, 2, 0));
    }

    #[test]
    fn what_a_spec_lists_outlives_any_number_of_other_deployments() {
        let mut past = Past::default();
        let listed = [entry(1), entry(2), entry(10_000)];
        past.add(ended(1, 0, FAILED));
        past.add(ended(2, 0, SUCCESSFUL));
        let mut moves = 0;
        for deployment in 3..1_000 {
            moves += u32::from(past.keep_listed(&listed));
            past.add(ended(deployment, 0, SUCCESSFUL));
            assert!(is_over(&past, 1, 0) && is_over(&past, 2, 7), "{deployment}");
        }
        assert_eq!(past.iter().count(), PAST_MAX);
        assert!(moves < 33, "{moves} writes only to keep what is listed");
    }

    #[test]
    fn what_no_spec_lists_is_forgotten_the_oldest_first() {
        let mut past = Past::default();
        for deployment in 1..=70 {
            past.keep_listed(&[]);
            past.add(ended(deployment, 0, FAILED));
        }
        assert!(!is_over(&past, 6, 0) && is_over(&past, 7, 0));
    }
}
