//! `hoist device why` and `hoist plan`: the server explains, this prints. For people a few
//! lines for each deployment, for programs everything.

use std::fmt::Write;
use std::time::SystemTime;

use hoist_orchestrator_core::command::{DeviceWhy as Question, Verb};
use hoist_orchestrator_core::reply::{
    DeviceWhy, Explanation, LineWord, OtherDeployment, Plan, PlanResult, RefusedItem, RuleItem, Why,
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
use crate::plural;

const DEVICE: Shape = Shape {
    name: "device",
    columns: &[],
};

const PLAN: Shape = Shape {
    name: "group",
    columns: &[],
};

/// `hoist device why`
pub(crate) async fn device(context: &Context, wish: args::Why) -> Result<u8, Failure> {
    let args::Why {
        device,
        deployment,
        rules,
    } = wish;
    let question = Question { device, deployment };
    let result = context.command(Verb::DeviceWhy, &question).await?;
    match context.format() {
        Format::Table | Format::Wide => {
            let why: DeviceWhy = serde_json::from_value(result).map_err(|error| {
                Failure::because(Code::Reply, "the answer to device-why", &error)
            })?;
            let rules = if rules { Rules::Listed } else { Rules::Hidden };
            print(&printable(&told(&why, rules)))?;
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

/// Whether every rule is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    Listed,
    Hidden,
}

/// The answer in one sentence, then what it is about; what else concerns the device below.
fn told(why: &DeviceWhy, rules: Rules) -> String {
    let mut text = String::new();
    let mut all = why.deployments.iter();
    if let Some(identity) = &why.identity {
        let doubted = format!("{}: blocked by {}: ", why.device, identity.code);
        text += &wrapped(&doubted, &identity.says);
        text += &titled("next", &identity.next);
    }
    if let Some(nothing) = &why.nothing {
        let blocked = format!("{}: blocked by {}: ", why.device, word(nothing.why));
        text += &wrapped(&blocked, &nothing.says);
        text += &titled("next", &nothing.next);
    } else if let Some(first) = all.next() {
        text += &wrapped(
            &format!("{}: {}: ", why.device, verdict(first)),
            &first.says,
        );
        text += &next(first);
        text += &titled("about", &about(first));
        text += &listed(first, rules);
    }
    text += &titled("device", &state(why));
    if let Some(RefusedItem { code, at, count }) = &why.refused {
        let times = plural::count(*count, "time");
        text += &titled("refused", &format!("{code}, last at {at}, {times}"));
    }
    for other in all {
        text += "\n";
        text += &wrapped(
            &format!("{}: ", about(other)),
            &format!("{}: {}", verdict(other), other.says),
        );
        text += &next(other);
        text += &listed(other, rules);
    }
    if why.omitted > 0 {
        let _ = writeln!(text, "\n{} more: ask with --deployment NUMBER", why.omitted);
    }
    text
}

/// In a word or two: whether the device has carried it out, is about to, or what is in the
/// way.
fn verdict(explanation: &Explanation) -> String {
    match explanation.why {
        Why::Successful | Why::AlreadyThere => "done".to_owned(),
        Why::Starts | Why::InProgress => "ok".to_owned(),
        Why::Retrying | Why::ContactLost | Why::Asked => "waiting".to_owned(),
        Why::Failed | Why::Incompatible | Why::TimedOut => "failed".to_owned(),
        why => format!("blocked by {}", word(why)),
    }
}

/// What happens next; nothing more happens to what is done.
fn next(explanation: &Explanation) -> String {
    match explanation.why {
        Why::Successful | Why::AlreadyThere => String::new(),
        _ => titled("next", &explanation.next),
    }
}

fn about(explanation: &Explanation) -> String {
    let Explanation {
        deployment,
        release,
        group,
        state,
        ..
    } = explanation;
    format!(
        "deployment {deployment}, {release} to {group}, {}",
        word(state)
    )
}

fn state(why: &DeviceWhy) -> String {
    let seen = match &why.last_seen {
        Some(seen) => format!("last seen {seen}"),
        None => "never seen".to_owned(),
    };
    let held = if why.held { ", held" } else { "" };
    format!("group {}, {}, {seen}{held}", why.group, why.presence)
}

/// Every rule in the order in which they are looked at, and how it came out.
fn listed(explanation: &Explanation, rules: Rules) -> String {
    if rules == Rules::Hidden {
        return String::new();
    }
    let item = |rule: &RuleItem| match rule.why {
        None => titled("ok", &word(rule.rule)),
        Some(why) => titled("blocked", &format!("{}, by {}", word(rule.rule), word(why))),
    };
    explanation.rules.iter().map(item).collect()
}

/// Columns of a terminal.
const WIDTH: usize = 80;

fn titled(title: &str, said: &str) -> String {
    wrapped(&format!("  {title:<7}  "), said)
}

/// Text behind its beginning, in lines that fit a terminal; a longer word stays whole.
fn wrapped(begin: &str, said: &str) -> String {
    let indent = if begin.starts_with(' ') {
        begin.chars().count()
    } else {
        4
    };
    let mut text = begin.trim_end().to_owned();
    let mut column = text.chars().count();
    let mut gap = begin.chars().count() - column;
    for word in said.split(' ').filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        if column + gap + length > WIDTH && column > indent {
            let _ = write!(text, "\n{:indent$}", "");
            (column, gap) = (indent, 0);
        }
        let _ = write!(text, "{:gap$}{word}", "");
        column += gap + length;
        gap = 1;
    }
    text + "\n"
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

    fn offline() -> DeviceWhy {
        serde_json::from_value(json!({
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
            }, {
                "deployment": 16, "release": "fw@0.9.0", "group": "eu", "state": "completed",
                "status": "successful", "step": null, "attempt": 1, "round": 0, "reason": null,
                "since": "2026-01-01T00:00:00Z", "why": "successful", "rule": "not-begun",
                "says": "it was successful at 2026-01-01T00:00:00Z",
                "next": "nothing: it is done", "at": null,
                "rules": [{"rule": "not-begun", "pass": false, "why": "successful", "says": "…"}],
            }],
        }))
        .unwrap()
    }

    #[test]
    fn the_first_line_is_the_answer_and_what_is_done_says_so() {
        assert_eq!(
            told(&offline(), Rules::Hidden),
            "d1: blocked by offline: the device is offline, never seen\n  \
             next     starts when it connects\n  \
             about    deployment 17, fw@1.0.0 to eu, active\n  \
             device   group eu, offline, never seen\n\n\
             deployment 16, fw@0.9.0 to eu, completed: done: it was successful at\n    \
             2026-01-01T00:00:00Z\n\n\
             2 more: ask with --deployment NUMBER\n"
        );
    }

    #[test]
    fn rules_are_listed_when_they_are_asked_for() {
        let all = told(&offline(), Rules::Listed);
        assert!(
            all.contains("\n  ok       member\n  blocked  reachable, by offline\n"),
            "{all}"
        );
        let none = told(&offline(), Rules::Hidden);
        assert!(
            !none.contains("member") && !none.contains("reachable"),
            "{none}"
        );
    }

    #[test]
    fn every_line_fits_a_terminal() {
        let mut why = offline();
        why.deployments[0].says = "the device is offline and says much of it ".repeat(9);
        why.deployments[0].next = format!("try {} again", "x".repeat(200));
        let text = told(&why, Rules::Listed);
        let too_long = |line: &&str| line.chars().count() > WIDTH;
        let long: Vec<&str> = text.lines().filter(too_long).collect();
        assert!(long.iter().all(|line| line.contains("xxx")), "{long:?}");
        assert_eq!(long.len(), 1, "only the word that fits nowhere");
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
