//! Fetches as the agent does, from a server that is a slice of bytes: the real writer
//! proves and keeps what comes.

use std::sync::Arc;

use hoist_device_client::agent::download::{Artifact, ArtifactWriter, DownloadError};
use hoist_device_client::agent::files::Files;
use hoist_device_client::agent::inventory::Inventory;
use hoist_device_client::agent::preflight::{self, Downgrade, Refusal};
use hoist_device_client::machine::{
    ArtifactPlan, Event, FetchFailure, Job, Retry, ScriptPlan, Verdict,
};
use hoist_protocol::reason::Reason;
use hoist_protocol::release::{ArtifactManifest, ArtifactRef, ReleaseManifest};
use hoist_protocol::status::ScriptKind;

use super::{Device, Heard, collect};
use crate::power_cut::fault::Fault;

/// Less than a segment, so that none comes in one piece.
const CHUNK_BYTES: usize = 50;

impl Device<'_, '_> {
    pub(super) fn download(&mut self, allow_downgrade: bool) {
        let Some(release) = self.storage.release.clone() else {
            let lost = FetchFailure::new(Reason::StateLost, Retry::Useless);
            self.told
                .push_back(Heard::Happened(Event::DownloadFailed(lost)));
            return;
        };
        let mut artifacts = Vec::new();
        for reference in &release.artifacts {
            match self.fetch(*reference) {
                Ok(artifact) => artifacts.push(artifact),
                Err(error) => {
                    self.world.note(|| format!("download failed: {error}"));
                    self.told
                        .push_back(Heard::Happened(Event::DownloadFailed(error.into())));
                    return;
                }
            }
        }
        let downgrade = Downgrade::from(allow_downgrade);
        let due = self
            .session
            .machine()
            .job()
            .is_some_and(Job::may_be_refused);
        let inventory = &self.storage.inventory;
        if due && let Err(refusal) = check_artifacts(&release, &artifacts, inventory, downgrade) {
            let refused = FetchFailure::new(refusal.reason, Retry::Useless);
            self.told
                .push_back(Heard::Happened(Event::DownloadFailed(refused)));
            return;
        }
        let plans: Arc<[ArtifactPlan]> = artifacts.iter().map(plan).collect();
        self.storage.artifacts = artifacts;
        self.told
            .push_back(Heard::Happened(Event::DownloadProgress(50)));
        self.told
            .push_back(Heard::Happened(Event::Downloaded { plans }));
    }

    /// The same steps as the agent's own `fetch` around its writer.
    fn fetch(&mut self, reference: ArtifactRef) -> Result<Artifact, DownloadError> {
        let dir = self.storage.download_dir(reference.id());
        let files: Arc<dyn Files> = self.world.disk.clone();
        let opened = ArtifactWriter::open(files.clone(), &dir, reference);
        collect(self.world, self.forks);
        let mut writer = opened?;
        if !writer.is_complete() {
            self.need_network(&writer);
            if let Err(error) = self.receive(&mut writer, reference) {
                if error.reason != Reason::HashMismatch {
                    return Err(error);
                }
                // What was kept of a segment is not what was sent of it.
                self.receive(&mut writer, reference)?;
            }
        }
        let result = writer.finish();
        if result
            .as_ref()
            .is_err_and(|error| error.reason == Reason::HashMismatch)
            && let Err(error) = files.remove_dir(&dir)
        {
            self.world
                .note(|| format!("cannot remove {dir:?}: {error}"));
        }
        collect(self.world, self.forks);
        result
    }

    /// Sees to it that a download that was begun is finished without the network.
    fn need_network(&mut self, writer: &ArtifactWriter) {
        let begun = self
            .session
            .machine()
            .job()
            .is_some_and(|job| job.attempt.0 > 0);
        if begun && self.world.disk.trouble().is_none() {
            let what = format!("bytes from {} on must be fetched again", writer.offset());
            self.world.blame(Fault::WayBackLost(what));
        }
    }

    fn receive(
        &mut self,
        writer: &mut ArtifactWriter,
        reference: ArtifactRef,
    ) -> Result<(), DownloadError> {
        let packages = self.world.scenario.packages.iter();
        let mut artifacts = packages.flat_map(|package| &package.artifacts);
        let artifact = artifacts.find(|artifact| artifact.reference == reference);
        let Some(artifact) = artifact.cloned() else {
            return Ok(());
        };
        let offset = usize::try_from(writer.offset()).unwrap_or(usize::MAX);
        let mut rest = artifact.bytes.get(offset..).unwrap_or_default();
        let luck = &mut self.world.broker.luck;
        let breaks_off = luck.downloads_cut > 0;
        if breaks_off {
            luck.downloads_cut -= 1;
            rest = &rest[..rest.len() / 2];
        }
        // One byte even for what is complete but for its empty end.
        let pushed = rest
            .chunks(CHUNK_BYTES)
            .try_for_each(|chunk| writer.push(chunk));
        collect(self.world, self.forks);
        pushed?;
        if !breaks_off {
            return Ok(());
        }
        let kept = writer.keep_part();
        collect(self.world, self.forks);
        kept?;
        let detail = "the server is gone".to_owned();
        Err(DownloadError::later(Reason::DownloadFailed, detail))
    }
}

/// The judgement on a release before anything of it is fetched.
pub(super) fn check_release(
    release: &ReleaseManifest,
    inventory: &Inventory,
    allow_downgrade: bool,
) -> Verdict {
    let downgrade = Downgrade::from(allow_downgrade);
    let is_there = |artifact: &ArtifactRef| inventory.has(artifact.id());
    match preflight::counters(release, &[], inventory, downgrade) {
        Err(refusal) => Verdict::refused(refusal.reason),
        Ok(()) if release.artifacts.iter().all(is_there) => Verdict::Already,
        Ok(()) => Verdict::Fits,
    }
}

fn check_artifacts(
    release: &ReleaseManifest,
    artifacts: &[Artifact],
    inventory: &Inventory,
    downgrade: Downgrade,
) -> Result<(), Refusal> {
    let manifests: Vec<ArtifactManifest> = artifacts
        .iter()
        .map(|artifact| artifact.manifest.clone())
        .collect();
    preflight::counters(release, &manifests, inventory, downgrade)
        .and_then(|()| preflight::dependencies(&manifests, inventory))
}

fn plan(artifact: &Artifact) -> ArtifactPlan {
    ArtifactPlan {
        scripts: ScriptKind::ALL.map(|kind| {
            artifact.manifest.script(kind).map(|script| ScriptPlan {
                attempts: script.attempts,
                idempotent: script.idempotent,
            })
        }),
        reboot: artifact.manifest.reboot,
    }
}
