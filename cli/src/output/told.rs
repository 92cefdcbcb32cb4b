//! The words about a deployment for people: in one line, and in full with its failures and the
//! commands to type next. Programs get JSON.

use std::fmt::Write;
use std::time::SystemTime;

use hoist_orchestrator_core::model::counter::Counts;
use hoist_orchestrator_core::model::row::EndReason;
use hoist_orchestrator_core::model::state::DeploymentState;
use hoist_orchestrator_core::model::word::Word;
use hoist_orchestrator_core::reply::view::{DeploymentView, LimitCounts};
use hoist_orchestrator_core::reply::{DeploymentDetail, FailedDevice, PhaseState, PhaseView};
use hoist_protocol::reason::{Cure, Reason};
use serde_json::Value;

use crate::output::text::fitted;
use crate::output::{self, Format, Shape, Show, ago, column, plural, printable};

/// The reason of an abort when nobody gave one.
pub(crate) const NO_REASON: &str = "aborted by operator";

/// Failed devices, as a table.
const FAILED: Shape = Shape {
    name: "device",
    columns: &[
        column("DEVICE", "/device", Show::Plain),
        column("REASON", "/reason", Show::Plain),
        column("SCRIPT", "/script", Show::Plain),
        column("EXIT", "/exit", Show::Plain),
        column("ROLLBACK", "/rollback", Show::Plain),
    ],
};

/// True if another deployment took its place before it was everywhere.
pub(crate) fn is_superseded(view: &DeploymentView) -> bool {
    view.state == DeploymentState::Completed
        && view.reason == Some(EndReason::Superseded.into())
        && view.counts.successful < view.counts.members
}

/// Members that can never start: its device limit leaves them no place (S10).
pub(crate) fn beyond_limit(view: &DeploymentView) -> u32 {
    let places = |limit: LimitCounts| limit.devices.saturating_sub(limit.started);
    view.limit
        .map_or(0, |limit| view.counts.pending.saturating_sub(places(limit)))
}

/// Its state in a word: one that is active and has nothing left to wait for is settled, one
/// that completed because another took its place is superseded.
pub(crate) fn state(view: &DeploymentView) -> &'static str {
    match view.state {
        _ if is_superseded(view) => EndReason::Superseded.word(),
        DeploymentState::Scheduled => "scheduled",
        DeploymentState::Active if view.settled => "settled",
        DeploymentState::Active => "active",
        DeploymentState::Paused => "paused",
        DeploymentState::Completed => "completed",
        DeploymentState::Aborted => "aborted",
    }
}

/// One line that says it all; what is nothing is not said.
pub(crate) fn line(view: &DeploymentView) -> String {
    let Counts {
        members,
        pending,
        in_progress,
        successful,
        failed,
    } = view.counts;
    let limit = view.limit.map(|limit| format!(", limit {}", limit.devices));
    let mut text = format!(
        "deployment {} ({} to {}): {}{}{}, {successful} of {members} successful",
        view.deployment,
        view.release,
        view.group,
        state(view),
        course(view),
        limit.unwrap_or_default(),
    );
    let beyond = beyond_limit(view);
    for (count, what) in [
        (failed, "failed"),
        (in_progress, "in progress"),
        (pending.saturating_sub(beyond), "pending"),
        (beyond, "beyond the limit"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    text
}

/// The phase of a rollout, and what lets nobody start for now, each behind a comma.
fn course(view: &DeploymentView) -> String {
    let phase = view.phase.as_ref().map(phase).unwrap_or_default();
    let frozen = if view.frozen { ", frozen" } else { "" };
    format!("{phase}{frozen}")
}

/// The words about the course of a deployment beside its counts; none for a plain one.
pub(crate) fn standing(view: &DeploymentView) -> Option<String> {
    let course = course(view);
    let paused = (view.state == DeploymentState::Paused).then(|| format!("paused{course}"));
    let going = course.strip_prefix(", ").map(str::to_owned);
    paused.or(going)
}

/// The phase of a rollout that goes on, behind a comma; nothing once everybody may start.
fn phase(phase: &PhaseView) -> String {
    let state = match phase.state {
        PhaseState::Done => return String::new(),
        PhaseState::Open => "",
        PhaseState::Soaking => " (soaking)",
        PhaseState::WaitingApproval => " (waits for approval)",
        PhaseState::GateFailed => " (gate failed)",
    };
    format!(", phase {} of {}{state}", phase.index, phase.of)
}

/// Everything about a deployment that a person asks for, and what to type next.
pub(crate) fn full(detail: &DeploymentDetail, now: SystemTime) -> String {
    let view = &detail.view;
    let mut text = fitted(&line(view));
    for (title, said) in facts(detail, now) {
        let _ = writeln!(text, "  {title:<9}  {said}");
    }
    text.push_str(&failures(view, &detail.failed_devices));
    printable(&text)
}

/// The end of the deployment, or where it stands: without the facts that were known before.
pub(crate) fn end(detail: &DeploymentDetail, now: SystemTime) -> String {
    let view = &detail.view;
    let mut text = fitted(&line(view));
    if let Some(ended) = ended(detail, now) {
        let _ = writeln!(text, "  ended      {ended}");
    }
    text.push_str(&failures(view, &detail.failed_devices));
    printable(&text)
}

/// When, why and by whom it ended, once it has.
fn ended(detail: &DeploymentDetail, now: SystemTime) -> Option<String> {
    let view = &detail.view;
    let over = matches!(
        view.state,
        DeploymentState::Completed | DeploymentState::Aborted
    );
    let reason = view.reason.as_ref().filter(|_| over)?;
    let by = detail.ended_by.as_deref().map(|by| format!(" by {by}"));
    let reason_said = match reason {
        Word::Of(EndReason::Operator) => "aborted",
        other => other.as_str(),
    };
    let said = detail.ended_text.as_deref();
    let said = said.filter(|text| !text.is_empty() && *text != NO_REASON);
    let why = match (reason, said) {
        (_, None) => String::new(),
        // What took its place is part of the reason.
        (Word::Of(EndReason::Superseded), Some(said)) => format!(" {said}"),
        (_, Some(said)) => format!(": {said}"),
    };
    let at = ago(&view.updated_at, now);
    Some(format!(
        "{at}, {reason_said}{}{why}",
        by.unwrap_or_default()
    ))
}

/// When and by whom, and what happened to how many.
fn facts(detail: &DeploymentDetail, now: SystemTime) -> Vec<(&'static str, String)> {
    let view = &detail.view;
    let since = |time: &str| ago(time, now);
    let mut facts = vec![(
        "created",
        format!("{} by {}", since(&view.created_at), detail.created_by),
    )];
    let active = view.state == DeploymentState::Active;
    facts.extend(view.paused.as_ref().map(|paused| {
        let by = paused.by.as_deref().map(|by| format!(" by {by}"));
        let text = match paused.text.as_str() {
            "" => String::new(),
            text => format!(": {text}"),
        };
        let by = by.unwrap_or_else(|| format!(" by itself ({})", paused.reason.as_str()));
        ("paused", format!("{}{by}{text}", since(&paused.at)))
    }));
    let windows = view.windows.as_ref().filter(|_| view.reason.is_none());
    facts.extend(windows.map(|windows| ("windows", windows.text())));
    let confirm = view.confirm_secs.filter(|_| view.reason.is_none());
    facts.extend(confirm.map(|secs| ("confirm", format!("online with it within {secs} s"))));
    facts.extend(next(view).map(|next| ("next", next)));
    facts.extend(
        (view.state == DeploymentState::Scheduled)
            .then(|| {
                detail
                    .start
                    .as_deref()
                    .map(|start| ("starts", since(start)))
            })
            .flatten(),
    );
    facts.extend(
        detail
            .until
            .as_deref()
            .filter(|_| active)
            .map(|until| ("ends", since(until))),
    );
    facts.extend(ended(detail, now).map(|ended| ("ended", ended)));
    for (title, count, what) in [
        (
            "retried",
            detail.retried,
            "that had to try again, or waits to",
        ),
        ("rolled", detail.rolled_back, "that put back what was there"),
    ] {
        if count > 0 {
            facts.push((title, format!("{} {what}", plural::count(count, "device"))));
        }
    }
    facts
}

/// The command that a rollout waits for, when it waits for a person.
fn next(view: &DeploymentView) -> Option<String> {
    let id = view.deployment;
    let phase = view.phase.as_ref();
    let waits = phase.filter(|phase| phase.state == PhaseState::WaitingApproval);
    match (view.state, waits) {
        (DeploymentState::Paused, _) => Some(format!(
            "hoist deployment resume {id}\n             or hoist deployment abort {id}"
        )),
        (DeploymentState::Active, Some(phase)) => Some(format!(
            "hoist deployment approve {id} --phase {}",
            phase.index
        )),
        _ => None,
    }
}

/// Failures by reason, the failed devices, and the commands that go on from there; nothing
/// when nobody failed.
pub(crate) fn failures(view: &DeploymentView, devices: &[FailedDevice]) -> String {
    if view.counts.failed == 0 {
        return String::new();
    }
    let reasons = view.failures.iter();
    let reasons: Vec<String> = reasons
        .map(|it| format!("{} {}", it.count, it.reason))
        .collect();
    let mut text = format!("  failed     {}\n\n", reasons.join(", "));
    let items: Vec<Value> = devices
        .iter()
        .filter_map(|device| serde_json::to_value(device).ok())
        .collect();
    if !items.is_empty() {
        text.push_str(&output::list(
            Format::Table,
            &FAILED,
            &items,
            SystemTime::now(),
        ));
    }
    let listed = u32::try_from(items.len()).unwrap_or(u32::MAX);
    let (id, more) = (view.deployment, view.counts.failed.saturating_sub(listed));
    if more > 0 {
        let _ = writeln!(
            text,
            "and {more} more: hoist device list --status failed --deployment {id}"
        );
    }
    text.push('\n');
    if let Some(first) = devices.first() {
        let _ = writeln!(text, "why:    hoist device why {}", first.device);
    }
    // A hint never offers what cannot help.
    let (curable, hopeless): (Vec<_>, Vec<_>) = view
        .failures
        .iter()
        .map(|failure| &failure.reason)
        .partition(|reason| can_be_cured(reason));
    for reason in hopeless {
        let _ = writeln!(text, "never:  hoist explain {reason}");
    }
    if view.state == DeploymentState::Active && !curable.is_empty() {
        let _ = writeln!(text, "again:  hoist deployment retry {id}");
    }
    text
}

/// True if trying again can help a device that failed for this reason; also for a newer server's
/// reason, which is unknown here.
fn can_be_cured(reason: &Word<Reason>) -> bool {
    match reason {
        Word::Of(reason) => !matches!(reason.cure(), Cure::Another(_)),
        Word::Newer(_) => true,
    }
}

#[cfg(test)]
mod tests;
