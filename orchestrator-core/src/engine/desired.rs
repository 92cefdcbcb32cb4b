//! Specs that ought to be retained, as pure functions of rows. Reconcile publishes exactly these
//! and nothing else publishes a spec. Equal rows give equal specs but for the generation.

use hoist_protocol::id::{DeploymentId, Generation, GroupId};
use hoist_protocol::limit::SPEC_VALID_S;
use hoist_protocol::spec::{DeploymentSpec, DeviceSpec, GroupSpec, HOLD_ALL};

use crate::model::damage::Damage;
use crate::model::key::{DeploymentKey, RowKey};
use crate::model::row::{DeploymentRow, DeviceRow, GroupRow};
use crate::model::state::DeploymentState;
use crate::model::txn::{Txn, Undecided};
use crate::rules::freeze;

/// The generation after `previous`: issue time, but always rising (W1).
#[must_use]
pub fn next_generation(previous: Option<Generation>, now_unix_ms: u64) -> Generation {
    let above = previous.map_or(0, |generation| generation.0.saturating_add(1));
    Generation(above.max(now_unix_ms))
}

/// A group's spec from its row and its active deployments; what is not Active is not
/// listed (S3, W2). The order is by deployment: lowest first (S11).
#[must_use]
pub fn group_spec(
    group: &GroupRow,
    deployments: &[(DeploymentId, DeploymentRow)],
    generation: Generation,
) -> GroupSpec {
    let listed = || {
        deployments
            .iter()
            .filter(|(_, row)| row.state == DeploymentState::Active)
    };
    let entry = |(id, row): &(DeploymentId, DeploymentRow)| DeploymentSpec {
        deployment: *id,
        release: row.release,
        round: row.round,
        audience: row.audience(),
        policy: row.policy.clone(),
    };
    let mut entries: Vec<DeploymentSpec> = listed().map(entry).collect();
    entries.sort_by_key(|entry| entry.deployment);
    GroupSpec {
        generation,
        valid_for_s: if entries.is_empty() { 0 } else { SPEC_VALID_S },
        resync: group.resync,
        spread_s: listed().map(|(_, row)| row.spread_s).max().unwrap_or(0),
        source: None,
        entries,
    }
}

/// A device's spec from its row (W4). Holds of deployments that ended may linger: a
/// device never starts what is not listed.
#[must_use]
pub fn device_spec(device: &DeviceRow, generation: Generation) -> DeviceSpec {
    DeviceSpec {
        generation,
        group: device.group.clone(),
        labels: device.labels.clone(),
        resync: device.resync,
        holds: if device.held {
            vec![HOLD_ALL]
        } else {
            device.holds.clone()
        },
        rounds: device.rounds.clone(),
        permits: device.permits.clone(),
        public_key: device.public_key,
    }
}

/// The rows that a group's spec is made of.
#[derive(Debug)]
pub struct GroupRows {
    /// The group.
    pub group: GroupRow,
    /// Its active deployments; none while it is frozen.
    pub deployments: Vec<(DeploymentId, DeploymentRow)>,
    /// Damage to other active deployments. The spec goes out without them, because absence is abort
    /// (W2): one that is lost must not keep the end of another one from its devices (S4).
    pub damaged: Vec<Damage>,
}

/// Reads a group with its active deployments, for [`group_spec`].
///
/// # Errors
/// [`Undecided`] naming the rows to load, or the damage to the group's own.
pub fn read_group(txn: &Txn, group: &GroupId) -> Result<Option<GroupRows>, Undecided> {
    let Some(row) = crate::rules::group::read(txn, group)? else {
        return Ok(None);
    };
    let is_frozen = freeze::of(txn, &row)?.is_some();
    let listed = if is_frozen { &[][..] } else { &row.active[..] };
    txn.want(listed.iter().map(|id| DeploymentKey(*id).key()))?;
    let (mut deployments, mut damaged) = (Vec::new(), Vec::new());
    for id in listed {
        match txn.require_or_damage(&DeploymentKey(*id))? {
            Ok(deployment) => deployments.push((*id, deployment)),
            Err(damage) => damaged.push(damage),
        }
    }
    Ok(Some(GroupRows {
        group: row,
        deployments,
        damaged,
    }))
}
