//! Passes over all devices: what a selector names is changed page by page, each page in a decision
//! of its own. Reports and commands are decided in between, so that nobody waits for a fleet, and
//! each page is durable with the place that it reached, so that a crash neither repeats nor skips
//! a device. One pass is at work at a time, in the order in which they were asked for: of two that
//! set a label, the later one wins everywhere.

use hoist_protocol::id::{DeviceId, GroupId, UserId};

use crate::model::effect::{Effect, Event};
use crate::model::error::{Code, Rejection};
use crate::model::key::{DeviceKey, GroupKey, Key, OutboxKey, PassesKey, RowKey};
use crate::model::row::{DeviceRow, DynamicGroupsRow, Pass, PassWork, PassesRow};
use crate::model::search::{PassPage, PassSeek};
use crate::model::timer::{Timer, TimerKind, clear_timer, set_timer};
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;
use crate::rules::device::{self, label};
use crate::rules::rollout::membership;
use crate::rules::stop::Stop;
use crate::rules::{dynamic, group};

/// Devices changed in one decision: a report waits no longer for it than for a batch.
pub const DEVICES_MAX: usize = 32;
/// Devices looked at for one page, also when none of them is concerned: it is found before it
/// is asked for again.
const LOOKED_AT_MAX: usize = 16_384;
/// Passes that are kept, those that wait among them.
const PASSES_MAX: usize = 8;
/// A page that is not found after this time, in ms of connected uptime, is asked for again: the
/// question died with a crash.
const AGAIN_MS: u64 = 10_000;

/// Asks for a pass; its number.
pub(crate) fn begin(
    ctx: &mut Ctx,
    work: PassWork,
    groups: Vec<GroupId>,
    by: &UserId,
) -> Result<u32, Stop> {
    let mut row = ctx.txn.read_or_empty(&PassesKey)?;
    let ended = |row: &PassesRow| row.passes.iter().position(|pass| pass.ended_ms.is_some());
    while row.passes.len() >= PASSES_MAX {
        let Some(oldest) = ended(&row) else {
            let why = format!("{PASSES_MAX} changes of many devices wait for each other");
            let busy = Rejection::new(Code::Busy, why);
            return Err(busy.hint("look at them with `hoist device passes`").into());
        };
        row.passes.remove(oldest);
    }
    row.last = row.last.saturating_add(1);
    let number = row.last;
    let is_first = row.at_work().is_none();
    row.passes.push(Pass {
        number,
        work,
        groups,
        by: by.clone(),
        begun_ms: ctx.now.unix_ms,
        after: None,
        changed: 0,
        refused: 0,
        ended_ms: None,
    });
    if is_first {
        ask(ctx, &mut row)?;
    }
    ctx.txn.put(&PassesKey, &row);
    Ok(number)
}

/// Asks for the next page of the pass at work. Does not write the row.
fn ask(ctx: &mut Ctx, row: &mut PassesRow) -> Result<(), Undecided> {
    if let Some(due_ms) = row.due_ms.take() {
        clear_timer(ctx.txn, due_ms, TimerKind::Pass)?;
    }
    let Some(pass) = row.at_work() else {
        return Ok(());
    };
    let seek = PassSeek {
        pass: pass.clone(),
        dynamic: dynamic::all(ctx.txn)?,
    };
    ctx.effects.push(Effect::Pass(Box::new(seek)));
    let due_ms = ctx.now.uptime_ms.saturating_add(AGAIN_MS);
    set_timer(ctx.txn, due_ms, TimerKind::Pass)?;
    row.due_ms = Some(due_ms);
    Ok(())
}

/// A page was not found in time.
pub(crate) fn due(ctx: &mut Ctx, timer: &Timer) -> Result<(), Undecided> {
    clear_timer(ctx.txn, timer.due_ms, timer.kind.clone())?;
    let mut row = ctx.txn.read_or_empty(&PassesKey)?;
    if row.due_ms == Some(timer.due_ms) {
        ask(ctx, &mut row)?;
        ctx.txn.put(&PassesKey, &row);
    }
    Ok(())
}

/// Rows that a page surely touches.
pub(crate) fn hint(page: &PassPage) -> Vec<Key> {
    let devices = page.devices.iter().cloned().map(DeviceKey);
    let keys = devices.map(|device| device.key());
    keys.chain([PassesKey.key()]).collect()
}

/// Changes the devices of a page, unless it was done already, and asks for the next.
pub(crate) fn page_found(ctx: &mut Ctx, page: &PassPage) -> Result<(), Undecided> {
    let mut row = ctx.txn.read_or_empty(&PassesKey)?;
    let Some(pass) = row.at_work_mut() else {
        return Ok(());
    };
    if (pass.number, &pass.after) != (page.pass, &page.after) {
        return Ok(());
    }
    want_rows(ctx, pass, page)?;
    for device in &page.devices {
        match change(ctx, pass, device)? {
            Changed::Yes => pass.changed += 1,
            Changed::Refused => pass.refused += 1,
            Changed::No => {}
        }
    }
    pass.after = page.up_to.clone();
    if !page.more {
        pass.ended_ms = Some(ctx.now.unix_ms);
        ctx.effects.push(Effect::Event(Event::DevicesChanged {
            pass: pass.number,
            changed: pass.changed,
            refused: pass.refused,
            by: pass.by.clone(),
        }));
    }
    ask(ctx, &mut row)?;
    ctx.txn.put(&PassesKey, &row);
    Ok(())
}

/// Asks for the rows of all devices at once: one by one would be one read after another.
fn want_rows(ctx: &Ctx, pass: &Pass, page: &PassPage) -> Result<(), Undecided> {
    let own = page.devices.iter().flat_map(|device| {
        let outbox = OutboxKey(device.clone()).key();
        [DeviceKey(device.clone()).key(), outbox]
    });
    ctx.txn.want(own)?;
    let groups = dynamic::all(ctx.txn)?;
    let mut rows = Vec::new();
    for device in &page.devices {
        let Some(row) = ctx.txn.read(&DeviceKey(device.clone()))? else {
            continue;
        };
        let home = home(pass, &groups, &row);
        for group in [&row.group, &home]
            .into_iter()
            .filter(|_| home != row.group)
        {
            if let Some(row) = ctx.txn.read(&GroupKey(group.clone()))? {
                rows.extend(membership::rows_of(device, group, &row));
            }
        }
    }
    ctx.txn.want(rows)
}

/// The group in which a device is once it is changed.
fn home(pass: &Pass, groups: &DynamicGroupsRow, row: &DeviceRow) -> GroupId {
    match &pass.work {
        PassWork::Label { set, remove, .. } => match label::changed(&row.labels, set, remove) {
            Ok(labels) => groups.home(&row.group, &labels),
            Err(_) => row.group.clone(),
        },
        PassWork::Move { group, .. } => groups.home(group, &row.labels),
        PassWork::Place => groups.home(&row.group, &row.labels),
    }
}

/// The effect of a pass on one device.
enum Changed {
    Yes,
    No,
    Refused,
}

/// Changes one device, by its row of now: it may have been changed since the page was read.
fn change(ctx: &mut Ctx, pass: &Pass, device: &DeviceId) -> Result<Changed, Undecided> {
    let row = ctx.txn.read(&DeviceKey(device.clone()));
    let row = ctx.unless_damaged(row)?.flatten();
    let groups = dynamic::all(ctx.txn)?;
    let Some(mut row) = row.filter(|row| concerns(pass, &groups, row)) else {
        return Ok(Changed::No);
    };
    if is_refused(pass, &groups, &row) {
        return Ok(Changed::Refused);
    }
    match &pass.work {
        PassWork::Label { set, remove, .. } => match label::changed(&row.labels, set, remove) {
            Ok(labels) => label::set(ctx, device, &mut row, labels)?,
            Err(_) => return Ok(Changed::Refused),
        },
        PassWork::Move { group: to, .. } => {
            if group::read(ctx.txn, to)?.is_none() {
                return Ok(Changed::Refused);
            }
            device::move_to(ctx, device, &mut row, to)?;
            device::settle(ctx, device, &mut row)?;
        }
        PassWork::Place => device::settle(ctx, device, &mut row)?,
    }
    Ok(Changed::Yes)
}

/// True if a device cannot be changed: it would come into a group, or leave one, in which the pass
/// may change nothing, or whose members follow from labels.
fn is_refused(pass: &Pass, groups: &DynamicGroupsRow, row: &DeviceRow) -> bool {
    match &pass.work {
        PassWork::Label { .. } => {
            !pass.groups.is_empty() && !pass.groups.contains(&home(pass, groups, row))
        }
        PassWork::Move { .. } => groups.selector(&row.group).is_some(),
        PassWork::Place => false,
    }
}

/// True if a pass has something to change about a device, or would have.
fn concerns(pass: &Pass, groups: &DynamicGroupsRow, row: &DeviceRow) -> bool {
    let may = pass.groups.is_empty() || pass.groups.contains(&row.group);
    let selector = pass.work.selector();
    may && selector.is_none_or(|selector| selector.matches(&row.labels))
        && match &pass.work {
            PassWork::Label { set, remove, .. } => {
                label::changed(&row.labels, set, remove).as_ref() != Ok(&row.labels)
            }
            PassWork::Move { group, .. } => row.group != *group,
            PassWork::Place => row.group != groups.home(&row.group, &row.labels),
        }
}

/// Looks for the devices of a page, fed with all devices behind those that are done, by name.
#[derive(Debug)]
pub struct PassSearch {
    seek: PassSeek,
    devices: Vec<DeviceId>,
    up_to: Option<DeviceId>,
    looked_at: usize,
}

impl PassSearch {
    /// A search for the next page.
    #[must_use]
    pub fn new(seek: PassSeek) -> Self {
        Self {
            up_to: seek.pass.after.clone(),
            seek,
            devices: Vec::new(),
            looked_at: 0,
        }
    }

    /// Devices up to this one are done.
    #[must_use]
    pub fn after(&self) -> Option<&DeviceId> {
        self.up_to.as_ref()
    }

    /// Takes a device in; true once the page is full.
    #[must_use]
    pub fn device(&mut self, device: DeviceId, row: &DeviceRow) -> bool {
        if concerns(&self.seek.pass, &self.seek.dynamic, row) {
            self.devices.push(device.clone());
        }
        self.up_to = Some(device);
        self.looked_at += 1;
        self.devices.len() >= DEVICES_MAX || self.looked_at >= LOOKED_AT_MAX
    }

    /// The page; there may be more devices behind it.
    #[must_use]
    pub fn found(self, more: bool) -> PassPage {
        let pass = self.seek.pass;
        PassPage {
            pass: pass.number,
            after: pass.after,
            devices: self.devices,
            up_to: self.up_to,
            more,
        }
    }
}
