//! Windows in local time and the UTC minutes that devices get: as the clocks of the place are now, and
//! anew when they change (S16). The time zones are those that the program brings along.

use hoist_protocol::id::DeploymentId;
use hoist_protocol::spec::{WEEK_MINUTES, Window};
use hoist_protocol::topic::View;
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::model::effect::Effect;
use crate::model::key::{DeploymentKey, RolloutKey};
use crate::model::nearest::nearest;
use crate::model::state::DeploymentState;
use crate::model::timer::{Timer, TimerKind, clear_timer, set_timer};
use crate::model::txn::Undecided;
use crate::model::window::{DAY_MINUTES, DAYS, Windows};
use crate::rules::ctx::Ctx;

/// Changes of a time zone that are looked at: some of them change its name and no clock.
const CHANGES_MAX: usize = 64;
const MINUTE_MS: u64 = 60_000;
const WEEK_MS: u64 = WEEK_MINUTES as u64 * MINUTE_MS;
/// From a Monday to the day of the epoch, a Thursday.
const EPOCH_MS: u64 = 3 * DAY_MINUTES as u64 * MINUTE_MS;

/// The time zone of an IANA name, whose letters may be of any case.
#[must_use]
pub fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

/// The time zone that was meant by a name of none.
#[must_use]
pub fn nearest_zone(name: &str) -> Option<String> {
    let names = TimeZoneDatabase::bundled();
    let names: Vec<String> = names.available().map(|name| name.to_string()).collect();
    nearest(name, names.iter()).cloned()
}

/// The windows in minutes of the UTC week, as the clocks are at a moment; those that touch are one.
#[must_use]
pub fn in_utc(windows: &Windows, zone: &TimeZone, at_ms: u64) -> Vec<Window> {
    let week = usize::from(WEEK_MINUTES);
    let offset = offset_minutes(zone, at_ms);
    let mut open = vec![false; week];
    for window in &windows.open {
        for day in (0..DAYS.len()).filter(|day| window.days & (1 << day) != 0) {
            let local = day * usize::from(DAY_MINUTES) + usize::from(window.from_minute);
            let start = (local + 2 * week).saturating_sub_signed(offset);
            for after in 0..usize::from(window.minutes.min(WEEK_MINUTES)) {
                open[(start + after) % week] = true;
            }
        }
    }
    runs(&open)
}

/// The runs of minutes that are open, around the week.
fn runs(open: &[bool]) -> Vec<Window> {
    let week = open.len();
    let minutes = |count: usize| u16::try_from(count).unwrap_or(WEEK_MINUTES);
    if open.iter().all(|is_open| *is_open) {
        return vec![Window {
            start_minute: 0,
            minutes: WEEK_MINUTES,
        }];
    }
    let starts = (0..week).filter(|at| open[*at] && !open[(at + week - 1) % week]);
    let run = |start: usize| Window {
        start_minute: minutes(start),
        minutes: minutes(
            (0..week)
                .take_while(|after| open[(start + after) % week])
                .count(),
        ),
    };
    starts.map(run).collect()
}

/// When the clocks of a time zone change next, after a moment; none where they never do.
#[must_use]
pub fn next_change_ms(zone: &TimeZone, at_ms: u64) -> Option<u64> {
    let now = moment(at_ms)?;
    let offset = zone.to_offset(now);
    let mut changes = zone.following(now).take(CHANGES_MAX);
    let change = changes.find(|change| change.offset() != offset)?;
    u64::try_from(change.timestamp().as_millisecond()).ok()
}

/// When windows are open next: now, where one is.
#[must_use]
pub fn opens_ms(windows: &Windows, now_ms: u64) -> Option<u64> {
    let zone = zone(&windows.time_zone)?;
    let opens_ms = open_from_ms(&in_utc(windows, &zone, now_ms), now_ms);
    Some(match next_change_ms(&zone, now_ms) {
        Some(change_ms) if change_ms < opens_ms => {
            open_from_ms(&in_utc(windows, &zone, change_ms), change_ms)
        }
        _ => opens_ms,
    })
}

/// When one of these windows is open, from a moment on; that moment where there is none.
#[must_use]
pub fn open_from_ms(windows: &[Window], from_ms: u64) -> u64 {
    let wait_ms = |window: &Window| {
        let start_ms = u64::from(window.start_minute) * MINUTE_MS;
        let since_ms = (from_ms + EPOCH_MS + WEEK_MS - start_ms) % WEEK_MS;
        match since_ms < u64::from(window.minutes) * MINUTE_MS {
            true => 0,
            false => WEEK_MS - since_ms,
        }
    };
    from_ms.saturating_add(windows.iter().map(wait_ms).min().unwrap_or(0))
}

/// A moment as people of that place read it: `Sat 02:00 Europe/Berlin`.
#[must_use]
pub fn local_text(time_zone: &str, at_ms: u64) -> Option<String> {
    let zone = zone(time_zone)?;
    let time = zone.to_datetime(moment(at_ms)?);
    let day = usize::try_from(time.weekday().to_monday_zero_offset()).ok()?;
    let (first, rest) = DAYS.get(day)?.split_at(1);
    Some(format!(
        "{}{rest} {:02}:{:02} {time_zone}",
        first.to_uppercase(),
        time.hour(),
        time.minute()
    ))
}

fn offset_minutes(zone: &TimeZone, at_ms: u64) -> isize {
    let seconds = moment(at_ms).map_or(0, |at| zone.to_offset(at).seconds());
    isize::try_from(seconds.div_euclid(60)).unwrap_or(0)
}

fn moment(at_ms: u64) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(at_ms).ok()?).ok()
}

/// Looks at the windows of a deployment again when the clocks change next.
pub(crate) fn watch(ctx: &mut Ctx, id: DeploymentId, windows: &Windows) -> Result<(), Undecided> {
    let zone = zone(&windows.time_zone);
    match zone.and_then(|zone| next_change_ms(&zone, ctx.now.unix_ms)) {
        Some(due_ms) => set_timer(ctx.txn, due_ms, TimerKind::Window(id)),
        None => Ok(()),
    }
}

/// The clocks have changed where the windows of a deployment are: its devices are told once.
pub(crate) fn due(ctx: &mut Ctx, timer: &Timer, id: DeploymentId) -> Result<(), Undecided> {
    clear_timer(ctx.txn, timer.due_ms, timer.kind.clone())?;
    let row = ctx.txn.read_unless_removed(id)?;
    let Some(mut row) = row.filter(|row| row.end.is_none()) else {
        return Ok(());
    };
    let state = ctx.txn.read(&RolloutKey(id))?;
    let Some(windows) = state.and_then(|state| state.rollout.windows) else {
        return Ok(());
    };
    let Some(zone) = zone(&windows.time_zone) else {
        return Ok(());
    };
    let minutes = in_utc(&windows, &zone, ctx.now.unix_ms);
    if row.policy.windows != minutes {
        row.policy.windows = minutes;
        ctx.txn.put(&DeploymentKey(id), &row);
        if row.state == DeploymentState::Active {
            ctx.effects.push(Effect::GroupSpecChanged(row.group));
        }
        ctx.effects.push(Effect::ViewChanged(View::Deployment(id)));
    }
    watch(ctx, id, &windows)
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
