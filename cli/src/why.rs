//! `hoist device why` and `hoist plan`: the server explains, this prints. For people a few
//! lines for each deployment, for programs everything.

use std::fmt::Write;
use std::time::SystemTime;

use hoist_orchestrator_core::command::{DeviceWhy as Question, Verb};
use hoist_orchestrator_core::reply::{
    DeviceWhy, Explanation, LineWord, OtherDeployment, Plan, PlanResult, RefusedItem, RuleItem,
};
use hoist_protocol::code::Code;
use serde::Serialize;
use serde_json::Value;

use crate::args;
use crate::context::{Context, print};
use crate::deployment::body;
use crate::exit;
use crate::failure::Failure;
use crate::output::{self, Format, Shape, printable};

const DEVICE: Shape = Shape {
    name: "device",
    columns: &[],
};

const PLAN: Shape = Shape {
    name: "group",
    columns: &[],
};

/// `hoist device why`
pub(crate) async fn device(
    context: &Context,
    device: String,
    deployment: Option<u32>,
) -> Result<u8, Failure> {
    let question = Question { device, deployment };
    let result = context.command(Verb::DeviceWhy, &question).await?;
    match context.format() {
        Format::Table | Format::Wide => {
            let why: DeviceWhy = serde_json::from_value(result).map_err(|error| {
                Failure::because(Code::Reply, "the answer to device-why", &error)
            })?;
            print(&printable(&told(&why)))?;
            Ok(exit::OK)
        }
        _ => context.print_one(&DEVICE, &result),
    }
}

/// `hoist plan`
pub(crate) async fn plan(context: &Context, wish: args::Plan) -> Result<u8, Failure> {
    let result = context.command(Verb::Plan, &body(wish, false)).await?;
    print_plans(context, result)
}

/// Prints what `deploy` would do; what it would refuse is the exit code.
pub(crate) fn print_plans(context: &Context, mut result: Value) -> Result<u8, Failure> {
    let plans: PlanResult = serde_json::from_value(result.clone())
        .map_err(|error| Failure::because(Code::Reply, "the answer to plan", &error))?;
    let items = match result["plans"].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    };
    match (context.format(), items.as_slice()) {
        (Format::Table | Format::Wide, _) => {
            let told: String = plans.plans.iter().map(planned).collect();
            print(&printable(&format!("{told}nothing was changed\n")))?;
        }
        (format, [only]) => print(&output::one(format, &PLAN, only))?,
        (format, items) => print(&output::list(format, &PLAN, items, SystemTime::now()))?,
    }
    let refused = plans.plans.iter().find_map(|plan| plan.refused.as_ref());
    Ok(refused.map_or(exit::OK, |refused| exit::of_code(&refused.code)))
}

/// The word of something that is one in JSON.
fn word(of: impl Serialize) -> String {
    match serde_json::to_value(of) {
        Ok(Value::String(word)) => word,
        _ => "-".to_owned(),
    }
}

fn told(why: &DeviceWhy) -> String {
    let seen = match &why.last_seen {
        Some(seen) => format!("last seen {seen}"),
        None => "never seen".to_owned(),
    };
    let held = if why.held { ", held" } else { "" };
    let mut text = format!(
        "{}: group {}, {}, {seen}{held}\n",
        why.device, why.group, why.presence
    );
    if let Some(RefusedItem { code, at, count }) = &why.refused {
        let _ = writeln!(text, "  refused  {code}, last at {at}, {count} times");
    }
    if let Some(nothing) = &why.nothing {
        text += &lines(&word(nothing.why), &nothing.says, &nothing.next);
    }
    text.extend(why.deployments.iter().map(explained));
    if why.omitted > 0 {
        let _ = writeln!(text, "\n{} more: ask with --deployment NUMBER", why.omitted);
    }
    text
}

fn lines(why: &str, says: &str, next: &str) -> String {
    format!("  why    {why}: {says}\n  next   {next}\n")
}

fn explained(explanation: &Explanation) -> String {
    let Explanation {
        deployment,
        release,
        group,
        rules,
        ..
    } = explanation;
    let status = explanation.status.map(word);
    let mut text = format!(
        "\ndeployment {deployment}, {release} to {group}, {}: {}\n",
        word(explanation.state),
        status.as_deref().unwrap_or("not for this device")
    );
    text += &lines(&word(explanation.why), &explanation.says, &explanation.next);
    let named = |pass: bool| {
        let of = rules.iter().filter(move |rule| rule.pass == pass);
        of.map(|rule: &RuleItem| word(rule.rule))
            .collect::<Vec<_>>()
    };
    for (title, names) in [("holds", named(true)), ("fails", named(false))] {
        if !names.is_empty() {
            let _ = writeln!(text, "  {title}  {}", names.join(", "));
        }
    }
    text
}

fn planned(plan: &Plan) -> String {
    let start = match &plan.start {
        Some(start) => format!("at {start}"),
        None => "at once".to_owned(),
    };
    let mut text = format!(
        "{} to {}: would start {start} on {} of {} members\n",
        plan.release, plan.group, plan.eligible, plan.members
    );
    let left_out: Vec<String> = plan
        .excluded
        .iter()
        .map(|excluded| format!("{} {}", excluded.count, word(excluded.why)))
        .collect();
    let limit = plan.limit.map(|limit| {
        let line = match plan.line {
            LineWord::Everyone => "every member is admitted",
            LineWord::Sought => "the line is drawn when it is listed",
        };
        format!("{limit} devices; {line}")
    });
    let device = format!(
        "{} s for each device, {} attempts, starts spread over {} s",
        plan.timeout_secs, plan.attempts, plan.spread_secs
    );
    let existing = plan
        .existing
        .map(|id| format!("as deployment {id} already"));
    let refused = plan.refused.as_ref();
    for (title, said) in [
        ("there", existing),
        ("left out", joined(&left_out)),
        ("supersedes", joined(&others(&plan.supersedes))),
        ("conflicts", joined(&others(&plan.conflicts))),
        ("after", joined(&others(&plan.after))),
        ("limit", limit),
        ("end", plan.until.clone()),
        ("time", Some(device)),
        (
            "refused",
            refused.map(|it| format!("{}: {}; {}", it.code, it.detail, it.hint)),
        ),
    ] {
        if let Some(said) = said {
            let _ = writeln!(text, "  {title:<10}  {said}");
        }
    }
    text
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
    use serde_json::json;

    #[test]
    fn a_person_reads_why_what_next_and_every_rule() {
        let why: DeviceWhy = serde_json::from_value(json!({
            "device": "d1", "group": "eu", "presence": "offline", "lastSeen": null, "held": false,
            "omitted": 2,
            "deployments": [{
                "deployment": 17, "release": "fw@1.0.0", "group": "eu", "state": "active",
                "status": "pending", "step": null, "attempt": null, "round": null, "reason": null,
                "since": null, "why": "offline", "rule": "reachable",
                "says": "the device is offline, never seen", "next": "starts when it connects",
                "at": null,
                "rules": [{"rule": "member", "pass": true},
                          {"rule": "reachable", "pass": false, "why": "offline", "says": "…"}],
            }],
        }))
        .unwrap();
        assert_eq!(
            told(&why),
            "d1: group eu, offline, never seen\n\n\
             deployment 17, fw@1.0.0 to eu, active: pending\n  \
             why    offline: the device is offline, never seen\n  \
             next   starts when it connects\n  \
             holds  member\n  \
             fails  reachable\n\n\
             2 more: ask with --deployment NUMBER\n"
        );
    }

    #[test]
    fn a_person_reads_whom_a_plan_reaches_and_leaves_out() {
        let plan: Plan = serde_json::from_value(json!({
            "release": "fw@1.0.0", "id": "00", "group": "eu", "existing": null, "state": "active",
            "members": 40, "eligible": 10,
            "excluded": [{"why": "held", "count": 2}, {"why": "above-line", "count": 28}],
            "supersedes": [{"deployment": 3, "release": "fw@0.9.0"}], "conflicts": [], "after": [],
            "limit": 10, "line": "sought", "start": null, "until": null, "completeWhen": "aborted",
            "timeoutSecs": 86400, "attempts": 3, "spreadSecs": 0, "refused": null,
        }))
        .unwrap();
        assert_eq!(
            planned(&plan),
            "fw@1.0.0 to eu: would start at once on 10 of 40 members\n  \
             left out    2 held, 28 above-line\n  \
             supersedes  3 (fw@0.9.0)\n  \
             limit       10 devices; the line is drawn when it is listed\n  \
             time        86400 s for each device, 3 attempts, starts spread over 0 s\n"
        );
    }
}
