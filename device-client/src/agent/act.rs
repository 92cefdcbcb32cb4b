//! Does what the machine says. Writes are tried until they succeed: what comes after a
//! write must not happen without it (row 58).

use std::time::Duration;

use hoist_protocol::id::ReleaseId;
use hoist_protocol::topic::Topic;
use tokio::process::Command;
use tokio::time::sleep;

use super::inventory::InstalledArtifact;
use super::preflight::Downgrade;
use super::runner::Agent;
use super::state_dir::Kept;
use super::work::{FetchRelease, RunScript, fetch_release, run_script};
use crate::machine::{Action, ScriptRun};

/// Between two tries to write: a full disk may be cleared by somebody.
const WRITE_AGAIN: Duration = Duration::from_secs(5);

impl Agent {
    pub(super) async fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Persist(record) => {
                    while let Err(error) = self.journal.write(&record) {
                        self.cannot_write("journal", &error).await;
                    }
                }
                Action::StoreOutcomes(ring) => {
                    while let Err(error) = self.outcomes.write(&ring) {
                        self.cannot_write("outcomes", &error).await;
                    }
                }
                Action::Subscribe(group) => {
                    if let Some(other) = self.group.take_if(|old| *old != group) {
                        self.unsubscribe(&Topic::GroupHead(other));
                    }
                    self.subscribe(&Topic::GroupHead(group.clone()));
                    self.group = Some(group);
                }
                Action::KeepDeviceHead => self.keep(Kept::Head, &self.head.clone()).await,
                Action::FetchManifest(notice) => {
                    tracing::info!(deployment = %notice.deployment, release = %notice.release, "deployment listed");
                    let topic = Topic::Release(notice.release);
                    self.wanted = Some(notice);
                    self.subscribe(&topic);
                }
                Action::KeepRelease(id) => self.keep_release(id).await,
                Action::Download { allow_downgrade } => self.download(allow_downgrade),
                Action::CancelDownload => self.stop_task(),
                Action::RunScript(run) => self.script(run),
                Action::Publish(status) => {
                    if let Some(running) = status.running {
                        tracing::info!(deployment = %running.deployment, step = running.step.word(), attempt = running.attempt.0, "status");
                    }
                    self.waiting_status = Some(status);
                    self.send_waiting_status();
                }
                Action::PublishInfo(extent) => self.publish_info(extent),
                Action::Reboot => self.reboot(),
                Action::CommitInventory => self.commit_inventory().await,
                Action::Cleanup => self.cleanup(),
            }
        }
    }

    async fn cannot_write(&self, what: &str, error: &(dyn std::error::Error + Sync)) {
        let source = error.source().map(ToString::to_string);
        tracing::error!(what, %error, source, "cannot write; trying again");
        sleep(WRITE_AGAIN).await;
    }

    async fn keep(&mut self, kept: Kept, bytes: &[u8]) {
        while let Err(error) = self.dir.write(kept, bytes) {
            self.cannot_write("a kept message", &error).await;
        }
    }

    async fn keep_release(&mut self, id: ReleaseId) {
        if let Some(candidate) = self.candidate.take_if(|candidate| candidate.id == id) {
            self.keep(Kept::Release, &candidate.sealed).await;
            self.release = Some(candidate.release.into());
        }
    }

    fn download(&mut self, allow_downgrade: bool) {
        let Some(release) = self.release.clone() else {
            tracing::error!(code = "E_STATE", "the started release's manifest is gone");
            return;
        };
        let dir = |id: String| self.dir.download_dir(&id);
        let work = FetchRelease {
            dirs: release
                .artifacts
                .iter()
                .map(|artifact| dir(artifact.id().to_string()))
                .collect(),
            release,
            source: self.source.clone(),
            inventory: self.inventory.clone(),
            downgrade: match allow_downgrade {
                true => Downgrade::Allowed,
                false => Downgrade::Refused,
            },
        };
        self.start_task(|teller| fetch_release(work, teller));
    }

    fn script(&mut self, run: ScriptRun) {
        let Some(artifact) = self.artifacts.get(usize::from(run.artifact)).cloned() else {
            tracing::error!(artifact = run.artifact, "no such artifact");
            return;
        };
        let name = &artifact.manifest.name;
        let old = self
            .inventory
            .find(name)
            .map(|installed| installed.version.clone());
        let release = self.release.as_ref();
        let work = RunScript {
            run,
            cwd: self.dir.work_dir(name.as_str()),
            device: self.config.device.to_string(),
            release: release
                .map(|r| format!("{}@{}", r.name, r.version))
                .unwrap_or_default(),
            old_version: old.unwrap_or_default(),
            artifact,
        };
        self.start_task(|teller| run_script(work, teller));
    }

    fn reboot(&self) {
        let Some((program, arguments)) = self.config.reboot_command.split_first() else {
            tracing::error!("reboot_command is empty");
            return;
        };
        tracing::info!("rebooting");
        match Command::new(program).args(arguments).spawn() {
            // The reboot ends us, or the machine's timer notices that it did not come.
            Ok(mut child) => drop(tokio::spawn(async move { child.wait().await })),
            Err(error) => tracing::error!(%error, program, "cannot run reboot_command"),
        }
    }

    async fn commit_inventory(&mut self) {
        let Some(release) = self.release.clone() else {
            return;
        };
        let mut inventory = self.inventory.clone();
        inventory.floor = inventory.floor.max(release.floor);
        for artifact in &self.artifacts {
            inventory.put(InstalledArtifact {
                name: artifact.manifest.name.clone(),
                version: artifact.manifest.version.clone(),
                counter: release.counter,
                artifact: artifact.manifest.id(),
                provides: artifact.manifest.provides.clone(),
                dir: artifact.dir.clone(),
            });
        }
        while let Err(error) = inventory.store(self.dir.path()) {
            self.cannot_write("inventory", &error).await;
        }
        self.inventory = inventory;
        tracing::info!(release = %release.name, version = %release.version, "installed");
    }

    /// Downloads of what is installed and of what is started stay: the way back needs them.
    fn cleanup(&mut self) {
        let mut needed: Vec<String> = self
            .inventory
            .installed
            .iter()
            .map(|installed| installed.artifact.to_string())
            .collect();
        if self.machine.is_working() {
            let started = self.release.iter().flat_map(|release| &release.artifacts);
            needed.extend(started.map(|artifact| artifact.id().to_string()));
        } else {
            self.dir.remove(Kept::Release);
            self.release = None;
            self.artifacts.clear();
        }
        self.dir.clean_downloads(&needed);
    }
}
