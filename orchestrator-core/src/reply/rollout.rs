//! The JSON of a rollout: where it is, and its history.

use std::collections::BTreeMap;

use hoist_protocol::id::DeploymentId;
use serde::{Deserialize, Serialize};

use crate::model::counter;
use crate::model::key::GroupCountKey;
use crate::model::row::{
    Counted, DeploymentRow, Happening, HistoryRow, PauseReason, Paused, PhaseIs, RolloutRow,
};
use crate::model::state::DeploymentState;
use crate::model::time::format_time;
use crate::model::txn::{Txn, Undecided};
use crate::model::word::Word;

/// `pause`, `resume`, `approve`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutResult {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// Its state now.
    pub state: DeploymentState,
    /// Devices that have not started.
    pub pending: u32,
    /// Devices in progress: they finish or roll back.
    pub in_progress: u32,
}

impl RolloutResult {
    /// The result for a deployment as it is now.
    pub(crate) fn of(txn: &Txn, id: DeploymentId, row: &DeploymentRow) -> Result<Self, Undecided> {
        let count = txn.read_or_empty(&GroupCountKey(row.group.clone()))?;
        let counts = counter::totals(txn, id)?.counts(count.members);
        Ok(Self {
            deployment: id,
            state: row.state,
            pending: counts.pending,
            in_progress: counts.in_progress,
        })
    }
}

/// The phase of a rollout that is open, or is to open next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PhaseView {
    /// Its place, from 1; behind the last one everyone may start.
    pub index: u32,
    /// Its name; empty when it has none.
    pub name: String,
    /// The number of phases.
    pub of: u32,
    /// Where it is.
    pub state: PhaseState,
}

/// Where a phase is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PhaseState {
    /// Its devices may start, and its gate is not passed.
    Open,
    /// Its gate holds, and is watched for a while.
    Soaking,
    /// People have to approve it before it opens.
    WaitingApproval,
    /// Its gate cannot be passed any more, or was not in time: the deployment is paused.
    GateFailed,
    /// Every phase is over: everyone may start.
    Done,
}

impl PhaseView {
    /// That of a rollout, as people see it.
    #[must_use]
    pub fn of(row: &DeploymentRow, rollout: &RolloutRow) -> Self {
        let failed =
            |paused: &Paused| matches!(paused.reason, PauseReason::Gate | PauseReason::GaveUp);
        let state = match rollout.current() {
            None => PhaseState::Done,
            Some(phase) if !rollout.is_open && phase.approvals > 0 => PhaseState::WaitingApproval,
            Some(_) if row.paused.as_ref().is_some_and(failed) => PhaseState::GateFailed,
            Some(_) if rollout.met_ms.is_some() => PhaseState::Soaking,
            Some(_) => PhaseState::Open,
        };
        let of = u32::try_from(rollout.rollout.phases.len()).unwrap_or(u32::MAX);
        Self {
            index: rollout.phase_is().number.min(of),
            name: rollout.phase_is().name,
            of,
            state,
        }
    }
}

/// Since when, by whom and why a deployment is paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PausedView {
    /// When, RFC 3339.
    pub at: String,
    /// Why: `operator`, `gate`, `gave-up` or `failures`.
    pub reason: Word<PauseReason>,
    /// The user, when a person did it.
    pub by: Option<String>,
    /// The text that the person gave, or the numbers that decided.
    pub text: String,
}

impl From<&Paused> for PausedView {
    fn from(paused: &Paused) -> Self {
        Self {
            at: format_time(paused.at_ms),
            reason: paused.reason.into(),
            by: paused.by.as_ref().map(ToString::to_string),
            text: paused.text.clone(),
        }
    }
}

/// One item of `deployment-history`: a decision with the numbers that it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryItem {
    /// When, RFC 3339.
    pub at: String,
    /// The kind of the decision, a kebab-case word.
    pub kind: String,
    /// The same as a sentence.
    pub text: String,
    /// The numbers that it rests on.
    pub numbers: BTreeMap<String, u32>,
    /// The user, when a person did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl From<&HistoryRow> for HistoryItem {
    fn from(row: &HistoryRow) -> Self {
        let (kind, text, numbers) = told(&row.what);
        let numbers = numbers
            .into_iter()
            .map(|(name, number)| (name.to_owned(), number));
        Self {
            at: format_time(row.at_ms),
            kind: kind.to_owned(),
            text,
            numbers: numbers.collect(),
            by: row.by.as_ref().map(ToString::to_string),
        }
    }
}

type Numbers = Vec<(&'static str, u32)>;

fn told(what: &Happening) -> (&'static str, String, Numbers) {
    let none = Vec::new();
    match what {
        Happening::Created => ("created", "it was created".to_owned(), none),
        Happening::Started => ("started", "its start time came".to_owned(), none),
        Happening::PhaseOpened(phase) => {
            let numbers = vec![("phase", phase.number)];
            ("phase-opened", format!("{} opened", named(phase)), numbers)
        }
        Happening::GatePassed(phase, counted) => {
            let text = format!(
                "the gate of {} was passed: {}",
                named(phase),
                share(*counted)
            );
            ("gate-passed", text, of_gate(phase, *counted))
        }
        Happening::GateFailed(phase, counted) => {
            let text = format!(
                "the gate of {} cannot be passed: {}",
                named(phase),
                share(*counted)
            );
            ("gate-failed", text, of_gate(phase, *counted))
        }
        Happening::GaveUp(phase, counted) => {
            let text = format!(
                "{} was silent for too long: {}",
                named(phase),
                share(*counted)
            );
            ("gave-up", text, of_gate(phase, *counted))
        }
        Happening::Approved(phase, given, needed) => {
            let text = format!("{} was approved, {given} of {needed}", named(phase));
            let numbers = vec![
                ("phase", phase.number),
                ("approvals", u32::from(*given)),
                ("needed", u32::from(*needed)),
            ];
            ("approved", text, numbers)
        }
        Happening::TooManyFailed(counted) => {
            let text = format!("too many devices failed: {}", share(*counted));
            ("too-many-failed", text, numbers(*counted))
        }
        Happening::Paused(text) => {
            let text = match text.as_str() {
                "" => "it was paused".to_owned(),
                text => format!("it was paused: {text}"),
            };
            ("paused", text, none)
        }
        Happening::Resumed => ("resumed", "it went on".to_owned(), none),
        Happening::Retried { round, devices } => {
            let text = format!("{devices} failed devices begin again in round {round}");
            let numbers = vec![("round", *round), ("devices", *devices)];
            ("retried", text, numbers)
        }
        Happening::FellBack(id) => {
            let text = format!("deployment {id} takes its place where it had started");
            ("fell-back", text, vec![("deployment", id.0)])
        }
        Happening::NoFallback(why) => {
            let text = format!("nothing takes its place: {why}");
            ("no-fallback", text, none)
        }
        Happening::Ended(reason) => ("ended", format!("it ended: {}", reason.word()), none),
    }
}

fn named(phase: &PhaseIs) -> String {
    match phase.name.as_str() {
        "" => format!("phase {}", phase.number),
        name => format!("phase {} ({name})", phase.number),
    }
}

/// The share of the successful devices in tenths of a percent.
fn share(counted: Counted) -> String {
    let ended = counted.successful.saturating_add(counted.failed);
    match u64::from(counted.successful) * 1_000 {
        _ if ended == 0 => format!("none of {} ended", counted.given),
        tenths => {
            let tenths = tenths / u64::from(ended);
            let (whole, tenth) = (tenths / 10, tenths % 10);
            format!("{whole}.{tenth} % of {ended} succeeded")
        }
    }
}

fn of_gate(phase: &PhaseIs, counted: Counted) -> Numbers {
    let mut numbers = numbers(counted);
    numbers.push(("phase", phase.number));
    numbers
}

fn numbers(counted: Counted) -> Numbers {
    vec![
        ("given", counted.given),
        ("successful", counted.successful),
        ("failed", counted.failed),
    ]
}
