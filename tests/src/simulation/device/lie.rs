//! The lies of a device. A lie is refused, and nobody else notices (bad-inputs rows 32, 33 and 85).

use hoist_protocol::id::{Attempt, DeploymentId, Round, Seq};
use hoist_protocol::reason::Reason;
use hoist_protocol::status::{
    DeviceStatus, Failure, FinalResult, Outcome, Progress, Rollback, Step, TOLD_MAX,
};
use serde::Serialize;

/// Rounds above its own that a device makes up: more than operators of a world open.
const MADE_UP: u32 = 100;

/// A claim that is not so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Lie {
    /// It failed in a round that nobody opened.
    Round,
    /// It works in one.
    Work,
    /// It failed in a deployment that there is not.
    Deployment,
    /// It failed where it has ended.
    End,
    /// This is its first status.
    Count,
}

impl Lie {
    /// Every one.
    pub const ALL: [Self; 5] = [
        Self::Round,
        Self::Work,
        Self::Deployment,
        Self::End,
        Self::Count,
    ];

    /// Puts it into a status. What is true in it stays, or is said once more later: nothing
    /// that happened may get lost by it.
    pub(super) fn tell(self, status: &mut DeviceStatus) {
        match self {
            Self::Round | Self::Deployment | Self::End => self.end(status),
            Self::Work => {
                if let Some(running) = &mut status.running {
                    *running = Progress {
                        round: Round(running.round.0 + MADE_UP),
                        step: Step::Installing,
                        ..*running
                    };
                }
            }
            Self::Count => {
                if status.running.is_some() {
                    status.seq = Seq(1);
                }
            }
        }
    }

    /// Adds an outcome to a status that has all of them: of another one it would be taken as
    /// the one that is missing.
    fn end(self, status: &mut DeviceStatus) {
        let ended = usize::try_from(status.ended).unwrap_or(TOLD_MAX);
        let told = status.outcomes.len();
        let Some(last) = status.outcomes.last().cloned() else {
            return;
        };
        if told == TOLD_MAX || told < ended {
            return;
        }
        let (deployment, round) = match self {
            Self::Round => (last.deployment, Round(last.round.0 + MADE_UP)),
            Self::Deployment => (DeploymentId(last.deployment.0 + MADE_UP), Round(0)),
            Self::End | Self::Work | Self::Count => (last.deployment, last.round),
        };
        status.outcomes.push(Outcome {
            deployment,
            round,
            attempt: Attempt(1),
            result: FinalResult::Failed(Failure {
                reason: Reason::ScriptFailed,
                artifact: None,
                script: None,
                rollback: Rollback::Succeeded,
                output: Vec::new(),
            }),
        });
    }
}
