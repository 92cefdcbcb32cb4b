//! Recovery of a store that was lost, or is older than what was signed with its keys: groups and
//! deployments come back from signed specs of groups, devices from the signed specs that they
//! kept, outcomes from the devices' reports. Nothing is listed meanwhile. Every active or
//! scheduled deployment ends with the recovery, because it may have been aborted since without
//! anybody knowing.

use hoist_protocol::envelope::PublicKey;
use hoist_protocol::id::{DeploymentId, DeviceId, GroupId, Name, ReleaseId, Round, UserId};
use hoist_protocol::spec::{DeploymentSpec, DeviceSpec, GroupSpec, HOLD_ALL};
use hoist_protocol::status::DeviceStatus;
use hoist_protocol::topic::View;

use crate::model::effect::{Effect, Event};
use crate::model::key::{
    DeploymentKey, DeviceKey, ForgottenKey, GroupKey, RecoveryKey, ReleaseKey, RowKey,
};
use crate::model::now::Now;
use crate::model::release::VerifiedRelease;
use crate::model::row::{DeploymentRow, DeviceRow, End, EndReason, RecoveryRow, release_text};
use crate::model::state::{CompleteWhen, DeploymentState};
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;
use crate::rules::deployment::end::{Ending, finish};
use crate::rules::deployment::numbers;
use crate::rules::device::hold;
use crate::rules::device::resync::ask_resync;
use crate::rules::rollout::membership;
use crate::rules::rollout::outbox::{self, AdmissionChange};
use crate::rules::{audit, group, release};

/// Devices are believed numbers so far above the highest known while everything is lost.
pub(crate) const AHEAD_MAX: u32 = 100_000;
/// The text in place of a release of which only its number in a report is left.
const UNKNOWN: &str = "unknown";

/// It begins, or goes on after a crash: then what the store knew when it began first counts.
pub(crate) fn begins(ctx: &mut Ctx) -> Result<(), Undecided> {
    let before = ctx.txn.read_or_empty(&RecoveryKey)?;
    if !before.open {
        let known_ms = ctx.txn.instance()?.known_ms();
        let issue = before.issue.max(issue(ctx.now));
        let row = RecoveryRow {
            open: true,
            known_ms,
            issue,
        };
        ctx.txn.put(&RecoveryKey, &row);
        audit::note_recovery(ctx, "begins")?;
    }
    Ok(())
}

/// It is over. The number of the tokens that may have been forgotten stays.
pub(crate) fn ends(ctx: &mut Ctx) -> Result<(), Undecided> {
    let row = ctx.txn.read_or_empty(&RecoveryKey)?;
    if row.open {
        audit::note_recovery(ctx, "ended")?;
    }
    ctx.txn
        .put(&RecoveryKey, &RecoveryRow { open: false, ..row });
    Ok(())
}

/// A release's manifest that was kept beside the store.
pub(crate) fn release(ctx: &mut Ctx, verified: &VerifiedRelease) -> Result<(), Undecided> {
    match release::add(ctx, Some(verified)) {
        Err(crate::rules::stop::Stop::Undecided(undecided)) => Err(undecided),
        // One of that name is there already: it stays.
        Ok(_) | Err(crate::rules::stop::Stop::Rejected(_)) => Ok(()),
    }
}

/// A group's spec with our signature: the group exists, and what the spec lists was given.
pub(crate) fn group(ctx: &mut Ctx, group: &GroupId, spec: &GroupSpec) -> Result<(), Undecided> {
    group::ensure(ctx, group)?;
    let mut row = group::require(ctx.txn, group)?;
    if row.resync < spec.resync {
        // The next one is to be heard.
        row.resync = spec.resync;
        ctx.txn.put(&GroupKey(group.clone()), &row);
    }
    for entry in &spec.entries {
        let release = ctx.txn.read(&ReleaseKey(entry.release))?;
        let named = release.map(|row| {
            let text = release_text(&row.manifest.name, &row.manifest.version);
            (text, row.artifacts)
        });
        let (text, artifacts) = named.unwrap_or_else(|| (UNKNOWN.to_owned(), Vec::new()));
        let found = Found {
            id: entry.deployment,
            release: entry.release,
            text,
            artifacts,
            entry: Some(entry),
            spread_s: spec.spread_s,
        };
        found.put(ctx, group)?;
    }
    numbers::seen_in_spec(ctx, &spec.entries)
}

/// A deployment of which something is left.
struct Found<'a> {
    id: DeploymentId,
    release: ReleaseId,
    text: String,
    artifacts: Vec<Name>,
    entry: Option<&'a DeploymentSpec>,
    spread_s: u32,
}

impl Found<'_> {
    /// Writes it, unless the store has it.
    fn put(self, ctx: &mut Ctx, group: &GroupId) -> Result<(), Undecided> {
        let key = DeploymentKey(self.id);
        // What names it may be all that is left of its group.
        group::ensure(ctx, group)?;
        let mut group_row = group::require(ctx.txn, group)?;
        numbers::raise(ctx, self.id)?;
        if ctx.txn.read(&key)?.is_some() || ctx.txn.read(&ForgottenKey(self.id))?.is_some() {
            return Ok(());
        }
        group_row.turn += 1;
        // What no spec lists is over: there may be very many, and a group has one row.
        let end = self.entry.is_none().then(|| End {
            reason: EndReason::Recovered,
            by: None,
            text: String::new(),
            at_ms: ctx.now.unix_ms,
            members: 0,
            turn: group_row.turn,
        });
        if end.is_none() && !group_row.active.contains(&self.id) {
            group_row.active.push(self.id);
            group_row.active.sort_unstable();
        }
        let round = self.entry.map(|entry| entry.round).unwrap_or_default();
        let policy = self.entry.map(|entry| entry.policy.clone());
        let line = self.entry.map_or(u32::MAX, |entry| entry.audience.line());
        let row = DeploymentRow {
            allowed: None,
            order: None,
            paused: None,
            history: 0,
            fallback: None,
            release: self.release,
            release_text: self.text,
            artifacts: self.artifacts,
            group: group.clone(),
            round,
            last_round: round,
            policy: policy.unwrap_or_default(),
            spread_s: self.spread_s,
            start_ms: None,
            until_ms: None,
            limit: None,
            slots: 0,
            line,
            seek_due_ms: None,
            complete_when: CompleteWhen::default(),
            state: match &end {
                None => DeploymentState::Active,
                Some(_) => DeploymentState::Aborted,
            },
            end,
            created_ms: ctx.now.unix_ms,
            turn: group_row.turn,
            created_by: recoverer(),
            updated_ms: ctx.now.unix_ms,
        };
        ctx.txn.put(&key, &row);
        ctx.txn.put(&GroupKey(group.clone()), &group_row);
        ctx.effects.extend([
            Effect::ViewChanged(View::Deployment(self.id)),
            Effect::ViewChanged(View::Group(group.clone())),
        ]);
        Ok(())
    }
}

/// In the place of whoever created it.
fn recoverer() -> UserId {
    UserId::recovery()
}

/// True if a deployment was brought back by a recovery. The members of its group at that time are
/// not known any more. Where only the number is left, the group is not known either. So a device
/// is believed when it signs that it ended such a deployment.
pub(crate) fn is_recovered(deployment: &DeploymentRow) -> bool {
    deployment.created_by == recoverer()
}

/// A device's spec with our signature, which the device kept. `newer` says that it was signed
/// after everything that the store knows of.
pub(crate) fn device(
    ctx: &mut Ctx,
    device: &DeviceId,
    (spec, newer): (&DeviceSpec, bool),
    shown: Option<PublicKey>,
) -> Result<(), Undecided> {
    group::ensure(ctx, &spec.group)?;
    let key = DeviceKey(device.clone());
    let known = ctx.txn.read(&key)?;
    for (id, _) in &spec.rounds {
        unknown(ctx, *id, &spec.group)?;
    }
    match known {
        None => {
            let mut row = DeviceRow {
                labels: spec.labels.clone(),
                public_key: spec.public_key.or(shown),
                resync: spec.resync,
                held: spec.holds.contains(&HOLD_ALL),
                issue: issue(ctx.now),
                ..DeviceRow::new(ctx.now.unix_ms)
            };
            membership::join(ctx, device, &mut row, &spec.group)?;
            ask_resync(ctx, &mut row, device)?;
            ctx.txn.put(&key, &row);
            ctx.effects.push(Effect::ReadReports(device.clone()));
            ctx.effects.push(Effect::Event(Event::DeviceAdded {
                device: device.clone(),
                group: spec.group.clone(),
            }));
        }
        Some(mut row) if newer => {
            if row.group != spec.group {
                membership::leave(ctx, device, &mut row)?;
                membership::join(ctx, device, &mut row, &spec.group)?;
            }
            row.labels.clone_from(&spec.labels);
            let held = spec.holds.contains(&HOLD_ALL);
            if row.held != held {
                hold::set(ctx, device, &mut row, held)?;
            }
            row.public_key = spec.public_key.or(row.public_key);
            row.resync = row.resync.max(spec.resync);
            row.issue = row.issue.max(issue(ctx.now));
            ask_resync(ctx, &mut row, device)?;
            ctx.txn.put(&key, &row);
        }
        Some(_) => outbox::changed(ctx, device, AdmissionChange::Tightens)?,
    }
    numbers::opened_in_spec(ctx, device, &spec.rounds)
}

/// An issue number above that of any token that the device may have: minutes since 1970, where
/// each removal counts one. So a later removal makes whatever token it has worth nothing.
fn issue(now: Now) -> u32 {
    u32::try_from(now.unix_ms / 60_000).unwrap_or(u32::MAX)
}

/// Whatever a device reports of deployments that are not there was given once, in its group.
pub(crate) fn reported(
    ctx: &mut Ctx,
    device: (&DeviceId, &DeviceRow),
    status: &DeviceStatus,
) -> Result<(), Undecided> {
    let (device, row) = device;
    let ended = status.outcomes.iter();
    let ended = ended.map(|outcome| (outcome.deployment, outcome.round));
    let running = status
        .running
        .map(|running| (running.deployment, running.round));
    let mentioned: Vec<(DeploymentId, Round)> = ended.chain(running).collect();
    let last = ctx.txn.instance()?.last_deployment;
    let most = last.0.saturating_add(AHEAD_MAX);
    ctx.txn
        .want(mentioned.iter().map(|(id, _)| DeploymentKey(*id).key()))?;
    for (id, _) in mentioned.iter().filter(|(id, _)| id.0 <= most) {
        unknown(ctx, *id, &row.group)?;
    }
    numbers::opened_in_spec(ctx, device, &mentioned)
}

fn unknown(ctx: &mut Ctx, id: DeploymentId, group: &GroupId) -> Result<(), Undecided> {
    let found = Found {
        id,
        release: ReleaseId([0; 16]),
        text: UNKNOWN.to_owned(),
        artifacts: Vec::new(),
        entry: None,
        spread_s: 0,
    };
    found.put(ctx, group)
}

/// It is over: what a group has active or scheduled ends, because it may have been aborted
/// since the store was lost or copied. Devices in progress finish.
pub(crate) fn over(ctx: &mut Ctx, group: &GroupId) -> Result<(), Undecided> {
    // Of one that nothing brought back, there is nothing to end.
    let Some(mut group_row) = group::read(ctx.txn, group)? else {
        return Ok(());
    };
    let listed = [&group_row.active[..], &group_row.scheduled[..]].concat();
    ctx.txn
        .want(listed.iter().map(|id| DeploymentKey(*id).key()))?;
    for id in listed {
        // Of one that was lost, and that nothing brought back, there is nothing left to end.
        let Some(mut row) = ctx.txn.read(&DeploymentKey(id))? else {
            group_row.active.retain(|listed| *listed != id);
            group_row.scheduled.retain(|listed| *listed != id);
            ctx.txn.put(&GroupKey(group.clone()), &group_row);
            continue;
        };
        let ending = Ending {
            state: DeploymentState::Aborted,
            ..Ending::itself(EndReason::Recovered)
        };
        finish(ctx, id, &mut row, &mut group_row, ending)?;
    }
    Ok(())
}
