//! The stored rows of a rollout: where it is, and what was decided in it.

use hoist_protocol::id::{DeploymentId, Round, UserId};
use serde::{Deserialize, Serialize};

use crate::model::rollout::{EVERYONE, Part, Rollout};
use crate::model::row::EndReason;
use crate::model::search::Choice;

/// A rollout and where it is. Times are in ms of connected uptime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutRow {
    /// The manner in which the deployment spreads.
    pub rollout: Rollout,
    /// The index of the phase that is open, or is to open next; behind the last one everyone may
    /// start.
    pub phase: u32,
    /// True once that phase is open.
    pub is_open: bool,
    /// When it opened.
    pub opened_ms: u64,
    /// Since when its gate holds without a break.
    pub met_ms: Option<u64>,
    /// True if a person let the rollout go on past its gate.
    pub set_aside: bool,
    /// Users who approved that it opens.
    pub approved: Vec<UserId>,
    /// The counts at its opening.
    pub before: Ended,
    /// Slots that were given at its opening.
    pub slots_before: u32,
    /// The counts from which the threshold of failures counts: those of the last resume.
    pub resumed: Ended,
    /// Slots that the pace has let be given so far.
    pub paced: u32,
    /// When the pace lets more be given.
    pub pace_due_ms: u64,
    /// Slots that were given by a time, oldest first: devices that had theirs for long and did not
    /// begin are waited for no more.
    pub given: Vec<Given>,
    /// When it is looked at next without anything having happened.
    pub look_due_ms: Option<u64>,
    /// The last look for devices that get a permit.
    pub searched: Searched,
}

/// The state in which devices were looked for that get a permit: as long as it is so, and for a
/// while, nobody else is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Searched {
    /// The group's turn.
    pub turn: u64,
    /// Devices that had ended, however.
    pub ended: u32,
    /// Slots that may be given.
    pub allowed: u32,
    /// The phase.
    pub phase: u32,
    /// The round.
    pub round: Round,
    /// From this time on, in ms of connected uptime, they are looked for in any case: labels and
    /// contact change.
    pub until_ms: u64,
    /// True if others waited for a permit, for which there was no room.
    pub left: bool,
}

/// Devices that ended and said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ended {
    /// Well.
    pub successful: u32,
    /// Badly, but for those that the release does not fit (S12).
    pub failed: u32,
}

/// Slots that were given by a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Given {
    /// When, in ms of connected uptime.
    pub at_ms: u64,
    /// All that were given by then.
    pub slots: u32,
}

/// A stop of a deployment that goes on when a person says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Why.
    pub reason: PauseReason,
    /// The user, when a person did it.
    pub by: Option<UserId>,
    /// The text that the person gave, or the numbers that decided.
    pub text: String,
    /// Unix time, in ms.
    pub at_ms: u64,
}

/// Why a deployment was paused. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PauseReason {
    /// An operator did it.
    Operator,
    /// The gate of a phase cannot be passed any more.
    Gate,
    /// The gate of a phase was not passed in time.
    GaveUp,
    /// Too many devices failed.
    Failures,
}

/// One item of a deployment's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// Unix time, in ms.
    pub at_ms: u64,
    /// The user, when a person did it.
    pub by: Option<UserId>,
    /// The decision, with the numbers that it rests on.
    pub what: Happening,
}

/// A decision about a deployment. Append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Happening {
    /// It was created.
    Created,
    /// Its start time came.
    Started,
    /// A phase opened.
    PhaseOpened(PhaseIs),
    /// The gate of a phase was passed.
    GatePassed(PhaseIs, Counted),
    /// The gate of a phase cannot be passed any more.
    GateFailed(PhaseIs, Counted),
    /// The gate of a phase was not passed in time.
    GaveUp(PhaseIs, Counted),
    /// A user approved that a phase opens: the number of approvals so far, and of those that it
    /// takes.
    Approved(PhaseIs, u8, u8),
    /// Too many devices failed.
    TooManyFailed(Counted),
    /// It was paused.
    Paused(String),
    /// It went on.
    Resumed,
    /// Failed devices were told to begin again.
    Retried {
        /// In which round.
        round: u32,
        /// Number of devices.
        devices: u32,
    },
    /// It ended.
    Ended(EndReason),
    /// Another release was deployed to those that had started it.
    FellBack(DeploymentId),
    /// That could not be done.
    NoFallback(String),
}

/// A phase by its place, from 1, and its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseIs {
    /// The place.
    pub number: u32,
    /// Its name; empty when it has none.
    pub name: String,
}

/// The numbers that a decision rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counted {
    /// Devices that were let in.
    pub given: u32,
    /// Devices that ended well.
    pub successful: u32,
    /// Devices that ended badly.
    pub failed: u32,
}

impl RolloutRow {
    /// A rollout that has not begun.
    #[must_use]
    pub fn new(rollout: Rollout) -> Self {
        Self {
            rollout,
            phase: 0,
            is_open: false,
            opened_ms: 0,
            met_ms: None,
            set_aside: false,
            approved: Vec::new(),
            before: Ended::default(),
            slots_before: 0,
            resumed: Ended::default(),
            paced: 0,
            pace_due_ms: 0,
            given: Vec::new(),
            look_due_ms: None,
            searched: Searched::default(),
        }
    }

    /// The phase that is open or is to open next; none behind the last one.
    #[must_use]
    pub fn current(&self) -> Option<&crate::model::rollout::Phase> {
        self.rollout.phases.get(usize::try_from(self.phase).ok()?)
    }

    /// The line at most, while this phase is open: a share of all hashes needs no counting (W3).
    #[must_use]
    pub fn reaches(&self) -> u32 {
        match self.current().map(|phase| &phase.part) {
            Some(_) if !self.is_open => 0,
            Some(Part::Percent(share)) if *share < EVERYONE => {
                let line = (u64::from(u32::MAX) + 1) * u64::from(*share) / u64::from(EVERYONE);
                u32::try_from(line).unwrap_or(u32::MAX)
            }
            Some(Part::Selected(_)) => 0,
            Some(Part::Percent(_) | Part::Devices(_)) | None => u32::MAX,
        }
    }

    /// The choice by which devices get permits now; none while a line lets them in.
    #[must_use]
    pub fn choice(&self, run: u32) -> Option<Choice> {
        let phase = self.current().filter(|_| self.is_open);
        let selected = match phase.map(|phase| &phase.part) {
            Some(Part::Selected(selector)) => Some(selector.clone()),
            _ => None,
        };
        let is_by_permits = self.rollout.is_by_permits() || selected.is_some();
        is_by_permits.then(|| Choice {
            only: self.rollout.only.clone(),
            selected,
            budget: self.rollout.budget.clone(),
            run,
        })
    }

    /// That phase by its place.
    #[must_use]
    pub fn phase_is(&self) -> PhaseIs {
        PhaseIs {
            number: self.phase.saturating_add(1),
            name: self
                .current()
                .map_or_else(String::new, |phase| phase.name.clone()),
        }
    }
}

impl Ended {
    /// All of them.
    #[must_use]
    pub fn all(self) -> u32 {
        self.successful.saturating_add(self.failed)
    }

    /// Those that ended since the counts were these.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            successful: self.successful.saturating_sub(before.successful),
            failed: self.failed.saturating_sub(before.failed),
        }
    }
}

impl PauseReason {
    /// Every one, in the order of the enum.
    pub const ALL: [Self; 4] = [Self::Operator, Self::Gate, Self::GaveUp, Self::Failures];

    /// Its word in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Gate => "gate",
            Self::GaveUp => "gave-up",
            Self::Failures => "failures",
        }
    }
}

#[cfg(test)]
#[path = "rollout_tests.rs"]
mod tests;
