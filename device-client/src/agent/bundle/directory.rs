//! Reads `release.toml`, `artifact.toml` and `scripts/` as people write them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hoist_protocol::bundle::IndexEntry;
use hoist_protocol::codec::Message;
use hoist_protocol::id::Name;
use hoist_protocol::release::{
    ArtifactManifest, Payload, PayloadKind, ReleaseManifest, Script, is_safe_path,
};
use hoist_protocol::status::ScriptKind;

use super::pack::hash_file;
use super::{PackError, PackedArtifact, PackedRelease};
use crate::agent::strict_toml::{Table, TomlError, line_of_key, read};

/// How long a script may run when `artifact.toml` does not say.
const SCRIPT_TIMEOUT_S: u32 = 600;

const RELEASE_KEYS: [&str; 5] = ["name", "version", "counter", "floor", "artifacts"];
const ARTIFACT_KEYS: [&str; 13] = [
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
    "scripts",
];
const SCRIPT_KEYS: [&str; 3] = ["timeout", "attempts", "idempotent"];

struct RawRelease {
    name: Name,
    version: String,
    counter: u64,
    floor: u64,
    artifacts: Vec<Name>,
}

impl RawRelease {
    fn read(table: &mut Table<'_>) -> Result<Self, TomlError> {
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

struct RawArtifact {
    name: Name,
    version: String,
    artifact_type: String,
    counter: Option<u64>,
    floor: Option<u64>,
    device_types: Vec<String>,
    reboot: bool,
    disk_mib: u64,
    requires: BTreeMap<String, String>,
    depends: BTreeMap<String, String>,
    provides: BTreeMap<String, String>,
    payload: Vec<String>,
    scripts: BTreeMap<String, RawScript>,
}

impl RawArtifact {
    fn read(table: &mut Table<'_>) -> Result<Self, TomlError> {
        let name = table.parsed("name")?;
        let payload = table.strings("payload")?;
        let mut scripts = BTreeMap::new();
        for (kind, mut script) in table.tables("scripts", &SCRIPT_KEYS)? {
            scripts.insert(kind, RawScript::read(&mut script)?);
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
            requires: table.pairs("requires")?,
            depends: table.pairs("depends")?,
            provides: table.pairs("provides")?,
            payload: table.require("payload", payload)?,
            scripts,
        })
    }
}

#[derive(Default)]
struct RawScript {
    timeout: Option<String>,
    attempts: Option<u8>,
    idempotent: bool,
}

impl RawScript {
    fn read(table: &mut Table<'_>) -> Result<Self, TomlError> {
        let attempts = table.number("attempts", u8::MAX.into())?;
        Ok(Self {
            timeout: table.string("timeout")?,
            attempts: attempts.and_then(|attempts| attempts.try_into().ok()),
            idempotent: table.flag("idempotent")?,
        })
    }
}

/// Reads and hashes a release directory.
///
/// # Errors
/// [`PackError`] for the first thing that does not fit; nothing is written.
pub fn read_release_dir(dir: &Path) -> Result<PackedRelease, PackError> {
    let release_path = dir.join("release.toml");
    let packed = match read_optional(&release_path)? {
        Some(text) => {
            let release = read(&release_path, &text, &RELEASE_KEYS, RawRelease::read)?;
            read_many(dir, &release)?
        }
        None => read_single(dir)?,
    };
    packed.manifest.check().map_err(invalid)?;
    Ok(packed)
}

fn read_single(dir: &Path) -> Result<PackedRelease, PackError> {
    let (raw, _) = read_artifact_toml(dir)?.ok_or_else(|| PackError::NoRelease {
        path: dir.to_path_buf(),
    })?;
    let artifact = pack_artifact(dir, &raw)?;
    let manifest = ReleaseManifest {
        name: raw.name,
        version: raw.version,
        counter: raw.counter.unwrap_or_default(),
        floor: raw.floor.unwrap_or_default(),
        device_types: raw.device_types,
        attributes: raw.requires.into_iter().collect(),
        artifacts: vec![artifact.reference],
    };
    Ok(PackedRelease {
        manifest,
        artifacts: vec![artifact],
    })
}

fn read_many(dir: &Path, release: &RawRelease) -> Result<PackedRelease, PackError> {
    let mut artifacts: Vec<PackedArtifact> = Vec::new();
    let mut device_types: Vec<String> = Vec::new();
    let mut attributes = BTreeMap::new();
    for folder in &release.artifacts {
        let folder = dir.join(folder.as_str());
        let (raw, text) = read_artifact_toml(&folder)?.ok_or_else(|| PackError::NoRelease {
            path: folder.clone(),
        })?;
        for (key, set) in [("counter", raw.counter), ("floor", raw.floor)] {
            if set.is_some() {
                return Err(PackError::Toml(TomlError {
                    path: folder.join("artifact.toml"),
                    line: line_of_key(&text, key),
                    detail: format!("{key} belongs in release.toml when there is one"),
                    hint: None,
                }));
            }
        }
        if artifacts
            .iter()
            .any(|other| other.manifest.name == raw.name)
        {
            return Err(invalid(format!("two artifacts named {}", raw.name)));
        }
        artifacts.push(pack_artifact(&folder, &raw)?);
        // The release fits where every artifact fits.
        if device_types.is_empty() {
            device_types = raw.device_types;
        } else if !raw.device_types.is_empty() {
            device_types.retain(|known| raw.device_types.contains(known));
            if device_types.is_empty() {
                return Err(invalid("no device type fits every artifact"));
            }
        }
        for (name, value) in raw.requires {
            let other = attributes.insert(name.clone(), value.clone());
            if other.is_some_and(|other| other != value) {
                return Err(invalid(format!(
                    "artifacts require different values of {name}"
                )));
            }
        }
    }
    let manifest = ReleaseManifest {
        name: release.name.clone(),
        version: release.version.clone(),
        counter: release.counter,
        floor: release.floor,
        device_types,
        attributes: attributes.into_iter().collect(),
        artifacts: artifacts
            .iter()
            .map(|artifact| artifact.reference)
            .collect(),
    };
    Ok(PackedRelease {
        manifest,
        artifacts,
    })
}

fn pack_artifact(dir: &Path, raw: &RawArtifact) -> Result<PackedArtifact, PackError> {
    let mut contents = Contents::default();
    for path in &raw.payload {
        if !is_safe_path(path) {
            return Err(PackError::BadPath {
                target: path.clone(),
            });
        }
        let target = path.strip_prefix("payload/").unwrap_or(path);
        let file = dir.join(path);
        let kind = match regular_file_mode(&file)? & 0o111 {
            0 => PayloadKind::File,
            _ => PayloadKind::Executable,
        };
        contents.add(file, kind, target.to_owned())?;
    }
    let scripts = pack_scripts(dir, raw, &mut contents)?;
    let manifest = ArtifactManifest {
        name: raw.name.clone(),
        version: raw.version.clone(),
        artifact_type: raw.artifact_type.clone(),
        provides: raw.provides.clone().into_iter().collect(),
        depends: raw.depends.clone().into_iter().collect(),
        payloads: contents.payloads,
        scripts,
        reboot: raw.reboot,
        disk_need: raw.disk_mib * 1024 * 1024,
    };
    if let Some((first, second)) = manifest.colliding_targets() {
        return Err(PackError::Collision {
            artifact: raw.name.to_string(),
            first: first.to_owned(),
            second: second.to_owned(),
        });
    }
    manifest
        .check()
        .map_err(|what| invalid(format!("artifact {}: {what}", raw.name)))?;
    Ok(PackedArtifact::new(
        manifest,
        &contents.index,
        contents.files,
    ))
}

fn pack_scripts(
    dir: &Path,
    raw: &RawArtifact,
    contents: &mut Contents,
) -> Result<Vec<Script>, PackError> {
    let folder = dir.join("scripts");
    refuse_unknown_scripts(&folder)?;
    let kind_of = |word: &str| ScriptKind::ALL.into_iter().find(|kind| kind.word() == word);
    if let Some(word) = raw.scripts.keys().find(|word| kind_of(word).is_none()) {
        return Err(PackError::UnknownScript {
            path: folder.join(word),
        });
    }
    let mut scripts = Vec::new();
    for kind in ScriptKind::ALL {
        let path = folder.join(kind.word());
        if !path.try_exists().map_err(PackError::file(&path))? {
            let required = matches!(kind, ScriptKind::Install | ScriptKind::Rollback);
            if required || raw.scripts.contains_key(kind.word()) {
                return Err(PackError::MissingScript {
                    artifact: raw.name.to_string(),
                    kind,
                });
            }
            continue;
        }
        if regular_file_mode(&path)? & 0o111 == 0 {
            return Err(PackError::NotExecutable { path });
        }
        let default = RawScript::default();
        let settings = raw.scripts.get(kind.word()).unwrap_or(&default);
        let payload = u8::try_from(contents.payloads.len())
            .map_err(|_| invalid("an artifact has at most 128 payloads"))?;
        contents.add(
            path,
            PayloadKind::Script,
            format!("scripts/{}", kind.word()),
        )?;
        scripts.push(Script {
            kind,
            payload,
            timeout_s: timeout_s(settings, kind)?,
            attempts: settings.attempts.unwrap_or(1),
            idempotent: settings.idempotent,
        });
    }
    Ok(scripts)
}

fn refuse_unknown_scripts(folder: &Path) -> Result<(), PackError> {
    let entries = match fs::read_dir(folder) {
        // The missing install script is reported by its name.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(PackError::file(folder))?,
    };
    for entry in entries {
        let path = entry.map_err(PackError::file(folder))?.path();
        let known = |kind: ScriptKind| path.ends_with(kind.word());
        if !ScriptKind::ALL.into_iter().any(known) {
            return Err(PackError::UnknownScript { path });
        }
    }
    Ok(())
}

fn timeout_s(settings: &RawScript, kind: ScriptKind) -> Result<u32, PackError> {
    let Some(text) = &settings.timeout else {
        return Ok(SCRIPT_TIMEOUT_S);
    };
    humantime::parse_duration(text)
        .ok()
        .and_then(|duration| u32::try_from(duration.as_secs()).ok())
        .filter(|seconds| *seconds > 0)
        .ok_or_else(|| {
            invalid(format!(
                "timeout of {} is {text:?}, expected 1s or more, like \"5m\"",
                kind.word()
            ))
        })
}

/// Files in manifest order, with their hashes.
#[derive(Default)]
struct Contents {
    payloads: Vec<Payload>,
    index: Vec<IndexEntry>,
    files: Vec<PathBuf>,
}

impl Contents {
    fn add(&mut self, file: PathBuf, kind: PayloadKind, target: String) -> Result<(), PackError> {
        let (payload, index) = hash_file(&file, kind, target)?;
        self.payloads.push(payload);
        self.index.extend(index);
        self.files.push(file);
        Ok(())
    }
}

fn read_artifact_toml(dir: &Path) -> Result<Option<(RawArtifact, String)>, PackError> {
    let path = dir.join("artifact.toml");
    match read_optional(&path)? {
        Some(text) => {
            let artifact = read(&path, &text, &ARTIFACT_KEYS, RawArtifact::read)?;
            Ok(Some((artifact, text)))
        }
        None => Ok(None),
    }
}

fn read_optional(path: &Path) -> Result<Option<String>, PackError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(PackError::file(path)(error)),
    }
}

fn regular_file_mode(path: &Path) -> Result<u32, PackError> {
    let metadata = fs::symlink_metadata(path).map_err(PackError::file(path))?;
    if !metadata.is_file() {
        return Err(PackError::NotAFile {
            path: path.to_path_buf(),
        });
    }
    Ok(metadata.permissions().mode())
}

fn invalid(what: impl Into<String>) -> PackError {
    PackError::Invalid { what: what.into() }
}
