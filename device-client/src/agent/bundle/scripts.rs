//! Packs `scripts/`: which there are, what `artifact.toml` says of them, and whether a device
//! could start them.

use std::fs;
use std::io;
use std::path::Path;

use hoist_protocol::release::{PayloadKind, Script};
use hoist_protocol::status::ScriptKind;

use super::PackError;
use super::contents::{Contents, invalid, regular_file_mode};
use super::written::{RawArtifact, RawScript};
use crate::agent::pairs::find;
use crate::agent::program::read_start;

/// The time that a script may run when `artifact.toml` does not say.
const SCRIPT_TIMEOUT_S: u32 = 600;

/// Adds every script of an artifact's folder to its contents.
pub(super) fn pack_scripts(
    dir: &Path,
    raw: &RawArtifact,
    contents: &mut Contents,
) -> Result<Vec<Script>, PackError> {
    let folder = dir.join("scripts");
    refuse_unknown_scripts(&folder)?;
    let kind_of = |word: &str| ScriptKind::ALL.into_iter().find(|kind| kind.word() == word);
    if let Some(word) = raw
        .scripts
        .iter()
        .map(|(word, _)| word)
        .find(|word| kind_of(word).is_none())
    {
        return Err(PackError::UnknownScript {
            path: folder.join(word),
        });
    }
    let mut scripts = Vec::new();
    for kind in ScriptKind::ALL {
        let path = folder.join(kind.word());
        if !path.try_exists().map_err(PackError::file(&path))? {
            let required = matches!(kind, ScriptKind::Install | ScriptKind::Rollback);
            if required || find(&raw.scripts, kind.word()).is_some() {
                return Err(PackError::MissingScript {
                    artifact: raw.name.to_string(),
                    kind,
                });
            }
            continue;
        }
        let below = Path::new("scripts").join(kind.word());
        if regular_file_mode(dir, &below)? & 0o111 == 0 {
            return Err(PackError::NotExecutable { path });
        }
        let default = RawScript::default();
        let settings = find(&raw.scripts, kind.word()).unwrap_or(&default);
        let payload = u8::try_from(contents.payloads.len())
            .map_err(|_| invalid("an artifact has at most 128 payloads"))?;
        let target = format!("scripts/{}", kind.word());
        let start = contents.add(path.clone(), PayloadKind::Script, target)?;
        read_start(&start).map_err(|cause| PackError::NoStart { path, cause })?;
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
