//! Deployments that no device obeys by other release keys. What is active is read from the specs that
//! lie beside the store, so that it is known where no server runs.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use hoist_orchestrator::specs::{Spec, SpecFolder};
use hoist_protocol::codec::decode_prefix;
use hoist_protocol::envelope::{Kind, PublicKey, open};
use hoist_protocol::id::{DeploymentId, GroupId};
use hoist_protocol::release::ReleaseManifest;
use hoist_protocol::root::{KeyRole, RootDocument};
use hoist_protocol::spec::GroupSpec;
use serde::Serialize;

/// An active deployment of a release that none of the keys has signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unsigned {
    /// Its number.
    pub deployment: DeploymentId,
    /// `name@version`.
    pub release: String,
    /// Its group.
    pub group: GroupId,
}

/// The deployments that specs list and devices refuse by a root document; nothing is known where there
/// is no folder of specs.
///
/// # Errors
/// Those of the file system.
pub fn unsigned(specs: &Path, by: &RootDocument) -> io::Result<Option<Vec<Unsigned>>> {
    if !specs.is_dir() {
        return Ok(None);
    }
    let kept = SpecFolder::open(specs)?.read()?;
    let keys: Vec<PublicKey> = by.keys_of(KeyRole::Release).collect();
    let mut refused = BTreeMap::new();
    for (spec, sealed) in &kept {
        if let Spec::Release(id) = spec
            && let Ok((manifest, _)) = decode_prefix::<ReleaseManifest>(sealed)
            && open::<ReleaseManifest>(&keys, Kind::Release, "", sealed).is_err()
        {
            refused.insert(*id, format!("{}@{}", manifest.name, manifest.version));
        }
    }
    let mut found = Vec::new();
    for (spec, sealed) in kept {
        let Spec::Group(group) = spec else { continue };
        let Ok((spec, _)) = decode_prefix::<GroupSpec>(&sealed) else {
            continue;
        };
        found.extend(spec.entries.iter().filter_map(|entry| {
            Some(Unsigned {
                deployment: entry.deployment,
                release: refused.get(&entry.release)?.clone(),
                group: group.clone(),
            })
        }));
    }
    found.sort_by_key(|one| one.deployment);
    Ok(Some(found))
}
