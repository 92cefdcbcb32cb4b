//! *Already there* is proven, not believed (S12): before a release counts as installed
//! already, what is kept of it is hashed and its `verify` scripts run, once. Somebody may
//! have removed or changed by hand what a script installed.

use std::path::PathBuf;

use hoist_protocol::id::DeploymentId;
use hoist_protocol::release::{ArtifactRef, ReleaseManifest};
use hoist_protocol::spec::DeploymentSpec;
use hoist_protocol::status::{ScriptExit, ScriptKind};

use super::download::ArtifactWriter;
use super::runner::Agent;
use super::script_context::ScriptContext;
use super::task::blocking;
use super::work::{Teller, Told, prepare};
use super::{script, work};
use crate::machine::{BootReason, ScriptRun, Verdict};

/// An installed release that is to be confirmed.
pub(super) struct Installed {
    context: ScriptContext,
    deployment: DeploymentId,
    /// Each artifact, and where it is kept.
    artifacts: Vec<(ArtifactRef, PathBuf)>,
}

impl Agent {
    /// The installed release with this manifest, to be confirmed for a deployment.
    pub(super) fn installed(
        &self,
        release: &ReleaseManifest,
        deployment: DeploymentId,
    ) -> Installed {
        let artifacts = release.artifacts.iter();
        let artifacts = artifacts.map(|one| (*one, self.storage.download_dir(one.id())));
        Installed {
            context: self.script_context(Some(release)),
            deployment,
            artifacts: artifacts.collect(),
        }
    }

    /// Confirms that everything in the manifest that an entry names is installed.
    pub(super) fn confirm(&mut self, entry: &DeploymentSpec) {
        let Some(candidate) = &self.storage.candidate else {
            return;
        };
        let installed = self.installed(&candidate.release, entry.deployment);
        self.start_task(|teller| confirm(installed, teller));
    }
}

/// Confirms an installed release and tells what came of it.
async fn confirm(installed: Installed, teller: Teller) {
    let verdict = verdict(&installed).await;
    teller.tell(Told::Proven(verdict)).await;
}

/// [`Verdict::Already`] when everything proves itself, else [`Verdict::Fits`]: it is
/// installed again.
pub(super) async fn verdict(installed: &Installed) -> Verdict {
    for index in 0..installed.artifacts.len() {
        if let Err(detail) = verify(installed, index).await {
            tracing::warn!(
                artifact = index,
                detail,
                "what is installed does not verify; installing again"
            );
            return Verdict::Fits;
        }
    }
    Verdict::Already
}

/// One artifact's proof, or in words what is wrong with it.
async fn verify(installed: &Installed, index: usize) -> Result<(), String> {
    let files = installed.context.files.clone();
    let (reference, dir) = installed.artifacts[index].clone();
    // All of what is kept must be as signed.
    let proven = move || ArtifactWriter::open(files, &dir, reference)?.finish();
    let kept = blocking(proven).await.ok_or("the agent ends")?;
    let artifact = kept.map_err(|error| error.to_string())?;
    if artifact.manifest.script(ScriptKind::Verify).is_none() {
        return Ok(());
    }
    let run = ScriptRun {
        artifact: u8::try_from(index).unwrap_or(u8::MAX),
        kind: ScriptKind::Verify,
        deployment: installed.deployment,
        attempt: 0,
        boot: BootReason::Normal,
    };
    let call = prepare(&installed.context.script(run, artifact)).await;
    let result = script::run(&call.map_err(|error| error.to_string())?).await;
    work::log_end(ScriptKind::Verify, &result);
    match result.exit {
        ScriptExit::Code(0) => Ok(()),
        _ => Err(String::from_utf8_lossy(&result.tail).into_owned()),
    }
}
