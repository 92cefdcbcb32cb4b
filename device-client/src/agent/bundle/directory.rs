//! Packs a release directory: what its texts say and its files hold, together.

use std::path::Path;

use hoist_protocol::codec::Message;
use hoist_protocol::release::{
    ArtifactManifest, MODE_MAX, MODE_READABLE, PayloadKind, ReleaseManifest, is_safe_path,
};

use super::contents::{Contents, invalid, regular_file_mode};
use super::scripts::pack_scripts;
use super::written::{RawArtifact, RawRelease, read_artifact_toml, read_release_toml, texts};
use super::{PackError, PackedArtifact, PackedRelease};
use crate::agent::pairs::{Pairs, find, put};
use crate::agent::strict_toml::{TomlError, line_of_key};

/// Reads and hashes a release directory.
///
/// # Errors
/// [`PackError`] for the first thing that does not fit; nothing is written.
pub fn read_release_dir(dir: &Path) -> Result<PackedRelease, PackError> {
    // What is not there at all is not a folder that lacks something.
    std::fs::read_dir(dir).map_err(|source| PackError::File {
        path: dir.to_owned(),
        source,
    })?;
    let packed = match read_release_toml(dir)? {
        Some(release) => read_many(dir, &release)?,
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
        attributes: texts(&raw.requires),
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
    let mut attributes = Pairs::new();
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
        for (name, value) in texts(&raw.requires) {
            let other = put(&mut attributes, name.clone(), value.clone());
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
        attributes,
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
        let kind = payload_kind(dir, Path::new(path), find(&raw.mode, path))?;
        contents.add(file, kind, target.to_owned())?;
    }
    if let Some(path) = raw
        .mode
        .iter()
        .map(|(path, _)| path)
        .find(|path| !raw.payload.contains(path))
    {
        return Err(invalid(format!("mode names {path:?}, which is no payload")));
    }
    let scripts = pack_scripts(dir, raw, &mut contents)?;
    let manifest = ArtifactManifest {
        name: raw.name.clone(),
        version: raw.version.clone(),
        artifact_type: raw.artifact_type.clone(),
        provides: raw.provides.clone(),
        depends: texts(&raw.depends),
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

/// A payload arrives with the mode it has here, or with the one that `artifact.toml` says.
fn payload_kind(dir: &Path, path: &Path, said: Option<&String>) -> Result<PayloadKind, PackError> {
    let found = regular_file_mode(dir, path)? & 0o7777;
    let (mode, from) = match said {
        Some(text) => (u32::from_str_radix(text, 8).ok(), text.clone()),
        None => (Some(found), format!("{found:04o}")),
    };
    let fits = |mode: &u16| mode & !MODE_MAX == 0 && mode & MODE_READABLE != 0;
    mode.and_then(|mode| u16::try_from(mode).ok())
        .filter(fits)
        .map(PayloadKind::file)
        .ok_or_else(|| PackError::Mode {
            path: dir.join(path),
            mode: from,
        })
}
