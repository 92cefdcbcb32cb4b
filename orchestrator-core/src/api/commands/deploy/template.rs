//! The deployment that a command describes.

use std::collections::BTreeSet;

use hoist_protocol::id::{GroupId, Name, ReleaseId, Round, UserId};
use hoist_protocol::spec::{Overrides, Policy};

use crate::api::commands::deploy::{Deploy, spread, window};
use crate::api::lookup;
use crate::model::error::{Code, Rejection};
use crate::model::now::Now;
use crate::model::row::{DeploymentRow, ReleaseRow, release_text};
use crate::model::state::{DeploymentState, Then};
use crate::model::txn::Txn;
use crate::rules::stop::Stop;
use crate::rules::text::parse_moment;

/// The groups a command names, and whether it names several.
pub(crate) fn groups(txn: &Txn, command: &Deploy) -> Result<(Vec<GroupId>, bool), Stop> {
    let (several, names) = match (&command.group, &command.groups) {
        (Some(group), None) => (false, std::slice::from_ref(group)),
        (None, Some(groups)) if !groups.is_empty() && groups.len() <= GROUPS_MAX => {
            (true, groups.as_slice())
        }
        _ => {
            let why = "name one group, or 1 to 32 groups, not both";
            return Err(Rejection::new(Code::Command, why).field("group").into());
        }
    };
    if let Some(name) = repeated(names) {
        let why = format!("group {name} is named twice");
        return Err(Rejection::new(Code::Command, why).field("groups").into());
    }
    let named = names.iter().map(|name| Ok(lookup::group(txn, name)?.0));
    let groups: Result<Vec<GroupId>, Stop> = named.collect();
    Ok((groups?, several))
}

/// A name that is there more than once.
fn repeated(names: &[String]) -> Option<&String> {
    let mut seen = BTreeSet::new();
    names.iter().find(|name| !seen.insert(*name))
}

/// The deployment a command describes, its group aside.
pub(crate) fn template(
    txn: &Txn,
    user: &UserId,
    command: &Deploy,
    now: Now,
) -> Result<DeploymentRow, Stop> {
    let limit = command.limit.clone().unwrap_or_default();
    let start_ms = time("start", command.start.as_deref())?.filter(|start| *start > now.unix_ms);
    let until_ms = time("limit.until", limit.until.as_deref())?;
    if until_ms.is_some_and(|until| until <= start_ms.unwrap_or(now.unix_ms)) {
        let why = "the end time is not after the start";
        return Err(Rejection::new(Code::Time, why).field("limit.until").into());
    }
    let policy = policy(command, now.unix_ms)?;
    for (field, value) in [
        ("attempts", Some(policy.attempts)),
        ("timeoutSecs", Some(policy.timeout_s)),
        ("limit.devices", limit.devices),
    ] {
        if value == Some(0) {
            let why = format!("{field} is at least 1");
            return Err(Rejection::new(Code::Command, why).field(field).into());
        }
    }
    let wish = command.rollout.as_ref();
    // Those that are let in together begin over the minute for which they are.
    let paced = wish.and_then(|wish| wish.starts_per_minute).is_some();
    let spread_s = command
        .spread_secs
        .unwrap_or(if paced { MINUTE_S } else { 0 });
    let (id, release) = lookup::release(txn, &command.release)?;
    let name = &release.manifest.name;
    Ok(DeploymentRow {
        release: id,
        release_text: release_text(name, &release.manifest.version),
        artifacts: release.artifacts.clone(),
        group: GroupId::unassigned(),
        round: Round(0),
        last_round: Round(0),
        policy,
        spread_s,
        start_ms,
        until_ms,
        limit: limit.devices,
        slots: 0,
        line: 0,
        seek_due_ms: None,
        complete_when: command.complete_when.unwrap_or_default(),
        state: DeploymentState::Scheduled,
        end: None,
        created_ms: now.unix_ms,
        turn: 0,
        created_by: user.clone(),
        updated_ms: now.unix_ms,
        allowed: None,
        order: wish.and_then(|wish| spread::order(wish, command.policy.as_deref())),
        paused: None,
        history: 0,
        fallback: fallback(txn, command, (id, &release))?,
    })
}

/// The release to fall back to: another one of the same artifacts, which no floor forbids.
fn fallback(
    txn: &Txn,
    command: &Deploy,
    (id, release): (ReleaseId, &ReleaseRow),
) -> Result<Option<ReleaseId>, Stop> {
    let failure = command.rollout.as_ref();
    let failure = failure.and_then(|wish| wish.failure.as_ref());
    let field = "rollout.failure.fallback";
    let refused = |why: String| Rejection::new(Code::Fallback, why).field(field);
    let text = match failure.map(|failure| (failure.then, &failure.fallback)) {
        None | Some((Then::Pause | Then::Abort, None)) => return Ok(None),
        Some((Then::Fallback, Some(text))) => text,
        Some((Then::Fallback, None)) => {
            return Err(refused("name the release to fall back to".to_owned()).into());
        }
        Some((Then::Pause | Then::Abort, Some(_))) => {
            let why = "a release to fall back to is for `then` fallback".to_owned();
            return Err(refused(why).into());
        }
    };
    let (other, row) = lookup::release(txn, text)?;
    if other == id {
        return Err(refused(format!("{text} is the release that is deployed")).into());
    }
    if row.manifest.counter < release.manifest.floor {
        let why = format!(
            "{text} has the counter {}, and devices that installed the release go no lower than {}",
            row.manifest.counter, release.manifest.floor
        );
        return Err(refused(why).into());
    }
    let is_there = |name: &Name| row.artifacts.contains(name);
    if let Some(missing) = release.artifacts.iter().find(|name| !is_there(name)) {
        let why = format!("{text} has no artifact {missing} to put back");
        return Err(refused(why).into());
    }
    Ok(Some(other))
}

/// The manner in which devices carry it out.
fn policy(command: &Deploy, now_ms: u64) -> Result<Policy, Rejection> {
    let windows = command.rollout.as_ref();
    let windows = windows.and_then(|wish| wish.windows.as_ref());
    let minutes = windows.map(|wish| window::windows(wish, now_ms));
    let minutes = minutes.transpose()?;
    let confirm = command.rollout.as_ref().map(spread::confirm);
    let standard = Policy::default();
    Ok(Policy {
        attempts: command.attempts.unwrap_or(standard.attempts),
        timeout_s: command.timeout_secs.unwrap_or(standard.timeout_s),
        overrides: Overrides {
            allow_downgrade: command.allow_downgrade,
            reinstall: command.reinstall,
        },
        windows: minutes.map_or_else(Vec::new, |(_, minutes)| minutes),
        download_ahead: windows.is_some_and(|windows| windows.download_ahead),
        max_overrun_s: windows
            .and_then(|windows| windows.max_overrun_secs)
            .unwrap_or(0),
        confirm: confirm.transpose()?.unwrap_or_default(),
        urgent: command.urgent,
    })
}

fn time(field: &str, text: Option<&str>) -> Result<Option<u64>, Rejection> {
    text.map(|text| parse_moment(field, text)).transpose()
}

/// Seconds of a minute.
const MINUTE_S: u32 = 60;
/// Groups named in one command: each costs a few rows in one decision.
const GROUPS_MAX: usize = 32;
