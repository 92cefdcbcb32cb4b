//! The JSON of a rollout: how a deployment spreads (S16).

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use super::window::{OpenWindow, Windows};
use crate::model::rollout::EVERYONE;
use crate::model::state::{GiveUp, Then};

/// The manner in which a deployment spreads; everybody at once when absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rollout {
    /// The order of devices: `shuffled` by default; with `stable` the same devices come first in
    /// every deployment that asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// The slices of the group, each larger than the one before, at most 16; after the last one
    /// everyone may start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<Phase>,
    /// Devices that may be at work at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_in_progress: Option<u32>,
    /// Devices that are let in each minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_per_minute: Option<u32>,
    /// The growth of `startsPerMinute`, or else of `maxInProgress`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growth: Option<Growth>,
    /// The failures that stop the rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The devices of one place that may be at work or out of contact at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// When devices may begin to install; at any time when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<Windows>,
    /// The evidence that a release works: `verify` by default, its own scripts; with `online` a
    /// device also has to come online with it, and puts back what was there when it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
    /// Seconds that a device has for it, at least 1; default 600. Only with `online`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_secs: Option<u32>,
}

/// The evidence that a release works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confirm {
    /// Its `verify` scripts.
    #[default]
    Verify,
    /// These, and a connection with it.
    Online,
}

/// The order of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Another one for each deployment.
    #[default]
    Shuffled,
    /// The same one for all.
    Stable,
}

/// One slice of the group: a share of it, a number of devices, or devices with certain labels.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Phase {
    /// Its name, for people; at most 64 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Percent of the group, 0.01 to 100, those of the phases before included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<Percent>,
    /// Devices, those of the phases before included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<u32>,
    /// Devices whose labels fit, as `ring=canary`, besides those of the phases before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// The condition under which the next phase opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// Users who have to approve before it opens: 0 to 2; default 0. Where it is 2, neither is the
    /// one who deployed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub approvals: u8,
}

fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// A percentage with two places behind the point: hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent(pub u32);

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => serializer.serialize_u32(whole),
            _ => serializer.serialize_f64(f64::from(self.0) / 100.0),
        }
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let percent = f64::deserialize(deserializer)?;
        let hundredths = (percent * 100.0).round();
        let is_exact = (percent * 100.0 - hundredths).abs() < 1e-6;
        let most = f64::from(EVERYONE);
        if !is_exact || !(1.0..=most).contains(&hundredths) {
            let why = format!("{percent} is no percentage from 0.01 to 100 with two places");
            return Err(D::Error::custom(why));
        }
        let parts = 1..=EVERYONE;
        let found = parts
            .into_iter()
            .find(|part| f64::from(*part) >= hundredths);
        found
            .map(Self)
            .ok_or_else(|| D::Error::custom("no percentage"))
    }
}

/// The condition under which the next phase opens, about the devices that ended since this one
/// opened, and said so themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gate {
    /// Successful ones among those that ended, in percent, at least; default 95.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_percent: Option<u8>,
    /// Devices that have to end first; default four fifths of those that were let in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_ended: Option<u32>,
    /// Failed devices at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_failed: Option<u32>,
    /// Seconds for which all this has to hold; default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak_secs: Option<u32>,
    /// Seconds after which nobody is waited for any more; default 86400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub give_up_secs: Option<u32>,
    /// The consequence of that: `pause` by default, or `continue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub give_up: Option<GiveUp>,
}

/// The devices of one place that may be disrupted at once: a place is a value of a label, and devices
/// without the label are a place together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Budget {
    /// The label.
    pub label: String,
    /// So many devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_in_progress: Option<u32>,
    /// This share of the place's devices, in percent, 1 to 100; one at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
}

/// The growth of a pace with success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Growth {
    /// The pace is multiplied by this, at least 2.
    pub factor: u32,
    /// Each time that so many more devices were successful.
    pub every_ended: u32,
    /// The pace at most.
    pub up_to: u32,
}

/// The failures that stop a rollout: a share of the devices that ended, or a number of devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Failure {
    /// This share of the devices that ended, in percent, 1 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// So many devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<u32>,
    /// Devices that have to end before a share says anything; default 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_ended: Option<u32>,
    /// Only these reasons count; every one but `incompatible` when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// The consequence: `pause`; `abort` or `fallback`, for which only failures count that devices
    /// reported.
    pub then: Then,
    /// With `fallback`, the release for the devices that had started: `name@version`, or its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
}
