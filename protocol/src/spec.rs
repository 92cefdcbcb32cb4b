//! The specs of the orchestrator: one signed retained message states everything a group, or one
//! device, ought to do now (W1–W4). Absence from it is abort.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::admission::Audience;
use crate::codec::Message;
use crate::envelope::PublicKey;
use crate::id::{DeploymentId, DeviceId, Generation, GroupId, ReleaseId, Resync, Round};
pub use crate::policy::{Confirm, Overrides, Policy, WEEK_MINUTES, WINDOWS_MAX, Window};

/// Most deployments active in one group (S11): a spec stays near one kilobyte.
pub const DEPLOYMENT_SPECS_MAX: usize = 8;
/// Most holds, most rounds and most permits in a device's spec; only active deployments have any.
pub const HOLDS_MAX: usize = DEPLOYMENT_SPECS_MAX;
/// A hold of this number holds every deployment, those to come included: no deployment
/// has it.
pub const HOLD_ALL: DeploymentId = DeploymentId(0);
/// Most labels of a device.
pub const LABELS_MAX: usize = 16;
/// Longest label name or value, or artifact source, in bytes.
pub const TEXT_BYTES_MAX: usize = 128;

/// Everything a group's devices ought to do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GroupSpec {
    /// Issue time in Unix ms, rising; devices refuse lower ones.
    pub generation: Generation,
    /// Seconds after `generation` during which devices may start something; 0 = for ever.
    pub valid_for_s: u32,
    /// Changes to ask every device of the group to report everything (W6).
    pub resync: Resync,
    /// Devices spread starts and resync answers over this many seconds.
    pub spread_s: u32,
    /// Where artifacts are: `<source>/<artifact-id>`; absent = the device's own setting.
    pub source: Option<String>,
    /// The deployments to carry out; at most [`DEPLOYMENT_SPECS_MAX`].
    pub entries: Vec<DeploymentSpec>,
}

/// One deployment as devices see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentSpec {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// The release to install.
    pub release: ReleaseId,
    /// Devices that failed in a lower round begin again (S13).
    pub round: Round,
    /// The devices that may start (W3).
    pub audience: Audience,
    /// The manner in which devices carry it out.
    pub policy: Policy,
}

impl Message for GroupSpec {
    const VERSION: u8 = 1;
    const BYTES_MAX: usize = 1_500;

    fn check(&self) -> Result<(), &'static str> {
        if self.entries.len() > DEPLOYMENT_SPECS_MAX {
            return Err("more than 8 entries in a group spec");
        }
        if self
            .source
            .as_ref()
            .is_some_and(|source| source.len() > TEXT_BYTES_MAX)
        {
            return Err("artifact source of a group spec longer than 128 bytes");
        }
        self.entries
            .iter()
            .try_for_each(|entry| entry.policy.check())
    }
}

/// The properties that the orchestrator gives one device: its membership certificate (W4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSpec {
    /// Issue time in Unix ms, rising; the device refuses lower ones.
    pub generation: Generation,
    /// The group it obeys.
    pub group: GroupId,
    /// Facts for selecting devices, sorted by name; at most [`LABELS_MAX`].
    pub labels: Vec<(String, String)>,
    /// Changes to ask this device to report everything (W6).
    pub resync: Resync,
    /// Deployments it must not start (S10), sorted, or [`HOLD_ALL`]; at most
    /// [`HOLDS_MAX`].
    pub holds: Vec<DeploymentId>,
    /// Rounds of this device above those of the entries (S13): it alone is to begin again
    /// if it failed in a lower one. Sorted by deployment; at most [`HOLDS_MAX`].
    pub rounds: Vec<(DeploymentId, Round)>,
    /// Deployments to which it is admitted whatever their line says, each up to this round: a
    /// permit that was given for a round lets nobody begin in a later one. A hold beats a permit.
    /// Sorted by deployment; at most [`HOLDS_MAX`].
    pub permits: Vec<(DeploymentId, Round)>,
    /// The device's key, once pinned; absent = the device sends it in its DeviceInfo.
    pub public_key: Option<PublicKey>,
}

impl DeviceSpec {
    /// True if the device must not start this deployment.
    #[must_use]
    pub fn holds(&self, deployment: DeploymentId) -> bool {
        self.holds.contains(&deployment) || self.holds.contains(&HOLD_ALL)
    }

    /// The round in which the device is to carry out an entry (S13).
    #[must_use]
    pub fn round(&self, entry: &DeploymentSpec) -> Round {
        let own = self.rounds.iter();
        let own = own.filter(|(deployment, _)| *deployment == entry.deployment);
        let own = own.map(|(_, round)| *round).max();
        own.map_or(entry.round, |own| own.max(entry.round))
    }

    /// True if an entry admits the device, by its audience or by a permit (W3). A hold is
    /// another question ([`DeviceSpec::holds`]).
    #[must_use]
    pub fn admits(&self, entry: &DeploymentSpec, device: &DeviceId) -> bool {
        let round = self.round(entry);
        let permits = |(deployment, up_to): &(DeploymentId, Round)| {
            *deployment == entry.deployment && *up_to >= round
        };
        entry.audience.admits(entry.deployment, device) || self.permits.iter().any(permits)
    }
}

impl Message for DeviceSpec {
    const VERSION: u8 = 1;
    const BYTES_MAX: usize = 5_000;

    fn check(&self) -> Result<(), &'static str> {
        if self.labels.len() > LABELS_MAX {
            return Err("more than 16 labels in a device spec");
        }
        if self
            .labels
            .iter()
            .any(|(k, v)| k.len() > TEXT_BYTES_MAX || v.len() > TEXT_BYTES_MAX)
        {
            return Err("a label longer than 128 bytes");
        }
        if self.holds.len() > HOLDS_MAX {
            return Err("more than 8 holds in a device spec");
        }
        if self.rounds.len() > HOLDS_MAX {
            return Err("more than 8 rounds in a device spec");
        }
        if self.permits.len() > HOLDS_MAX {
            return Err("more than 8 permits in a device spec");
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "spec_tests.rs"]
mod tests;
