//! The facts that the scripts of a release have in common, and each gets to know.

use std::sync::Arc;

use hoist_protocol::release::ReleaseManifest;

use super::config::HostConfig;
use super::download::Artifact;
use super::files::Files;
use super::inventory::Inventory;
use super::runner::Agent;
use super::storage::Places;
use super::work::RunScript;
use crate::machine::ScriptRun;

/// The facts that the scripts of a release have in common.
pub(super) struct ScriptContext {
    pub(super) files: Arc<dyn Files>,
    places: Places,
    inventory: Inventory,
    owner: Vec<(String, String)>,
    device: String,
    release: String,
}

impl ScriptContext {
    /// One run of one script.
    pub(super) fn script(&self, run: ScriptRun, artifact: Artifact) -> RunScript {
        let name = &artifact.manifest.name;
        let old = self.inventory.find(name);
        RunScript {
            run,
            files: self.files.clone(),
            cwd: self.places.work_dir(name.as_str()),
            rollback: self.places.rollback_path(artifact.manifest.id()),
            owner: self.owner.clone(),
            device: self.device.clone(),
            release: self.release.clone(),
            old_version: old.map(|old| old.version.clone()).unwrap_or_default(),
            artifact,
        }
    }
}

impl Agent {
    /// The facts that the scripts of a release have in common.
    pub(super) fn script_context(&self, release: Option<&ReleaseManifest>) -> ScriptContext {
        ScriptContext {
            files: self.storage.files.clone(),
            places: self.storage.places(),
            inventory: self.storage.inventory.clone(),
            owner: of_owner(&self.host),
            device: self.host.device.to_string(),
            release: release
                .map(|release| format!("{}@{}", release.name, release.version))
                .unwrap_or_default(),
        }
    }
}

/// `HOME` and the owner's variables, which may also name another `HOME` or `PATH`.
fn of_owner(host: &HostConfig) -> Vec<(String, String)> {
    let home = host.state_dir.join("work").display().to_string();
    let mut variables = vec![("HOME".to_owned(), home)];
    variables.extend_from_slice(&host.environment);
    variables
}
