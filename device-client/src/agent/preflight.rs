//! Conditions that must be true before content of a release is fetched or anything of it is run.
//! Pure.

use hoist_protocol::reason::Reason;
use hoist_protocol::release::{ArtifactManifest, ReleaseManifest};
use hoist_protocol::status::ScriptKind;
use hoist_protocol::version::{Requirement, RequirementError, Version, attribute_meets};

use super::inventory::Inventory;

/// Bytes left free beside what a release needs: journals and logs go on being written.
pub const RESERVE_BYTES: u64 = 1024 * 1024;
/// A file takes up to one block more than its bytes.
const BLOCK_BYTES: u64 = 4 * 1024;

/// Why a release must not be installed here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// For the outcome.
    pub reason: Reason,
    /// For people.
    pub detail: String,
}

fn refuse(reason: Reason, detail: String) -> Result<(), Refusal> {
    Err(Refusal { reason, detail })
}

/// A requirement that is none, in a release that was packed before it was refused there.
fn no_requirement(of: &str, name: &str, error: &RequirementError) -> Refusal {
    Refusal {
        reason: Reason::BadRelease,
        detail: format!("{of} {name}: {error}"),
    }
}

/// Device type and attributes fit the release.
///
/// # Errors
/// [`Reason::Incompatible`] (`E_HW`); [`Reason::BadRelease`] for a requirement that is none.
pub fn compatible<'a>(
    device_type: &str,
    attribute: impl Fn(&str) -> Option<&'a str>,
    release: &ReleaseManifest,
) -> Result<(), Refusal> {
    let types = &release.device_types;
    if !types.is_empty() && !types.iter().any(|wanted| wanted == device_type) {
        let detail = format!(
            "the release is for {}, this device is {device_type:?}",
            types.join(", ")
        );
        return refuse(Reason::Incompatible, detail);
    }
    for (name, wanted) in &release.attributes {
        let found = attribute(name);
        let meets = attribute_meets(found.unwrap_or_default(), wanted)
            .map_err(|error| no_requirement("requires", name, &error))?;
        if found.is_none() || !meets {
            let detail =
                format!("the release requires {name} = {wanted:?}, this device has {found:?}");
            return refuse(Reason::Incompatible, detail);
        }
    }
    Ok(())
}

/// The word of the signed entry on counters below the installed ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Downgrade {
    /// Down to the confirmed floor.
    Allowed,
    /// Not below what is installed.
    Refused,
}

impl From<bool> for Downgrade {
    fn from(allowed: bool) -> Self {
        if allowed {
            Self::Allowed
        } else {
            Self::Refused
        }
    }
}

/// The release's counter is not below the confirmed floor, and not below what is
/// installed of the same names unless the entry allows it.
///
/// # Errors
/// [`Reason::Downgrade`] (`E_ROLLBACK`).
pub fn counters(
    release: &ReleaseManifest,
    artifacts: &[ArtifactManifest],
    inventory: &Inventory,
    downgrade: Downgrade,
) -> Result<(), Refusal> {
    let counter = release.counter;
    if counter < inventory.floor {
        let detail = format!(
            "counter {counter} is below the confirmed floor {}",
            inventory.floor
        );
        return refuse(Reason::Downgrade, detail);
    }
    let newer = artifacts
        .iter()
        .filter_map(|artifact| inventory.find(&artifact.name))
        .find(|installed| installed.counter > counter);
    match newer {
        Some(installed) if downgrade == Downgrade::Refused => refuse(
            Reason::Downgrade,
            format!(
                "counter {counter} is below the installed {} of {}",
                installed.counter, installed.name
            ),
        ),
        _ => Ok(()),
    }
}

/// Ok if everything that an artifact depends on is provided by what is installed or by the
/// artifacts before it in the release.
///
/// # Errors
/// [`Reason::MissingDependency`] (`E_DEPENDS`); [`Reason::BadRelease`] for a requirement
/// that is none.
pub fn dependencies(artifacts: &[ArtifactManifest], inventory: &Inventory) -> Result<(), Refusal> {
    for (index, artifact) in artifacts.iter().enumerate() {
        for (name, requirement) in &artifact.depends {
            let wanted: Requirement = requirement
                .parse()
                .map_err(|error| no_requirement("depends", name, &error))?;
            let there = versions_of(name, &artifacts[..index], inventory);
            if there
                .iter()
                .any(|version| wanted.allows(&Version::parse(version)))
            {
                continue;
            }
            let found = match there.as_slice() {
                [] => "which is not installed".to_owned(),
                there => format!("but there is {}", there.join(", ")),
            };
            let detail = format!("{} needs {name} {requirement}, {found}", artifact.name);
            return refuse(Reason::MissingDependency, detail);
        }
    }
    Ok(())
}

/// In which versions something is there once the artifacts before are installed.
fn versions_of<'a>(
    name: &str,
    before: &'a [ArtifactManifest],
    inventory: &'a Inventory,
) -> Vec<&'a str> {
    let replaced = |name| before.iter().any(|artifact| artifact.name == name);
    let kept = inventory
        .installed
        .iter()
        .filter(|installed| !replaced(installed.name.clone()));
    let installed = kept.flat_map(|installed| {
        let own = (installed.name.as_str(), installed.version.as_str());
        provided(own, &installed.provides)
    });
    let coming = before.iter().flat_map(|artifact| {
        let own = (artifact.name.as_str(), artifact.version.as_str());
        provided(own, &artifact.provides)
    });
    let all = installed.chain(coming);
    all.filter(|(provided, _)| *provided == name)
        .map(|(_, version)| version)
        .collect()
}

fn provided<'a>(
    own: (&'a str, &'a str),
    provides: &'a [(String, String)],
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let others = provides
        .iter()
        .map(|(name, version)| (name.as_str(), version.as_str()));
    std::iter::once(own).chain(others)
}

/// The way in and the way back are there.
///
/// # Errors
/// [`Reason::BadRelease`].
pub fn required_scripts(artifact: &ArtifactManifest) -> Result<(), Refusal> {
    for kind in [ScriptKind::Install, ScriptKind::Rollback] {
        if artifact.script(kind).is_none() {
            let detail = format!("{} has no {} script", artifact.name, kind.word());
            return refuse(Reason::BadRelease, detail);
        }
    }
    Ok(())
}

/// No two artifacts of a release have one name: a device has one version of each.
///
/// # Errors
/// [`Reason::BadRelease`].
pub fn distinct_names(artifacts: &[ArtifactManifest]) -> Result<(), Refusal> {
    for (index, artifact) in artifacts.iter().enumerate() {
        if artifacts[..index]
            .iter()
            .any(|other| other.name == artifact.name)
        {
            let detail = format!("the release has two artifacts named {}", artifact.name);
            return refuse(Reason::BadRelease, detail);
        }
    }
    Ok(())
}

/// People compare tenths: what is needed is rounded up, what is free down.
const TENTH_MIB: u64 = 1024 * 1024 / 10;

fn mib(tenths: u64) -> String {
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// Bytes that installing an artifact takes beside what is on disk already: the `missing`
/// bytes of its content, what its scripts declare for unpacking and for the way back, and
/// the copy of its rollback script.
#[must_use]
pub fn needed_bytes(artifact: &ArtifactManifest, missing: u64) -> u64 {
    let blocks = match missing {
        0 => 0,
        _ => artifact.payloads.len() as u64 * BLOCK_BYTES,
    };
    let script = artifact.script(ScriptKind::Rollback);
    let script = script.and_then(|script| artifact.payloads.get(usize::from(script.payload)));
    let copy = script.map_or(0, |script| script.size.saturating_add(BLOCK_BYTES));
    [blocks, artifact.disk_need, copy]
        .into_iter()
        .fold(missing, u64::saturating_add)
}

/// `needed` bytes and a reserve are `free`.
///
/// # Errors
/// [`Reason::NoSpace`] (`E_SPACE`).
pub fn space(free: u64, needed: u64) -> Result<(), Refusal> {
    let wanted = needed.saturating_add(RESERVE_BYTES);
    if free < wanted {
        let detail = format!(
            "needs {}, {} are free: payloads, scripts and the way back; free some, or deploy to this device later",
            mib(wanted.div_ceil(TENTH_MIB)),
            mib(free / TENTH_MIB)
        );
        return refuse(Reason::NoSpace, detail);
    }
    Ok(())
}

#[cfg(test)]
#[path = "preflight_tests.rs"]
mod tests;
