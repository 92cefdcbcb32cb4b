//! Every event that a decision tells is numbered and kept, in the commit of what it tells: a crash
//! loses none that was decided. No decision reads one but to forget it.

use std::ops::Range;

use hoist_protocol::id::GroupId;

use crate::model::effect::{Effect, Event};
use crate::model::kept::{EventId, Kept};
use crate::model::key::{DeploymentKey, DeviceKey, EventHeadKey, EventKey, RowKey};
use crate::model::row::{EVENT_DATA_BYTES_MAX, EventHeadRow, EventRow};
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;

/// Events that are kept, however young: 3 MB.
pub(crate) const EVENTS_MAX: u64 = 10_000;
/// Time for which events are kept, in ms: 30 days.
pub(crate) const EVENTS_MS: u64 = 30 * 24 * 3_600 * 1_000;
/// Old events that one new one takes away: more than one, so that those of a busy month go.
const FORGOTTEN_AT_ONCE: u64 = 2;
/// Rows that are asked for beyond those that are needed.
const AHEAD: u64 = 64;

/// Keeps the events among the effects so far, and says where, in their order. Without the end of the
/// history, which is lost, they are told and not kept.
pub(crate) fn keep(ctx: &mut Ctx) -> Result<Vec<Kept>, Undecided> {
    let events = ctx.effects.iter().filter_map(|effect| match effect {
        Effect::Event(event) => Some(event.clone()),
        _ => None,
    });
    let events: Vec<Event> = events.collect();
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let kept = append(ctx, &events);
    Ok(ctx.unless_damaged(kept)?.unwrap_or_default())
}

/// Tells what happened to the server; it is kept as every event is.
pub(crate) fn tell(ctx: &mut Ctx, event: &Event) -> Result<(), Undecided> {
    ctx.effects.push(Effect::Event(event.clone()));
    Ok(())
}

/// Keeps an event that is not to be told any more.
pub(crate) fn keep_only(ctx: &mut Ctx, event: &Event) -> Result<(), Undecided> {
    let kept = append(ctx, std::slice::from_ref(event));
    ctx.unless_damaged(kept).map(drop)
}

fn append(ctx: &mut Ctx, events: &[Event]) -> Result<Vec<Kept>, Undecided> {
    let mut head = ctx.txn.read_or_empty(&EventHeadKey)?;
    if head.number == 0 {
        head = EventHeadRow {
            origin_ms: ctx.now.unix_ms,
            number: 0,
            first: 1,
        };
    }
    // Everything is read before anything is written.
    let rows = rows(ctx, events)?;
    let next = head.number.saturating_add(1);
    want(ctx, next..next.saturating_add(events.len() as u64))?;
    let old = old(ctx, &head, events.len() as u64)?;
    for number in &old {
        ctx.txn.delete(&EventKey(*number));
    }
    head.first = head.first.saturating_add(old.len() as u64);
    let mut kept = Vec::with_capacity(rows.len());
    for row in &rows {
        head.number = head.number.saturating_add(1);
        ctx.txn.put(&EventKey(head.number), row);
        kept.push(Kept {
            id: EventId {
                origin_ms: head.origin_ms,
                number: head.number,
            },
            at_ms: row.at_ms,
        });
    }
    ctx.txn.put(&EventHeadKey, &head);
    Ok(kept)
}

fn rows(ctx: &Ctx, events: &[Event]) -> Result<Vec<EventRow>, Undecided> {
    let row = |event: &Event| {
        let data = serde_json::to_string(event).unwrap_or_default();
        let is_fit = (2..=EVENT_DATA_BYTES_MAX).contains(&data.len());
        Ok(EventRow {
            at_ms: ctx.now.unix_ms,
            kind: event.kind().to_owned(),
            group: group_of(ctx, event)?,
            // Longer is only what a file system says of itself; live, it is told whole.
            data: if is_fit { data } else { "{}".to_owned() },
        })
    };
    events.iter().map(row).collect()
}

/// Asks for the rows of events, and at once for those behind them: there are more in a batch when a
/// release fails everywhere.
fn want(ctx: &Ctx, numbers: Range<u64>) -> Result<(), Undecided> {
    let keys = |numbers: Range<u64>| numbers.map(|number| EventKey(number).key());
    if ctx.txn.want(keys(numbers.clone())).is_ok() {
        return Ok(());
    }
    let ahead = numbers.end.saturating_add(AHEAD);
    ctx.txn.want(keys(numbers.start..ahead))
}

/// The numbers to forget, when so many more are kept.
fn old(ctx: &Ctx, head: &EventHeadRow, more: u64) -> Result<Vec<u64>, Undecided> {
    let end = head.number.saturating_add(1);
    let most = more.saturating_mul(FORGOTTEN_AT_ONCE);
    let oldest = head.first..end.min(head.first.saturating_add(most));
    want(ctx, oldest.clone())?;
    let mut old = Vec::new();
    for number in oldest {
        let is_beyond = end.saturating_add(more) > number.saturating_add(EVENTS_MAX);
        // One that is gone is not missed.
        let at_ms = ctx.txn.read(&EventKey(number))?.map(|row| row.at_ms);
        let is_late = at_ms.is_none_or(|at_ms| at_ms.saturating_add(EVENTS_MS) < ctx.now.unix_ms);
        if !is_beyond && !is_late {
            break;
        }
        old.push(number);
    }
    Ok(old)
}

/// The group that an event is about: its own, or that of its deployment or device.
fn group_of(ctx: &Ctx, event: &Event) -> Result<Option<GroupId>, Undecided> {
    if let Some(group) = event.group() {
        return Ok(Some(group.clone()));
    }
    if let Some(deployment) = event.deployment() {
        let row = ctx.txn.read(&DeploymentKey(deployment))?;
        return Ok(row.map(|row| row.group));
    }
    let Some(device) = event.device() else {
        return Ok(None);
    };
    let row = ctx.txn.read(&DeviceKey(device.clone()))?;
    Ok(row.map(|row| row.group))
}
