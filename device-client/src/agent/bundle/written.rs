//! `release.toml` and `artifact.toml` as people write them: what they say on their own, and
//! whether each line of it can be meant.

use std::fs;
use std::io;
use std::path::Path;

use hoist_protocol::id::Name;
use hoist_protocol::version::{Requirement, RequirementError, attribute_meets};

use super::PackError;
use crate::agent::pairs::{Pairs, put};
use crate::agent::strict_toml::{Located, Table, TomlError, read};

const RELEASE_KEYS: [&str; 5] = ["name", "version", "counter", "floor", "artifacts"];
const ARTIFACT_KEYS: [&str; 14] = [
    "name",
    "version",
    "type",
    "counter",
    "floor",
    "device_types",
    "reboot",
    "disk_mib",
    "requires",
    "depends",
    "provides",
    "payload",
    "mode",
    "scripts",
];
const SCRIPT_KEYS: [&str; 3] = ["timeout", "attempts", "idempotent"];

/// The content of `release.toml`.
pub(super) struct RawRelease {
    pub(super) name: Name,
    pub(super) version: String,
    pub(super) counter: u64,
    pub(super) floor: u64,
    pub(super) artifacts: Vec<Name>,
}

impl RawRelease {
    pub(super) fn read(table: &mut Table<'_>) -> Result<Self, TomlError> {
        let name = table.parsed("name")?;
        let counter = table.number("counter", u64::MAX)?;
        let artifacts = table.parsed_list("artifacts")?;
        Ok(Self {
            name: table.require("name", name)?,
            version: table.required("version")?,
            counter: table.require("counter", counter)?,
            floor: table.number("floor", u64::MAX)?.unwrap_or_default(),
            artifacts: table.require("artifacts", artifacts)?,
        })
    }
}

/// The content of `artifact.toml`.
pub(super) struct RawArtifact {
    pub(super) name: Name,
    pub(super) version: String,
    pub(super) artifact_type: String,
    pub(super) counter: Option<u64>,
    pub(super) floor: Option<u64>,
    pub(super) device_types: Vec<String>,
    pub(super) reboot: bool,
    pub(super) disk_mib: u64,
    pub(super) requires: Pairs<Located>,
    pub(super) depends: Pairs<Located>,
    pub(super) provides: Pairs<String>,
    pub(super) payload: Vec<String>,
    /// Octal, by payload, where it is not the file's own.
    pub(super) mode: Pairs<String>,
    pub(super) scripts: Pairs<RawScript>,
}

impl RawArtifact {
    pub(super) fn read(table: &mut Table<'_>) -> Result<Self, TomlError> {
        let name = table.parsed("name")?;
        let payload = table.strings("payload")?;
        let mut scripts = Pairs::new();
        for (kind, mut script) in table.tables("scripts", &SCRIPT_KEYS)? {
            put(&mut scripts, kind, RawScript::read(&mut script)?);
        }
        Ok(Self {
            name: table.require("name", name)?,
            version: table.required("version")?,
            artifact_type: table.string("type")?.unwrap_or_else(|| "files".into()),
            counter: table.number("counter", u64::MAX)?,
            floor: table.number("floor", u64::MAX)?,
            device_types: table.strings("device_types")?.unwrap_or_default(),
            reboot: table.flag("reboot")?,
            disk_mib: table
                .number("disk_mib", u32::MAX.into())?
                .unwrap_or_default(),
            requires: table.located_pairs("requires")?,
            depends: table.located_pairs("depends")?,
            provides: table.pairs("provides")?,
            payload: table.require("payload", payload)?,
            mode: table.pairs("mode")?,
            scripts,
        })
    }
}

/// The part of `artifact.toml` about a script.
#[derive(Default)]
pub(super) struct RawScript {
    pub(super) timeout: Option<String>,
    pub(super) attempts: Option<u8>,
    pub(super) idempotent: bool,
}

impl RawScript {
    pub(super) fn read(table: &mut Table<'_>) -> Result<Self, TomlError> {
        let attempts = table.number("attempts", u8::MAX.into())?;
        Ok(Self {
            timeout: table.string("timeout")?,
            attempts: attempts.and_then(|attempts| attempts.try_into().ok()),
            idempotent: table.flag("idempotent")?,
        })
    }
}

fn read_optional(path: &Path) -> Result<Option<String>, PackError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(PackError::file(path)(error)),
    }
}

/// Reads the `release.toml` of a folder, if there is one.
pub(super) fn read_release_toml(dir: &Path) -> Result<Option<RawRelease>, PackError> {
    let path = dir.join("release.toml");
    let Some(text) = read_optional(&path)? else {
        return Ok(None);
    };
    let release = read(&path, &text, &RELEASE_KEYS, RawRelease::read)?;
    Ok(Some(release))
}

/// Reads the `artifact.toml` of a folder, if there is one, and its text.
pub(super) fn read_artifact_toml(dir: &Path) -> Result<Option<(RawArtifact, String)>, PackError> {
    let path = dir.join("artifact.toml");
    let Some(text) = read_optional(&path)? else {
        return Ok(None);
    };
    let artifact = read(&path, &text, &ARTIFACT_KEYS, RawArtifact::read)?;
    check_requirements(&path, &artifact)?;
    Ok(Some((artifact, text)))
}

/// A requirement that no version could meet must not be found by a device first (bad-inputs row
/// 84).
fn check_requirements(path: &Path, artifact: &RawArtifact) -> Result<(), PackError> {
    let refuse = |key: &str, name: &str, line: usize, error: &RequirementError| {
        PackError::Requirement(TomlError {
            path: path.to_path_buf(),
            line,
            detail: format!("{key} {name}: {error}"),
            hint: None,
        })
    };
    for (name, depends) in &artifact.depends {
        let requirement = depends.text.parse::<Requirement>();
        requirement.map_err(|error| refuse("depends", name, depends.line, &error))?;
    }
    for (name, requires) in &artifact.requires {
        // Only whether it can be asked matters here, not what comes out. What looks like an
        // operator and is none is a text for devices, and surely a slip.
        let is_slip = requires.text.trim_start().starts_with(['!', '|', '&']);
        let asked = match is_slip {
            true => requires.text.parse::<Requirement>().map(|_| false),
            false => attribute_meets("", &requires.text),
        };
        asked.map_err(|error| refuse("requires", name, requires.line, &error))?;
    }
    Ok(())
}

/// Names and texts, without the places they were written at.
pub(super) fn texts(pairs: &[(String, Located)]) -> Vec<(String, String)> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| (name.clone(), value.text.clone()))
        .collect()
}
