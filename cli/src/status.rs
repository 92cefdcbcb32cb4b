//! `hoist status`: follows the retained view of a deployment until it is settled or over.
//! A bar on a terminal, one plain line per change otherwise, and always a last line.

use std::io::IsTerminal;
use std::time::Duration;

use hoist_orchestrator_core::command::{DeploymentRef, Verb};
use hoist_protocol::id::DeploymentId;
use hoist_protocol::topic::{Topic, View};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::Value;

use crate::args::Status;
use crate::client::Client;
use crate::context::{Context, print};
use crate::deployment::SHAPE;
use crate::exit;
use crate::failure::Failure;
use crate::output::{self, Format};

/// Counts of a deployment, as in its view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    pub(crate) members: u64,
    pub(crate) pending: u64,
    pub(crate) in_progress: u64,
    pub(crate) successful: u64,
    pub(crate) failed: u64,
}

impl Counts {
    /// Reads the counts of a view.
    pub(crate) fn of(view: &Value) -> Self {
        let count = |name: &str| view["counts"][name].as_u64().unwrap_or(0);
        Self {
            members: count("members"),
            pending: count("pending"),
            in_progress: count("inProgress"),
            successful: count("successful"),
            failed: count("failed"),
        }
    }

    /// Members with a final status.
    pub(crate) fn ended(&self) -> u64 {
        self.successful + self.failed
    }
}

/// `hoist status`
pub(crate) async fn status(context: &Context, status: &Status) -> Result<u8, Failure> {
    let mut client = context.client().await?;
    // Says at once when there is no such deployment: its view would never come.
    let shown = client
        .command(
            Verb::DeploymentShow,
            &DeploymentRef {
                deployment: status.deployment,
            },
        )
        .await?;
    let last = match status.watch {
        false => Some(shown),
        true => {
            let watch = watch(&mut client, status.deployment, Progress::new());
            match status.timeout {
                None => Some(watch.await?),
                Some(time) => tokio::time::timeout(time, watch).await.ok().transpose()?,
            }
        }
    };
    client.close().await;
    let Some(view) = last else {
        let time = humantime::format_duration(status.timeout.unwrap_or(Duration::ZERO)).to_string();
        return Err(Failure::new(
            "E_WAIT",
            format!(
                "deployment {} is not settled after {time}",
                status.deployment
            ),
        )
        .help("it goes on without anybody watching; look again with `hoist status`"));
    };
    match context.format() {
        Format::Table | Format::Wide => print(&format!("{}\n", summary(&view)))?,
        _ => print(&output::one(context.format(), &SHAPE, &view))?,
    }
    Ok(if status.watch {
        exit_of(&view)
    } else {
        exit::OK
    })
}

/// Follows the view until it is final, showing every change.
async fn watch(
    client: &mut Client,
    deployment: u32,
    mut progress: Progress,
) -> Result<Value, Failure> {
    let view = View::Deployment(DeploymentId(deployment));
    let topic = client.topics().format(&Topic::View(view));
    client.watch(&topic).await?;
    loop {
        let (_, payload) = client.next_message().await?;
        let view: Value = serde_json::from_slice(&payload)
            .map_err(|error| Failure::because("E_REPLY", format!("the view on {topic}"), &error))?;
        progress.show(&view);
        if is_final(&view) {
            progress.clear();
            return Ok(view);
        }
    }
}

/// Whether nothing is left to wait for.
pub(crate) fn is_final(view: &Value) -> bool {
    view["settled"] == Value::Bool(true)
        || matches!(view["state"].as_str(), Some("aborted" | "completed"))
}

fn exit_of(view: &Value) -> u8 {
    if view["state"] == "aborted" {
        return exit::ABORTED;
    }
    if Counts::of(view).failed > 0 {
        return exit::FAILED_DEVICES;
    }
    exit::OK
}

/// One line that says it all.
pub(crate) fn summary(view: &Value) -> String {
    let counts = Counts::of(view);
    let mut line = format!(
        "deployment {} {} -> {}: {}",
        view["deployment"],
        view["release"].as_str().unwrap_or("?"),
        view["group"].as_str().unwrap_or("?"),
        view["state"].as_str().unwrap_or("?"),
    );
    if view["settled"] == Value::Bool(true) {
        line.push_str(", settled");
    }
    line.push_str(&format!(
        ", {} of {} successful, {} failed, {} in progress, {} pending",
        counts.successful, counts.members, counts.failed, counts.in_progress, counts.pending
    ));
    let reasons: Vec<String> = view["failures"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|failure| {
            format!(
                "{} {}",
                failure["count"],
                failure["reason"].as_str().unwrap_or("?")
            )
        })
        .collect();
    if !reasons.is_empty() {
        line.push_str(&format!(" ({})", reasons.join(", ")));
    }
    line
}

/// Where changes are shown: on standard error.
enum Progress {
    Bar(ProgressBar),
    Lines { last: Option<Counts> },
}

impl Progress {
    fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines { last: None };
        }
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} ended, {msg}") {
            bar.set_style(style);
        }
        Self::Bar(bar)
    }

    fn show(&mut self, view: &Value) {
        let counts = Counts::of(view);
        match self {
            Self::Bar(bar) => {
                bar.set_length(counts.members);
                bar.set_position(counts.ended());
                bar.set_message(format!(
                    "{} failed, {} in progress",
                    counts.failed, counts.in_progress
                ));
            }
            Self::Lines { last } if *last != Some(counts) => {
                *last = Some(counts);
                eprintln!("{}", summary(view));
            }
            Self::Lines { .. } => {}
        }
    }

    fn clear(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn view(state: &str, settled: bool, failed: u64) -> Value {
        json!({"deployment": 1, "release": "hello@1.1.0", "group": "eu", "state": state, "settled": settled,
               "counts": {"members": 25, "pending": 0, "inProgress": 0, "successful": 25 - failed, "failed": failed},
               "failures": [{"reason": "script-failed", "count": failed}]})
    }

    #[test]
    fn the_end_of_a_deployment_decides_the_exit_code() {
        assert_eq!(exit_of(&view("active", true, 0)), exit::OK);
        assert_eq!(exit_of(&view("active", true, 1)), exit::FAILED_DEVICES);
        assert_eq!(exit_of(&view("aborted", false, 1)), exit::ABORTED);
        assert!(!is_final(&view("active", false, 1)));
        assert!(is_final(&view("completed", false, 0)));
    }

    #[test]
    fn the_summary_counts_and_names_reasons() {
        assert_eq!(
            summary(&view("active", true, 1)),
            "deployment 1 hello@1.1.0 -> eu: active, settled, 24 of 25 successful, 1 failed, \
             0 in progress, 0 pending (1 script-failed)"
        );
    }
}
