//! The specs of the orchestrator: one signed retained message states everything a group, or one
//! device, ought to do now (W1–W4). Absence from it is abort.

use alloc::string::String;
use alloc::vec::Vec;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::admission::Audience;
use crate::codec::Message;
use crate::envelope::PublicKey;
use crate::id::{DeploymentId, Generation, GroupId, ReleaseId, Resync, Round};

/// Most deployments active in one group (S11): a spec stays near one kilobyte.
pub const DEPLOYMENT_SPECS_MAX: usize = 8;
/// Most installation windows in a policy.
pub const WINDOWS_MAX: usize = 7;
/// Most holds, and most rounds, in a device's spec; only active deployments have any.
pub const HOLDS_MAX: usize = DEPLOYMENT_SPECS_MAX;
/// A hold of this number holds every deployment, those to come included: no deployment
/// has it.
pub const HOLD_ALL: DeploymentId = DeploymentId(0);
/// Most labels of a device.
pub const LABELS_MAX: usize = 16;
/// Longest label name or value, or artifact source, in bytes.
pub const TEXT_BYTES_MAX: usize = 128;
/// Minutes in a week: window starts are below it.
pub const WEEK_MINUTES: u16 = 7 * 24 * 60;

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

/// The manner in which devices carry a deployment out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Attempts before the device gives up, at least 1 (S9).
    pub attempts: u32,
    /// Seconds from a device's start to its deadline (S7, S8).
    pub timeout_s: u32,
    /// When installing may begin; empty = any time. At most [`WINDOWS_MAX`].
    pub windows: Vec<Window>,
    /// Which of its usual refusals a device sets aside.
    pub overrides: Overrides,
}

/// The exceptions that an operator asks of devices, which they would not make by themselves. One
/// byte on the wire, a bit for each; an unknown bit is of a newer version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overrides {
    /// Allows counters between the confirmed floor and the installed one (bit 0).
    pub allow_downgrade: bool,
    /// Installs also what is installed already, instead of S12 (bit 1).
    pub reinstall: bool,
}

impl Serialize for Overrides {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(u8::from(self.allow_downgrade) | u8::from(self.reinstall) << 1)
    }
}

impl<'de> Deserialize<'de> for Overrides {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            bits @ 0..4 => Ok(Self {
                allow_downgrade: bits & 1 != 0,
                reinstall: bits & 2 != 0,
            }),
            _ => Err(D::Error::custom("an override of a newer version")),
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempts: 3,
            timeout_s: 86_400,
            windows: Vec::new(),
            overrides: Overrides::default(),
        }
    }
}

/// A weekly installation window in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Minute of the week it opens, 0 = Monday 00:00; below [`WEEK_MINUTES`].
    pub start_minute: u16,
    /// The time it stays open, in minutes, at least 1.
    pub minutes: u16,
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

impl Policy {
    fn check(&self) -> Result<(), &'static str> {
        if self.attempts == 0 {
            return Err("a policy without attempts");
        }
        if self.windows.len() > WINDOWS_MAX {
            return Err("more than 7 windows in a policy");
        }
        let sound = |w: &Window| w.start_minute < WEEK_MINUTES && w.minutes > 0;
        if !self.windows.iter().all(sound) {
            return Err("a window outside the week or of no length");
        }
        Ok(())
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
        Ok(())
    }
}
