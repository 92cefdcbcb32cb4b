//! The content to install: the signed release manifest and the artifact manifests it names by hash.
//! Everything a device uses is known by size and hash from here before the first byte arrives.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::codec::{Message, encode};
use crate::id::{ArtifactId, Name, ReleaseId};
use crate::status::ScriptKind;

/// Most artifacts in a release.
pub const ARTIFACTS_MAX: usize = 16;
/// Most payloads in an artifact, scripts included.
pub const PAYLOADS_MAX: usize = 128;
/// Most device types, attributes or dependencies named.
pub const REQUIREMENTS_MAX: usize = 16;
/// Longest version, type, attribute name or value, in bytes.
pub const TEXT_BYTES_MAX: usize = 64;
/// Longest payload path, in bytes.
pub const PATH_BYTES_MAX: usize = 255;

/// A release: an ordered set of artifacts under one signature by the release key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseManifest {
    /// Its name, for people.
    pub name: Name,
    /// Its version, for people.
    pub version: String,
    /// Rises with every release of this name: the anti-rollback order.
    pub counter: u64,
    /// Once confirmed, nothing with a lower counter is ever installed again.
    pub floor: u64,
    /// Device types it fits; empty = all.
    pub device_types: Vec<String>,
    /// Attributes a device must have ([`crate::version::attribute_meets`]), sorted by name.
    pub attributes: Vec<(String, String)>,
    /// In install order; at least one.
    pub artifacts: Vec<ArtifactRef>,
}

/// An artifact as its release knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactRef {
    /// Bytes of its artifact file with every segment stored raw.
    pub size: u64,
    /// SHA-256 of the artifact manifest.
    pub hash: [u8; 32],
}

impl ArtifactRef {
    /// The artifact's id.
    #[must_use]
    pub fn id(&self) -> ArtifactId {
        ArtifactId::from_hash(&self.hash)
    }
}

impl ReleaseManifest {
    /// The release's id: hash of the body, never of the envelope.
    #[must_use]
    pub fn id(&self) -> ReleaseId {
        ReleaseId::of(&encode(self))
    }
}

fn text(text: &str) -> bool {
    !text.is_empty() && text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control)
}

fn pairs(pairs: &[(String, String)]) -> bool {
    pairs.len() <= REQUIREMENTS_MAX && pairs.iter().all(|(name, value)| text(name) && text(value))
}

impl Message for ReleaseManifest {
    const VERSION: u8 = 1;
    const BYTES_MAX: usize = 8_192;

    fn check(&self) -> Result<(), &'static str> {
        if !text(&self.version) {
            return Err("the release's version is empty, too long or not printable");
        }
        if self.artifacts.is_empty() || self.artifacts.len() > ARTIFACTS_MAX {
            return Err("a release has 1 to 16 artifacts");
        }
        let again = |(index, artifact): (usize, &ArtifactRef)| {
            let before = &self.artifacts[..index];
            before.iter().any(|other| other.hash == artifact.hash)
        };
        if self.artifacts.iter().enumerate().any(again) {
            return Err("a release names an artifact twice");
        }
        if self.device_types.len() > REQUIREMENTS_MAX || !self.device_types.iter().all(|t| text(t))
        {
            return Err("the release's device types are too many or too long");
        }
        if !pairs(&self.attributes) {
            return Err("the release's required attributes are too many or too long");
        }
        if self.floor > self.counter {
            return Err("the release's floor is above its own counter");
        }
        Ok(())
    }
}

/// One installable thing: payloads and scripts, by hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactManifest {
    /// Its name: one installed version per name on a device.
    pub name: Name,
    /// Its version, for people.
    pub version: String,
    /// The kind of artifact (`files`, …), for people and later modules.
    pub artifact_type: String,
    /// The names and versions that it provides to others.
    pub provides: Vec<(String, String)>,
    /// The names that must be installed, each with a requirement ([`crate::version::Requirement`]).
    pub depends: Vec<(String, String)>,
    /// Everything in the artifact file, scripts included.
    pub payloads: Vec<Payload>,
    /// Which payloads are scripts; `install` and `rollback` are required.
    pub scripts: Vec<Script>,
    /// True if the device reboots between `post-install` and `verify`.
    pub reboot: bool,
    /// Space the scripts need beside the payloads, in bytes.
    pub disk_need: u64,
}

/// One file of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// The use of the payload.
    pub kind: PayloadKind,
    /// Relative path below the payload directory: no `..`, no absolute path.
    pub target: String,
    /// Bytes of its content.
    pub size: u64,
    /// SHA-256 of its content.
    pub hash: [u8; 32],
    /// Bytes of content per segment, the last one may be shorter.
    pub segment_size: u32,
    /// SHA-256 of the segments' output hashes, one after another.
    pub index_hash: [u8; 32],
}

/// The use of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PayloadKind {
    /// Put below the payload directory for the scripts, with mode 0644.
    File,
    /// The same, with mode 0755.
    Executable,
    /// A script of the artifact.
    Script,
    /// A file with these permission bits, at most [`MODE_MAX`].
    FileMode(u16),
}

/// The permission bits a payload can have: those of owner, group and others, and none that
/// lends rights to whoever runs it.
pub const MODE_MAX: u16 = 0o777;
/// The one bit it must have: a device proves again what it is about to use.
pub const MODE_READABLE: u16 = 0o400;

impl PayloadKind {
    /// A file with these permission bits, in the one kind that says so.
    #[must_use]
    pub fn file(mode: u16) -> Self {
        match mode & MODE_MAX {
            0o644 => Self::File,
            0o755 => Self::Executable,
            mode => Self::FileMode(mode),
        }
    }

    /// The permission bits of a file; `None` for a script, which only the agent runs.
    #[must_use]
    pub fn mode(self) -> Option<u16> {
        match self {
            Self::File => Some(0o644),
            Self::Executable => Some(0o755),
            Self::Script => None,
            Self::FileMode(mode) => Some(mode),
        }
    }
}

/// A script of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// When it runs.
    pub kind: ScriptKind,
    /// Index of its payload.
    pub payload: u8,
    /// Seconds before its process group is stopped.
    pub timeout_s: u32,
    /// Runs inside one attempt before it counts as failed, at least 1.
    pub attempts: u8,
    /// True if a run cut off by a power loss may simply be repeated.
    pub idempotent: bool,
}

impl ArtifactManifest {
    /// The artifact's id.
    #[must_use]
    pub fn id(&self) -> ArtifactId {
        ArtifactId::of(&encode(self))
    }

    /// The script of a kind, if the artifact has one.
    #[must_use]
    pub fn script(&self, kind: ScriptKind) -> Option<&Script> {
        self.scripts.iter().find(|script| script.kind == kind)
    }
}

/// True if a payload's target is a path that stays inside: relative, `/`-separated, no empty, `.`
/// or `..` part, no backslash, colon or control character.
#[must_use]
pub fn is_safe_path(path: &str) -> bool {
    !path.is_empty()
        && path.len() <= PATH_BYTES_MAX
        && !path
            .chars()
            .any(|c| c.is_control() || matches!(c, '\\' | ':'))
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

impl Message for ArtifactManifest {
    const VERSION: u8 = 1;
    const BYTES_MAX: usize = 65_536;

    fn check(&self) -> Result<(), &'static str> {
        if !text(&self.version) || !text(&self.artifact_type) {
            return Err("the artifact's version or type is empty, too long or not printable");
        }
        if !pairs(&self.provides) || !pairs(&self.depends) {
            return Err("the artifact's provides or depends are too many or too long");
        }
        if self.payloads.len() > PAYLOADS_MAX {
            return Err("an artifact has at most 128 payloads");
        }
        if !self
            .payloads
            .iter()
            .all(|payload| is_safe_path(&payload.target))
        {
            return Err("a payload's path leads outside or is malformed");
        }
        if self
            .payloads
            .iter()
            .any(|payload| payload.segment_size == 0)
        {
            return Err("a payload with segments of no size");
        }
        let odd = |payload: &Payload| match payload.kind {
            PayloadKind::FileMode(mode) => {
                PayloadKind::file(mode) != payload.kind || mode & MODE_READABLE == 0
            }
            PayloadKind::File | PayloadKind::Executable | PayloadKind::Script => false,
        };
        if self.payloads.iter().any(odd) {
            return Err(
                "a payload's mode is not one of permission bits, has its own kind, or hides it from its owner",
            );
        }
        if self.colliding_targets().is_some() {
            return Err("two payloads with colliding paths");
        }
        self.check_scripts()
    }
}

impl ArtifactManifest {
    /// The first two payloads whose targets cannot both be files everywhere: they are the
    /// same where case does not count, or one is the folder of the other (bad-inputs row 52).
    #[must_use]
    pub fn colliding_targets(&self) -> Option<(&str, &str)> {
        let targets = self.payloads.iter().map(|payload| {
            let target = payload.target.as_str();
            (target, target.to_lowercase())
        });
        let targets: Vec<_> = targets.collect();
        let is_in = |folder: &str, path: &str| {
            let rest = path.strip_prefix(folder);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        targets.iter().enumerate().find_map(|(index, (one, a))| {
            let later = targets[index + 1..].iter();
            let mut colliding = later.filter(|(_, b)| is_in(a, b) || is_in(b, a));
            colliding.next().map(|(other, _)| (*one, *other))
        })
    }

    fn check_scripts(&self) -> Result<(), &'static str> {
        for (index, script) in self.scripts.iter().enumerate() {
            if self.scripts[..index]
                .iter()
                .any(|other| other.kind == script.kind)
            {
                return Err("two scripts of one kind");
            }
            let payload = self.payloads.get(usize::from(script.payload));
            if payload.is_none_or(|payload| payload.kind != PayloadKind::Script) {
                return Err("a script without its payload");
            }
            if script.attempts == 0 || script.timeout_s == 0 {
                return Err("a script without attempts or time");
            }
        }
        if self.script(ScriptKind::Install).is_none() {
            return Err("an artifact without an install script");
        }
        if self.script(ScriptKind::Rollback).is_none() {
            return Err("an artifact without a rollback script");
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "release_tests.rs"]
mod tests;
