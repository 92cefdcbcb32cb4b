//! Deployments: creating, superseding, starting at a time, aborting and completing. Each
//! costs a few rows, however many devices the group has (S5).

use hoist_protocol::head::{NOTICES_MAX, Overrides, Policy};
use hoist_protocol::id::{DeploymentId, GroupId, Round, UserId};
use hoist_protocol::topic::View;

use crate::api::command::Deploy;
use crate::api::request::may_change;
use crate::engine::decide::Stop;
use crate::model::effect::{Effect, Effects, Event};
use crate::model::error::{Code, Rejection};
use crate::model::input::{CommandInput, Now};
use crate::model::key::{DeploymentKey, GroupCountKey, GroupKey, MetaKey, RowKey};
use crate::model::row::{DeploymentRow, EndReason, GroupCountRow, GroupRow};
use crate::model::time::parse_time;
use crate::model::timer::{Timer, TimerKind, clear_timer, set_timer};
use crate::model::txn::{Txn, Undecided};
use crate::reply::{Answer, Created, DeploymentState, Plan, PlanResult};
use crate::rules::group;
use crate::rules::release;
use crate::rules::rollout::limit;

pub(crate) mod end;
mod full;
pub(crate) mod numbers;
pub(crate) mod plan;
pub mod retention;
pub(crate) mod retry;
pub mod settled;

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
    let (groups, several) = groups(txn, command)?;
    for group in &groups {
        may_change(input, group)?;
    }
    if command.dry_run {
        // Refused as a whole, as it would be.
        let plans = plan::plan(txn, &input.user, command, now)?.into_iter();
        let plans = plans.map(|(plan, refusal)| refusal.map_or(Ok(plan), Err));
        let plans: Result<Vec<Plan>, Rejection> = plans.collect();
        return Ok((Answer::Planned(PlanResult { plans: plans? }), Vec::new()));
    }
    let template = template(txn, &input.user, command, now)?;
    let (mut items, mut existing) = (Vec::new(), Vec::new());
    let mut effects = Vec::new();
    for group in groups {
        let row = DeploymentRow {
            group,
            ..template.clone()
        };
        let (item, more) = create(txn, row, now)?;
        if more.is_empty() {
            existing.push(item.deployment);
        }
        effects.extend(more);
        items.push(item);
    }
    let answer = match existing.is_empty() {
        true => Answer::Deployed { items, several },
        false => Answer::DeployedBeside {
            items,
            several,
            existing,
        },
    };
    Ok((answer, effects))
}

/// The groups a command names, and whether it names several.
fn groups(txn: &Txn, command: &Deploy) -> Result<(Vec<GroupId>, bool), Stop> {
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
    let named = names.iter().map(|name| Ok(group::named(txn, name)?.0));
    let groups: Result<Vec<GroupId>, Stop> = named.collect();
    Ok((groups?, several))
}

/// The deployment a command describes, its group aside.
fn template(txn: &Txn, user: &UserId, command: &Deploy, now: Now) -> Result<DeploymentRow, Stop> {
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
        overrides: Overrides {
            allow_downgrade: command.allow_downgrade,
            reinstall: command.reinstall,
        },
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
        created_by: user.clone(),
        updated_ms: now.unix_ms,
    })
}

fn time(field: &str, text: Option<&str>) -> Result<Option<u64>, Rejection> {
    let Some(text) = text else { return Ok(None) };
    let why = || {
        let shown: String = text.chars().take(40).collect();
        Rejection::new(Code::Time, format!("{shown} is not a time"))
            .field(field)
            .hint("write times as 2026-01-31T06:00:00Z or 2026-01-31T08:00:00+02:00")
    };
    parse_time(text).map(Some).ok_or_else(why)
}

/// Creates one deployment, or finds the equal one that is there already, without an effect
/// (bad-inputs row 39).
fn create(txn: &mut Txn, mut row: DeploymentRow, now: Now) -> Result<(Created, Effects), Stop> {
    let group = row.group.clone();
    let mut group_row = group::read(txn, &group)?.unwrap_or_default();
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
            return Ok((result(id, &known, count), Vec::new()));
        }
    }
    let mut meta = txn.read(&MetaKey)?.unwrap_or_default();
    let Some(next) = meta.last_deployment.0.checked_add(1) else {
        let why = "every number of a deployment has been given";
        return Err(Rejection::new(Code::Internal, why).into());
    };
    meta.last_deployment.0 = next;
    meta.told = 0;
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
            return Err(full::scheduled(&group, &group_row.scheduled).into());
        }
        group_row.scheduled.push(id);
        set_timer(txn, start, TimerKind::Start(id))?;
    } else {
        let beside = Beside::read(txn, &row, &group_row)?;
        if let Some(refusal) = beside.refusal(&row) {
            return Err(full::named(txn, refusal, &beside.apart, count)?.into());
        }
        effects.extend(activate(txn, id, &mut row, &mut group_row, beside, now)?);
    }
    if let Some(until) = row.until_ms {
        set_timer(txn, until, TimerKind::Until(id))?;
    }
    txn.put(&DeploymentKey(id), &row);
    txn.put(&GroupKey(group), &group_row);
    effects.push(Effect::ViewChanged(View::Deployment(id)));
    Ok((result(id, &row, count), effects))
}

fn result(deployment: DeploymentId, row: &DeploymentRow, count: GroupCountRow) -> Created {
    let reach = limit::reach(row, count);
    Created {
        deployment,
        state: row.state,
        members: count.members,
        eligible: reach.eligible,
        excluded: count.members.saturating_sub(reach.eligible),
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

/// The active deployments of a group beside one that is to be listed (S11).
#[derive(Default)]
struct Beside {
    /// Those whose artifacts it covers: it takes their place.
    covered: Vec<(DeploymentId, DeploymentRow)>,
    /// Those it shares some artifacts with: it cannot be listed beside them.
    overlapping: Vec<(DeploymentId, DeploymentRow)>,
    /// The others.
    apart: Vec<(DeploymentId, DeploymentRow)>,
}

impl Beside {
    fn read(txn: &Txn, row: &DeploymentRow, group_row: &GroupRow) -> Result<Self, Undecided> {
        let active = group_row.active.iter().copied().map(DeploymentKey);
        txn.want(active.map(|key| key.key()))?;
        let mut beside = Self::default();
        for id in &group_row.active {
            let Some(other) = txn.read(&DeploymentKey(*id))? else {
                continue;
            };
            let shared = |name| row.artifacts.contains(name);
            let kind = if other.artifacts.iter().all(shared) {
                &mut beside.covered
            } else if other.artifacts.iter().any(shared) {
                &mut beside.overlapping
            } else {
                &mut beside.apart
            };
            kind.push((*id, other));
        }
        Ok(beside)
    }

    /// Why the deployment cannot be listed, if it cannot.
    fn refusal(&self, row: &DeploymentRow) -> Option<Rejection> {
        if let Some((other, old)) = self.overlapping.first() {
            let why = format!(
                "deployment {other} of {} is active with some of the same artifacts",
                old.release_text
            );
            return Some(Rejection::new(Code::Conflict, why).field("release"));
        }
        (self.apart.len() >= NOTICES_MAX).then(|| {
            let why = format!("group {} has {NOTICES_MAX} active deployments", row.group);
            Rejection::new(Code::GroupFull, why).field("group")
        })
    }
}

/// Lists a deployment that nothing refuses; it supersedes what it covers (S11).
fn activate(
    txn: &mut Txn,
    id: DeploymentId,
    row: &mut DeploymentRow,
    group_row: &mut GroupRow,
    beside: Beside,
    now: Now,
) -> Result<Effects, Undecided> {
    let mut effects = Vec::new();
    for (other, mut old) in beside.covered {
        let end = Ending {
            text: format!("by deployment {id}"),
            ..Ending::itself(EndReason::Superseded)
        };
        effects.extend(finish(txn, other, &mut old, group_row, end, now)?);
    }
    row.state = DeploymentState::Active;
    row.updated_ms = now.unix_ms;
    effects.extend(limit::open(txn, id, row, group_row.leaving, now)?);
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
    let beside = Beside::read(txn, &row, &group_row)?;
    if beside.refusal(&row).is_some() {
        let ending = Ending {
            state: DeploymentState::Aborted,
            ..Ending::itself(EndReason::Conflict)
        };
        return finish(txn, id, &mut row, &mut group_row, ending, now);
    }
    let mut effects = activate(txn, id, &mut row, &mut group_row, beside, now)?;
    txn.put(&DeploymentKey(id), &row);
    txn.put(&GroupKey(row.group.clone()), &group_row);
    effects.extend([
        Effect::Event(Event::DeploymentStarted { deployment: id }),
        Effect::ViewChanged(View::Deployment(id)),
    ]);
    Ok(effects)
}
