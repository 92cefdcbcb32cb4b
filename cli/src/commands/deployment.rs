//! `hoist deploy` and `hoist deployment …`

use std::io::IsTerminal;
use std::time::SystemTime;

use hoist_device_client::agent::said;
use hoist_orchestrator_core::api::command::{self, Abort, DeploymentShow, Retry, Verb};
use hoist_orchestrator_core::model::state::DeploymentState;
use hoist_orchestrator_core::reply::view::DeploymentView;
use hoist_orchestrator_core::reply::{DeployResult, DeploymentDetail};
use hoist_protocol::code::Code;
use hoist_server::failure::Failure;
use serde_json::{Map, Value};

use crate::args::{Deploy, Deployment};
use crate::client::Client;
use crate::commands::confirm::confirmed;
use crate::commands::plan;
use crate::commands::wish::body;
use crate::context::{Context, print};
use crate::exit;
use crate::output::text::fitted;
use crate::output::{self, Format, Shape, Show, column, plural, told, wide};

mod spread;

/// The shape of a deployment, in lists and alone.
pub(crate) const SHAPE: Shape = Shape {
    name: "deployment",
    columns: &[
        column("DEPLOYMENT", "/deployment", Show::Plain),
        column("RELEASE", "/release", Show::Plain),
        column("GROUP", "/group", Show::Plain),
        column("STATE", "", Show::Made(state)),
        column("SUCCESSFUL", "", Show::Made(successful)),
        column("FAILED", "/counts/failed", Show::Plain),
        column("CREATED", "/createdAt", Show::Ago),
        wide("PENDING", "/counts/pending", Show::Plain),
        wide("IN PROGRESS", "/counts/inProgress", Show::Plain),
        wide("REASON", "/reason", Show::Plain),
        wide("UPDATED", "/updatedAt", Show::Ago),
    ],
};

fn state(item: &Value) -> String {
    match serde_json::from_value::<DeploymentView>(item.clone()) {
        Ok(view) => told::state(&view).to_owned(),
        Err(_) => item["state"].as_str().unwrap_or("-").to_owned(),
    }
}

fn successful(item: &Value) -> String {
    let counts = &item["counts"];
    format!("{}/{}", counts["successful"], counts["members"])
}

/// `hoist deploy`
pub(crate) async fn deploy(context: &Context, deploy: Deploy) -> Result<u8, Failure> {
    let dry_run = deploy.dry_run;
    let command = body(deploy.wish, dry_run)?;
    if dry_run {
        return plan::print_plans(context, Verb::Deploy, &command).await;
    }
    match context.format() {
        Format::Table | Format::Wide => {
            let mut client = context.client().await?;
            let said = deploy_and_say(&mut client, &command).await;
            client.close().await;
            print(&said?)?;
        }
        format => {
            let result = context.command(Verb::Deploy, &command).await?;
            print(&match result["deployments"].as_array() {
                // Several groups make one deployment each.
                Some(created) => output::list(format, &SHAPE, created, SystemTime::now()),
                None => output::one(format, &SHAPE, &result),
            })?;
        }
    }
    Ok(exit::OK)
}

/// Deploys, and tells what is new from what was there already.
async fn deploy_and_say(client: &mut Client, command: &command::Deploy) -> Result<String, Failure> {
    let mut result = client.command(Verb::Deploy, command).await?;
    let created: Vec<DeployResult> = match result["deployments"].take() {
        Value::Null => serde_json::from_value(result).map(|only| vec![only]),
        several => serde_json::from_value(several),
    }
    .map_err(|error| Failure::because(Code::Reply, "the answer to deploy", &error))?;
    let mut text = String::new();
    for item in created {
        if item.existing {
            let deployment = item.deployment.0;
            let known: DeploymentDetail = client
                .ask(Verb::DeploymentShow, &DeploymentShow { deployment })
                .await?;
            text += &fitted(&format!(
                "there already, nothing new: {}",
                told::line(&known.view)
            ));
        } else {
            text += &created_sentence(&item);
        }
        text += &format!("watch:  hoist status {}\n", item.deployment);
    }
    Ok(text)
}

fn created_sentence(item: &DeployResult) -> String {
    let fit = match item.excluded {
        0 => String::new(),
        excluded => format!(", {} eligible, {excluded} excluded", item.eligible),
    };
    let state = match item.state {
        DeploymentState::Scheduled => "scheduled",
        _ => "active",
    };
    let members = plural::count(item.members, "member");
    format!("deployment {} {state}: {members}{fit}\n", item.deployment)
}

/// Runs one of the deployment commands.
pub(crate) async fn run(context: &Context, command: Deployment) -> Result<u8, Failure> {
    match command {
        Deployment::List => {
            context
                .print_list(Verb::DeploymentList, Map::new(), None, &SHAPE)
                .await
        }
        Deployment::Show { deployment } => {
            let body = DeploymentShow { deployment };
            let shown = context.command(Verb::DeploymentShow, &body).await?;
            show(context, shown)
        }
        Deployment::Retry {
            deployment,
            devices,
            dry_run,
        } => {
            let devices = (!devices.is_empty()).then_some(devices);
            let body = Retry {
                deployment,
                devices,
                dry_run,
            };
            let result = context.command(Verb::Retry, &body).await?;
            context.print_change(&SHAPE, &result, &retry_sentence(&result, dry_run))
        }
        Deployment::Abort {
            deployment,
            reason,
            yes,
            dry_run,
        } => abort(context, deployment, &reason, yes, dry_run).await,
        Deployment::Pause { .. }
        | Deployment::Resume { .. }
        | Deployment::Approve { .. }
        | Deployment::History { .. } => spread::run(context, command).await,
    }
}

fn show(context: &Context, shown: Value) -> Result<u8, Failure> {
    if !matches!(context.format(), Format::Table | Format::Wide) {
        return context.print_one(&SHAPE, &shown);
    }
    let detail: DeploymentDetail = serde_json::from_value(shown)
        .map_err(|error| Failure::because(Code::Reply, "the answer to deployment-show", &error))?;
    print(&told::full(&detail, SystemTime::now()))?;
    Ok(exit::OK)
}

fn retry_sentence(result: &Value, dry_run: bool) -> String {
    let count = result["devices"].as_u64().unwrap_or(0);
    let begin = match (count, dry_run) {
        (0, _) => {
            let deployment = &result["deployment"];
            return format!("deployment {deployment}: nobody has failed, so nobody begins again");
        }
        (_, true) => "would begin",
        (1, false) => "begins",
        (_, false) => "begin",
    };
    format!(
        "deployment {}: {} {begin} again, in round {}",
        result["deployment"],
        plural::count(count, "device"),
        result["round"]
    )
}

async fn abort(
    context: &Context,
    deployment: u32,
    reason: &str,
    yes: bool,
    dry_run: bool,
) -> Result<u8, Failure> {
    if !yes && !dry_run && !std::io::stdin().is_terminal() {
        return Err(Failure::new(
            Code::Confirm,
            format!("aborting deployment {deployment} needs a yes"),
        )
        .help("repeat it with --yes, or with --dry-run to see what it would mean"));
    }
    let body = |dry_run| Abort {
        deployment,
        reason: Some(reason.to_owned()),
        dry_run,
    };
    if !yes || dry_run {
        let plan = context.command(Verb::Abort, &body(true)).await?;
        if dry_run {
            return context.print_change(
                &SHAPE,
                &plan,
                &abort_sentence(deployment, "would be", &plan),
            );
        }
        said::say(abort_sentence(deployment, "will be", &plan));
        if !confirmed(&format!("abort deployment {deployment}? [y/N] ")) {
            said::say("nothing was changed");
            return Ok(exit::ERROR);
        }
    }
    let result = context.command(Verb::Abort, &body(false)).await?;
    context.print_change(&SHAPE, &result, &abort_sentence(deployment, "is", &result))
}

fn abort_sentence(deployment: u32, verb: &str, result: &Value) -> String {
    let count = |name: &str| result[name].as_u64().unwrap_or(0);
    let (never, finishing, ended) = (count("neverStart"), count("finishing"), count("unaffected"));
    format!(
        "deployment {deployment} {verb} aborted: {} will never start, {finishing} in progress {} \
         back, {ended} {} ended",
        plural::count(never, "device"),
        plural::either(finishing, "finishes or rolls", "finish or roll"),
        plural::either(ended, "has", "have"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;
    use serde_json::json;

    fn body_of(line: &str) -> Value {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Deploy(deploy) => {
                let body = body(deploy.wish, deploy.dry_run).unwrap();
                serde_json::to_value(body).unwrap()
            }
            _ => unreachable!(),
        }
    }

    #[test]
    fn only_what_was_asked_for_is_in_the_command() {
        assert_eq!(
            body_of("hoist deploy a@1 --group eu"),
            json!({"release": "a@1", "group": "eu"})
        );
        assert_eq!(
            body_of(
                "hoist deploy a@1 --group eu --phases 1%,10% --soak 10m --gate 90% --approvals 1 --per-minute 50 --max-failures 5% --on-failures abort --order stable"
            ),
            json!({"release": "a@1", "group": "eu", "rollout": {
                "order": "stable",
                "phases": [
                    {"percent": 1, "gate": {"successPercent": 90, "soakSecs": 600, "giveUpSecs": 87_000}},
                    {"percent": 10, "approvals": 1,
                     "gate": {"successPercent": 90, "soakSecs": 600, "giveUpSecs": 87_000}}],
                "startsPerMinute": 50,
                "failure": {"percent": 5, "then": "abort"}}})
        );
        assert_eq!(
            body_of(
                "hoist deploy a@1 --groups eu,us --limit 5 --device-timeout 1h --complete-when all-successful --allow-downgrade --reinstall --urgent --dry-run"
            ),
            json!({"release": "a@1", "groups": ["eu", "us"], "limit": {"devices": 5},
                   "completeWhen": "all-successful", "timeoutSecs": 3600,
                   "allowDowngrade": true, "reinstall": true, "urgent": true, "dryRun": true})
        );
    }

    #[test]
    fn a_retry_says_who_begins_again() {
        let result = json!({"deployment": 17, "round": 2, "devices": 3});
        assert_eq!(
            retry_sentence(&result, false),
            "deployment 17: 3 devices begin again, in round 2"
        );
        let one = json!({"deployment": 17, "round": 2, "devices": 1});
        assert_eq!(
            retry_sentence(&one, false),
            "deployment 17: 1 device begins again, in round 2"
        );
        let member = DeployResult {
            deployment: hoist_protocol::id::DeploymentId(1),
            state: DeploymentState::Active,
            members: 1,
            eligible: 1,
            excluded: 0,
            existing: false,
        };
        assert_eq!(created_sentence(&member), "deployment 1 active: 1 member\n");
        let nothing = json!({"deployment": 17, "round": 2, "devices": 0});
        assert_eq!(
            retry_sentence(&nothing, false),
            "deployment 17: nobody has failed, so nobody begins again"
        );
    }

    #[test]
    fn an_abort_says_what_it_means_in_numbers() {
        let result = json!({"neverStart": 900, "finishing": 4, "unaffected": 300});
        assert_eq!(
            abort_sentence(17, "is", &result),
            "deployment 17 is aborted: 900 devices will never start, 4 in progress finish or roll \
             back, 300 have ended"
        );
        let one = json!({"neverStart": 1, "finishing": 1, "unaffected": 1});
        assert_eq!(
            abort_sentence(17, "is", &one),
            "deployment 17 is aborted: 1 device will never start, 1 in progress finishes or rolls \
             back, 1 has ended"
        );
    }
}
