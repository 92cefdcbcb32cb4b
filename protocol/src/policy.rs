//! The manner in which devices carry a deployment out. A policy without anything unusual costs no
//! byte more for what it could say: a byte of flags tells which fields follow.

use alloc::vec::Vec;
use core::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::DeploymentId;

/// Most installation windows in a policy.
pub const WINDOWS_MAX: usize = 7;
/// Minutes in a week: window starts are below it.
pub const WEEK_MINUTES: u16 = 7 * 24 * 60;

/// The manner in which devices carry a deployment out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Attempts before the device gives up, at least 1 (S9).
    pub attempts: u32,
    /// Seconds from a device's start to its deadline (S7, S8).
    pub timeout_s: u32,
    /// When installing may begin; empty = any time. At most [`WINDOWS_MAX`].
    pub windows: Vec<Window>,
    /// Which of its usual refusals a device sets aside.
    pub overrides: Overrides,
    /// True if a device fetches before a window opens, and waits for it then.
    pub download_ahead: bool,
    /// Seconds after the end of a window in which later artifacts of a release that was begun
    /// in it may still begin; 0 = none.
    pub max_overrun_s: u32,
    /// The evidence that a release works.
    pub confirm: Confirm,
    /// True if it comes before those that are not and wait beside it (S11).
    pub urgent: bool,
}

/// The evidence upon which a device confirms a release that it has installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confirm {
    /// Its `verify` scripts.
    #[default]
    Verify,
    /// These, and a session at the broker after the last of them, in which the DeviceSpec arrived. A
    /// device that does not get there in time puts back what was there before.
    Online {
        /// Seconds that it has for it, at least 1.
        within_s: u32,
    },
}

/// The exceptions that an operator asks of devices, which they would not make by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overrides {
    /// Allows counters between the confirmed floor and the installed one.
    pub allow_downgrade: bool,
    /// Installs also what is installed already, instead of S12.
    pub reinstall: bool,
}

/// A weekly installation window in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Minute of the week it opens, 0 = Monday 00:00; below [`WEEK_MINUTES`].
    pub start_minute: u16,
    /// The time it stays open, in minutes, at least 1.
    pub minutes: u16,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempts: 3,
            timeout_s: 86_400,
            windows: Vec::new(),
            overrides: Overrides::default(),
            download_ahead: false,
            max_overrun_s: 0,
            confirm: Confirm::Verify,
            urgent: false,
        }
    }
}

impl Policy {
    /// The place of a deployment among those that a device may start: the lowest comes first (S11).
    #[must_use]
    pub fn turn(&self, deployment: DeploymentId) -> (bool, DeploymentId) {
        (!self.urgent, deployment)
    }

    pub(crate) fn check(&self) -> Result<(), &'static str> {
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
        if self.confirm == (Confirm::Online { within_s: 0 }) {
            return Err("a confirmation that nobody has time for");
        }
        Ok(())
    }

    fn flags(&self) -> u8 {
        let flag = |set, flag| if set { flag } else { 0 };
        flag(self.overrides.allow_downgrade, ALLOW_DOWNGRADE)
            | flag(self.overrides.reinstall, REINSTALL)
            | flag(self.download_ahead, DOWNLOAD_AHEAD)
            | flag(self.max_overrun_s > 0, OVERRUN)
            | flag(self.confirm != Confirm::Verify, ONLINE)
            | flag(self.urgent, URGENT)
    }
}

/// The flags; each that no version knows is of a newer one.
const ALLOW_DOWNGRADE: u8 = 1;
const REINSTALL: u8 = 2;
const DOWNLOAD_AHEAD: u8 = 4;
/// `max_overrun_s` follows.
const OVERRUN: u8 = 8;
/// `confirm` is online, and its seconds follow.
const ONLINE: u8 = 16;
const URGENT: u8 = 32;
const KNOWN: u8 = ALLOW_DOWNGRADE | REINSTALL | DOWNLOAD_AHEAD | OVERRUN | ONLINE | URGENT;

const FIELDS: &[&str] = &[
    "attempts",
    "timeout_s",
    "windows",
    "flags",
    "max_overrun_s",
    "confirm_online_s",
];

impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let flags = self.flags();
        let mut fields = serializer.serialize_struct("Policy", FIELDS.len())?;
        fields.serialize_field(FIELDS[0], &self.attempts)?;
        fields.serialize_field(FIELDS[1], &self.timeout_s)?;
        fields.serialize_field(FIELDS[2], &self.windows)?;
        fields.serialize_field(FIELDS[3], &flags)?;
        if flags & OVERRUN != 0 {
            fields.serialize_field(FIELDS[4], &self.max_overrun_s)?;
        }
        if let Confirm::Online { within_s } = self.confirm {
            fields.serialize_field(FIELDS[5], &within_s)?;
        }
        fields.end()
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("Policy", FIELDS, Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Policy;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the fields of a policy, in order")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Policy, A::Error> {
        fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(
            fields: &mut A,
        ) -> Result<T, A::Error> {
            let field = fields.next_element()?;
            field.ok_or_else(|| A::Error::custom("a policy that ends too early"))
        }
        let (attempts, timeout_s) = (next(&mut fields)?, next(&mut fields)?);
        let windows = next(&mut fields)?;
        let flags: u8 = next(&mut fields)?;
        if flags & !KNOWN != 0 {
            return Err(A::Error::custom("a flag of a newer version"));
        }
        let has = |flag| flags & flag != 0;
        Ok(Policy {
            attempts,
            timeout_s,
            windows,
            overrides: Overrides {
                allow_downgrade: has(ALLOW_DOWNGRADE),
                reinstall: has(REINSTALL),
            },
            download_ahead: has(DOWNLOAD_AHEAD),
            max_overrun_s: match has(OVERRUN) {
                true => next(&mut fields)?,
                false => 0,
            },
            confirm: match has(ONLINE) {
                true => Confirm::Online {
                    within_s: next(&mut fields)?,
                },
                false => Confirm::Verify,
            },
            urgent: has(URGENT),
        })
    }
}
