//! The long work of the agent: fetching a release and running its scripts, each in its
//! own task, so that the connection stays alive meanwhile.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hoist_protocol::reason::Reason;
use hoist_protocol::release::ReleaseManifest;
use hoist_protocol::status::{ScriptExit, ScriptKind};
use tokio::sync::mpsc;

use super::config::HostConfig;
use super::download::{Artifact, DownloadError};
use super::files::{Files, create_private_dir};
use super::inventory::Inventory;
use super::pairs::find;
use super::preflight::{self, Downgrade};
use super::script::{self, ScriptCall, ScriptResult};
use super::storage::prepare_install;
use super::task::blocking;
use crate::machine::{ArtifactPlan, BootReason, FetchFailure, ScriptPlan, ScriptRun, Verdict};

/// After TERM, before KILL: enough to close files.
const KILL_GRACE: Duration = Duration::from_secs(10);

/// Output of a run in the agent's log: its last lines, and of those the last bytes.
const LOGGED_LINES_MAX: usize = 40;
const LOGGED_BYTES_MAX: usize = 4 * 1024;

/// The variable that tells a script where its payloads are.
pub(super) const PAYLOAD_DIR: &str = "HOIST_PAYLOAD_DIR";

/// The word of a task.
#[derive(Debug)]
pub(super) enum Told {
    /// The proof whether a release is there already is over.
    Proven(Verdict),
    Progress(u8),
    Fetched {
        artifacts: Vec<Artifact>,
    },
    NotFetched(FetchFailure),
    ScriptDone {
        exit: ScriptExit,
        output: Vec<u8>,
    },
    ScriptRefused {
        reason: Reason,
        output: Vec<u8>,
    },
}

/// Messages of a task, marked with its number: late words of a stopped task are ignored.
#[derive(Debug, Clone)]
pub(super) struct Teller {
    pub(super) task: u64,
    pub(super) sender: mpsc::Sender<(u64, Told)>,
}

impl From<DownloadError> for FetchFailure {
    fn from(error: DownloadError) -> Self {
        let after = error.after.unwrap_or_default().as_millis();
        Self {
            reason: error.reason,
            retry: error.retry,
            cause: error.cause,
            gained: error.gained,
            after_ms: u64::try_from(after).unwrap_or(u64::MAX),
            detail: error.detail,
        }
    }
}

impl Teller {
    pub(super) async fn tell(&self, told: Told) {
        // Nobody listens any more when the agent ends.
        let _unheard = self.sender.send((self.task, told)).await;
    }
}

/// The verdict on a release before anything of it is fetched.
pub(super) fn check_release(
    host: &HostConfig,
    inventory: &Inventory,
    release: &ReleaseManifest,
    downgrade: Downgrade,
) -> Verdict {
    let attribute = |name: &str| find(&host.attributes, name).map(String::as_str);
    let checked = preflight::compatible(&host.device_type, attribute, release)
        .and_then(|()| preflight::counters(release, &[], inventory, downgrade));
    let mut artifacts = release.artifacts.iter();
    match checked {
        Err(refusal) => {
            tracing::warn!(code = refusal.reason.code().as_str(), detail = %refusal, "release refused");
            Verdict::Refused {
                reason: refusal.reason,
                detail: refusal.detail,
            }
        }
        Ok(()) if artifacts.all(|artifact| inventory.has(artifact.id())) => Verdict::Already,
        Ok(()) => Verdict::Fits,
    }
}

/// The facts that the machine must know of fetched artifacts.
pub(super) fn plans(artifacts: &[Artifact]) -> Arc<[ArtifactPlan]> {
    let plan = |artifact: &Artifact| ArtifactPlan {
        scripts: ScriptKind::ALL.map(|kind| {
            artifact.manifest.script(kind).map(|script| ScriptPlan {
                attempts: script.attempts,
                idempotent: script.idempotent,
            })
        }),
        reboot: artifact.manifest.reboot,
    };
    artifacts.iter().map(plan).collect()
}

/// One script with what it gets to know.
pub(super) struct RunScript {
    pub(super) run: ScriptRun,
    pub(super) files: Arc<dyn Files>,
    /// Where its rollback script is kept once it may be needed.
    pub(super) rollback: PathBuf,
    pub(super) artifact: Artifact,
    pub(super) cwd: PathBuf,
    /// `HOME`, and what the device's owner adds.
    pub(super) owner: Vec<(String, String)>,
    pub(super) device: String,
    pub(super) release: String,
    pub(super) old_version: String,
}

/// Runs a script, and says what came of it.
pub(super) async fn run_script(work: RunScript, teller: Teller) {
    let kind = work.run.kind;
    let told = match prepare(&work).await {
        Err(error) => {
            tracing::warn!(script = kind.word(), code = error.reason.code().as_str(), %error, "script not run");
            Told::ScriptRefused {
                reason: error.reason,
                output: error.detail.into_bytes(),
            }
        }
        Ok(call) => {
            let result = script::run(&call).await;
            log_end(kind, &result);
            Told::ScriptDone {
                exit: result.exit,
                output: result.tail,
            }
        }
    };
    teller.tell(told).await;
}

/// Says in the agent's log how a run ended and what it wrote last.
pub(super) fn log_end(kind: ScriptKind, result: &ScriptResult) {
    let script = kind.word();
    for output in last_lines(&result.log) {
        tracing::info!(script, output, "script said");
    }
    if result.left.killed {
        tracing::warn!(
            script,
            "it left processes running, which were killed: what shall live on is started by the device's service manager"
        );
    }
    if result.left.living {
        tracing::warn!(
            script,
            "it left a process with a session of its own, which goes on without anybody's care"
        );
    }
    match result.exit {
        ScriptExit::Code(0) => tracing::info!(script, exit = 0, "script ended"),
        ScriptExit::Code(exit) => tracing::warn!(script, exit, "script ended"),
        ScriptExit::Signal(signal) => tracing::warn!(script, signal, "script ended"),
        exit => tracing::warn!(script, exit = exit.word(), "script ended"),
    }
}

/// The end of an output, line by line.
fn last_lines(log: &[u8]) -> Vec<String> {
    let log = log.trim_ascii_end();
    let end = &log[log.len().saturating_sub(LOGGED_BYTES_MAX)..];
    let text = String::from_utf8_lossy(end);
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LOGGED_LINES_MAX)..];
    last.iter().map(|line| (*line).to_owned()).collect()
}

/// Makes true what has to be true before a script runs.
///
/// # Errors
/// [`DownloadError`]: why it must not.
pub(super) async fn prepare(work: &RunScript) -> Result<ScriptCall, DownloadError> {
    let kind = work.run.kind;
    let script = work.artifact.manifest.script(kind);
    let (Some(script), Some(mut program)) = (script, work.artifact.script_path(kind)) else {
        let detail = format!("there is no {} script", kind.word());
        return Err(DownloadError::refused(Reason::BadRelease, detail));
    };
    create_private_dir(&work.cwd).map_err(|error| DownloadError::storage(&work.cwd, &error))?;
    match kind {
        ScriptKind::PreInstall | ScriptKind::Install => {
            let (files, artifact) = (work.files.clone(), work.artifact.clone());
            let rollback = work.rollback.clone();
            let ready = move || prepare_install(files.as_ref(), &artifact, &rollback);
            let ended =
                || DownloadError::refused(Reason::StorageFailed, "the agent ends".to_owned());
            blocking(ready).await.ok_or_else(ended)??;
        }
        // The artifact's own scripts cannot have touched this one.
        ScriptKind::Rollback if work.files.exists(&work.rollback) => {
            program.clone_from(&work.rollback);
        }
        ScriptKind::PostInstall | ScriptKind::Verify | ScriptKind::Rollback => {}
    }
    Ok(ScriptCall {
        name: format!("scripts/{}", kind.word()),
        program,
        timeout: Duration::from_secs(script.timeout_s.into()),
        grace: KILL_GRACE,
        env: environment(work),
        cwd: work.cwd.clone(),
    })
}

fn environment(work: &RunScript) -> Vec<(String, String)> {
    let manifest = &work.artifact.manifest;
    let boot = match work.run.boot {
        BootReason::Normal => "normal",
        BootReason::Update => "update",
    };
    let own = [
        ("HOIST_DEVICE", work.device.clone()),
        ("HOIST_DEPLOYMENT", work.run.deployment.to_string()),
        ("HOIST_RELEASE", work.release.clone()),
        ("HOIST_ARTIFACT", manifest.name.to_string()),
        ("HOIST_ATTEMPT", work.run.attempt.to_string()),
        ("HOIST_OLD_VERSION", work.old_version.clone()),
        ("HOIST_NEW_VERSION", manifest.version.clone()),
        (
            PAYLOAD_DIR,
            work.artifact.payload_dir().display().to_string(),
        ),
        ("HOIST_BOOT_REASON", boot.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    work.owner.iter().cloned().chain(own).collect()
}

#[cfg(test)]
#[path = "work_tests.rs"]
mod tests;
