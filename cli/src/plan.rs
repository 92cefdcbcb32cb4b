//! `hoist plan`, and `hoist deploy --dry-run`: the server says what a deployment would do,
//! this prints.

use std::time::SystemTime;

use hoist_orchestrator_core::command::Verb;
use hoist_orchestrator_core::reply::{LineWord, OtherDeployment, Plan, PlanResult};
use hoist_orchestrator_core::view::FailureCount;
use hoist_protocol::code::Code;
use hoist_protocol::reason::Reason;
use serde_json::Value;

use crate::args;
use crate::context::{Context, print};
use crate::deployment::body;
use crate::exit;
use crate::failure::Failure;
use crate::output::{self, Format, Shape, printable};
use crate::plural::{count, either};
use crate::why::{word, wrapped};

const PLAN: Shape = Shape {
    name: "group",
    columns: &[],
};

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

/// For people: whom it reaches in the first line, then what is particular.
fn planned(plan: &Plan) -> String {
    let start = match &plan.start {
        Some(start) => format!("at {start}"),
        None => "at once".to_owned(),
    };
    let head = format!("{} to {}: ", plan.release, plan.group);
    let reach = format!(
        "would start {start} on {} of {}",
        plan.eligible
            .min(plan.counted.online + plan.counted.when_connected),
        count(plan.members, "member")
    );
    let mut text = wrapped(&head, &reach);
    let refused = plan.refused.as_ref();
    for (title, said) in [
        ("online", Some(online(plan))),
        ("refuse it", refuse(plan)),
        (
            "there",
            plan.existing
                .map(|id| format!("as deployment {id} already")),
        ),
        ("left out", left_out(plan)),
        ("supersedes", joined(&others(&plan.supersedes))),
        ("conflicts", joined(&others(&plan.conflicts))),
        ("after", joined(&others(&plan.after))),
        ("limit", limit(plan)),
        ("end", plan.until.clone()),
        ("time", Some(time(plan))),
        ("overrides", overrides(plan)),
        (
            "refused",
            refused.map(|it| format!("{}: {}; {}", it.code, it.detail, it.hint)),
        ),
    ] {
        if let Some(said) = said {
            text += &wrapped(&format!("  {title:<10}  "), &said);
        }
    }
    text
}

fn online(plan: &Plan) -> String {
    let (now, later) = (plan.counted.online, plan.counted.when_connected);
    match (plan.limit, &plan.start) {
        (None, None) => format!(
            "{now} {} now, {later} when {}",
            either(now, "starts", "start"),
            either(later, "it connects", "they connect")
        ),
        _ => format!("{now} of {} that could start", now + later),
    }
}

/// Who would refuse it, by reason.
fn refuse(plan: &Plan) -> Option<String> {
    let reasons = plan.counted.would_refuse.iter();
    let reasons: Vec<String> = reasons
        .map(|refusal| format!("{} {}", refusal.count, refusal.reason))
        .collect();
    let downgrade = |refusal: &FailureCount| refusal.reason == Reason::Downgrade.word();
    let goes_down = plan.counted.would_refuse.iter().any(downgrade);
    let hint = match goes_down && !plan.allow_downgrade {
        true => "; --allow-downgrade goes down to the floor of a device",
        false => "",
    };
    joined(&reasons).map(|reasons| format!("{reasons}{hint}"))
}

fn left_out(plan: &Plan) -> Option<String> {
    let excluded = plan.excluded.iter();
    let parts: Vec<String> = excluded
        .map(|excluded| format!("{} {}", excluded.count, word(excluded.why)))
        .collect();
    joined(&parts)
}

fn limit(plan: &Plan) -> Option<String> {
    let line = match plan.line {
        LineWord::Everyone => "every member is admitted",
        LineWord::Sought => "the line is drawn when it is listed",
    };
    plan.limit
        .map(|limit| format!("{}; {line}", count(limit, "device")))
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
    let parts: Vec<String> = [down, again]
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
            "fw@1.0.0 to eu: would start at once on 34 of 40 members\n  \
             online      30 start now, 4 when they connect\n  \
             refuse it   3 downgrade, 1 incompatible; --allow-downgrade goes down to the\n              \
             floor of a device\n  \
             left out    2 held\n  \
             supersedes  3 (fw@0.9.0)\n  \
             time        24h for each device, 3 attempts\n"
        );
    }

    #[test]
    fn a_limit_says_how_many_of_those_it_chooses_from_are_online() {
        let mut plan = plan();
        plan.limit = Some(10);
        plan.eligible = 10;
        plan.line = LineWord::Sought;
        plan.counted.would_refuse.clear();
        (plan.attempts, plan.timeout_secs, plan.spread_secs) = (1, 90, 120);
        let said = planned(&plan);
        assert!(said.starts_with("fw@1.0.0 to eu: would start at once on 10 of 40 members\n"));
        for line in [
            "  online      30 of 34 that could start\n",
            "  limit       10 devices; the line is drawn when it is listed\n",
            "  time        90s for each device, 1 attempt, starts spread over 2m\n",
        ] {
            assert!(said.contains(line), "{said}");
        }
        assert!(!said.contains("refuse"), "{said}");
    }
}
