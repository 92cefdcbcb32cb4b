//! The rollout that a command describes, checked: what could never be carried out is refused.

use hoist_protocol::id::{DeviceId, sha256};
use hoist_protocol::reason::Reason;
use hoist_protocol::spec;

use super::rollout::{Budget, Confirm, Failure, Gate, Growth, Order, Phase, Rollout};
use super::{Deploy, window};
use crate::model::error::{Code, Rejection};
use crate::model::rollout::{self as model, Most, Only, Part, TooMany};
use crate::model::selector::Selector;
use crate::rules::text::{one_line, parse_name};

/// Devices that can be named in one command.
const DEVICES_MAX: usize = 1_000;
/// Longest name of a phase, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Seconds that a device has to come online with a release, where nothing is said.
const CONFIRM_S: u32 = 600;
/// Devices that have to end before a share of failures says anything, where nothing is said.
const MIN_ENDED: u32 = 20;

/// The rollout of a command; none where everybody is to start at once.
pub(crate) fn rollout(command: &Deploy, now_ms: u64) -> Result<Option<model::Rollout>, Rejection> {
    let only = only(command)?;
    let standard = Rollout::default();
    let wish = match &command.rollout {
        Some(wish) => wish,
        None if only == Only::Everyone => return Ok(None),
        None => &standard,
    };
    let counts = [
        ("rollout.maxInProgress", wish.max_in_progress),
        ("rollout.startsPerMinute", wish.starts_per_minute),
    ];
    for (field, count) in counts {
        at_least_one(field, count)?;
    }
    let windows = wish.windows.as_ref();
    let windows = windows.map(|wish| window::windows(wish, now_ms));
    Ok(Some(model::Rollout {
        only,
        budget: wish.budget.as_ref().map(budget).transpose()?,
        phases: phases(&wish.phases)?,
        max_in_progress: wish.max_in_progress,
        starts_per_minute: wish.starts_per_minute,
        growth: wish.growth.map(|it| growth(it, wish)).transpose()?,
        failure: wish.failure.as_ref().map(failure).transpose()?,
        windows: windows.transpose()?.map(|(local, _)| local),
        policy: command.policy.clone(),
    }))
}

/// The devices of the group that a command is for.
fn only(command: &Deploy) -> Result<Only, Rejection> {
    match (&command.selector, &command.devices) {
        (None, None) => Ok(Only::Everyone),
        (Some(text), None) => Ok(Only::Selected(Selector::parse(text)?)),
        (None, Some(names)) if (1..=DEVICES_MAX).contains(&names.len()) => {
            let devices = names.iter().map(|name| parse_name("devices", name));
            let mut devices = devices.collect::<Result<Vec<DeviceId>, Rejection>>()?;
            devices.sort_unstable();
            devices.dedup();
            Ok(Only::Named(devices))
        }
        _ => {
            let why = format!("say either selector or devices, 1 to {DEVICES_MAX} of them");
            Err(Rejection::new(Code::Command, why).field("devices"))
        }
    }
}

fn budget(wish: &Budget) -> Result<model::Budget, Rejection> {
    let refused = |why: &str, field: &str| {
        let field = format!("rollout.budget{field}");
        Err(Rejection::new(Code::Budget, why).field(&field))
    };
    if wish.label.is_empty() {
        return refused("a budget needs the label that says the place", ".label");
    }
    one_line(&wish.label, "rollout.budget.label")?;
    let most = match (wish.max_in_progress, wish.percent) {
        (Some(devices @ 1..), None) => Most::Devices(devices),
        (None, Some(percent @ 1..=100)) => Most::Percent(percent),
        _ => {
            let why = "say either maxInProgress, at least 1, or percent, 1 to 100";
            return refused(why, "");
        }
    };
    let label = wish.label.clone();
    Ok(model::Budget { label, most })
}

/// The number that sets an order which is the same for several deployments: for all of a policy,
/// whatever its version, or for all without one.
pub(super) fn order(wish: &Rollout, policy: Option<&str>) -> Option<u32> {
    let stable = wish.order == Some(Order::Stable);
    stable.then(|| {
        let name = policy.and_then(|policy| policy.split('@').next());
        let of = format!("stable order of devices{}", name.unwrap_or_default());
        let [a, b, c, d, ..] = sha256(of.as_bytes());
        u32::from_be_bytes([a, b, c, d])
    })
}

/// The evidence upon which devices confirm the release.
pub(crate) fn confirm(wish: &Rollout) -> Result<spec::Confirm, Rejection> {
    match (wish.confirm.unwrap_or_default(), wish.confirm_secs) {
        (Confirm::Verify, None) => Ok(spec::Confirm::Verify),
        (Confirm::Verify, Some(_)) => {
            let why = "confirmSecs says how long a device has to be online: set confirm to online";
            Err(Rejection::new(Code::Command, why).field("rollout.confirmSecs"))
        }
        (Confirm::Online, within_s) => {
            at_least_one("rollout.confirmSecs", within_s)?;
            let within_s = within_s.unwrap_or(CONFIRM_S);
            Ok(spec::Confirm::Online { within_s })
        }
    }
}

fn at_least_one(field: &str, count: Option<u32>) -> Result<(), Rejection> {
    if count != Some(0) {
        return Ok(());
    }
    let why = format!("{field} is at least 1");
    Err(Rejection::new(Code::Command, why).field(field))
}

fn phases(wishes: &[Phase]) -> Result<Vec<model::Phase>, Rejection> {
    let refused = |why: String, field: String| Rejection::new(Code::Phases, why).field(&field);
    if wishes.len() > model::PHASES_MAX {
        let why = format!("a rollout has at most {} phases", model::PHASES_MAX);
        return Err(refused(why, "rollout.phases".to_owned()));
    }
    let mut phases: Vec<model::Phase> = Vec::new();
    for (index, wish) in wishes.iter().enumerate() {
        let field = |name: &str| format!("rollout.phases[{index}]{name}");
        let number = index + 1;
        let part = match (wish.percent, wish.devices, &wish.selector) {
            (Some(percent), None, None) => Part::Percent(percent.0),
            (None, Some(devices), None) if devices > 0 => Part::Devices(devices),
            (None, None, Some(text)) => Part::Selected(selected(text, &field(".selector"))?),
            _ => {
                let why = format!(
                    "phase {number} needs either percent, devices, at least 1, or selector"
                );
                return Err(refused(why, field("")));
            }
        };
        if let Some(before) = phases
            .iter()
            .rev()
            .find_map(|before| larger(&before.part, &part))
        {
            let why = format!("phase {number} reaches no more devices than the {before} before it");
            return Err(refused(why, field("")));
        }
        if phases
            .iter()
            .any(|before| before.part == Part::Percent(model::EVERYONE))
        {
            let why = format!("phase {number} comes after everybody");
            return Err(refused(why, field("")));
        }
        if wish.approvals > 2 {
            let why = "at most 2 approvals can be asked for".to_owned();
            return Err(refused(why, field(".approvals")));
        }
        let name = wish.name.clone().unwrap_or_default();
        one_line(&name, &field(".name"))?;
        if name.len() > NAME_BYTES_MAX {
            let why = format!("the name of a phase has at most {NAME_BYTES_MAX} bytes");
            return Err(refused(why, field(".name")));
        }
        let gate = wish.gate.clone().unwrap_or_default();
        phases.push(model::Phase {
            name,
            gate: self::gate(&gate, &part, &field(".gate"))?,
            part,
            approvals: wish.approvals,
        });
    }
    Ok(phases)
}

fn selected(text: &str, field: &str) -> Result<Selector, Rejection> {
    Selector::parse(text).map_err(|refusal| refusal.field(field))
}

/// The part of an earlier phase, when a later one is no larger.
fn larger(before: &Part, after: &Part) -> Option<String> {
    match (before, after) {
        (Part::Percent(before), Part::Percent(after)) if after <= before => {
            let percent = f64::from(*before) / 100.0;
            Some(format!("{percent} %"))
        }
        (Part::Devices(before), Part::Devices(after)) if after <= before => {
            Some(format!("{before} devices"))
        }
        _ => None,
    }
}

fn gate(wish: &Gate, part: &Part, field: &str) -> Result<model::Gate, Rejection> {
    let standard = model::Gate::default();
    let gate = model::Gate {
        success_percent: wish.success_percent.unwrap_or(standard.success_percent),
        min_ended: wish.min_ended,
        max_failed: wish.max_failed,
        soak_s: wish.soak_secs.unwrap_or(standard.soak_s),
        give_up_s: wish.give_up_secs.unwrap_or(standard.give_up_s),
        give_up: wish.give_up.unwrap_or(standard.give_up),
    };
    let refused =
        |why: String, name: &str| Rejection::new(Code::Gate, why).field(&format!("{field}.{name}"));
    if gate.success_percent > 100 {
        let why = format!("{} % cannot be successful", gate.success_percent);
        return Err(refused(why, "successPercent"));
    }
    if gate.min_ended == Some(0) {
        return Err(refused("minEnded is at least 1".to_owned(), "minEnded"));
    }
    if let (Some(ended), Part::Devices(devices)) = (gate.min_ended, part)
        && ended > *devices
    {
        let why = format!("{ended} devices cannot end in a phase of {devices}");
        return Err(refused(why, "minEnded"));
    }
    if gate.soak_s > gate.give_up_s {
        let why = "the gate is given up before it can have held for so long".to_owned();
        return Err(refused(why, "soakSecs"));
    }
    Ok(gate)
}

fn growth(wish: Growth, rollout: &Rollout) -> Result<model::Growth, Rejection> {
    let refused = |why: &str, field: &str| Err(Rejection::new(Code::Command, why).field(field));
    let base = rollout.starts_per_minute.or(rollout.max_in_progress);
    let Some(base) = base else {
        let why = "there is no pace to grow: give startsPerMinute or maxInProgress too";
        return refused(why, "rollout.growth");
    };
    if wish.factor < 2 {
        return refused(
            "a pace grows by a factor of at least 2",
            "rollout.growth.factor",
        );
    }
    if wish.every_ended == 0 {
        return refused("everyEnded is at least 1", "rollout.growth.everyEnded");
    }
    if wish.up_to < base {
        let why = "upTo is below the pace to begin with";
        return refused(why, "rollout.growth.upTo");
    }
    Ok(model::Growth {
        factor: wish.factor,
        every: wish.every_ended,
        up_to: wish.up_to,
    })
}

fn failure(wish: &Failure) -> Result<model::FailureThreshold, Rejection> {
    let refused = |why: String, field: &str| {
        Rejection::new(Code::Command, why).field(&format!("rollout.failure{field}"))
    };
    let at = match (wish.percent, wish.devices) {
        (Some(percent @ 1..=100), None) => TooMany::Percent(percent),
        (None, Some(devices @ 1..)) => TooMany::Devices(devices),
        _ => {
            let why = "say either percent, 1 to 100, or devices, at least 1".to_owned();
            return Err(refused(why, ""));
        }
    };
    let least = match at {
        TooMany::Percent(_) => MIN_ENDED,
        TooMany::Devices(_) => 1,
    };
    Ok(model::FailureThreshold {
        at,
        min_ended: wish.min_ended.unwrap_or(least),
        reasons: reasons(&wish.reasons)?,
        then: wish.then,
    })
}

fn reasons(words: &[String]) -> Result<Vec<Reason>, Rejection> {
    let reason = |word: &String| {
        let found = Reason::ALL
            .iter()
            .copied()
            .find(|reason| reason.word() == word);
        found.ok_or_else(|| {
            let why = format!("no failure is called {word}");
            let refusal = Rejection::new(Code::Command, why).field("rollout.failure.reasons");
            refusal.hint("list the reasons with `hoist explain`")
        })
    };
    let mut reasons = words.iter().map(reason).collect::<Result<Vec<_>, _>>()?;
    reasons.sort_unstable_by_key(|reason| *reason as u8);
    reasons.dedup();
    Ok(reasons)
}
