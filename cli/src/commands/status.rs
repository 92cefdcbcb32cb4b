//! `hoist status`: follows the retained view of a deployment until it is settled or over.
//! A bar on a terminal, one plain line per change otherwise, and always a last line.

use std::io::IsTerminal;
use std::time::{Duration, SystemTime};

use hoist_device_client::agent::said;
use hoist_orchestrator_core::api::command::{DeploymentShow, Verb};
use hoist_orchestrator_core::model::counter::Counts;
use hoist_orchestrator_core::model::state::DeploymentState;
use hoist_orchestrator_core::reply::DeploymentDetail;
use hoist_orchestrator_core::reply::view::DeploymentView;
use hoist_protocol::code::Code;
use hoist_protocol::id::DeploymentId;
use hoist_protocol::topic::{Topic, View};
use hoist_server::failure::Failure;
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::Status;
use crate::client::{Client, read_view};
use crate::commands::deployment::SHAPE;
use crate::context::{Context, print};
use crate::exit;
use crate::output::{self, Format, told};

/// Length of the bar in characters: with numbers of five digits it fits 80 columns.
const BAR: u8 = 24;

/// `hoist status`
pub(crate) async fn status(context: &Context, status: &Status) -> Result<u8, Failure> {
    let mut client = context.client().await?;
    let last = match status.watch {
        false => Some(show(&mut client, status.deployment).await?),
        true => {
            let watch = watch(&mut client, status.deployment, Progress::new());
            match status.timeout {
                None => Some(watch.await?),
                Some(time) => tokio::time::timeout(time, watch).await.ok().transpose()?,
            }
        }
    };
    client.close().await;
    let Some(detail) = last else {
        let time = humantime::format_duration(status.timeout.unwrap_or(Duration::ZERO)).to_string();
        return Err(Failure::new(
            Code::Wait,
            format!(
                "deployment {} is not settled after {time}",
                status.deployment
            ),
        )
        .help(format!(
            "it goes on without anybody watching; look again with `hoist status {}`",
            status.deployment
        )));
    };
    match context.format() {
        Format::Table | Format::Wide => print(&told::end(&detail, SystemTime::now()))?,
        format => {
            let item = serde_json::to_value(&detail.view).map_err(|error| {
                Failure::because(Code::System, "cannot encode the view", &error)
            })?;
            print(&output::one(format, &SHAPE, &item))?;
        }
    }
    Ok(if status.watch {
        exit_of(&detail.view)
    } else {
        exit::OK
    })
}

/// Asks the server itself.
async fn show(client: &mut Client, deployment: u32) -> Result<DeploymentDetail, Failure> {
    let question = DeploymentShow { deployment };
    client.ask(Verb::DeploymentShow, &question).await
}

/// Follows the view until the deployment is final, showing every change. A view may be of
/// before what its reader has just done: it says that there is something to see, and only the
/// server's own answer is a verdict.
async fn watch(
    client: &mut Client,
    deployment: u32,
    mut progress: Progress,
) -> Result<DeploymentDetail, Failure> {
    let view = View::Deployment(DeploymentId(deployment));
    let topic = client.topics().format(&Topic::View(view));
    // Says at once when there is no such deployment: its view would never come.
    let mut detail = show(client, deployment).await?;
    client.watch(&topic).await?;
    loop {
        progress.show(&detail.view);
        if is_final(&detail.view) {
            progress.clear();
            return Ok(detail);
        }
        let (_, payload) = client.next_message().await?;
        let view = read_view(&payload)?;
        if is_final(&view) {
            detail = show(client, deployment).await?;
        } else if !is_older(&view, &detail.view) {
            detail.view = view;
        }
    }
}

/// True if a view is of before another: the server's answer is ahead of its views, which go out at
/// most so often. Times are whole seconds; within one, more has begun later.
fn is_older(view: &DeploymentView, than: &DeploymentView) -> bool {
    let begun = |view: &DeploymentView| {
        let Counts {
            in_progress,
            successful,
            failed,
            ..
        } = view.counts;
        (successful + failed + in_progress, successful + failed)
    };
    // RFC 3339 in UTC: its text is in the order of time.
    let key = |view: &DeploymentView| (view.updated_at.clone(), begun(view));
    key(view) < key(than)
}

/// True if nothing is left to wait for.
pub(crate) fn is_final(view: &DeploymentView) -> bool {
    view.settled
        || matches!(
            view.state,
            DeploymentState::Aborted | DeploymentState::Completed
        )
}

fn exit_of(view: &DeploymentView) -> u8 {
    if view.state == DeploymentState::Aborted || told::is_superseded(view) {
        return exit::ABORTED;
    }
    if view.counts.failed > 0 {
        return exit::FAILED_DEVICES;
    }
    exit::OK
}

/// Where changes are shown: on standard error.
enum Progress {
    Bar(ProgressBar),
    Lines { last: Option<String> },
}

impl Progress {
    fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines { last: None };
        }
        let bar = ProgressBar::new(0);
        // One text is one drawing: parts that are set one by one would contradict each other.
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        Self::Bar(bar)
    }

    fn show(&mut self, view: &DeploymentView) {
        match self {
            Self::Bar(bar) => bar.set_message(drawn(view)),
            Self::Lines { last } => {
                let line = told::line(view);
                if last.as_ref() != Some(&line) {
                    said::say(line.clone());
                    *last = Some(line);
                }
            }
        }
    }

    fn clear(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// The progress as a terminal shows it: the bar, and below it the phase of a rollout.
fn drawn(view: &DeploymentView) -> String {
    let standing = told::standing(view).map(|said| format!("\n{said}"));
    format!("{}{}", bar_line(view), standing.unwrap_or_default())
}

/// The progress in one line of a terminal: of those that can start at all.
fn bar_line(view: &DeploymentView) -> String {
    let Counts {
        members,
        in_progress,
        successful,
        failed,
        ..
    } = view.counts;
    let all = members.saturating_sub(told::beyond_limit(view));
    let ended = successful + failed;
    let part = u64::from(BAR) * u64::from(ended.min(all)) / u64::from(all.max(1));
    let full = usize::try_from(part).unwrap_or_default();
    let (done, rest) = ("█".repeat(full), "░".repeat(usize::from(BAR) - full));
    format!("{done}{rest} {ended}/{all} ended, {failed} failed, {in_progress} in progress")
}

#[cfg(test)]
mod tests {
    use hoist_orchestrator_core::model::row::EndReason;

    use super::*;
    use serde_json::json;

    fn view(state: &str, settled: bool, failed: u32) -> DeploymentView {
        serde_json::from_value(json!({
            "apiVersion": "hoist/v1", "deployment": 1, "release": "hello@1.1.0", "group": "eu",
            "state": state, "reason": null, "settled": settled,
            "counts": {"members": 25, "pending": 0, "inProgress": 0,
                       "successful": 25 - failed, "failed": failed},
            "steps": {"downloading": 0, "downloaded": 0, "installing": 0, "rebooting": 0, "retrying": 0},
            "failures": [{"reason": "script-failed", "count": failed}],
            "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn the_end_of_a_deployment_decides_the_exit_code() {
        assert_eq!(exit_of(&view("active", true, 0)), exit::OK);
        assert_eq!(exit_of(&view("active", true, 1)), exit::FAILED_DEVICES);
        assert_eq!(exit_of(&view("aborted", false, 1)), exit::ABORTED);
        let mut superseded = view("completed", false, 0);
        superseded.reason = Some(EndReason::Superseded.into());
        assert_eq!(exit_of(&superseded), exit::OK, "it was everywhere by then");
        superseded.counts.successful = 0;
        assert_eq!(exit_of(&superseded), exit::ABORTED);
        assert!(!is_final(&view("active", false, 1)));
        assert!(is_final(&view("completed", false, 0)));
    }

    #[test]
    fn a_bar_and_its_numbers_are_one_line_of_those_who_can_start() {
        let mut half = view("active", false, 5);
        half.counts.successful = 7;
        half.counts.in_progress = 13;
        assert_eq!(
            bar_line(&half),
            "███████████░░░░░░░░░░░░░ 12/25 ended, 5 failed, 13 in progress"
        );
        let nobody = DeploymentView {
            counts: Counts::default(),
            ..half.clone()
        };
        assert!(bar_line(&nobody).contains(" 0/0 ended"));
        half.counts.members = 99_999;
        half.counts.failed = 50_000;
        half.counts.in_progress = 49_992;
        assert!(bar_line(&half).chars().count() < 80, "{}", bar_line(&half));
    }

    #[test]
    fn a_bar_has_the_phase_below_it_and_says_what_holds_it_up() {
        let mut phased = view("active", false, 0);
        assert!(!drawn(&phased).contains('\n'));
        let phase = json!({"index": 2, "name": "", "of": 4, "state": "soaking"});
        phased.phase = serde_json::from_value(phase).unwrap();
        assert!(drawn(&phased).ends_with("\nphase 2 of 4 (soaking)"));
        phased.frozen = true;
        phased.state = DeploymentState::Paused;
        assert!(drawn(&phased).ends_with("\npaused, phase 2 of 4 (soaking), frozen"));
        let line = told::line(&phased);
        assert!(
            line.contains("paused, phase 2 of 4 (soaking), frozen, 25"),
            "{line}"
        );
    }

    #[test]
    fn a_bar_does_not_go_back_to_what_was_before() {
        let mut newer = view("active", false, 1);
        newer.updated_at = "2026-01-01T00:00:01Z".into();
        let mut begun = view("active", false, 1);
        begun.counts.successful -= 1;
        assert!(is_older(&view("active", false, 1), &newer));
        assert!(is_older(&begun, &view("active", false, 1)));
        assert!(!is_older(&newer, &begun) && !is_older(&newer, &newer));
    }
}
