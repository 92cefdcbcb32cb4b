//! The retained topics of the model, as small values: `docs/wire.md` has their text.

use std::fmt;
use std::sync::LazyLock;

use hoist_protocol::envelope::{PrivateKey, PublicKey};
use hoist_protocol::id::{DeviceId, GroupId};
use serde::Serialize;

/// Groups that a model knows; the first always exists.
pub const GROUPS: [&str; 3] = ["unassigned", "eu", "us"];

/// One retained topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Line {
    /// A group's spec.
    Group(u8),
    /// A device's spec.
    Device(u16),
    /// A release's manifest, by its place in the catalog.
    Release(u8),
    /// A device's status.
    Status(u16),
    /// A device's presence.
    Presence(u16),
    /// A device's info.
    Info(u16),
}

impl Line {
    /// The line of a group's spec, if the model knows the group.
    pub fn group(group: &GroupId) -> Option<Self> {
        let place = GROUPS.iter().position(|name| *name == group.as_str())?;
        u8::try_from(place).ok().map(Self::Group)
    }

    /// The device that writes it; none = the server does.
    pub fn owner(self) -> Option<u16> {
        match self {
            Self::Group(_) | Self::Device(_) | Self::Release(_) => None,
            Self::Status(number) | Self::Presence(number) | Self::Info(number) => Some(number),
        }
    }

    /// The device that it is about; none = about none or all.
    pub fn about(self) -> Option<u16> {
        match self {
            Self::Device(number) => Some(number),
            _ => self.owner(),
        }
    }

    /// True if only the server writes the line.
    pub fn is_own(self) -> bool {
        self.owner().is_none()
    }
}

/// The group with this place in [`GROUPS`].
pub fn group_id(place: u8) -> GroupId {
    GROUPS[usize::from(place)].parse().expect("a valid id")
}

/// The id of a device by its number: `d1`, `d2`, …
pub fn device_id(number: u16) -> DeviceId {
    /// Ids that are asked for with every message.
    static USUAL: LazyLock<Vec<DeviceId>> = LazyLock::new(|| (0..=100).map(made).collect());
    let usual = USUAL.get(usize::from(number));
    usual.cloned().unwrap_or_else(|| made(number))
}

/// The key of a device by its number.
pub fn device_key(number: u16) -> PublicKey {
    /// Keys that are asked for with every message.
    static USUAL: LazyLock<Vec<PublicKey>> = LazyLock::new(|| (0..=100).map(key).collect());
    let usual = USUAL.get(usize::from(number));
    usual.copied().unwrap_or_else(|| key(number))
}

fn key(number: u16) -> PublicKey {
    let mut seed = [7; 32];
    seed[..2].copy_from_slice(&number.to_le_bytes());
    PrivateKey::from_seed(&seed).public()
}

fn made(number: u16) -> DeviceId {
    format!("d{number}").parse().expect("a valid id")
}

/// The number of a device by its id.
pub fn device_number(device: &DeviceId) -> Option<u16> {
    device.as_str().strip_prefix('d')?.parse().ok()
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(place) => write!(f, "g/{}", GROUPS[usize::from(*place)]),
            Self::Device(number) => write!(f, "d/d{number}"),
            Self::Release(place) => write!(f, "r/{place}"),
            Self::Status(number) => write!(f, "s/d{number}"),
            Self::Presence(number) => write!(f, "p/d{number}"),
            Self::Info(number) => write!(f, "i/d{number}"),
        }
    }
}
