//! Typed ids and counters. Text ids are 1–64 of `A-Z a-z 0-9 _ -`, so that they fit
//! every broker's topics; content ids are the first 16 bytes of a SHA-256.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// Longest text id, in bytes: topics stay under AWS IoT's 256 bytes.
pub const ID_BYTES_MAX: usize = 64;

/// Why a text is not an id (`E_NAME`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Empty text.
    #[error("an id needs at least one character")]
    Empty,
    /// Longer than [`ID_BYTES_MAX`].
    #[error("an id has at most {ID_BYTES_MAX} characters, this has {length}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// A character outside `A-Z a-z 0-9 _ -`.
    #[error("an id holds only A-Z a-z 0-9 _ -, not {found:?}")]
    Character {
        /// The first offending character.
        found: char,
    },
    /// Not the 32 hex digits of a content id.
    #[error("a content id is 32 lower-case hex digits")]
    Hex,
}

fn check(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > ID_BYTES_MAX {
        return Err(IdError::TooLong { length: text.len() });
    }
    match text
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || *c == '_' || *c == '-'))
    {
        Some(found) => Err(IdError::Character { found }),
        None => Ok(()),
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The id's text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                check(text)?;
                Ok(Self(text.to_string()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                check(&text).map_err(serde::de::Error::custom)?;
                Ok(Self(text))
            }
        }
    };
}

text_id!(
    /// A device: its MQTT client id, its user name and its topic level.
    DeviceId
);
text_id!(
    /// A named set of devices.
    GroupId
);
text_id!(
    /// A person or program that publishes commands.
    UserId
);
text_id!(
    /// A caller's own id of one command; a repeat gets the same answer.
    RequestId
);
text_id!(
    /// A claim, by which devices enroll.
    ClaimId
);
text_id!(
    /// The first topic level, `hoist` by default.
    Namespace
);
text_id!(
    /// The name of a release or artifact (not of its content).
    Name
);

impl Default for Namespace {
    fn default() -> Self {
        Self("hoist".to_string())
    }
}

impl GroupId {
    /// The name of the group of a device that was put in none.
    pub const UNASSIGNED: &'static str = "unassigned";

    /// The group of a device that was put in none.
    #[must_use]
    pub fn unassigned() -> Self {
        Self(Self::UNASSIGNED.to_string())
    }
}

impl UserId {
    /// In the place of whoever created what a recovery brought back.
    #[must_use]
    pub fn recovery() -> Self {
        Self("recovery".to_string())
    }

    /// In the place of whoever removes what was kept for long enough.
    #[must_use]
    pub fn retention() -> Self {
        Self("retention".to_string())
    }

    /// In the place of whoever did something and is no user: nobody else is called so.
    #[must_use]
    pub fn orchestrator() -> Self {
        Self(crate::access::SERVICE_USER.to_string())
    }
}

impl RequestId {
    /// The id of something that no user asked for.
    #[must_use]
    pub fn numbered(word: &'static str, number: u64) -> Self {
        Self(alloc::format!("{word}-{number}"))
    }

    /// The id of a request that a device has drawn.
    #[must_use]
    pub fn of_nonce(nonce: &[u8; 16]) -> Self {
        Self(
            nonce
                .iter()
                .map(|byte| alloc::format!("{byte:02x}"))
                .collect(),
        )
    }
}

macro_rules! content_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// The id of the content whose manifest body is `body`.
            #[must_use]
            pub fn of(body: &[u8]) -> Self {
                Self::from_hash(&sha256(body))
            }

            /// The id of the content whose manifest has this SHA-256.
            #[must_use]
            pub fn from_hash(hash: &[u8; 32]) -> Self {
                let mut id = [0; 16];
                id.copy_from_slice(&hash[..16]);
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_hex(text).map(Self).ok_or(IdError::Hex)
            }
        }
    };
}

content_id!(
    /// A release: first 16 bytes of the SHA-256 of its manifest's body.
    ReleaseId
);
content_id!(
    /// An artifact: first 16 bytes of the SHA-256 of its manifest.
    ArtifactId
);

/// Lower-case hex digits into exactly `N` bytes.
pub(crate) fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// One release sent to one group: a small number that people type.
    DeploymentId(u32)
);
number!(
    /// Version of something overwritten; lower ones are refused. In specs it is the
    /// issue time in Unix milliseconds, `max(previous + 1, now)` (W1).
    Generation(u64)
);
number!(
    /// Counts "retry the failed ones" of a deployment (S13), from 0.
    Round(u32)
);
number!(
    /// One pass that reached the first `install` intent, from 1; 0 before the first (S9).
    Attempt(u32)
);
number!(
    /// Rising number of a device's statuses (W5).
    Seq(u64)
);
number!(
    /// Rising number of a device's MQTT sessions, shared by birth and will (W8).
    SessionCounter(u64)
);
number!(
    /// A number in a spec; when it changes, devices report everything again (W6).
    Resync(u32)
);

/// Two hex digits in a topic: several orchestrators can split the fleet by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shard(pub u8);

impl Shard {
    /// The shard of a device: first byte of the SHA-256 of its id.
    #[must_use]
    pub fn of(device: &DeviceId) -> Self {
        Self(sha256(device.as_str().as_bytes())[0])
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}", self.0)
    }
}

impl FromStr for Shard {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        parse_hex::<1>(text)
            .map(|[byte]| Self(byte))
            .ok_or(IdError::Hex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn a_text_id_is_one_to_64_of_the_allowed_characters() {
        // bad-inputs row 71
        assert!("dev-01_A".parse::<DeviceId>().is_ok());
        assert_eq!("".parse::<GroupId>(), Err(IdError::Empty));
        assert_eq!(
            "a b".parse::<GroupId>(),
            Err(IdError::Character { found: ' ' })
        );
        assert_eq!(
            "a#".parse::<GroupId>(),
            Err(IdError::Character { found: '#' })
        );
        assert_eq!(
            "é".parse::<GroupId>(),
            Err(IdError::Character { found: 'é' })
        );
        assert_eq!(
            "a.b".parse::<GroupId>(),
            Err(IdError::Character { found: '.' })
        );
        assert!("x".repeat(64).parse::<DeviceId>().is_ok());
        assert_eq!(
            "x".repeat(65).parse::<DeviceId>(),
            Err(IdError::TooLong { length: 65 })
        );
    }

    #[test]
    fn a_content_id_prints_and_parses_as_32_hex_digits() {
        let id = ReleaseId::of(b"manifest");
        let text = format!("{id}");
        assert_eq!(text.len(), 32);
        assert_eq!(text.parse::<ReleaseId>(), Ok(id));
        assert_eq!(text.to_uppercase().parse::<ReleaseId>(), Err(IdError::Hex));
        assert_eq!("12".parse::<ReleaseId>(), Err(IdError::Hex));
    }

    #[test]
    fn a_shard_is_the_first_hash_byte_as_two_digits() {
        let device: DeviceId = "dev-01".parse().unwrap();
        let shard = Shard::of(&device);
        assert_eq!(shard.0, sha256(b"dev-01")[0]);
        assert_eq!(format!("{shard}").parse::<Shard>(), Ok(shard));
    }
}
