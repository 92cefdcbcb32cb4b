//! `hoist deployment pause`, `resume`, `approve` and `history`: people and a rollout.

use hoist_orchestrator_core::api::command::{Approve, Pause, Resume, Verb};
use hoist_server::failure::Failure;
use serde_json::{Map, Value};

use super::SHAPE;
use crate::args::Deployment;
use crate::context::Context;
use crate::output::{Shape, Show, column, plural, wide};

const HISTORY: Shape = Shape {
    name: "at",
    columns: &[
        column("WHEN", "/at", Show::Ago),
        wide("AT", "/at", Show::Plain),
        wide("KIND", "/kind", Show::Plain),
        column("BY", "/by", Show::Plain),
        column("WHAT", "/text", Show::Plain),
    ],
};

/// Runs one of them.
pub(super) async fn run(context: &Context, command: Deployment) -> Result<u8, Failure> {
    let (verb, body, done) = match command {
        Deployment::History { deployment } => {
            let mut filter = Map::new();
            filter.insert("deployment".to_owned(), deployment.into());
            return context
                .print_list(Verb::DeploymentHistory, filter, None, &HISTORY)
                .await;
        }
        Deployment::Pause {
            deployment,
            reason,
            dry_run,
        } => {
            let body = Pause {
                deployment,
                reason,
                dry_run,
            };
            (Verb::Pause, serde_json::to_value(body), "paused")
        }
        Deployment::Resume {
            deployment,
            dry_run,
        } => {
            let body = Resume {
                deployment,
                dry_run,
            };
            (Verb::Resume, serde_json::to_value(body), "going on")
        }
        Deployment::Approve {
            deployment,
            phase,
            dry_run,
        } => {
            let body = Approve {
                deployment,
                phase,
                dry_run,
            };
            (Verb::Approve, serde_json::to_value(body), "approved")
        }
        other => return Box::pin(super::run(context, other)).await,
    };
    let body = body.map_err(|error| {
        Failure::because(hoist_protocol::code::Code::System, "the command", &error)
    })?;
    let result = context.command(verb, &body).await?;
    let dry_run = body["dryRun"] == true;
    context.print_change(&SHAPE, &result, &sentence(&result, done, dry_run))
}

fn sentence(result: &Value, done: &str, dry_run: bool) -> String {
    let count = |name: &str| result[name].as_u64().unwrap_or(0);
    let is = if dry_run { "would be" } else { "is" };
    format!(
        "deployment {} {is} {done}: {} not started, {} in progress",
        result["deployment"],
        plural::count(count("pending"), "device"),
        count("inProgress"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn people_read_what_it_is_and_who_waits() {
        let result = json!({"deployment": 17, "state": "paused", "pending": 1, "inProgress": 4});
        assert_eq!(
            sentence(&result, "paused", false),
            "deployment 17 is paused: 1 device not started, 4 in progress"
        );
        assert!(sentence(&result, "going on", true).contains("would be going on"));
    }
}
