//! The machine's states: each holds only what it may know. [`Job`] is the part that is
//! in the journal.

use std::sync::Arc;

use hoist_protocol::admission::Audience;
use hoist_protocol::head::{GroupHead, Notice, Overrides, Policy};
use hoist_protocol::id::{Attempt, DeploymentId, ReleaseId, Round};
use hoist_protocol::reason::Reason;
use hoist_protocol::status::{RetryCause, Rollback, ScriptExit, ScriptFailure, ScriptKind};
use serde::{Deserialize, Serialize};

use super::event::FetchFailure;

/// What names one boot of the device: 8 bytes of the hash of the system's boot id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootId(pub [u8; 8]);

/// A started deployment: everything needed to finish it without the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// What it installs.
    pub release: ReleaseId,
    /// In which round (S13).
    pub round: Round,
    /// Passes that may fail before the device gives up (S9).
    pub attempts: u32,
    /// Device time in Unix ms after which nothing is tried again (S8).
    pub deadline_ms: u64,
    /// The signed notice allows an older counter.
    pub allow_downgrade: bool,
    /// Passes that reached their first install intent.
    pub attempt: Attempt,
    /// Passes that failed; "later" and network errors are not among them.
    pub failures: u32,
    /// Whether the running pass is counted in `attempt`.
    pub counted: bool,
    /// Index of the artifact at hand; those before it are installed.
    pub artifact: u8,
    /// How far it is.
    pub stage: Stage,
}

/// The deployment of what is installed without a server: no deployment has this number,
/// and it is never reported.
pub const LOCAL: DeploymentId = DeploymentId(0);

impl Job {
    /// A job at its beginning, in the round that the device is to carry it out.
    pub(super) fn new(notice: &Notice, round: Round, now_ms: u64) -> Self {
        let policy = &notice.policy;
        Self {
            deployment: notice.deployment,
            release: notice.release,
            round,
            attempts: policy.attempts,
            deadline_ms: now_ms + u64::from(policy.timeout_s) * 1_000,
            allow_downgrade: policy.overrides.allow_downgrade,
            attempt: Attempt(0),
            failures: 0,
            counted: false,
            artifact: 0,
            stage: Stage::Fetching,
        }
    }

    /// A job that no server knows of: one attempt, because a person is watching.
    pub(super) fn local(release: ReleaseId, allow_downgrade: bool, now_ms: u64) -> Self {
        let notice = Notice {
            deployment: LOCAL,
            release,
            round: Round(0),
            audience: Audience::EVERYONE,
            policy: Policy {
                attempts: 1,
                overrides: Overrides {
                    allow_downgrade,
                    reinstall: false,
                },
                ..Policy::default()
            },
        };
        Self::new(&notice, notice.round, now_ms)
    }

    /// Whether no server knows of it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.deployment == LOCAL
    }

    /// Whether it may still be refused: nothing of it was run, and no pass has failed. After
    /// that it is finished or rolled back, whatever a check says.
    #[must_use]
    pub fn may_be_refused(&self) -> bool {
        self.failures == 0 && self.is_untouched()
    }

    /// Whether nothing of the release was ever run.
    pub(super) fn is_untouched(&self) -> bool {
        self.attempt.0 == 0 && matches!(self.stage, Stage::Fetching | Stage::Waiting)
    }
}

/// How far a [`Job`] is. Written before the effect it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Artifacts are fetched; nothing has run.
    Fetching,
    /// Waiting to try again.
    Waiting,
    /// The intent to run a script of the artifact at hand.
    Script {
        /// Which.
        kind: ScriptKind,
        /// Runs in this pass, this one included.
        run: u8,
    },
    /// The intent to reboot.
    Rebooting {
        /// The boot before it.
        boot: BootId,
        /// How often it was asked for.
        asked: u8,
    },
    /// The intent to run a rollback script.
    RollingBack {
        /// Of which artifact.
        at: u8,
        /// Runs, this one included.
        run: u8,
        /// What failed.
        cause: Cause,
        /// What follows.
        then: Then,
    },
    /// Everything is verified; the inventory is being written.
    Committing,
    /// The end is known and is being written to the ring.
    Failing {
        /// What failed.
        cause: Cause,
        /// What became of what was begun.
        rollback: Rollback,
    },
}

/// What made a pass fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Why.
    pub reason: Reason,
    /// At which artifact.
    pub artifact: Option<u8>,
    /// In which script.
    pub script: Option<ScriptFailure>,
}

impl Cause {
    /// A cause that lies in no script.
    #[must_use]
    pub fn plain(reason: Reason) -> Self {
        Self {
            reason,
            artifact: None,
            script: None,
        }
    }

    /// What people are told while another pass is waited for.
    pub(super) fn retry(&self) -> RetryCause {
        match self.script {
            Some(ScriptFailure {
                kind,
                exit: ScriptExit::Code(EXIT_LATER),
            }) => RetryCause::Later(kind),
            _ => RetryCause::Failed(self.reason),
        }
    }
}

/// Exit code of a script that wants to run later (S9).
pub(super) const EXIT_LATER: u8 = 75;

/// What follows a rollback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Then {
    /// Another pass.
    Retry,
    /// The earlier artifacts, then the end.
    GiveUp,
}

/// What the machine must know of a fetched artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactPlan {
    /// Its scripts by [`ScriptKind`] in wire order.
    pub scripts: [Option<ScriptPlan>; 5],
    /// Whether the device reboots before `verify`.
    pub reboot: bool,
}

/// What the machine must know of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScriptPlan {
    /// Runs inside one pass before it counts as failed.
    pub attempts: u8,
    /// A run cut off by a power loss may simply be repeated.
    pub idempotent: bool,
}

/// The connection as the machine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Link {
    /// No connection.
    Offline,
    /// Connected; waits for its DeviceHead of this connection (W4).
    Joining,
    /// Follows its group.
    Member(Member),
}

/// A connected member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Member {
    /// The head received in this connection; taken away when it has to be asked for again.
    pub(super) head: Option<GroupHead>,
    /// When to ask for the head again, Unix ms.
    pub(super) wake: Option<u64>,
    /// The head is the answer after a wait: a listed deployment starts without another.
    pub(super) waited: bool,
    /// People were told that the head has expired.
    pub(super) warned: bool,
}

/// What the device works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    /// Nothing.
    Idle,
    /// Wants to start this and waits for its manifest; not started yet.
    Asking(Notice),
    /// A started deployment.
    Active(Box<Active>),
}

/// A started deployment with what need not survive a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Active {
    pub(super) job: Job,
    /// Known once everything is fetched and proven.
    pub(super) plans: Option<Arc<[ArtifactPlan]>>,
    /// When to go on, Unix ms; set while waiting.
    pub(super) wake: Option<u64>,
    /// Waits in a row, for the back-off.
    pub(super) waits: u32,
    /// Why nothing could be fetched, the last time.
    pub(super) trouble: Option<FetchFailure>,
    /// Why it waits; unknown after a restart.
    pub(super) cause: Option<RetryCause>,
    /// Percent fetched.
    pub(super) percent: u8,
    /// Output of the script that failed.
    pub(super) output: Vec<u8>,
}

impl Active {
    pub(super) fn new(job: Job) -> Self {
        Self {
            job,
            plans: None,
            wake: None,
            waits: 0,
            trouble: None,
            cause: None,
            percent: 0,
            output: Vec::new(),
        }
    }

    pub(super) fn script(&self, artifact: u8, kind: ScriptKind) -> Option<ScriptPlan> {
        let plan = self.plans.as_ref()?.get(usize::from(artifact))?;
        plan.scripts[kind as usize]
    }
}
