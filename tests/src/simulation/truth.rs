//! The real deeds of a device: the server must come to say them, whatever gets lost.

use std::collections::{BTreeMap, BTreeSet};

use hoist_device_client::machine::{Job, ScriptRun};
use hoist_device_client::record::Ring;
use hoist_protocol::id::{DeploymentId, Generation, Round};
use hoist_protocol::reason::Reason;
use hoist_protocol::spec::GroupSpec;
use hoist_protocol::status::{FinalResult, Rollback};
use serde::Serialize;

/// One run of an install script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Install {
    /// In which deployment.
    pub deployment: DeploymentId,
    /// In which round.
    pub round: Round,
    /// In which attempt.
    pub attempt: u32,
    /// Of which artifact.
    pub artifact: u8,
}

/// Something a device did that invariants want to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Deed {
    /// It started a deployment's round.
    Started(DeploymentId, Round),
    /// It ran an install script; `again` = a second time in one attempt.
    Installed {
        /// Which run.
        install: Install,
        /// True if the script had run before.
        again: bool,
    },
    /// It ended a deployment's round.
    Ended {
        /// Which deployment.
        deployment: DeploymentId,
        /// Which round of it.
        round: Round,
        /// The ending.
        ending: Ending,
        /// Artifacts that are neither installed nor rolled back, nor reported as such.
        left: usize,
        /// True if the device could not begin: it is not compatible (S12).
        unable: bool,
    },
}

/// A final outcome without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Ending {
    /// It is installed.
    Successful,
    /// It is not.
    Failed,
}

impl Ending {
    /// Of a result.
    pub fn of(result: &FinalResult) -> Self {
        match result {
            FinalResult::Successful(_) => Self::Successful,
            FinalResult::Failed(_) => Self::Failed,
        }
    }
}

/// Everything a device did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Truth {
    /// The deployments and rounds that the device started.
    pub starts: BTreeSet<(DeploymentId, Round)>,
    /// The endings of rounds.
    pub ends: BTreeMap<(DeploymentId, Round), Ending>,
    /// Deployments that it used a slot of.
    pub took_part: BTreeSet<DeploymentId>,
    /// Install scripts it ran.
    pub installs: BTreeSet<Install>,
    /// The newest group spec of this connection that is no replay.
    pub spec: Option<GroupSpec>,
    /// Deployments that had ended and left the specs before this connection began.
    pub over: BTreeSet<DeploymentId>,
    /// True if the device was told that it is removed, and of no membership since.
    pub removed: bool,
    /// Artifacts whose install was begun and neither confirmed nor rolled back.
    begun: BTreeSet<u8>,
    /// Highest generation heard, by group.
    highest: BTreeMap<u8, Generation>,
    deeds: Vec<Deed>,
    /// Outcomes that were looked at.
    counted: u32,
}

impl Truth {
    /// Takes what happened since the last call.
    pub fn take_deeds(&mut self) -> Vec<Deed> {
        std::mem::take(&mut self.deeds)
    }

    /// The last round it ended in a deployment.
    pub fn last_end(&self, id: DeploymentId) -> Option<(Round, Ending)> {
        let all = (id, Round(0))..=(id, Round(u32::MAX));
        let last = self.ends.range(all).next_back();
        last.map(|((_, round), ending)| (*round, *ending))
    }

    pub(super) fn connected(&mut self) {
        self.spec = None;
    }

    /// The power went before anything newer was kept: an older spec is the newest it knows.
    pub(super) fn forgets_specs_above(&mut self, kept: Generation) {
        for highest in self.highest.values_mut() {
            *highest = kept.min(*highest);
        }
    }

    pub(super) fn heard(&mut self, group: u8, spec: &GroupSpec) {
        let highest = self.highest.entry(group).or_default();
        if spec.generation >= *highest {
            *highest = spec.generation;
            self.spec = Some(spec.clone());
        }
    }

    pub(super) fn is_told_of_removal(&mut self) {
        self.removed = true;
    }

    pub(super) fn is_told_of_membership(&mut self) {
        self.removed = false;
    }

    pub(super) fn started(&mut self, job: &Job) {
        let start = (job.deployment, job.round);
        if self.starts.insert(start) || self.ends.contains_key(&start) {
            self.took_part.insert(job.deployment);
            self.deeds.push(Deed::Started(start.0, start.1));
        }
    }

    pub(super) fn ended(&mut self, ring: &Ring) {
        let new = ring.since(self.counted).len();
        self.counted = ring.ended;
        let known = ring.outcomes.len() - new;
        for (place, outcome) in ring.outcomes.iter().enumerate() {
            let (deployment, round) = (outcome.deployment, outcome.round);
            let ending = Ending::of(&outcome.result);
            let before = self.ends.insert((deployment, round), ending);
            if before == Some(ending) && place < known {
                continue;
            }
            let begun = std::mem::take(&mut self.begun).len();
            let left = match &outcome.result {
                FinalResult::Failed(failure) if failure.rollback != Rollback::Failed => begun,
                FinalResult::Failed(_) | FinalResult::Successful(_) => 0,
            };
            let unable = matches!(&outcome.result,
                FinalResult::Failed(failure) if failure.reason == Reason::Incompatible);
            if !unable {
                self.took_part.insert(deployment);
            }
            self.deeds.push(Deed::Ended {
                deployment,
                round,
                ending,
                left,
                unable,
            });
        }
    }

    pub(super) fn rolled_back(&mut self, artifact: u8) {
        self.begun.remove(&artifact);
    }

    pub(super) fn installs(&mut self, run: &ScriptRun, job: Option<&Job>) {
        let install = Install {
            deployment: run.deployment,
            round: job.map(|job| job.round).unwrap_or_default(),
            attempt: run.attempt,
            artifact: run.artifact,
        };
        let again = !self.installs.insert(install);
        self.begun.insert(run.artifact);
        self.deeds.push(Deed::Installed { install, again });
    }
}
