//! `hoist plan`, and `hoist deploy --dry-run`: the server says what a deployment would do,
//! this prints.

use std::time::SystemTime;

use hoist_orchestrator_core::api::command::{Deploy, Verb};
use hoist_orchestrator_core::model::state::LineWord;
use hoist_orchestrator_core::reply::view::FailureCount;
use hoist_orchestrator_core::reply::{OtherDeployment, Plan, Why, WindowsView};
use hoist_protocol::code::Code;
use hoist_protocol::reason::Reason;
use hoist_server::failure::Failure;
use serde_json::Value;

use crate::client::Client;
use crate::commands::wish::body;
use crate::context::{Context, print};
use crate::output::plural::{count, either};
use crate::output::text::{word, wrapped};
use crate::output::{self, Format, Shape, printable};
use crate::{args, exit};

mod schedule;

const PLAN: Shape = Shape {
    name: "group",
    columns: &[],
};

/// Groups asked about at once: the plans of so many always fit an answer.
const GROUPS_AT_ONCE: usize = 4;

/// `hoist plan`
pub(crate) async fn plan(context: &Context, wish: args::Plan) -> Result<u8, Failure> {
    print_plans(context, Verb::Plan, &body(wish, false)?).await
}

/// Asks what a deployment would do, a few groups at a time.
pub(crate) async fn ask(
    client: &mut Client,
    verb: Verb,
    wish: &Deploy,
) -> Result<Vec<Value>, Failure> {
    let Some(groups) = wish.groups.as_deref() else {
        return plans(client, verb, wish).await;
    };
    let mut all = Vec::new();
    for groups in groups.chunks(GROUPS_AT_ONCE) {
        let part = Deploy {
            groups: Some(groups.to_vec()),
            ..wish.clone()
        };
        all.extend(plans(client, verb, &part).await?);
    }
    Ok(all)
}

async fn plans(client: &mut Client, verb: Verb, wish: &Deploy) -> Result<Vec<Value>, Failure> {
    match client.command(verb, wish).await?["plans"].take() {
        Value::Array(plans) => Ok(plans),
        _ => Err(Failure::new(Code::Reply, "the answer to plan has no plans")),
    }
}

/// Prints what `deploy` would do; what it would refuse is the exit code.
pub(crate) async fn print_plans(
    context: &Context,
    verb: Verb,
    wish: &Deploy,
) -> Result<u8, Failure> {
    let mut client = context.client().await?;
    let items = ask(&mut client, verb, wish).await;
    client.close().await;
    let items = items?;
    let plans: Vec<Plan> = serde_json::from_value(Value::Array(items.clone()))
        .map_err(|error| Failure::because(Code::Reply, "the answer to plan", &error))?;
    match (context.format(), items.as_slice()) {
        (Format::Table | Format::Wide, _) => {
            let told: String = plans.iter().map(planned).collect();
            print(&printable(&format!("{told}nothing was changed\n")))?;
        }
        (format, [only]) => print(&output::one(format, &PLAN, only))?,
        (format, items) => print(&output::list(format, &PLAN, items, SystemTime::now()))?,
    }
    let refused = plans.iter().find_map(|plan| plan.refused.as_ref());
    Ok(refused.map_or(exit::OK, |refused| exit::of_code(&refused.code)))
}

/// For people: what comes of it in the first line, then what is particular.
fn planned(plan: &Plan) -> String {
    let spec = format!("{} to {}: ", plan.release, plan.group);
    if let Some(id) = plan.existing {
        let there = format!("there already as deployment {id}; deploying it again changes nothing");
        return wrapped(&spec, &there) + &format!("watch:  hoist status {id}\n");
    }
    let conflicts = ("conflicts", joined(&others(&plan.conflicts)));
    let (gist, facts) = match &plan.refused {
        Some(it) => {
            let why = format!("would be refused: {}: {}; {}", it.code, it.detail, it.hint);
            (why, vec![conflicts])
        }
        None => (starts(plan), particulars(plan)),
    };
    let mut text = wrapped(&spec, &gist);
    for (title, said) in facts {
        if let Some(said) = said {
            text += &wrapped(&format!("  {title:<10}  "), &said);
        }
    }
    if plan.refused.is_none() {
        text += &schedule::told(&plan.schedule);
    }
    text
}

fn particulars(plan: &Plan) -> Vec<(&'static str, Option<String>)> {
    vec![
        ("members", Some(members(plan))),
        ("limit", limit(plan)),
        ("downgrade", downgrade(plan)),
        ("supersedes", joined(&others(&plan.supersedes))),
        ("after", joined(&others(&plan.after))),
        ("end", plan.until.clone()),
        ("windows", plan.windows.as_ref().map(WindowsView::text)),
        ("confirm", plan.confirm_secs.map(confirm)),
        ("time", Some(time(plan))),
        ("overrides", overrides(plan)),
    ]
}

/// The number of devices that start, now or once they connect, and of those that would refuse it,
/// with reasons.
fn starts(plan: &Plan) -> String {
    if plan.members == 0 {
        return "nobody is in the group; devices that join it start".to_owned();
    }
    let (now, later) = (plan.counted.online, plan.counted.when_connected);
    let when = match &plan.start {
        Some(start) => format!("at {start}"),
        None => "now".to_owned(),
    };
    let mut text = format!(
        "{now} online {} {when}, {later} when {}",
        either(now, "starts", "start"),
        either(later, "it connects", "they connect")
    );
    let refusals = plan.counted.would_refuse.iter();
    let reasons: Vec<String> = refusals
        .clone()
        .map(|refusal| format!("{} {}", refusal.reason, refusal.count))
        .collect();
    let refuse: u32 = refusals.map(|refusal| refusal.count).sum();
    if refuse > 0 {
        let verb = either(refuse, "refuses", "refuse");
        text += &format!(", {refuse} {verb} it ({})", reasons.join(", "));
    }
    text
}

/// The option that lets devices with something newer start.
fn downgrade(plan: &Plan) -> Option<String> {
    let is_one = |refusal: &FailureCount| refusal.reason == Reason::Downgrade;
    let goes_down = plan.counted.would_refuse.iter().any(is_one);
    (goes_down && !plan.allow_downgrade)
        .then(|| "--allow-downgrade goes down to the floor of a device".to_owned())
}

/// The number of members, and of those left out for another reason than a limit.
fn members(plan: &Plan) -> String {
    let mut text = plan.members.to_string();
    for excluded in &plan.excluded {
        if excluded.why != Why::AboveLine {
            text += &format!(", {} of them {}", excluded.count, word(excluded.why));
        }
    }
    text
}

/// The devices that a limit lets start: the first of an order that differs from deployment to
/// deployment.
fn limit(plan: &Plan) -> Option<String> {
    let limit = plan.limit?;
    Some(match plan.line {
        LineWord::Everyone => format!("{}; every member starts", count(limit, "device")),
        LineWord::Sought => format!(
            "{} of {}, online or not: {}",
            plan.eligible,
            count(plan.members, "member"),
            online_of(plan.counted.online, plan.eligible),
        ),
    })
}

/// The number of starting devices that are online.
fn online_of(online: u32, all: u32) -> String {
    match (online, all) {
        (0, 1) => "it is not online".to_owned(),
        (1, 1) => "it is online".to_owned(),
        (0, _) => "none of them is online".to_owned(),
        (online, all) if online == all => "all of them are online".to_owned(),
        (1, all) => format!("1 of the {all} is online"),
        (online, all) => format!("{online} of the {all} are online"),
    }
}

fn confirm(secs: u32) -> String {
    let within = duration(secs);
    format!("online with it within {within}, or a device puts back what was there")
}

fn time(plan: &Plan) -> String {
    let spread = match plan.spread_secs {
        0 => String::new(),
        spread => format!(", starts spread over {}", duration(spread)),
    };
    format!(
        "{} for each device, {}{spread}",
        duration(plan.timeout_secs),
        count(plan.attempts, "attempt")
    )
}

/// In the largest unit that is exact.
fn duration(secs: u32) -> String {
    match secs {
        secs if secs % 3_600 == 0 => format!("{}h", secs / 3_600),
        secs if secs % 60 == 0 => format!("{}m", secs / 60),
        secs => format!("{secs}s"),
    }
}

fn overrides(plan: &Plan) -> Option<String> {
    let down = plan
        .allow_downgrade
        .then_some("goes below what is installed, down to the floor of a device");
    let again = plan
        .reinstall
        .then_some("installs also where everything is there already");
    let first = plan
        .urgent
        .then_some("starts before the deployments that wait on a device");
    let parts: Vec<String> = [down, again, first]
        .into_iter()
        .flatten()
        .map(str::to_owned)
        .collect();
    joined(&parts)
}

fn others(others: &[OtherDeployment]) -> Vec<String> {
    let named = |other: &OtherDeployment| format!("{} ({})", other.deployment, other.release);
    others.iter().map(named).collect()
}

fn joined(parts: &[String]) -> Option<String> {
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hoist_protocol::id::DeploymentId;
    use serde_json::json;

    fn plan() -> Plan {
        serde_json::from_value(json!({
            "release": "fw@1.0.0", "id": "00", "group": "eu", "existing": null, "state": "active",
            "members": 40, "eligible": 38, "excluded": [{"why": "held", "count": 2}],
            "supersedes": [{"deployment": 3, "release": "fw@0.9.0"}], "conflicts": [], "after": [],
            "limit": null, "line": "everyone", "start": null, "until": null,
            "completeWhen": "aborted", "timeoutSecs": 86400, "attempts": 3, "spreadSecs": 0,
            "allowDowngrade": false, "reinstall": false, "online": 30, "whenConnected": 4,
            "wouldRefuse": [{"reason": "downgrade", "count": 3},
                            {"reason": "incompatible", "count": 1}],
            "refused": null,
        }))
        .unwrap()
    }

    #[test]
    fn a_person_reads_whom_a_plan_reaches_and_who_would_refuse_it() {
        assert_eq!(
            planned(&plan()),
            "fw@1.0.0 to eu: 30 online start now, 4 when they connect, 4 refuse it (downgrade\n    \
             3, incompatible 1)\n  \
             members     40, 2 of them held\n  \
             downgrade   --allow-downgrade goes down to the floor of a device\n  \
             supersedes  3 (fw@0.9.0)\n  \
             time        24h for each device, 3 attempts\n"
        );
    }

    #[test]
    fn what_is_there_already_or_would_be_refused_is_said_and_nothing_else() {
        let mut plan = plan();
        plan.existing = Some(DeploymentId(3));
        assert_eq!(
            planned(&plan),
            "fw@1.0.0 to eu: there already as deployment 3; deploying it again changes\n    \
             nothing\nwatch:  hoist status 3\n"
        );
        plan.existing = None;
        plan.conflicts = std::mem::take(&mut plan.supersedes);
        plan.refused = serde_json::from_value(json!({
            "code": "E_CONFLICT", "title": "t", "detail": "it overlaps", "hint": "abort it",
            "field": null,
        }))
        .unwrap();
        assert_eq!(
            planned(&plan),
            "fw@1.0.0 to eu: would be refused: E_CONFLICT: it overlaps; abort it\n  \
             conflicts   3 (fw@0.9.0)\n"
        );
    }

    #[test]
    fn an_empty_group_is_named_as_such() {
        let mut plan = plan();
        plan.members = 0;
        assert!(planned(&plan).contains(": nobody is in the group; devices that join it start\n"));
    }

    #[test]
    fn a_limit_says_how_many_of_those_that_it_lets_start_are_online() {
        let mut plan = plan();
        plan.limit = Some(10);
        plan.eligible = 10;
        plan.line = LineWord::Sought;
        plan.counted.would_refuse.clear();
        (plan.counted.online, plan.counted.when_connected) = (1, 9);
        (plan.attempts, plan.timeout_secs, plan.spread_secs) = (1, 90, 120);
        let said = planned(&plan);
        for line in [
            "fw@1.0.0 to eu: 1 online starts now, 9 when they connect\n",
            "  limit       10 of 40 members, online or not: 1 of the 10 is online\n",
            "  time        90s for each device, 1 attempt, starts spread over 2m\n",
        ] {
            assert!(said.contains(line), "{said}");
        }
        assert!(!said.contains("refuse"), "{said}");
    }

    #[test]
    fn one_and_none_and_all_of_those_that_start_are_said_in_words() {
        assert_eq!(online_of(0, 1), "it is not online");
        assert_eq!(online_of(1, 1), "it is online");
        assert_eq!(online_of(0, 3), "none of them is online");
        assert_eq!(online_of(2, 3), "2 of the 3 are online");
        assert_eq!(online_of(3, 3), "all of them are online");
    }
}
