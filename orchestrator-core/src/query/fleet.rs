//! The fleet as a whole, of what is counted for each group: no device is looked at.

use hoist_protocol::id::{DeploymentId, GroupId};

use crate::model::key::{GroupCountKey, Key, Prefix, RowKey};
use crate::model::now::Now;
use crate::model::row::{GroupCountRow, GroupRow};
use crate::model::time::format_time;
use crate::query::{Need, Reader, frozen, group_count, row};
use crate::reply::API_VERSION;
use crate::reply::view::FleetView;

/// The counts of every group, and what they are working on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetCounts {
    /// The counts of each group's devices.
    pub groups: Vec<(GroupId, GroupCountRow)>,
    /// Listed deployments, lowest first.
    pub active: Vec<DeploymentId>,
    /// The number of deployments with a start time to come.
    pub scheduled: usize,
}

/// Reads them.
///
/// # Errors
/// [`Need`]: answer it and ask again.
pub fn fleet_counts(reader: &Reader) -> Result<FleetCounts, Need> {
    let mut fleet = FleetCounts::default();
    let groups = reader.all(&Prefix::Groups)?;
    let id = |key: &Key| Prefix::Groups.rest(key)?.parse::<GroupId>().ok();
    let ids = groups.iter().filter_map(|(key, _)| id(key));
    reader.want(ids.map(|id| GroupCountKey(id).key()))?;
    for (key, bytes) in groups {
        let group: GroupRow = row(key, bytes)?;
        let Some(id) = id(key) else { continue };
        let count = group_count(reader, &id)?;
        fleet.groups.push((id, count));
        fleet.active.extend(group.active);
        fleet.scheduled += group.scheduled.len();
    }
    fleet.active.sort_unstable();
    Ok(fleet)
}

/// `view/fleet`
///
/// # Errors
/// [`Need`]: answer it and ask again.
pub fn fleet_view(reader: &Reader, now: Now) -> Result<FleetView, Need> {
    let frozen = frozen(reader)?;
    let FleetCounts { groups, active, .. } = fleet_counts(reader)?;
    let sum = |of: fn(&GroupCountRow) -> u32| groups.iter().map(|(_, count)| of(count)).sum();
    Ok(FleetView {
        api_version: API_VERSION.to_owned(),
        devices: sum(|count| count.members),
        online: sum(|count| count.online),
        groups: u32::try_from(groups.len()).unwrap_or(u32::MAX),
        deployments: active,
        frozen,
        updated_at: format_time(now.unix_ms),
    })
}
