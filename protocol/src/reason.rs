//! The one closed list of reasons, append-only: a number on the wire, a kebab-case word
//! in JSON, an `E_` code for people and logs.

use serde::{Deserialize, Serialize};

use crate::code::Code;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $json:literal, $code:path;)*) => {
        /// Why a device failed a deployment. The order is the wire's: append only.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Reason {
            /// Every reason, in wire order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The kebab-case word in JSON.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $json,)* }
            }

            /// The meaning of the reason, in a sentence. Long texts are only linked where they are
            /// printed.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii_start(),)* }
            }

            /// The stable error code.
            #[must_use]
            pub fn code(self) -> Code {
                match self { $(Self::$name => $code,)* }
            }
        }
    };
}

reasons! {
    /// A script ended with a failure, in every attempt.
    ScriptFailed = "script-failed", Code::Script;
    /// A script ran longer than its timeout.
    ScriptTimeout = "script-timeout", Code::ScriptTimeout;
    /// The deployment's deadline passed on the device where something would have been begun anew, or
    /// contact was lost for good.
    TimedOut = "timed-out", Code::Timeout;
    /// The server asked and never got an answer.
    Unreachable = "unreachable", Code::Unreachable;
    /// The manifest's signature is missing, wrong or by an untrusted key.
    BadSignature = "bad-signature", Code::Signature;
    /// Downloaded bytes do not have the signed hash.
    HashMismatch = "hash-mismatch", Code::Hash;
    /// The artifact is not as long as its manifest says.
    LengthMismatch = "length-mismatch", Code::Length;
    /// A payload path leads outside, or an entry is of a refused kind.
    BadArchive = "bad-archive", Code::Archive;
    /// Device type or attributes do not fit the release.
    Incompatible = "incompatible", Code::Incompatible;
    /// Counter below what is installed or confirmed (anti-rollback).
    Downgrade = "downgrade", Code::Downgrade;
    /// A required artifact or version is not installed.
    MissingDependency = "missing-dependency", Code::Depends;
    /// Not enough space for payload, unpacking and the way back.
    NoSpace = "no-space", Code::Space;
    /// The device's file system failed.
    StorageFailed = "storage-failed", Code::Storage;
    /// The artifact could not be downloaded before the deadline.
    DownloadFailed = "download-failed", Code::Download;
    /// The reboot never came, or `verify` did not confirm it.
    RebootFailed = "reboot-failed", Code::Reboot;
    /// Power was lost in a script that is not idempotent, in every attempt.
    Interrupted = "interrupted", Code::Interrupted;
    /// A rollback script failed three times.
    RollbackFailed = "rollback-failed", Code::RollbackFailed;
    /// A newer deployment of the same artifacts took its place.
    Superseded = "superseded", Code::Superseded;
    /// The device lost its journal and cannot say how far it was.
    StateLost = "state-lost", Code::State;
    /// The release's format is newer than this device understands.
    Unsupported = "unsupported", Code::Version;
    /// The release lacks a script it must have, or requires what is no requirement.
    BadRelease = "bad-release", Code::ReleaseInvalid;
    /// The release was installed and verified, and the device did not come online with it in time.
    Unconfirmed = "unconfirmed", Code::Unconfirmed;
}

/// The cure for a device that failed for a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cure {
    /// Trying again can.
    Retry,
    /// Trying again can, once somebody did something.
    First(&'static str),
    /// Only another deployment can.
    Another(&'static str),
}

impl Reason {
    /// The cure for a device that failed for this reason: a hint never offers one that cannot help.
    #[must_use]
    pub const fn cure(self) -> Cure {
        match self {
            Self::Downgrade => Cure::Another(
                "deploy a release with a higher counter, or this one with `--allow-downgrade`",
            ),
            Self::Incompatible => Cure::Another("deploy a release that is made for it"),
            Self::BadSignature | Self::BadArchive | Self::BadRelease => Cure::Another(
                "pack and sign the release again, under a new version, and deploy that",
            ),
            Self::Unsupported => Cure::First("update the device's agent"),
            Self::MissingDependency => Cure::First("install what it depends on"),
            Self::NoSpace => Cure::First("free space on the device"),
            Self::RollbackFailed => Cure::First("look after the device, which a person must"),
            Self::ScriptFailed
            | Self::ScriptTimeout
            | Self::TimedOut
            | Self::Unreachable
            | Self::HashMismatch
            | Self::LengthMismatch
            | Self::StorageFailed
            | Self::DownloadFailed
            | Self::RebootFailed
            | Self::Interrupted
            | Self::Superseded
            | Self::StateLost
            | Self::Unconfirmed => Cure::Retry,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_byte_on_the_wire_in_table_order() {
        for (index, reason) in Reason::ALL.iter().enumerate() {
            let mut buffer = [0; 4];
            let bytes = postcard::to_slice(reason, &mut buffer).unwrap();
            assert_eq!(bytes, &[u8::try_from(index).unwrap()]);
        }
    }

    #[test]
    fn words_are_kebab_case_and_unique() {
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert!(
                reason
                    .word()
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c == '-')
            );
            assert!(reason.meaning().ends_with('.'));
            assert!(
                Reason::ALL[..index]
                    .iter()
                    .all(|r| r.word() != reason.word())
            );
        }
    }
}
