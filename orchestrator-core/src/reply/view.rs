//! The retained JSON views for people, and how they are summed from rows.

use std::cmp::Ordering;

use hoist_protocol::id::{DeploymentId, GroupId};
use hoist_protocol::reason::Reason;
use serde::{Deserialize, Serialize};

use crate::model::counter::{Counts, Totals};
use crate::model::row::{DeploymentRow, EndReason, GroupCountRow, GroupRow, RolloutRow};
use crate::model::state::DeploymentState;
use crate::model::time::format_time;
use crate::model::word::Word;
use crate::reply::{API_VERSION, FrozenItem, PausedView, PhaseView, WindowsView, confirm_secs};
use crate::rules::deployment::settled::waits_for_nobody;

/// `view/deployment/<n>`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentView {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// Which deployment.
    pub deployment: DeploymentId,
    /// `name@version`.
    pub release: String,
    /// To whom.
    pub group: String,
    /// Where it is.
    pub state: DeploymentState,
    /// Why it ended, a kebab-case word.
    pub reason: Option<Word<EndReason>>,
    /// Since when, by whom and why it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<PausedView>,
    /// The phase of its rollout, when that has phases (S16).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<PhaseView>,
    /// Devices that may have started by now; null when everyone may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<u32>,
    /// True if its group, or everything, is frozen: nobody starts it, and who has started finishes.
    /// Left out when it is not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub frozen: bool,
    /// The policy that it is of, with its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// When devices may begin to install, as it was said; absent when at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<WindowsView>,
    /// Seconds that a device has to come online with it before it puts back what was there; absent
    /// when its `verify` scripts are evidence enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_secs: Option<u32>,
    /// True if every member has a final status.
    pub settled: bool,
    /// The counts of its device limit, when it has one (S10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitCounts>,
    /// Devices by status.
    pub counts: Counts,
    /// Devices in progress by step.
    pub steps: Steps,
    /// Failed devices by reason, most first.
    pub failures: Vec<FailureCount>,
    /// When it was created, RFC 3339.
    pub created_at: String,
    /// When it changed last, RFC 3339: was created, began, was tried again or ended, or a
    /// device reported something of it.
    pub updated_at: String,
}

/// The counts of a device limit (S10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LimitCounts {
    /// Devices that may start at most.
    pub devices: u32,
    /// Those that were given a slot.
    pub given: u32,
    /// Those that have started.
    pub started: u32,
}

/// Devices in progress by step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Steps {
    /// Fetching artifacts.
    pub downloading: u32,
    /// Everything fetched.
    pub downloaded: u32,
    /// Scripts run.
    pub installing: u32,
    /// Waiting for the reboot.
    pub rebooting: u32,
    /// Waiting to try again, or out of contact for long (S6).
    pub retrying: u32,
}

/// The number of devices that failed for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureCount {
    /// Kebab-case word of the closed list.
    pub reason: Word<Reason>,
    /// Number of devices.
    pub count: u32,
}

impl FailureCount {
    /// The order in which people read them: most first, equal ones by their words.
    #[must_use]
    pub fn most_first(&self, other: &Self) -> Ordering {
        let by_count = other.count.cmp(&self.count);
        by_count.then_with(|| self.reason.as_str().cmp(other.reason.as_str()))
    }
}

/// `view/group/<g>`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupView {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// Which group.
    pub group: String,
    /// Devices in it.
    pub members: u32,
    /// Those online.
    pub online: u32,
    /// Active deployments.
    pub deployments: Vec<DeploymentId>,
    /// Since when and by whom nobody in it starts anything; null when it is not frozen.
    #[serde(default)]
    pub frozen: Option<FrozenItem>,
    /// When this was looked up, RFC 3339.
    pub updated_at: String,
}

/// `view/fleet`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetView {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// Registered devices.
    pub devices: u32,
    /// Those online.
    pub online: u32,
    /// Groups.
    pub groups: u32,
    /// Active deployments.
    pub deployments: Vec<DeploymentId>,
    /// Since when and by whom everything is frozen; null when it is not.
    #[serde(default)]
    pub frozen: Option<FrozenItem>,
    /// When this was looked up, RFC 3339.
    pub updated_at: String,
}

/// `view/health`; filled by the adapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthView {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// `ok`, or `degraded` while there are problems.
    pub status: String,
    /// The problems of now; those that stop the whole server come first.
    pub problems: Vec<ProblemItem>,
    /// Since when and by whom everything is frozen, which is no problem; null when it is not.
    #[serde(default)]
    pub frozen: Option<FrozenItem>,
    /// RFC 3339.
    pub started_at: String,
    /// RFC 3339.
    pub updated_at: String,
}

/// Something that is wrong with the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProblemItem {
    /// The subject of the problem: `store`, `users.toml`, `artifact <id>`.
    pub about: String,
    /// The kind of the failure, as `hoist explain` knows it.
    pub code: String,
    /// One sentence with the particulars.
    pub detail: String,
    /// Since when, RFC 3339.
    pub since: String,
}

impl DeploymentView {
    /// The view of a deployment from its row, its summed counters, the Unix time in ms at
    /// which one of them changed last, and the members of its group now.
    #[must_use]
    pub fn new(
        id: DeploymentId,
        (row, rollout): (&DeploymentRow, Option<&RolloutRow>),
        (totals, counted_ms): (&Totals, u64),
        members_now: u32,
    ) -> Self {
        let phases = rollout.filter(|rollout| !rollout.rollout.phases.is_empty());
        let updated_ms = counted_ms.max(row.updated_ms).max(row.created_ms);
        let members = row.end.as_ref().map_or(members_now, |end| end.members);
        let counts = totals.counts(members);
        let [downloading, downloaded, installing, rebooting, retrying] = totals.steps;
        Self {
            api_version: API_VERSION.to_owned(),
            deployment: id,
            release: row.release_text.clone(),
            group: row.group.to_string(),
            state: row.state,
            reason: row.end.as_ref().map(|end| end.reason.into()),
            paused: row.paused.as_ref().map(Into::into),
            phase: phases.map(|rollout| PhaseView::of(row, rollout)),
            allowed: rollout.and_then(|rollout| may_have_started(row, rollout)),
            frozen: false,
            windows: rollout.and_then(|it| WindowsView::of(&row.policy, &it.rollout)),
            policy: rollout.and_then(|it| it.rollout.policy.clone()),
            confirm_secs: confirm_secs(&row.policy),
            settled: waits_for_nobody((row, rollout), totals, members),
            limit: row.limit.map(|devices| LimitCounts {
                devices,
                given: row.slots,
                started: totals.started(),
            }),
            counts,
            steps: Steps {
                downloading,
                downloaded,
                installing,
                rebooting,
                retrying,
            },
            failures: failures(totals),
            created_at: format_time(row.created_ms),
            updated_at: format_time(updated_ms),
        }
    }
}

/// Devices that may have started by now; none when nothing holds anybody back.
fn may_have_started(row: &DeploymentRow, rollout: &RolloutRow) -> Option<u32> {
    match row.allowed {
        Some(u32::MAX) if rollout.reaches() == u32::MAX => None,
        // The share of a phase is a place in the order: those below it have their slots.
        Some(u32::MAX) => Some(row.slots),
        allowed => allowed,
    }
}

fn failures(totals: &Totals) -> Vec<FailureCount> {
    let mut failures: Vec<FailureCount> = totals
        .failed
        .iter()
        .filter_map(|(&reason, &count)| {
            let reason = Word::Of(*Reason::ALL.get(usize::from(reason))?);
            (count > 0).then_some(FailureCount { reason, count })
        })
        .collect();
    failures.sort_by(FailureCount::most_first);
    failures
}

impl GroupView {
    /// The view of a group.
    #[must_use]
    pub fn new(group: &GroupId, row: &GroupRow, count: GroupCountRow, now_ms: u64) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            group: group.to_string(),
            members: count.members,
            online: count.online,
            deployments: row.active.clone(),
            frozen: None,
            updated_at: format_time(now_ms),
        }
    }
}
