//! The long work of the agent: fetching a release and running its scripts, each in its
//! own task, so that the connection stays alive meanwhile.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hoist_protocol::reason::Reason;
use hoist_protocol::release::{ArtifactManifest, ReleaseManifest};
use hoist_protocol::status::{ScriptExit, ScriptKind};
use tokio::sync::mpsc;

use super::config::HostConfig;
use super::download::{self, Artifact, Fetch, Limits};
use super::files::{Files, create_private_dir};
use super::inventory::Inventory;
use super::preflight::{self, Downgrade, Refusal};
use super::script::{self, ScriptCall};
use super::storage::prepare_install;
use crate::machine::{ArtifactPlan, BootReason, Retry, ScriptPlan, ScriptRun, Verdict};

/// After TERM, before KILL: enough to close files.
const KILL_GRACE: Duration = Duration::from_secs(10);

/// The variable that tells a script where its payloads are.
pub(super) const PAYLOAD_DIR: &str = "HOIST_PAYLOAD_DIR";

/// What a task says.
#[derive(Debug)]
pub(super) enum Told {
    Progress(u8),
    Fetched {
        artifacts: Vec<Artifact>,
        verdict: Verdict,
    },
    NotFetched {
        reason: Reason,
        retry: Retry,
    },
    ScriptDone {
        exit: ScriptExit,
        output: Vec<u8>,
    },
}

/// Messages of a task, marked with its number: late words of a stopped task are ignored.
#[derive(Debug, Clone)]
pub(super) struct Teller {
    pub(super) task: u64,
    pub(super) sender: mpsc::Sender<(u64, Told)>,
}

impl Teller {
    pub(super) async fn tell(&self, told: Told) {
        // Nobody listens any more when the agent ends.
        let _unheard = self.sender.send((self.task, told)).await;
    }
}

/// What can be said of a release before anything of it is fetched.
pub(super) fn check_release(
    host: &HostConfig,
    inventory: &Inventory,
    release: &ReleaseManifest,
    downgrade: Downgrade,
) -> Verdict {
    let attribute = |name: &str| host.attributes.get(name).map(String::as_str);
    let size = release.artifacts.iter().map(|artifact| artifact.size);
    let needed = size.fold(0, u64::saturating_add);
    let checked = preflight::compatible(&host.device_type, attribute, release)
        .and_then(|()| preflight::counters(release, &[], inventory, downgrade));
    match checked {
        Err(refusal) => refused(&refusal),
        Ok(())
            if release
                .artifacts
                .iter()
                .all(|artifact| inventory.has(artifact.id())) =>
        {
            Verdict::Already
        }
        Ok(()) => match preflight::space(&host.state_dir, needed) {
            Ok(()) => Verdict::Fits,
            Err(refusal) => refused(&refusal),
        },
    }
}

/// What the artifacts' own manifests add.
pub(super) fn check_artifacts(
    release: &ReleaseManifest,
    artifacts: &[Artifact],
    inventory: &Inventory,
    downgrade: Downgrade,
) -> Verdict {
    let manifests: Vec<ArtifactManifest> = artifacts
        .iter()
        .map(|artifact| artifact.manifest.clone())
        .collect();
    let checked = manifests
        .iter()
        .try_for_each(preflight::required_scripts)
        .and_then(|()| preflight::counters(release, &manifests, inventory, downgrade))
        .and_then(|()| preflight::dependencies(&manifests, inventory));
    match checked {
        Ok(()) => Verdict::Fits,
        Err(refusal) => refused(&refusal),
    }
}

fn refused(refusal: &Refusal) -> Verdict {
    tracing::warn!(code = refusal.reason.code(), detail = %refusal.detail, "release refused");
    Verdict::Refused(refusal.reason)
}

/// What the machine must know of fetched artifacts.
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

/// A release to fetch.
pub(super) struct FetchRelease {
    pub(super) files: Arc<dyn Files>,
    pub(super) release: Arc<ReleaseManifest>,
    pub(super) source: Option<String>,
    /// Folder of each artifact, in release order.
    pub(super) dirs: Vec<PathBuf>,
    pub(super) inventory: Inventory,
    pub(super) downgrade: Downgrade,
}

/// Fetches and proves every artifact; what is complete on disk needs no network.
pub(super) async fn fetch_release(work: FetchRelease, teller: Teller) {
    let release = &work.release;
    let total = release
        .artifacts
        .iter()
        .map(|artifact| artifact.size)
        .sum::<u64>()
        .max(1);
    let mut before = 0;
    let mut artifacts = Vec::new();
    for (reference, dir) in release.artifacts.iter().zip(&work.dirs) {
        let fetch = Fetch {
            files: work.files.clone(),
            artifact: *reference,
            // Without any source only what is on disk can be used.
            source: work
                .source
                .clone()
                .unwrap_or_else(|| "http://127.0.0.1:0".into()),
            dir: dir.clone(),
            limits: Limits::default(),
        };
        let progress = |percent: u8| {
            let bytes = before + reference.size / 100 * u64::from(percent);
            let percent = u8::try_from(bytes.saturating_mul(100) / total).unwrap_or(100);
            // Progress may be skipped when the agent is busy.
            let _skipped = teller
                .sender
                .try_send((teller.task, Told::Progress(percent)));
        };
        match download::fetch(&fetch, progress).await {
            Ok(artifact) => artifacts.push(artifact),
            Err(error) => {
                tracing::warn!(code = error.reason.code(), detail = %error.detail, "download failed");
                let retry = match error.retry {
                    download::Retry::Later => Retry::Later,
                    download::Retry::Useless => Retry::Useless,
                };
                return teller
                    .tell(Told::NotFetched {
                        reason: error.reason,
                        retry,
                    })
                    .await;
            }
        }
        before += reference.size;
    }
    let verdict = check_artifacts(release, &artifacts, &work.inventory, work.downgrade);
    teller.tell(Told::Fetched { artifacts, verdict }).await;
}

/// One script with what it gets to know.
pub(super) struct RunScript {
    pub(super) run: ScriptRun,
    pub(super) files: Arc<dyn Files>,
    /// Where its rollback script is kept once it may be needed.
    pub(super) rollback: PathBuf,
    pub(super) artifact: Artifact,
    pub(super) cwd: PathBuf,
    pub(super) device: String,
    pub(super) release: String,
    pub(super) old_version: String,
}

/// Runs a script, and says what came of it.
pub(super) async fn run_script(work: RunScript, teller: Teller) {
    let kind = work.run.kind;
    let (exit, output) = match prepare(&work).await {
        Err(problem) => (ScriptExit::NotStarted, problem.into_bytes()),
        Ok(call) => {
            let result = script::run(&call).await;
            (result.exit, result.tail)
        }
    };
    tracing::info!(script = kind.word(), ?exit, "script ended");
    teller.tell(Told::ScriptDone { exit, output }).await;
}

/// What has to be true before a script runs; the error is for people.
async fn prepare(work: &RunScript) -> Result<ScriptCall, String> {
    let kind = work.run.kind;
    let script = work.artifact.manifest.script(kind);
    let (Some(script), Some(mut program)) = (script, work.artifact.script_path(kind)) else {
        return Err(format!("there is no {} script", kind.word()));
    };
    create_private_dir(&work.cwd)
        .map_err(|error| format!("cannot create {}: {error}", work.cwd.display()))?;
    match kind {
        ScriptKind::PreInstall | ScriptKind::Install => {
            let (files, artifact) = (work.files.clone(), work.artifact.clone());
            let rollback = work.rollback.clone();
            let ready = move || prepare_install(files.as_ref(), &artifact, &rollback);
            let ready = tokio::task::spawn_blocking(ready).await;
            ready
                .map_err(|error| error.to_string())?
                .map_err(|error| error.to_string())?;
        }
        // The artifact's own scripts cannot have touched this one.
        ScriptKind::Rollback if work.files.exists(&work.rollback) => {
            program.clone_from(&work.rollback);
        }
        ScriptKind::PostInstall | ScriptKind::Verify | ScriptKind::Rollback => {}
    }
    Ok(ScriptCall {
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
    [
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
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}
