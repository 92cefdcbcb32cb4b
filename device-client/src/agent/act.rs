//! Does what the machine says, in its order. A write that fails is tried again, and what
//! comes after it waits: it must not happen without the write (bad-inputs row 58). Meanwhile the
//! connection lives on.

use std::time::Duration;

use hoist_protocol::code::Code;
use hoist_protocol::reason::Reason;
use hoist_protocol::topic::Topic;
use tokio::process::Command;
use tokio::time::Instant;

use super::download::Limits;
use super::fetch_release::{Checks, FetchRelease, fetch_release};
use super::local_release::copy_release;
use super::preflight::Downgrade;
use super::runner::Agent;
use super::show;
use super::storage::StorageError;
use super::task;
use super::work::{Told, run_script};
use crate::machine::{Action, FetchFailure, HeadRefusal, Job, Retry, ScriptRun};

/// Between two tries to write: a full disk may be cleared by somebody.
const WRITE_AGAIN: Duration = Duration::from_secs(5);

impl Agent {
    pub(super) fn act(&mut self, actions: Vec<Action>) {
        self.todo.extend(actions);
        if self.write_again_at.is_none() {
            self.do_what_is_to_do();
        }
    }

    /// Goes on with the write that failed.
    pub(super) fn write_again(&mut self) {
        self.write_again_at = None;
        self.do_what_is_to_do();
    }

    fn do_what_is_to_do(&mut self) {
        while let Some(action) = self.todo.pop_front() {
            match self.storage.keep(&action) {
                Ok(true) => self.was_kept(&action),
                Ok(false) => self.effect(action),
                Err(error) => {
                    self.todo.push_front(action);
                    self.write_again_at = Some(Instant::now() + WRITE_AGAIN);
                    return cannot_write(&error);
                }
            }
        }
    }

    fn was_kept(&mut self, action: &Action) {
        if let Action::ForgetDeviceHead(_) = action {
            self.left();
        }
        if let (Action::CommitInventory, Some(release)) = (action, &self.storage.release) {
            tracing::info!(release = %release.name, version = %release.version, "installed");
        }
    }

    fn effect(&mut self, action: Action) {
        match action {
            Action::Subscribe(group) => {
                if let Some(other) = self.group.take_if(|old| *old != group) {
                    self.unsubscribe(&Topic::GroupHead(other));
                }
                self.subscribe(&Topic::GroupHead(group.clone()));
                self.group = Some(group);
            }
            Action::FetchManifest(notice) => {
                tracing::info!(deployment = %notice.deployment, release = %notice.release, "deployment listed");
                let topic = Topic::Release(notice.release);
                self.wanted = Some(notice);
                self.subscribe(&topic);
            }
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
            Action::Reconnect => self.disconnected("the session's number is not the newest"),
            Action::Warn(refusal) => warn(refusal),
            Action::Applied(result) => {
                let result_text = show::result(&result);
                tracing::info!(
                    result = result_text,
                    "what was brought to the device has ended"
                );
                self.applied = Some(result);
            }
            // What is kept is done already.
            Action::Persist(_)
            | Action::StoreOutcomes(_)
            | Action::KeepDeviceHead
            | Action::ForgetDeviceHead(_)
            | Action::KeepRelease(_)
            | Action::CommitInventory
            | Action::Distrust
            | Action::Cleanup => {}
        }
    }

    /// The device is in no group any more.
    fn left(&mut self) {
        if let Some(group) = self.group.take() {
            self.unsubscribe(&Topic::GroupHead(group));
        }
        tracing::error!(
            code = Code::Revoked.as_str(),
            "the server has removed this device: it starts nothing until it is registered again \
             with `hoist device add`, whose agent.toml holds another token"
        );
    }

    fn download(&mut self, allow_downgrade: bool) {
        let Some(release) = self.storage.release.clone() else {
            let detail = "the manifest of the started release is gone";
            tracing::error!(code = Code::State.as_str(), detail);
            let told = Told::NotFetched(FetchFailure {
                detail: detail.to_owned(),
                ..FetchFailure::new(Reason::StateLost, Retry::Useless)
            });
            return self.start_task(|teller| async move { teller.tell(told).await });
        };
        let artifacts = release.artifacts.iter();
        let server = self.server.as_ref();
        let work = FetchRelease {
            files: self.storage.files.clone(),
            dirs: artifacts
                .map(|artifact| self.storage.download_dir(artifact.id()))
                .collect(),
            release,
            source: self.source.clone(),
            proxies: server
                .map(|server| server.proxies.clone())
                .unwrap_or_default(),
            limits: Limits::default(),
            inventory: self.storage.inventory.clone(),
            downgrade: Downgrade::from(allow_downgrade),
            checks: match self.machine.job() {
                Some(job) if job.may_be_refused() => Checks::Due,
                _ => Checks::Passed,
            },
        };
        let is_local = self.machine.job().is_some_and(Job::is_local);
        match self.local.clone().filter(|_| is_local) {
            Some(local) => self.start_task(|teller| copy_release(work, local, teller)),
            None => self.start_task(|teller| fetch_release(work, teller)),
        }
    }

    fn script(&mut self, run: ScriptRun) {
        let artifact = self.storage.artifacts.get(usize::from(run.artifact));
        let Some(artifact) = artifact.cloned() else {
            tracing::error!(artifact = run.artifact, "no such artifact");
            return;
        };
        let context = self.script_context(self.storage.release.as_deref());
        let work = context.script(run, artifact);
        self.start_task(|teller| run_script(work, teller));
    }

    fn reboot(&self) {
        let Some((program, arguments)) = self.host.reboot_command.split_first() else {
            tracing::error!("reboot_command is empty");
            return;
        };
        tracing::info!("rebooting");
        match Command::new(program).args(arguments).spawn() {
            // The reboot ends us, or the machine's timer notices that it did not come.
            Ok(mut child) => drop(task::start(async move { drop(child.wait().await) })),
            Err(error) => tracing::error!(%error, program, "cannot run reboot_command"),
        }
    }
}

fn cannot_write(error: &StorageError) {
    let source = std::error::Error::source(error).map(ToString::to_string);
    let code = error.code().as_str();
    tracing::error!(code, %error, source, "cannot write; trying again");
}

fn warn(refusal: HeadRefusal) {
    let code = refusal.code().as_str();
    match refusal {
        HeadRefusal::Stale => {
            tracing::warn!(code, "the group's head has expired: nothing new starts");
        }
        HeadRefusal::Replayed => {
            tracing::warn!(
                code,
                "an older head came back: it may be a replay by an attacker"
            );
        }
    }
}
