//! `hoist device why`: the server explains, this prints. For people a few
//! lines for each deployment, for programs everything.

use std::fmt::Write;

use hoist_orchestrator_core::api::command::{DeviceWhy as Question, Verb};
use hoist_orchestrator_core::reply::{DeviceWhy, Explanation, RefusedItem, RuleItem, Why};
use hoist_protocol::code::Code;
use hoist_server::failure::Failure;

use crate::context::{Context, print};
use crate::output::text::{word, wrapped};
use crate::output::{Format, Shape, plural, printable};
use crate::{args, exit};

const DEVICE: Shape = Shape {
    name: "device",
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

/// The choice to list every rule or not.
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

/// The next event; nothing more happens to a deployment that is done.
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
    let revoked = if why.revoked.is_some() {
        ", revoked"
    } else {
        ""
    };
    format!(
        "group {}, {}, {seen}{held}{revoked}",
        why.group, why.presence
    )
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

fn titled(title: &str, said: &str) -> String {
    wrapped(&format!("  {title:<7}  "), said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::text::WIDTH;
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
}
