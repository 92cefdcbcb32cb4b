//! A started deployment as it is kept in the journal: what it installs, how far it is, and
//! what made a pass of it fail.

use alloc::vec::Vec;

use hoist_protocol::admission::Audience;
use hoist_protocol::id::{Attempt, DeploymentId, ReleaseId, Round};
use hoist_protocol::reason::Reason;
use hoist_protocol::spec::{Confirm, DeploymentSpec, Overrides, Policy, Window};
use hoist_protocol::status::{RetryCause, Rollback, ScriptExit, ScriptFailure, ScriptKind};
use serde::{Deserialize, Serialize};

/// The name of one boot of the device: 8 bytes of the hash of the system's boot id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootId(pub [u8; 8]);

/// A started deployment: everything needed to finish it without the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// The release that it installs.
    pub release: ReleaseId,
    /// In which round (S13).
    pub round: Round,
    /// Passes that may fail before the device gives up (S9).
    pub attempts: u32,
    /// Device time in Unix ms after which nothing is tried again (S8).
    pub deadline_ms: u64,
    /// The signed entry allows an older counter.
    pub allow_downgrade: bool,
    /// Passes that reached their first install intent.
    pub attempt: Attempt,
    /// Passes that failed; "later" and network errors are not among them.
    pub failures: u32,
    /// True if the running pass is counted in `attempt`.
    pub counted: bool,
    /// Index of the artifact at hand; those before it are installed.
    pub artifact: u8,
    /// The stage that it has reached.
    pub stage: Stage,
}

/// The deployment of what is installed without a server: no deployment has this number,
/// and it is never reported.
pub const LOCAL: DeploymentId = DeploymentId(0);

impl Job {
    /// A job at its beginning, in the round that the device is to carry it out.
    pub(crate) fn new(entry: &DeploymentSpec, round: Round, now_ms: u64) -> Self {
        let policy = &entry.policy;
        Self {
            deployment: entry.deployment,
            release: entry.release,
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
    pub(crate) fn local(release: ReleaseId, allow_downgrade: bool, now_ms: u64) -> Self {
        let entry = DeploymentSpec {
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
        Self::new(&entry, entry.round, now_ms)
    }

    /// True if no server knows of it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.deployment == LOCAL
    }

    /// True if it may still be refused: nothing of it was run, and no pass has failed. After that
    /// it is finished or rolled back, whatever a check says.
    #[must_use]
    pub fn may_be_refused(&self) -> bool {
        self.failures == 0 && self.is_untouched()
    }

    /// True if nothing of the release was ever run.
    pub(crate) fn is_untouched(&self) -> bool {
        self.attempt.0 == 0 && matches!(self.stage, Stage::Fetching | Stage::Waiting)
    }
}

/// The terms of a policy that count after the start, too. They are kept since format 4.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Terms {
    /// When an artifact may begin; empty = any time.
    pub windows: Vec<Window>,
    /// Seconds after a window in which later artifacts may begin.
    pub max_overrun_s: u32,
    /// Seconds over which devices that wait for a window are spread in it.
    pub spread_s: u32,
    /// Seconds from a window that was waited for to the deadline.
    pub timeout_s: u32,
    /// Seconds in which the device must come online to confirm the release; 0 = `verify` is
    /// enough.
    pub online_s: u32,
}

impl Terms {
    /// The terms of an entry whose starts are spread over so many seconds.
    pub(crate) fn of(policy: &Policy, spread_s: u32) -> Self {
        let online_s = match policy.confirm {
            Confirm::Verify => 0,
            Confirm::Online { within_s } => within_s,
        };
        // What nobody waits for needs no place in the journal.
        if policy.windows.is_empty() {
            return Self {
                online_s,
                ..Self::default()
            };
        }
        Self {
            windows: policy.windows.clone(),
            max_overrun_s: policy.max_overrun_s,
            spread_s,
            timeout_s: policy.timeout_s,
            online_s,
        }
    }
}

/// The stage of a [`Job`]. Written before the effect it names.
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
        /// The number of times that it was asked for.
        asked: u8,
    },
    /// The intent to run a rollback script.
    RollingBack {
        /// Of which artifact.
        at: u8,
        /// Runs, this one included.
        run: u8,
        /// The cause of the failure.
        cause: Cause,
        /// The next step after the rollback.
        then: Then,
    },
    /// Everything is verified; the inventory is being written.
    Committing,
    /// The end is known and is being written to the ring.
    Failing {
        /// The cause of the failure.
        cause: Cause,
        /// The rollback of what was begun.
        rollback: Rollback,
    },
    /// Everything is verified, and the device must come online to confirm it. Since format 4.
    Confirming {
        /// The times that this was begun: by the last `verify`, and by each start after it.
        begun: u8,
    },
}

/// The cause of a failed pass.
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

    /// The reason that people are told while another pass is waited for.
    pub(crate) fn retry(&self) -> RetryCause {
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
pub(crate) const EXIT_LATER: u8 = 75;

/// The next step after a rollback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Then {
    /// Another pass.
    Retry,
    /// The earlier artifacts, then the end.
    GiveUp,
}
