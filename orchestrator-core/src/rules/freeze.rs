//! Freezes: while a group or everything is frozen, nobody starts anything, because group specs list
//! nothing (W2); who has started finishes. Deployments are created and ended as ever, and begin
//! when the freeze is lifted.

use hoist_protocol::id::{GroupId, UserId};

use crate::model::effect::{Effect, Event};
use crate::model::error::{Code, Rejection};
use crate::model::key::{FleetFreezeKey, GroupKey};
use crate::model::row::{Frozen, GroupRow};
use crate::model::txn::{Txn, Undecided};
use crate::rules::ctx::Ctx;
use crate::rules::rollout::membership;
use crate::rules::stop::Stop;

/// The freeze that a group is under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// Since when, and by whom.
    pub frozen: Frozen,
    /// True if everything is frozen.
    pub everything: bool,
}

/// The freeze that a group is under, if any: that of everything comes first.
pub(crate) fn of(txn: &Txn, group: &GroupRow) -> Result<Option<Freeze>, Undecided> {
    let freeze = |everything| move |frozen| Freeze { frozen, everything };
    let fleet = of_everything(txn)?.map(freeze(true));
    Ok(fleet.or_else(|| group.frozen.clone().map(freeze(false))))
}

/// The freeze of everything, if there is one.
pub(crate) fn of_everything(txn: &Txn) -> Result<Option<Frozen>, Undecided> {
    Ok(txn.read_or_empty(&FleetFreezeKey)?.frozen)
}

/// Freezes a group; one that is frozen stays as it is.
pub(crate) fn group(
    ctx: &mut Ctx,
    group: &GroupId,
    row: GroupRow,
    by: &UserId,
) -> Result<(), Undecided> {
    if row.frozen.is_none() {
        let frozen = Some(begun(ctx, by));
        put(ctx, group, &GroupRow { frozen, ..row }, by);
    }
    Ok(())
}

/// Lifts the freeze of a group. One that is only frozen with everything else is refused.
pub(crate) fn lift_group(
    ctx: &mut Ctx,
    group: &GroupId,
    row: GroupRow,
    by: &UserId,
) -> Result<(), Stop> {
    let fleet = of_everything(ctx.txn)?;
    match (&row.frozen, fleet) {
        (Some(_), _) => {
            let frozen = None;
            put(ctx, group, &GroupRow { frozen, ..row }, by);
        }
        (None, Some(_)) => {
            let why = format!("everything is frozen, and group {group} only with it");
            let refusal = Rejection::new(Code::Frozen, why).field("group");
            return Err(refusal
                .hint("lift it for all groups with `hoist unfreeze`")
                .into());
        }
        (None, None) => {}
    }
    Ok(())
}

/// Freezes everything, groups that are created later included; frozen, it stays as it is.
pub(crate) fn everything(ctx: &mut Ctx, by: &UserId) -> Result<(), Undecided> {
    let mut row = ctx.txn.read_or_empty(&FleetFreezeKey)?;
    if row.frozen.is_none() {
        row.frozen = Some(begun(ctx, by));
        ctx.txn.put(&FleetFreezeKey, &row);
        told(ctx, None, true, by);
    }
    Ok(())
}

/// Lifts the freeze of everything; groups that are frozen by themselves stay so.
pub(crate) fn lift_everything(ctx: &mut Ctx, by: &UserId) -> Result<(), Undecided> {
    let mut row = ctx.txn.read_or_empty(&FleetFreezeKey)?;
    if row.frozen.take().is_some() {
        ctx.txn.put(&FleetFreezeKey, &row);
        told(ctx, None, false, by);
    }
    Ok(())
}

fn begun(ctx: &Ctx, by: &UserId) -> Frozen {
    Frozen {
        at_ms: ctx.now.unix_ms,
        by: by.clone(),
    }
}

fn put(ctx: &mut Ctx, group: &GroupId, row: &GroupRow, by: &UserId) {
    ctx.txn.put(&GroupKey(group.clone()), row);
    ctx.effects.extend(membership::shown(group, row));
    told(ctx, Some(group), row.frozen.is_some(), by);
}

fn told(ctx: &mut Ctx, group: Option<&GroupId>, frozen: bool, by: &UserId) {
    let changed = match group {
        Some(group) => Effect::GroupSpecChanged(group.clone()),
        None => Effect::EveryGroupChanged,
    };
    let (group, by) = (group.cloned(), by.clone());
    let event = match frozen {
        true => Event::Frozen { group, by },
        false => Event::Unfrozen { group, by },
    };
    ctx.effects.extend([changed, Effect::Event(event)]);
}
