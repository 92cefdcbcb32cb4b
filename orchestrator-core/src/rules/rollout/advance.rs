//! The rollout going on: phases open when the gate of the one before is passed, the allowance grows,
//! and too many failures stop it (S16). All of it follows from counters and the deployment's own
//! rows, and it is looked at soon after something happened, or when a time of it has come.

use hoist_protocol::id::DeploymentId;
use hoist_protocol::topic::View;

use crate::model::counter::{self, Totals};
use crate::model::effect::{Effect, Event};
use crate::model::key::{DeploymentKey, RolloutKey};

use crate::model::row::{
    Counted, DeploymentRow, EndReason, Happening, PauseReason, RolloutRow, Searched,
};
use crate::model::state::{DeploymentState, Then};
use crate::model::timer::{Timer, TimerKind, clear_timer, set_timer};
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;
use crate::rules::deployment::end::{Ending, finish};
use crate::rules::deployment::history::note;
use crate::rules::rollout::gate::{Times, Verdict, expected, judge};
use crate::rules::rollout::{limit, look, pace, pause, threshold};
use crate::rules::{freeze, group};

/// Devices that get a permit are looked for this often at least, in ms of connected uptime: labels and
/// contact change.
const SEARCH_AGAIN_MS: u64 = 60_000;

/// A rollout of a group that is frozen is looked at so often, in ms of connected uptime.
const FROZEN_MS: u64 = 10_000;

/// A rollout that is being listed: it opens its first phase, if nobody has to approve that. Does not
/// write the deployment's row.
pub(crate) fn begin(
    ctx: &mut Ctx,
    id: DeploymentId,
    row: &mut DeploymentRow,
) -> Result<(), Undecided> {
    let mut state = ctx.txn.require(&RolloutKey(id))?;
    let totals = counter::totals(ctx.txn, id)?;
    row.line = 0;
    look(ctx, (id, row), &mut state, &totals).map(drop)
}

/// A rollout is looked at.
pub(crate) fn due(ctx: &mut Ctx, timer: &Timer, id: DeploymentId) -> Result<(), Undecided> {
    clear_timer(ctx.txn, timer.due_ms, timer.kind.clone())?;
    let row = ctx.txn.read_unless_removed(id)?;
    let listed =
        |row: &DeploymentRow| row.state == DeploymentState::Active && row.allowed.is_some();
    let Some(mut row) = row.filter(listed) else {
        return Ok(());
    };
    let mut state = ctx.txn.require(&RolloutKey(id))?;
    let totals = counter::totals(ctx.txn, id)?;
    if look(ctx, (id, &mut row), &mut state, &totals)? == Went::On {
        ctx.txn.put(&DeploymentKey(id), &row);
    }
    Ok(())
}

/// The outcome of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Went {
    /// The caller writes the deployment's row.
    On,
    /// The deployment ended, and its row is written.
    Over,
}

/// Decides everything that follows from the counts of now, and writes the rollout's row.
fn look(
    ctx: &mut Ctx,
    (id, row): (DeploymentId, &mut DeploymentRow),
    state: &mut RolloutRow,
    totals: &Totals,
) -> Result<Went, Undecided> {
    look::unset(ctx, id, state)?;
    if let Some(went) = bear(ctx, (id, row), state, totals)? {
        return Ok(went);
    }
    let group_row = group::require(ctx.txn, &row.group)?;
    if freeze::of(ctx.txn, &group_row)?.is_some() {
        // Nobody starts: slots that were given now would be begun all at once when that is over.
        state.look_due_ms = Some(ctx.now.uptime_ms.saturating_add(FROZEN_MS));
        set_timer(
            ctx.txn,
            ctx.now.uptime_ms + FROZEN_MS,
            TimerKind::Rollout(id),
        )?;
        ctx.txn.put(&RolloutKey(id), state);
        return Ok(Went::On);
    }
    let mut looks_ms = Vec::new();
    while let Some(next) = pass(ctx, (id, row), state, totals)? {
        match next {
            Next::Opens => {}
            Next::At(due_ms) => {
                looks_ms.extend(due_ms);
                break;
            }
        }
    }
    if row.state == DeploymentState::Active {
        let uptime_ms = ctx.now.uptime_ms;
        pace::step(row, state, totals, uptime_ms);
        pace::remember(row, state, uptime_ms);
        looks_ms.extend(pace::silent_due_ms(row, state, uptime_ms));
        looks_ms.extend(pace::more_due_ms(row, state));
        let allowed = pace::allowance(row, state, totals, uptime_ms);
        let grown = row.allowed.is_none_or(|before| allowed > before);
        row.allowed = Some(allowed);
        ctx.txn.put(&RolloutKey(id), state);
        let has_room = match state.choice(0) {
            Some(_) => {
                let is_new = search(ctx, row, state, totals)?;
                looks_ms.push(state.searched.until_ms);
                allowed > row.slots && is_new
            }
            None => allowed > row.slots && row.line < state.reaches(),
        };
        if (grown || has_room) && row.seek_due_ms.is_none() {
            limit::seek(ctx, id, row)?;
        }
        state.look_due_ms = looks_ms.into_iter().min();
        if let Some(due_ms) = state.look_due_ms {
            set_timer(ctx.txn, due_ms, TimerKind::Rollout(id))?;
        }
    }
    ctx.txn.put(&RolloutKey(id), state);
    ctx.effects.push(Effect::ViewChanged(View::Deployment(id)));
    Ok(Went::On)
}

/// Notes the look for devices that get a permit; true if somebody may be found who was not before.
fn search(
    ctx: &Ctx,
    row: &DeploymentRow,
    state: &mut RolloutRow,
    totals: &Totals,
) -> Result<bool, Undecided> {
    let now_ms = ctx.now.uptime_ms;
    let before = state.searched;
    let next = Searched {
        turn: group::require(ctx.txn, &row.group)?.turn,
        ended: totals.started().saturating_sub(totals.in_progress()),
        allowed: row.allowed.unwrap_or(u32::MAX),
        phase: state.phase,
        round: row.last_round,
        until_ms: before.until_ms,
        left: before.left,
    };
    let is_new = next != before || before.until_ms <= now_ms;
    if is_new {
        state.searched = Searched {
            until_ms: now_ms.saturating_add(SEARCH_AGAIN_MS),
            ..next
        };
    }
    Ok(is_new)
}

/// Stops a rollout in which too many devices failed.
fn bear(
    ctx: &mut Ctx,
    (id, row): (DeploymentId, &mut DeploymentRow),
    state: &RolloutRow,
    totals: &Totals,
) -> Result<Option<Went>, Undecided> {
    let Some(threshold) = &state.rollout.failure else {
        return Ok(None);
    };
    let Some(counted) = threshold::reached(threshold, totals, state.resumed) else {
        return Ok(None);
    };
    note(ctx, id, row, (Happening::TooManyFailed(counted), None))?;
    let text = format!(
        "{} of the {} devices that ended failed",
        counted.failed, counted.given
    );
    match threshold.then {
        Then::Pause => {
            pause::itself(ctx, id, row, (PauseReason::Failures, text))?;
            Ok(Some(Went::On))
        }
        then @ (Then::Abort | Then::Fallback) => {
            let ending = Ending {
                state: DeploymentState::Aborted,
                text,
                ..Ending::itself(EndReason::Failures)
            };
            let mut group_row = group::require(ctx.txn, &row.group)?;
            finish(ctx, id, row, &mut group_row, ending)?;
            if then == Then::Fallback {
                set_timer(ctx.txn, ctx.now.uptime_ms, TimerKind::Fallback(id))?;
            }
            Ok(Some(Went::Over))
        }
    }
}

/// The next step of a rollout in phases.
enum Next {
    /// A phase opened; it may be one whose gate is passed at once.
    Opens,
    /// Nothing opens now; it is looked at again at this time at the latest.
    At(Option<u64>),
}

/// Opens the phase that may open; none behind the last one.
fn pass(
    ctx: &mut Ctx,
    (id, row): (DeploymentId, &mut DeploymentRow),
    state: &mut RolloutRow,
    totals: &Totals,
) -> Result<Option<Next>, Undecided> {
    let Some(phase) = state.current() else {
        return Ok(None);
    };
    if !state.is_open {
        let approved = u8::try_from(state.approved.len()).unwrap_or(u8::MAX);
        if approved < phase.approvals {
            return Ok(Some(Next::At(None)));
        }
        open(ctx, (id, row), state, totals)?;
        return Ok(Some(Next::At(Some(after_gate(state)))));
    }
    // Who got a slot is not known before the line is drawn.
    if row.seek_due_ms.is_some() || row.allowed == Some(0) {
        return Ok(Some(Next::At(None)));
    }
    let counted = counted(row, state, totals);
    let verdict = verdict(row, state, counted, ctx.now.uptime_ms);
    state.met_ms = match verdict {
        Verdict::Soaks { .. } => state.met_ms.or(Some(ctx.now.uptime_ms)),
        _ => None,
    };
    match verdict {
        Verdict::Waits { until_ms } | Verdict::Soaks { until_ms } => {
            Ok(Some(Next::At(Some(until_ms))))
        }
        Verdict::Failed => fails(ctx, (id, row), state, counted),
        Verdict::GaveUp => gives_up(ctx, (id, row), state, counted),
        Verdict::Passed => {
            let what = Happening::GatePassed(state.phase_is(), counted);
            note(ctx, id, row, (what, None))?;
            state.phase += 1;
            state.is_open = false;
            state.set_aside = false;
            state.approved.clear();
            wants_approval(ctx, (id, row), state);
            Ok(Some(Next::Opens))
        }
    }
}

/// The judgment of the gate of the open phase; one that a person has set aside is passed.
fn verdict(row: &DeploymentRow, state: &RolloutRow, counted: Counted, now_ms: u64) -> Verdict {
    let times = Times {
        opened_ms: state.opened_ms,
        met_ms: state.met_ms,
        now_ms,
    };
    match state.current() {
        Some(phase) if !state.set_aside => judge(&phase.gate, expected(row, state), counted, times),
        _ => Verdict::Passed,
    }
}

/// The gate of the open phase cannot be passed any more.
fn fails(
    ctx: &mut Ctx,
    (id, row): (DeploymentId, &mut DeploymentRow),
    state: &RolloutRow,
    counted: Counted,
) -> Result<Option<Next>, Undecided> {
    let ended = counted.failed + counted.successful;
    let text = format!(
        "{} of the {ended} devices that ended failed",
        counted.failed
    );
    let phase_is = state.phase_is();
    ctx.effects.push(Effect::Event(Event::GateFailed {
        deployment: id,
        group: row.group.clone(),
        phase: phase_is.number,
    }));
    let what = Happening::GateFailed(phase_is, counted);
    note(ctx, id, row, (what, None))?;
    pause::itself(ctx, id, row, (PauseReason::Gate, text))?;
    Ok(Some(Next::At(None)))
}

/// The gate of the open phase was not passed in time.
fn gives_up(
    ctx: &mut Ctx,
    (id, row): (DeploymentId, &mut DeploymentRow),
    state: &RolloutRow,
    counted: Counted,
) -> Result<Option<Next>, Undecided> {
    let text = format!(
        "{} of the {} devices that were let in have ended",
        counted.failed + counted.successful,
        counted.given
    );
    let what = Happening::GaveUp(state.phase_is(), counted);
    note(ctx, id, row, (what, None))?;
    pause::itself(ctx, id, row, (PauseReason::GaveUp, text))?;
    Ok(Some(Next::At(None)))
}

/// The devices that count for the gate of the open phase.
pub(crate) fn counted(row: &DeploymentRow, state: &RolloutRow, totals: &Totals) -> Counted {
    let ended = totals.ended().since(state.before);
    Counted {
        given: row.slots.saturating_sub(state.slots_before),
        successful: ended.successful,
        failed: ended.failed,
    }
}

fn open(
    ctx: &mut Ctx,
    (id, row): (DeploymentId, &mut DeploymentRow),
    state: &mut RolloutRow,
    totals: &Totals,
) -> Result<(), Undecided> {
    state.is_open = true;
    state.opened_ms = ctx.now.uptime_ms;
    state.met_ms = None;
    state.before = totals.ended();
    state.slots_before = row.slots;
    // Until devices of this phase were looked for.
    state.searched.left = true;
    let phase_is = state.phase_is();
    ctx.effects.push(Effect::Event(Event::PhaseOpened {
        deployment: id,
        group: row.group.clone(),
        phase: phase_is.number,
        of: u32::try_from(state.rollout.phases.len()).unwrap_or(u32::MAX),
    }));
    note(ctx, id, row, (Happening::PhaseOpened(phase_is), None))
}

/// When the gate of a phase that just opened is given up.
fn after_gate(state: &RolloutRow) -> u64 {
    let seconds = state.current().map_or(0, |phase| phase.gate.give_up_s);
    state.opened_ms.saturating_add(u64::from(seconds) * 1_000)
}

/// Tells people that the next phase waits for them.
pub(crate) fn wants_approval(
    ctx: &mut Ctx,
    (id, row): (DeploymentId, &DeploymentRow),
    state: &RolloutRow,
) {
    if let Some(phase) = state.current().filter(|phase| phase.approvals > 0) {
        ctx.effects.push(Effect::Event(Event::ApprovalWanted {
            deployment: id,
            group: row.group.clone(),
            phase: state.phase_is().number,
            approvals: u32::from(phase.approvals),
        }));
    }
}
