//! Does what the session says, in its order. A write that fails is tried again, and what
//! comes after it waits: it must not happen without the write (bad-inputs row 58). Meanwhile the
//! connection lives on.

use std::time::Duration;

use hoist_protocol::code::Code;
use hoist_protocol::codec::encode;
use hoist_protocol::reason::Reason;
use hoist_protocol::status::{Outcome, Progress};
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
use crate::machine::{FetchFailure, Job, Retry, ScriptRun, SpecRefusal};
use crate::session::{Carries, Keep, Output, Task};

/// Between two tries to write: a full disk may be cleared by somebody.
const WRITE_AGAIN: Duration = Duration::from_secs(5);

impl Agent {
    /// Does what the session wants, up to a write that fails.
    pub(super) fn act(&mut self) {
        while let Some(output) = self.session.next_output() {
            self.carry_out(output);
        }
    }

    /// Goes on with the write that failed.
    pub(super) fn write_again(&mut self) {
        self.write_again_at = None;
        self.session.keep_again();
        self.act();
    }

    fn keep(&mut self, keep: Keep) {
        match self.storage.keep(&keep) {
            Ok(()) => self.was_kept(&keep),
            Err(error) => {
                self.session.not_kept(keep);
                self.write_again_at = Some(Instant::now() + WRITE_AGAIN);
                cannot_write(&error);
            }
        }
    }

    fn was_kept(&mut self, keep: &Keep) {
        if let Keep::NoDeviceSpec(_) = keep {
            tracing::error!(
                code = Code::Revoked.as_str(),
                "the server has removed or revoked this device: it starts nothing until it comes in \
                 with another token, of `hoist device add` or `hoist device token rotate`, or is \
                 enrolled anew and approved"
            );
        }
        if let (Keep::Inventory, Some(release)) = (keep, &self.storage.release) {
            tracing::info!(release = %release.name, version = %release.version, "installed");
        }
        if let Keep::Outcomes(ring) = keep
            && ring.ended > self.ended
        {
            self.ended = ring.ended;
            ring.outcomes.last().into_iter().for_each(log_end);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Keep(keep) => self.keep(keep),
            Output::Subscribe(topic) => self.subscribe(&topic),
            Output::Unsubscribe(topic) => self.unsubscribe(&topic),
            Output::Presence(presence) => {
                let topic = Topic::Presence(self.host.device.clone());
                self.publish(&topic, encode(&presence), Carries::Other);
            }
            Output::Status(status) => {
                let topic = Topic::Status(self.host.device.clone());
                let payload = status.seal(&self.key, &self.topics.format(&topic));
                self.publish(&topic, payload, Carries::status(&status));
            }
            Output::Progress(running) => log_progress(running),
            Output::Describe(extent) => {
                if let Some(info) = self.session.describe(self.description(), extent) {
                    let topic = Topic::Info(self.host.device.clone());
                    self.publish(&topic, info, Carries::Info(extent));
                }
            }
            Output::Begin(task) => self.begin_task(task),
            Output::Stop => self.stop_task(),
            Output::Reboot => self.reboot(),
            Output::Disconnect => self.disconnected("another session is wanted: the number of this one is not the newest, or a release is confirmed by being online"),
            Output::Warn(refusal) => warn(refusal),
            Output::Applied(result) => {
                let result_text = show::result(&result);
                tracing::info!(
                    result = result_text,
                    "what was brought to the device has ended"
                );
                self.applied = Some(result);
            }
        }
    }

    fn begin_task(&mut self, task: Task) {
        match task {
            Task::Prove(entry) => self.confirm(&entry),
            Task::Download { allow_downgrade } => self.download(allow_downgrade),
            Task::Script(run) => self.script(run),
        }
    }

    fn subscribe(&mut self, topic: &Topic) {
        if let (Topic::Release(_), Some(entry)) = (topic, self.session.wanted()) {
            tracing::info!(deployment = %entry.deployment, release = %entry.release, "deployment listed");
        }
        let topic = self.topics.format(topic);
        if let Some(connection) = &mut self.connection {
            connection.subscribe(&topic);
        }
    }

    fn unsubscribe(&mut self, topic: &Topic) {
        let topic = self.topics.format(topic);
        if let Some(connection) = &mut self.connection {
            connection.unsubscribe(&topic);
        }
    }

    pub(super) fn publish(&mut self, topic: &Topic, payload: Vec<u8>, carries: Carries) {
        let topic = self.topics.format(topic);
        if let Some(connection) = &mut self.connection {
            connection.publish(&topic, payload, carries);
        }
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
            trust: server
                .map(|server| server.trust.clone())
                .unwrap_or_default(),
            limits: Limits::default(),
            inventory: self.storage.inventory.clone(),
            downgrade: Downgrade::from(allow_downgrade),
            checks: match self.session.machine().job() {
                Some(job) if job.may_be_refused() => Checks::Due,
                _ => Checks::Passed,
            },
        };
        let is_local = self.session.machine().job().is_some_and(Job::is_local);
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

fn log_progress(running: Progress) {
    tracing::info!(deployment = %running.deployment, step = running.step.word(), attempt = running.attempt.0, "status");
}

fn log_end(outcome: &Outcome) {
    let result = show::result(&outcome.result);
    tracing::info!(deployment = %outcome.deployment, round = outcome.round.0, result, "deployment ended");
}

fn cannot_write(error: &StorageError) {
    let source = std::error::Error::source(error).map(ToString::to_string);
    let code = error.code().as_str();
    tracing::error!(code, %error, source, "cannot write; trying again");
}

fn warn(refusal: SpecRefusal) {
    let code = refusal.code().as_str();
    match refusal {
        SpecRefusal::Stale => {
            tracing::warn!(code, "the group's spec has expired: nothing new starts");
        }
        SpecRefusal::Replayed => {
            tracing::warn!(
                code,
                "an older spec came back: it may be a replay by an attacker"
            );
        }
    }
}
