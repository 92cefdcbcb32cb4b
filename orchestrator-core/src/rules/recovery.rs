//! Recovery of a store that was lost, or is older than what was signed with its keys: groups and
//! deployments come back from signed specs of groups, devices from the signed specs that they
//! kept, outcomes from the devices' reports. Nothing is listed meanwhile. Every active or
//! scheduled deployment ends with the recovery, because it may have been aborted since without
//! anybody knowing.

use hoist_protocol::admission::Audience;
use hoist_protocol::envelope::PublicKey;
use hoist_protocol::id::{DeploymentId, DeviceId, GroupId, Name, ReleaseId, Round, UserId};
use hoist_protocol::spec::{DeploymentSpec, DeviceSpec, GroupSpec, HOLD_ALL};
use hoist_protocol::status::DeviceStatus;
use hoist_protocol::topic::View;

use crate::model::effect::{Effect, Effects, Event};
use crate::model::key::{
    DeploymentKey, DeviceKey, ForgottenKey, GroupKey, RecoveryKey, ReleaseKey, RowKey,
};
use crate::model::now::Now;
use crate::model::release::VerifiedRelease;
use crate::model::row::{DeploymentRow, DeviceRow, End, EndReason, RecoveryRow, release_text};
use crate::model::state::{CompleteWhen, DeploymentState};
use crate::model::txn::{Txn, Undecided};
use crate::rules::deployment::end::{Ending, finish};
use crate::rules::deployment::numbers;
use crate::rules::device::hold;
use crate::rules::device::resync::ask_resync;
use crate::rules::rollout::membership;
use crate::rules::rollout::outbox::{self, AdmissionChange};
use crate::rules::{group, release};

/// Devices are believed numbers so far above the highest known while everything is lost.
pub(crate) const AHEAD_MAX: u32 = 100_000;
/// The text in place of a release of which only its number in a report is left.
const UNKNOWN: &str = "unknown";

/// It begins, or goes on after a crash: then what the store knew when it began first counts.
pub(crate) fn begins(txn: &mut Txn, now: Now) -> Result<Effects, Undecided> {
    let before = txn.read_or_empty(&RecoveryKey)?;
    if !before.open {
        let known_ms = txn.meta()?.known_ms();
        let issue = before.issue.max(issue(now));
        let row = RecoveryRow {
            open: true,
            known_ms,
            issue,
        };
        txn.put(&RecoveryKey, &row);
    }
    Ok(Effects::new())
}

/// It is over. The number of the tokens that may have been forgotten stays.
pub(crate) fn ends(txn: &mut Txn) -> Result<Effects, Undecided> {
    let row = txn.read_or_empty(&RecoveryKey)?;
    txn.put(&RecoveryKey, &RecoveryRow { open: false, ..row });
    Ok(Effects::new())
}

/// A release's manifest that was kept beside the store.
pub(crate) fn release(
    txn: &mut Txn,
    verified: &VerifiedRelease,
    now: Now,
) -> Result<Effects, Undecided> {
    match release::add(txn, Some(verified), now) {
        Err(crate::rules::stop::Stop::Undecided(undecided)) => Err(undecided),
        // One of that name is there already: it stays.
        Ok(_) | Err(crate::rules::stop::Stop::Rejected(_)) => Ok(Effects::new()),
    }
}

/// A group's spec with our signature: the group exists, and what the spec lists was given.
pub(crate) fn group(
    txn: &mut Txn,
    group: &GroupId,
    spec: &GroupSpec,
    now: Now,
) -> Result<Effects, Undecided> {
    let mut effects = group::ensure(txn, group, now)?;
    let mut row = group::require(txn, group)?;
    if row.resync < spec.resync {
        // The next one is to be heard.
        row.resync = spec.resync;
        txn.put(&GroupKey(group.clone()), &row);
    }
    for entry in &spec.entries {
        let release = txn.read(&ReleaseKey(entry.release))?;
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
        effects.extend(found.put(txn, group, now)?);
    }
    effects.extend(numbers::seen_in_spec(txn, &spec.entries)?);
    Ok(effects)
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
    fn put(self, txn: &mut Txn, group: &GroupId, now: Now) -> Result<Effects, Undecided> {
        let key = DeploymentKey(self.id);
        // What names it may be all that is left of its group.
        let mut effects = group::ensure(txn, group, now)?;
        let mut group_row = group::require(txn, group)?;
        numbers::raise(txn, self.id)?;
        if txn.read(&key)?.is_some() || txn.read(&ForgottenKey(self.id))?.is_some() {
            return Ok(effects);
        }
        group_row.turn += 1;
        // What no spec lists is over: there may be very many, and a group has one row.
        let end = self.entry.is_none().then(|| End {
            reason: EndReason::Recovered,
            by: None,
            text: String::new(),
            at_ms: now.unix_ms,
            members: 0,
            turn: group_row.turn,
        });
        if end.is_none() && !group_row.active.contains(&self.id) {
            group_row.active.push(self.id);
            group_row.active.sort_unstable();
        }
        let round = self.entry.map(|entry| entry.round).unwrap_or_default();
        let policy = self.entry.map(|entry| entry.policy.clone());
        let line = self.entry.map_or(u32::MAX, |entry| {
            let Audience::Below(line) = entry.audience;
            line
        });
        let row = DeploymentRow {
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
            created_ms: now.unix_ms,
            turn: group_row.turn,
            created_by: recoverer(),
            updated_ms: now.unix_ms,
        };
        txn.put(&key, &row);
        txn.put(&GroupKey(group.clone()), &group_row);
        effects.extend([
            Effect::ViewChanged(View::Deployment(self.id)),
            Effect::ViewChanged(View::Group(group.clone())),
        ]);
        Ok(effects)
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
    txn: &mut Txn,
    device: &DeviceId,
    (spec, newer): (&DeviceSpec, bool),
    shown: Option<PublicKey>,
    now: Now,
) -> Result<Effects, Undecided> {
    let mut effects = group::ensure(txn, &spec.group, now)?;
    let key = DeviceKey(device.clone());
    let known = txn.read(&key)?;
    for (id, _) in &spec.rounds {
        effects.extend(unknown(txn, *id, &spec.group, now)?);
    }
    match known {
        None => {
            let mut row = DeviceRow {
                labels: spec.labels.clone(),
                public_key: spec.public_key.or(shown),
                resync: spec.resync,
                held: spec.holds.contains(&HOLD_ALL),
                issue: issue(now),
                ..DeviceRow::new(now.unix_ms)
            };
            effects.extend(membership::join(txn, device, &mut row, &spec.group)?);
            effects.push(ask_resync(txn, &mut row, device, now)?);
            txn.put(&key, &row);
            effects.push(Effect::ReadReports(device.clone()));
            effects.push(Effect::Event(Event::DeviceAdded {
                device: device.clone(),
                group: spec.group.clone(),
            }));
        }
        Some(mut row) if newer => {
            if row.group != spec.group {
                effects.extend(membership::leave(txn, device, &mut row)?);
                effects.extend(membership::join(txn, device, &mut row, &spec.group)?);
            }
            row.labels.clone_from(&spec.labels);
            let held = spec.holds.contains(&HOLD_ALL);
            if row.held != held {
                effects.extend(hold::set(txn, device, &mut row, held)?);
            }
            row.public_key = spec.public_key.or(row.public_key);
            row.resync = row.resync.max(spec.resync);
            row.issue = row.issue.max(issue(now));
            effects.push(ask_resync(txn, &mut row, device, now)?);
            txn.put(&key, &row);
        }
        Some(_) => effects.push(outbox::changed(txn, device, AdmissionChange::Tightens)?),
    }
    effects.extend(numbers::opened_in_spec(txn, device, &spec.rounds)?);
    Ok(effects)
}

/// An issue number above that of any token that the device may have: minutes since 1970, where
/// each removal counts one. So a later removal makes whatever token it has worth nothing.
fn issue(now: Now) -> u32 {
    u32::try_from(now.unix_ms / 60_000).unwrap_or(u32::MAX)
}

/// Whatever a device reports of deployments that are not there was given once, in its group.
pub(crate) fn reported(
    txn: &mut Txn,
    device: (&DeviceId, &DeviceRow),
    status: &DeviceStatus,
    now: Now,
) -> Result<Effects, Undecided> {
    let (device, row) = device;
    let ended = status.outcomes.iter();
    let ended = ended.map(|outcome| (outcome.deployment, outcome.round));
    let running = status
        .running
        .map(|running| (running.deployment, running.round));
    let mentioned: Vec<(DeploymentId, Round)> = ended.chain(running).collect();
    let last = txn.meta()?.last_deployment;
    let most = last.0.saturating_add(AHEAD_MAX);
    txn.want(mentioned.iter().map(|(id, _)| DeploymentKey(*id).key()))?;
    let mut effects = Effects::new();
    for (id, _) in mentioned.iter().filter(|(id, _)| id.0 <= most) {
        effects.extend(unknown(txn, *id, &row.group, now)?);
    }
    numbers::opened_in_spec(txn, device, &mentioned)?;
    Ok(effects)
}

fn unknown(
    txn: &mut Txn,
    id: DeploymentId,
    group: &GroupId,
    now: Now,
) -> Result<Effects, Undecided> {
    let found = Found {
        id,
        release: ReleaseId([0; 16]),
        text: UNKNOWN.to_owned(),
        artifacts: Vec::new(),
        entry: None,
        spread_s: 0,
    };
    found.put(txn, group, now)
}

/// It is over: what a group has active or scheduled ends, because it may have been aborted
/// since the store was lost or copied. Devices in progress finish.
pub(crate) fn over(txn: &mut Txn, group: &GroupId, now: Now) -> Result<Effects, Undecided> {
    // Of one that nothing brought back, there is nothing to end.
    let Some(mut group_row) = group::read(txn, group)? else {
        return Ok(Effects::new());
    };
    let listed = [&group_row.active[..], &group_row.scheduled[..]].concat();
    txn.want(listed.iter().map(|id| DeploymentKey(*id).key()))?;
    let mut effects = Effects::new();
    for id in listed {
        // Of one that was lost, and that nothing brought back, there is nothing left to end.
        let Some(mut row) = txn.read(&DeploymentKey(id))? else {
            group_row.active.retain(|listed| *listed != id);
            group_row.scheduled.retain(|listed| *listed != id);
            txn.put(&GroupKey(group.clone()), &group_row);
            continue;
        };
        let ending = Ending {
            state: DeploymentState::Aborted,
            ..Ending::itself(EndReason::Recovered)
        };
        effects.extend(finish(txn, id, &mut row, &mut group_row, ending, now)?);
    }
    Ok(effects)
}
