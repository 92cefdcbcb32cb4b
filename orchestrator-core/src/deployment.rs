//! Deployments: creating, superseding, starting at a time, aborting and completing. Each
//! costs a few rows, however many devices the group has (S5).

use hoist_protocol::head::{NOTICES_MAX, Policy};
use hoist_protocol::id::{DeploymentId, GroupId, Round};
use hoist_protocol::topic::View;

use crate::command::Deploy;
use crate::decide::Stop;
use crate::effect::{Effect, Effects, Event};
use crate::error::{Code, Rejection};
use crate::group;
use crate::input::{CommandInput, Now};
use crate::key::{DeploymentKey, GroupCountKey, GroupKey, MetaKey, RowKey};
use crate::limit;
use crate::release;
use crate::reply::{Answer, DeployResult, DeploymentState};
use crate::request::may_change;
use crate::row::{DeploymentRow, EndReason, GroupCountRow, GroupRow};
use crate::time::parse_time;
use crate::timer::{Timer, TimerKind, clear_timer, set_timer};
use crate::txn::{Txn, Undecided};

pub(crate) mod end;

use end::{Ending, finish};

/// Deployments of a group that wait for their start time: they are in one row.
const SCHEDULED_MAX: usize = 32;
/// Groups named in one command: each costs a few rows in one decision.
const GROUPS_MAX: usize = 32;

/// `deploy`
pub(crate) fn deploy(
    txn: &mut Txn,
    input: &CommandInput,
    command: &Deploy,
    now: Now,
) -> Result<(Answer, Effects), Stop> {
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
    let template = template(txn, input, command, now)?;
    let mut items = Vec::new();
    let mut effects = Vec::new();
    for name in names {
        let (group, group_row) = group::named(txn, name)?;
        may_change(input, &group)?;
        let row = DeploymentRow {
            group,
            ..template.clone()
        };
        let (item, more) = create(txn, row, group_row, now)?;
        effects.extend(more);
        items.push(if command.dry_run {
            DeployResult {
                deployment: DeploymentId(0),
                ..item
            }
        } else {
            item
        });
    }
    Ok((Answer::Deployed { items, several }, effects))
}

/// The deployment a command describes, its group aside.
fn template(
    txn: &Txn,
    input: &CommandInput,
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
    let standard = Policy::default();
    let policy = Policy {
        attempts: command.attempts.unwrap_or(standard.attempts),
        timeout_s: command.timeout_secs.unwrap_or(standard.timeout_s),
        ..standard
    };
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
    let (id, release) = release::named(txn, &command.release)?;
    let name = &release.manifest.name;
    Ok(DeploymentRow {
        release: id,
        release_text: crate::reply::release_text(name, &release.manifest.version),
        artifacts: release.artifacts,
        group: GroupId::unassigned(),
        round: Round(0),
        last_round: Round(0),
        policy,
        spread_s: command.spread_secs.unwrap_or(0),
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
        created_by: input.user.clone(),
    })
}

fn time(field: &str, text: Option<&str>) -> Result<Option<u64>, Rejection> {
    let Some(text) = text else { return Ok(None) };
    let why = || {
        let shown: String = text.chars().take(40).collect();
        Rejection::new(Code::Time, format!("{shown} is not a time")).field(field)
    };
    parse_time(text).map(Some).ok_or_else(why)
}

/// Creates one deployment, or finds the equal one that is there already (bad-inputs row 39).
fn create(
    txn: &mut Txn,
    mut row: DeploymentRow,
    mut group_row: GroupRow,
    now: Now,
) -> Result<(DeployResult, Effects), Stop> {
    let group = row.group.clone();
    let there: Vec<DeploymentId> = [&group_row.active[..], &group_row.scheduled[..]].concat();
    txn.want(
        there
            .iter()
            .map(|id| DeploymentKey(*id).key())
            .chain([MetaKey.key(), GroupCountKey(group.clone()).key()]),
    )?;
    let count = txn.read(&GroupCountKey(group.clone()))?.unwrap_or_default();
    for id in there {
        let known = txn.read(&DeploymentKey(id))?;
        if let Some(known) = known.filter(|known| same_wish(known, &row)) {
            return Ok((result(id, known.state, count), Vec::new()));
        }
    }
    let mut meta = txn.read(&MetaKey)?.unwrap_or_default();
    meta.last_deployment.0 += 1;
    let id = meta.last_deployment;
    // An id seen elsewhere may not be in Meta yet: never write over a deployment.
    txn.read(&DeploymentKey(id))?;
    txn.put(&MetaKey, &meta);
    group_row.turn += 1;
    row.turn = group_row.turn;
    let mut effects = vec![Effect::Event(Event::DeploymentCreated {
        deployment: id,
        release: row.release_text.clone(),
        group: group.clone(),
        by: row.created_by.clone(),
    })];
    if let Some(start) = row.start_ms {
        if group_row.scheduled.len() >= SCHEDULED_MAX {
            let why = format!("group {group} has {SCHEDULED_MAX} scheduled deployments");
            return Err(Rejection::new(Code::HeadFull, why).field("group").into());
        }
        group_row.scheduled.push(id);
        set_timer(txn, start, TimerKind::Start(id))?;
    } else {
        effects.extend(activate(txn, id, &mut row, &mut group_row, now)?);
    }
    if let Some(until) = row.until_ms {
        set_timer(txn, until, TimerKind::Until(id))?;
    }
    txn.put(&DeploymentKey(id), &row);
    txn.put(&GroupKey(group), &group_row);
    effects.push(Effect::ViewChanged(View::Deployment(id)));
    Ok((result(id, row.state, count), effects))
}

fn result(deployment: DeploymentId, state: DeploymentState, count: GroupCountRow) -> DeployResult {
    DeployResult {
        deployment,
        state,
        members: count.members,
        eligible: count.members.saturating_sub(count.held),
        excluded: count.held,
    }
}

fn same_wish(a: &DeploymentRow, b: &DeploymentRow) -> bool {
    a.release == b.release
        && a.policy == b.policy
        && a.spread_s == b.spread_s
        && a.start_ms == b.start_ms
        && a.until_ms == b.until_ms
        && a.limit == b.limit
        && a.complete_when == b.complete_when
}

/// Lists a deployment: it supersedes every active one whose artifacts it covers, and is
/// refused beside one it overlaps with otherwise (S11).
fn activate(
    txn: &mut Txn,
    id: DeploymentId,
    row: &mut DeploymentRow,
    group_row: &mut GroupRow,
    now: Now,
) -> Result<Effects, Stop> {
    let mut effects = Vec::new();
    for other in group_row.active.clone() {
        let Some(mut old) = txn.read(&DeploymentKey(other))? else {
            continue;
        };
        let shared = |name| row.artifacts.contains(name);
        if old.artifacts.iter().all(shared) {
            let end = Ending::itself(EndReason::Superseded);
            effects.extend(finish(txn, other, &mut old, group_row, end, now)?);
        } else if old.artifacts.iter().any(shared) {
            let why = format!(
                "deployment {other} of {} is active with some of the same artifacts",
                old.release_text
            );
            return Err(Rejection::new(Code::Conflict, why).field("release").into());
        }
    }
    if group_row.active.len() >= NOTICES_MAX {
        let why = format!("group {} has {NOTICES_MAX} active deployments", row.group);
        return Err(Rejection::new(Code::HeadFull, why).field("group").into());
    }
    row.state = DeploymentState::Active;
    effects.extend(limit::open(txn, id, row, now)?);
    group_row.active.push(id);
    group_row.active.sort_unstable();
    group_row.scheduled.retain(|scheduled| *scheduled != id);
    effects.extend([
        Effect::PublishRelease(row.release),
        Effect::GroupHeadChanged(row.group.clone()),
        Effect::ViewChanged(View::Group(row.group.clone())),
        Effect::ViewChanged(View::Fleet),
    ]);
    Ok(effects)
}

/// A scheduled deployment's start time has come (S2).
pub(crate) fn start_due(
    txn: &mut Txn,
    timer: &Timer,
    id: DeploymentId,
    now: Now,
) -> Result<Effects, Undecided> {
    clear_timer(txn, timer.due_ms, timer.kind.clone())?;
    let row = txn.read(&DeploymentKey(id))?;
    let Some(mut row) = row.filter(|row| row.state == DeploymentState::Scheduled) else {
        return Ok(Vec::new());
    };
    let mut group_row = group::read(txn, &row.group)?.unwrap_or_default();
    txn.want(
        group_row
            .active
            .iter()
            .map(|other| DeploymentKey(*other).key())
            .chain([GroupCountKey(row.group.clone()).key()]),
    )?;
    if blocked(txn, &row, &group_row)? {
        let ending = Ending {
            state: DeploymentState::Aborted,
            ..Ending::itself(EndReason::Conflict)
        };
        return finish(txn, id, &mut row, &mut group_row, ending, now);
    }
    let mut effects = match activate(txn, id, &mut row, &mut group_row, now) {
        Ok(effects) => effects,
        Err(Stop::Undecided(undecided)) => return Err(undecided),
        // Excluded by `blocked` above.
        Err(Stop::Rejected(_)) => return Ok(Vec::new()),
    };
    txn.put(&DeploymentKey(id), &row);
    txn.put(&GroupKey(row.group.clone()), &group_row);
    effects.extend([
        Effect::Event(Event::DeploymentStarted { deployment: id }),
        Effect::ViewChanged(View::Deployment(id)),
    ]);
    Ok(effects)
}

/// Whether a deployment could not be listed beside those that are (S11).
fn blocked(txn: &Txn, row: &DeploymentRow, group_row: &GroupRow) -> Result<bool, Undecided> {
    let mut stay = 0;
    for other in &group_row.active {
        let Some(old) = txn.read(&DeploymentKey(*other))? else {
            continue;
        };
        let shared = |name| row.artifacts.contains(name);
        if !old.artifacts.iter().all(shared) {
            if old.artifacts.iter().any(shared) {
                return Ok(true);
            }
            stay += 1;
        }
    }
    Ok(stay >= NOTICES_MAX)
}
