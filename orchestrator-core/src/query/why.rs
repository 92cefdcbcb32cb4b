//! Why a device does or does not carry something out: the rows that [`crate::query::explain`]
//! looks at.

use std::collections::BTreeMap;

use hoist_protocol::device::Trouble;
use hoist_protocol::id::{DeploymentId, DeviceId, GroupId};

use crate::model::key::{
    CloneKey, DeploymentKey, DeviceKey, RecordKey, RefusedKey, RevokedKey, RowKey, TroubleKey,
};
use crate::model::now::Now;
use crate::model::row::{
    DeploymentRow, DeviceRow, GroupRow, InstanceRow, RecordRow, RecordState, RefusedRow, Stay,
};
use crate::model::time::format_time;
use crate::query::body::DeviceWhy as Wish;
use crate::query::explain::{self, DeviceContext, explain};
use crate::query::placed::placed;
use crate::query::{
    ITEMS_BYTES_MAX, Need, Queried, Reader, freeze_of, identity, name, no_deployment,
};
use crate::reply::{DeviceWhy, Explanation, PresenceWord, RefusedItem, RevokedItem, RuleItem};
use crate::rules::device::refusal::standing;
use crate::rules::freeze::Freeze;
use crate::rules::group;
use crate::rules::rollout::admission::{Case, first_blocker};

mod removed;
mod rollouts;
mod slots;

use removed::removed;

/// Distance from the newest deployment number within which the newest ended deployment of the
/// device's group is looked for, or any in which a removed device has a record.
const RECENT: u32 = 32;

/// The rows of one deployment and of the device in it.
type Rows = (DeploymentRow, Option<RecordRow>);

/// The refused reports of a device, and the trouble that it reports of itself.
fn said_of(
    reader: &Reader,
    device: &DeviceId,
) -> Result<(Option<RefusedRow>, Option<Trouble>), Need> {
    let trouble = reader.read(&TroubleKey(device.clone()))?;
    let refused = reader.read(&RefusedKey(device.clone()))?;
    Ok((refused, trouble.map(|row| row.trouble)))
}

/// The deployment that comes first among those that the device may start (S11).
fn first<'a>(cases: impl Iterator<Item = Case<'a>>) -> Option<DeploymentId> {
    cases
        .filter(|case| first_blocker(case).is_none())
        .min_by_key(|case| case.deployment.policy.turn(case.id))
        .map(|case| case.id)
}

fn is_at_work((_, record): &Rows) -> bool {
    let record = record.as_ref();
    record.is_some_and(|record| matches!(record.state, RecordState::InProgress(_)))
}

/// `device-why`
pub(crate) fn device_why(reader: &Reader, wish: &Wish, now: Now) -> Queried<DeviceWhy> {
    let device: DeviceId = match name("device", &wish.device) {
        Ok(device) => device,
        Err(rejection) => return Ok(Err(rejection)),
    };
    want_own(reader, &device)?;
    let clone = reader.read(&CloneKey(device.clone()))?;
    let instance = reader.instance()?;
    let lives = reader.read_or_empty(&RevokedKey(device.clone()))?.past;
    let Some(row) = reader.read(&DeviceKey(device.clone()))? else {
        return not_there(reader, wish, (&device, &lives), &instance);
    };
    let row = identity::current(reader, row)?;
    let group = group::require(reader.rows(), &row.group)?;
    let wanted = match wish.deployment {
        Some(id) => vec![DeploymentId(id)],
        None => concerned(reader, &row, &group, &instance)?,
    };
    let all = wanted.iter().chain(&group.active).chain(&row.running);
    let rows = read_rows(reader, &device, all.copied().collect())?;
    if let Some(id) = wish.deployment.map(DeploymentId)
        && !rows.contains_key(&id)
    {
        return Ok(Err(no_deployment(reader, id)?));
    }
    let rollouts = rollouts::of(reader, &rows)?;
    let freezes = freezes(reader, &rows)?;
    let case = |id: DeploymentId| {
        let (deployment, record) = rows.get(&id)?;
        Some(Case {
            id,
            deployment,
            rollout: rollouts.get(&id).map(|rollout| &rollout.state),
            device: &device,
            row: &row,
            freeze: freezes.get(&deployment.group),
            record: record.as_ref(),
        })
    };
    let at_work = |id: &DeploymentId| rows.get(id).is_some_and(is_at_work);
    let (refused, trouble) = said_of(reader, &device)?;
    let around = DeviceContext {
        taken: &slots::taken(reader, limited(&rows))?,
        rollouts: &rollouts,
        trouble,
        refused: standing(&row, refused.as_ref()),
        works_on: row.running.filter(at_work),
        first: first(group.active.iter().filter_map(|id| case(*id))),
        specs: reader.specs_out(&row.group, &device)?,
        lives: &lives,
    };
    let cases = wanted.iter().filter_map(|id| case(*id));
    let (deployments, omitted) = fitting(cases.map(|case| explain(case, around, &instance, now)));
    Ok(Ok(DeviceWhy {
        device: device.to_string(),
        group: row.group.to_string(),
        placed: placed(reader, &device, &row)?,
        presence: PresenceWord::from(row.is_there(&instance)).into(),
        last_seen: row.last_seen_ms.map(format_time),
        held: row.held,
        revoked: RevokedItem::of(&row),
        refused: RefusedItem::last(refused.as_ref()),
        identity: identity::doubt(&device, &row, clone, now),
        trouble: trouble.map(Into::into),
        nothing: deployments
            .is_empty()
            .then(|| explain::nothing(&device, &row, trouble)),
        deployments,
        omitted,
    }))
}

/// A device that is not registered: what it was before it was removed, if it ever was.
fn not_there(
    reader: &Reader,
    wish: &Wish,
    (device, lives): (&DeviceId, &[Stay]),
    instance: &InstanceRow,
) -> Queried<DeviceWhy> {
    let wanted = wish.deployment.map(DeploymentId);
    let gone = removed(reader, (device, lives), wanted, instance)?;
    Ok(gone.ok_or_else(|| {
        let hint = format!("register it with `hoist device add {device}`");
        crate::rules::device::unknown(device).hint(hint)
    }))
}

/// Asks for what is known of a device itself.
fn want_own(reader: &Reader, device: &DeviceId) -> Result<(), Need> {
    reader.want([
        DeviceKey(device.clone()).key(),
        RefusedKey(device.clone()).key(),
        CloneKey(device.clone()).key(),
        RevokedKey(device.clone()).key(),
        reader.rows().instance_key().key(),
    ])
}

/// The groups of deployments that are frozen.
fn freezes(
    reader: &Reader,
    rows: &BTreeMap<DeploymentId, Rows>,
) -> Result<BTreeMap<GroupId, Freeze>, Need> {
    let mut freezes = BTreeMap::new();
    for (deployment, _) in rows.values() {
        if let Some(freeze) = freeze_of(reader, &deployment.group)? {
            freezes.insert(deployment.group.clone(), freeze);
        }
    }
    Ok(freezes)
}

/// Those whose limit may leave somebody without a slot.
fn limited(rows: &BTreeMap<DeploymentId, Rows>) -> impl Iterator<Item = DeploymentId> {
    let limited = |(_, (deployment, _)): &(&DeploymentId, &Rows)| {
        deployment.limit.is_some() && deployment.end.is_none()
    };
    rows.iter().filter(limited).map(|(id, _)| *id)
}

/// The deployments that concern a device: what is listed or scheduled for its group, then
/// what it works or worked on, what it has left behind, and what its group had last.
fn concerned(
    reader: &Reader,
    row: &DeviceRow,
    group: &GroupRow,
    instance: &InstanceRow,
) -> Result<Vec<DeploymentId>, Need> {
    let mut ids = [&group.active[..], &group.scheduled[..]].concat();
    ids.extend(row.running.into_iter().chain(row.latest));
    for stay in row.past.iter().rev() {
        // It may have been removed since.
        let group = group::read(reader.rows(), &stay.group)?;
        ids.extend(group.into_iter().flat_map(|row| row.active));
    }
    reader.want(recent(instance).map(|id| DeploymentKey(id).key()))?;
    for id in recent(instance) {
        let deployment = reader.read(&DeploymentKey(id))?;
        if deployment.is_some_and(|it| it.group == row.group && it.end.is_some()) {
            ids.push(id);
            break;
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    ids.retain(|id| seen.insert(*id));
    Ok(ids)
}

/// The newest deployments, newest first.
fn recent(instance: &InstanceRow) -> impl Iterator<Item = DeploymentId> + use<> {
    let last = instance.last_deployment.0;
    let from = last.saturating_sub(RECENT).max(1);
    (from..=last).rev().map(DeploymentId)
}

fn read_rows(
    reader: &Reader,
    device: &DeviceId,
    ids: Vec<DeploymentId>,
) -> Result<BTreeMap<DeploymentId, Rows>, Need> {
    reader.want(ids.iter().flat_map(|id| {
        [
            DeploymentKey(*id).key(),
            RecordKey(*id, device.clone()).key(),
        ]
    }))?;
    let mut rows = BTreeMap::new();
    for id in ids {
        if let Some(deployment) = reader.read(&DeploymentKey(id))? {
            let record = reader.read(&RecordKey(id, device.clone()))?;
            rows.insert(id, (deployment, record));
        }
    }
    Ok(rows)
}

/// As many as fit into a reply, and how many do not. One always does.
fn fitting(all: impl Iterator<Item = Explanation>) -> (Vec<Explanation>, u32) {
    let mut fitting = Vec::new();
    let (mut bytes, mut omitted) = (0, 0);
    for explanation in all {
        bytes += bytes_at_most(&explanation);
        if bytes > ITEMS_BYTES_MAX && !fitting.is_empty() {
            omitted += 1;
        } else {
            fitting.push(explanation);
        }
    }
    (fitting, omitted)
}

/// An upper bound of an explanation's JSON.
fn bytes_at_most(explanation: &Explanation) -> usize {
    let Explanation {
        release,
        group,
        says,
        next,
        rules,
        ..
    } = explanation;
    // A rule that holds is only named.
    let rule = |rule: &RuleItem| match rule.says.as_deref() {
        Some(says) => 90 + json_bytes(says),
        None => 50,
    };
    let texts = [release, group, says, next].map(|text| json_bytes(text));
    500 + texts.iter().sum::<usize>() + rules.iter().map(rule).sum::<usize>()
}

fn json_bytes(text: &str) -> usize {
    let bytes = |c: char| match c {
        '"' | '\\' => 2,
        c if c.is_control() => 6,
        c => c.len_utf8(),
    };
    text.chars().map(bytes).sum()
}
