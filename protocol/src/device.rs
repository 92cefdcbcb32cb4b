//! The reports of a device on itself: presence (W8), and its properties and software (W4).

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::codec::{DecodeError, Message, decode_prefix};
use crate::envelope::PublicKey;
use crate::id::{Name, SessionCounter};

/// Most artifacts in an inventory.
pub const INVENTORY_MAX: usize = 32;
/// Most attributes of a device.
pub const ATTRIBUTES_MAX: usize = 32;
/// Longest version, type, attribute name or value, in bytes.
pub const TEXT_BYTES_MAX: usize = 64;
/// Longest stored DeviceSpec returned with a resync, in bytes.
pub const STORED_SPEC_BYTES_MAX: usize = 5_000;

/// The presence of a device: its birth message and its last will.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Online (birth) or offline (will, or a clean goodbye).
    pub state: PresenceState,
    /// The session this is about: a late death cannot beat a newer birth.
    pub session: SessionCounter,
}

/// The two states of [`Presence`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PresenceState {
    /// Not connected.
    Offline,
    /// Connected.
    Online,
}

impl Message for Presence {
    const VERSION: u8 = 1;
    const BYTES_MAX: usize = 16;

    fn check(&self) -> Result<(), &'static str> {
        Ok(())
    }
}

/// The properties of a device and the software installed on it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// Version of the device client.
    pub agent: String,
    /// Device type; empty when it has none.
    pub device_type: String,
    /// Attributes a release can require, sorted by name.
    pub attributes: Vec<(String, String)>,
    /// Installed artifacts, sorted by name.
    pub inventory: Vec<Installed>,
    /// Highest floor among confirmed releases: nothing below it is ever installed.
    pub floor: u64,
    /// The device's key, while its DeviceSpec lacks it.
    pub public_key: Option<PublicKey>,
    /// The DeviceSpec it has stored, as received, when asked for it or given none.
    pub stored_spec: Option<Vec<u8>>,
    /// The trouble that keeps the device from obeying anything, as far as it can tell. Since
    /// version 2.
    pub trouble: Option<Trouble>,
}

/// Something at the device itself that keeps it from starting anything: a person must act there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Trouble {
    /// The root document offered is not the one that the device was told to trust.
    RootNotTrusted,
    /// No trusted key signed what it is told.
    SignerNotTrusted,
    /// Its DeviceSpec names another key than its own. Reserved: the server sees the other key
    /// in [`DeviceInfo::public_key`], and a device's own word would outlive an approval.
    KeyNotAccepted,
    /// Its state directory cannot execute scripts.
    CannotExecute,
    /// Somebody at the device holds it: a file named `hold` lies in its state directory.
    Held,
}

impl Trouble {
    /// Every one, in wire order.
    pub const ALL: [Self; 5] = [
        Self::RootNotTrusted,
        Self::SignerNotTrusted,
        Self::KeyNotAccepted,
        Self::CannotExecute,
        Self::Held,
    ];

    /// A kebab-case word of the closed list in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::RootNotTrusted => "root-not-trusted",
            Self::SignerNotTrusted => "signer-not-trusted",
            Self::KeyNotAccepted => "key-not-accepted",
            Self::CannotExecute => "cannot-execute",
            Self::Held => "held",
        }
    }
}

/// [`DeviceInfo`] in its first version, which older agents publish.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct DeviceInfoV1 {
    agent: String,
    device_type: String,
    attributes: Vec<(String, String)>,
    inventory: Vec<Installed>,
    floor: u64,
    public_key: Option<PublicKey>,
    stored_spec: Option<Vec<u8>>,
}

impl Message for DeviceInfoV1 {
    const VERSION: u8 = 1;
    const BYTES_MAX: usize = DeviceInfo::BYTES_MAX;

    fn check(&self) -> Result<(), &'static str> {
        Ok(())
    }
}

impl From<DeviceInfoV1> for DeviceInfo {
    fn from(old: DeviceInfoV1) -> Self {
        Self {
            agent: old.agent,
            device_type: old.device_type,
            attributes: old.attributes,
            inventory: old.inventory,
            floor: old.floor,
            public_key: old.public_key,
            stored_spec: old.stored_spec,
            trouble: None,
        }
    }
}

/// One installed artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// The artifact's name.
    pub name: Name,
    /// Its version, for people.
    pub version: String,
    /// The counter of the release it came with (anti-rollback).
    pub counter: u64,
}

impl Message for DeviceInfo {
    const VERSION: u8 = 2;
    const BYTES_MAX: usize = 16_384;

    fn decode_older(bytes: &[u8]) -> Option<Result<(Self, &[u8]), DecodeError>> {
        (bytes.first() == Some(&DeviceInfoV1::VERSION)).then(|| {
            let (old, rest) = decode_prefix::<DeviceInfoV1>(bytes)?;
            Ok((old.into(), rest))
        })
    }

    fn check(&self) -> Result<(), &'static str> {
        let fits = |text: &String| text.len() <= TEXT_BYTES_MAX;
        if !fits(&self.agent) || !fits(&self.device_type) {
            return Err("agent version or device type longer than 64 bytes");
        }
        if self.attributes.len() > ATTRIBUTES_MAX {
            return Err("more than 32 attributes");
        }
        if !self
            .attributes
            .iter()
            .all(|(name, value)| fits(name) && fits(value))
        {
            return Err("an attribute longer than 64 bytes");
        }
        if self.inventory.len() > INVENTORY_MAX {
            return Err("more than 32 installed artifacts");
        }
        if !self
            .inventory
            .iter()
            .all(|installed| fits(&installed.version))
        {
            return Err("an installed version longer than 64 bytes");
        }
        if self
            .stored_spec
            .as_ref()
            .is_some_and(|spec| spec.len() > STORED_SPEC_BYTES_MAX)
        {
            return Err("a stored device spec longer than 5000 bytes");
        }
        Ok(())
    }
}
