//! The starts that a rollout lets happen, by what devices did: budgets, phases, pace, windows, and who
//! it is for (S16).

use hoist_orchestrator_core::model::rollout::{EVERYONE, Growth, Only, Part};
use hoist_orchestrator_core::model::row::DeploymentRow;
use hoist_protocol::id::DeploymentId;
use hoist_protocol::spec::{WEEK_MINUTES, Window};

use super::super::device::Device;
use super::super::line::device_id;
use super::rows::Course;
use super::{Broken, Watch, hold};

const MINUTE_MS: u64 = 60_000;
/// Devices that had their slot for so long and said nothing hold nobody up, in ms.
const SILENT_MS: u64 = 15 * MINUTE_MS;

/// A device started a deployment; `told` = it was not on its way to another group.
pub(super) fn started(
    watch: &Watch,
    device: &Device,
    id: DeploymentId,
    told: bool,
    (unix_ms, uptime_ms): (u64, u64),
) -> Result<(), Broken> {
    let mirror = &watch.rows.mirror;
    let Some(row) = mirror.deployments.get(&id) else {
        return Ok(());
    };
    if !row.policy.download_ahead {
        let clock_ms = device.clock_ms(unix_ms);
        in_a_window(device, id, row, (clock_ms, 0))?;
    }
    let Some(course) = mirror.courses.get(&id) else {
        return Ok(());
    };
    is_meant(watch, device, id, course)?;
    if !told {
        return Ok(());
    }
    budget(watch, device, id, course)?;
    phases(watch, id, row, course)?;
    pace(watch, id, row, course, uptime_ms)
}

/// A device began to install: in a window, or shortly after one in which it began.
pub(super) fn installed(
    watch: &Watch,
    device: &Device,
    id: DeploymentId,
    is_first: bool,
    unix_ms: u64,
) -> Result<(), Broken> {
    let Some(row) = watch.rows.mirror.deployments.get(&id) else {
        return Ok(());
    };
    let overrun_ms = match is_first {
        true => 0,
        false => u64::from(row.policy.max_overrun_s) * 1_000,
    };
    in_a_window(device, id, row, (device.clock_ms(unix_ms), overrun_ms))
}

fn in_a_window(
    device: &Device,
    id: DeploymentId,
    row: &DeploymentRow,
    (clock_ms, overrun_ms): (u64, u64),
) -> Result<(), Broken> {
    let windows = &row.policy.windows;
    let is_open = |window: &Window| since_ms(window, clock_ms) < length_ms(window) + overrun_ms;
    let open = windows.is_empty() || windows.iter().any(is_open);
    hold(open, "a-window-is-kept-by-the-devices-time", || {
        format!(
            "{} began {id} at {clock_ms}, outside {windows:?}",
            device.id
        )
    })
}

fn length_ms(window: &Window) -> u64 {
    u64::from(window.minutes) * MINUTE_MS
}

/// Time since a window opened last, in ms.
fn since_ms(window: &Window, clock_ms: u64) -> u64 {
    let week_ms = u64::from(WEEK_MINUTES) * MINUTE_MS;
    // The first day of Unix time was a Thursday.
    let monday_ms = 4 * 24 * 60 * MINUTE_MS;
    let start_ms = monday_ms + u64::from(window.start_minute) * MINUTE_MS;
    (clock_ms + week_ms - start_ms % week_ms) % week_ms
}

fn is_meant(
    watch: &Watch,
    device: &Device,
    id: DeploymentId,
    course: &Course,
) -> Result<(), Broken> {
    let name = &device.id;
    let labels = watch.rows.mirror.labels.get(&device.number);
    let (is_meant, invariant) = match &course.row.rollout.only {
        Only::Everyone => return Ok(()),
        Only::Named(devices) => (devices.contains(name), "a-selection-is-kept"),
        Only::Selected(selector) => {
            let fits = labels.is_none_or(|labels| selector.matches(labels));
            (fits, "a-selection-is-kept")
        }
        Only::Began(other) => {
            let began = watch.pasts[usize::from(device.number) - 1].has_begun(*other);
            (began, "a-fallback-goes-only-to-who-had-started")
        }
    };
    hold(is_meant, invariant, || {
        format!(
            "{name} started {id}, which is for {:?}",
            course.row.rollout.only
        )
    })
}

/// Never more devices of a place are at work than its budget says.
fn budget(watch: &Watch, device: &Device, id: DeploymentId, course: &Course) -> Result<(), Broken> {
    let Some(budget) = &course.row.rollout.budget else {
        return Ok(());
    };
    let mirror = &watch.rows.mirror;
    let place = |number: &u16| {
        let labels = mirror.labels.get(number)?;
        let mut values = labels.iter().filter(|(name, _)| *name == budget.label);
        Some(values.next().map(|(_, value)| value.clone()))
    };
    let group = mirror.deployments.get(&id).map(|row| &row.group);
    let own = place(&device.number);
    let numbers = (1..).zip(&watch.pasts);
    let there = numbers.filter(|(number, _)| own.is_some() && place(number) == own);
    let (mut of, mut at_work) = (0, Vec::new());
    for (number, past) in there {
        // Members may have left since the permits were given.
        of += 1;
        if past.works_on(id) && mirror.groups.get(&number) == group {
            at_work.push(device_id(number));
        }
    }
    let most = budget.of(of);
    hold(
        at_work.len() <= most as usize,
        "a-budget-is-never-exceeded",
        || format!("{at_work:?} of {own:?} are at work on {id}, {most} may be"),
    )
}

/// As many devices start as the open phases let in, and never one more.
fn phases(
    watch: &Watch,
    id: DeploymentId,
    row: &DeploymentRow,
    course: &Course,
) -> Result<(), Broken> {
    let phases = &course.row.rollout.phases;
    let open = course.row.phase as usize + usize::from(course.row.is_open);
    if open > phases.len() || (open == phases.len() && !course.row.is_open) {
        return Ok(());
    }
    let open = &phases[..open];
    let starters = (1..).zip(&watch.pasts);
    let starters = starters.filter(|(_, past)| past.has_begun(id));
    let devices = open
        .iter()
        .all(|phase| matches!(phase.part, Part::Devices(_)));
    let shares = open
        .iter()
        .all(|phase| matches!(phase.part, Part::Percent(_)));
    let (count, most) = match open.last().map(|phase| &phase.part) {
        None => (starters.count(), 0),
        Some(Part::Devices(most)) if devices => (starters.count(), *most as usize),
        Some(Part::Percent(share)) if shares && *share < EVERYONE => {
            let line = (u64::from(u32::MAX) + 1) * u64::from(*share) / u64::from(EVERYONE);
            let beyond = |(number, _): &(u16, _)| {
                u64::from(row.audience().rank(id, &device_id(*number))) >= line
            };
            // A share that is too small for the group reaches one device.
            let beyond = starters.filter(beyond).count();
            (beyond, 1)
        }
        Some(_) => return Ok(()),
    };
    hold(count <= most, "a-phase-lets-in-as-many-as-it-says", || {
        let phase = course.row.phase + 1;
        format!("{count} devices started {id} in its phase {phase}, for {most}")
    })
}

fn pace(
    watch: &Watch,
    id: DeploymentId,
    row: &DeploymentRow,
    course: &Course,
    uptime_ms: u64,
) -> Result<(), Broken> {
    let rollout = &course.row.rollout;
    let had_ms = uptime_ms - course.begun_ms;
    let count = |is: &dyn Fn(&super::Past) -> bool| {
        watch.pasts.iter().filter(|past| is(past)).count() as u64
    };
    if let Some(base) = rollout.starts_per_minute {
        let most = rollout.growth.map_or(base, |growth| growth.up_to.max(base));
        let most = u64::from(most) * (had_ms / MINUTE_MS + 1);
        let started = count(&|past| past.has_begun(id));
        hold(started <= most, "a-pace-is-kept", || {
            format!("{started} devices started {id} in {had_ms} ms, {most} may")
        })?;
    }
    // Who begins again has its slot, and who said nothing for long holds nobody up.
    let is_exact = row.last_round.0 == 0 && had_ms < SILENT_MS;
    let Some(base) = rollout.max_in_progress.filter(|_| is_exact) else {
        return Ok(());
    };
    let growth = rollout
        .growth
        .filter(|_| rollout.starts_per_minute.is_none());
    let successful = watch.rows.mirror.successful(id);
    let most = growth.map_or(base, |growth: Growth| growth.of(base, successful));
    let at_work = count(&|past| past.works_on(id));
    hold(
        at_work <= u64::from(most),
        "no-more-are-at-work-than-may-be",
        || format!("{at_work} devices are at work on {id}, {most} may be"),
    )
}
