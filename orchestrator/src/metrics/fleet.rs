//! Gauges of the fleet and of the server, as they are when somebody asks. They are read beside the
//! loop, of counters that are kept anyway: no device is looked at.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use hoist_orchestrator_core::model::state::DeploymentState;
use hoist_orchestrator_core::model::time::parse_time;
use hoist_orchestrator_core::query::{FleetCounts, deployment_view, fleet_counts};
use hoist_orchestrator_core::reply::view::DeploymentView;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::query::read;
use crate::rows::ReadError;
use crate::store::Store;

/// Groups with series of their own, the largest ones; the devices of all others are counted
/// together, so that sums stay right. A graph of more is read by nobody.
const GROUPS_MAX: usize = 200;
/// Active deployments with series of their own, the newest ones: each costs 256 counter rows.
const DEPLOYMENTS_MAX: usize = 100;
/// The label of all other groups. No group has this name: brackets are in no id.
const OTHERS: &str = "(others)";

/// A gauge of a number that is no whole one, or that is a moment.
type Seconds = Gauge<f64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PresenceLabels {
    group: String,
    presence: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    deployment: u32,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    deployment: u32,
    group: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CountLabel {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfLabel {
    of: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeploymentLabel {
    deployment: u32,
}

/// For what may be unknown: there is one series, or none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NoLabel {}

/// The state of the fleet and its server now.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    counts: FleetCounts,
    /// Of the newest active deployments.
    deployments: Vec<DeploymentView>,
    /// The codes of all problems, each as often as it is there.
    pub(crate) problems: Vec<&'static str>,
    /// True if `/readyz` says so.
    pub(crate) ready: bool,
    /// Bytes that the server can still write; none when nobody knows.
    pub(crate) disk_free: Option<u64>,
    /// Unix time of the last backup, if one is known.
    pub(crate) backup_s: Option<f64>,
}

impl Fleet {
    /// Reads the counters of the fleet.
    ///
    /// # Errors
    /// [`ReadError`].
    pub(crate) async fn read(store: &dyn Store) -> Result<Self, ReadError> {
        let counts = read(store, fleet_counts).await?;
        let mut deployments = Vec::new();
        for id in counts.active.iter().rev().take(DEPLOYMENTS_MAX) {
            let view = read(store, |reader| deployment_view(reader, *id)).await?;
            deployments.extend(view);
        }
        Ok(Self {
            counts,
            deployments,
            ..Self::default()
        })
    }

    /// All of it as gauges.
    pub(super) fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("hoist");
        self.devices(&mut registry);
        self.deployments(&mut registry);
        self.left_out(&mut registry);
        self.server(&mut registry);
        registry
    }

    fn devices(&self, registry: &mut Registry) {
        let devices = Family::<PresenceLabels, Gauge>::default();
        let mut groups: Vec<_> = self.counts.groups.iter().collect();
        groups.sort_by_key(|(group, count)| (std::cmp::Reverse(count.members), group));
        for (place, (group, count)) in groups.into_iter().enumerate() {
            let group = match place {
                0..GROUPS_MAX => group.as_str(),
                _ => OTHERS,
            };
            let offline = count.members.saturating_sub(count.online);
            for (presence, number) in [("online", count.online), ("offline", offline)] {
                let group = group.to_owned();
                let labels = PresenceLabels { group, presence };
                devices.get_or_create(&labels).inc_by(number.into());
            }
        }
        let help = "Registered devices by group and presence; the 200 largest groups by name";
        registry.register("devices", help, devices);
    }

    fn deployments(&self, registry: &mut Registry) {
        let devices = Family::<StatusLabels, Gauge>::default();
        let states = Family::<StateLabels, Gauge>::default();
        let changed = Family::<DeploymentLabel, Seconds>::default();
        for view in &self.deployments {
            let (deployment, counts) = (view.deployment.0, view.counts);
            for (status, number) in [
                ("pending", counts.pending),
                ("inProgress", counts.in_progress),
                ("successful", counts.successful),
                ("failed", counts.failed),
            ] {
                let labels = StatusLabels { deployment, status };
                devices.get_or_create(&labels).set(number.into());
            }
            let (group, state) = (view.group.clone(), word(view.state));
            let labels = StateLabels {
                deployment,
                group,
                state,
            };
            states.get_or_create(&labels).set(1);
            if let Some(ms) = parse_time(&view.updated_at) {
                let at = Duration::from_millis(ms).as_secs_f64();
                changed
                    .get_or_create(&DeploymentLabel { deployment })
                    .set(at);
            }
        }
        let help = "Devices of active deployments by status; the 100 newest deployments";
        registry.register("deployment_devices", help, devices);
        let help = "1 for the state that an active deployment is in, paused ones included";
        registry.register("deployment_state", help, states);
        let help = "Unix time at which a device reported something of an active deployment last";
        registry.register("deployment_changed_timestamp_seconds", help, changed);
        let all = Family::<CountLabel, Gauge>::default();
        let (active, scheduled) = (self.counts.active.len(), self.counts.scheduled);
        for (state, number) in [("active", active), ("scheduled", scheduled)] {
            all.get_or_create(&CountLabel { state }).set(of(number));
        }
        let help = "Deployments that have not ended; active ones include those that are paused";
        registry.register("deployments", help, all);
    }

    /// The number of groups and deployments without series of their own.
    fn left_out(&self, registry: &mut Registry) {
        let left_out = Family::<OfLabel, Gauge>::default();
        let groups = self.counts.groups.len().saturating_sub(GROUPS_MAX);
        let deployments = self.counts.active.len().saturating_sub(DEPLOYMENTS_MAX);
        for (of_what, number) in [("groups", groups), ("deployments", deployments)] {
            let label = OfLabel { of: of_what };
            left_out.get_or_create(&label).set(of(number));
        }
        let help = "Groups and active deployments that have no series of their own here";
        registry.register("series_left_out", help, left_out);
    }

    fn server(&self, registry: &mut Registry) {
        let ready = Gauge::<i64>::default();
        ready.set(self.ready.into());
        registry.register("ready", "1 while /readyz says so", ready);
        let problems = Family::<CodeLabel, Gauge>::default();
        for code in &self.problems {
            problems.get_or_create(&CodeLabel { code }).inc();
        }
        let help = "Problems that the server has now, by code";
        registry.register("problems", help, problems);
        let free = Family::<NoLabel, Gauge<u64, AtomicU64>>::default();
        if let Some(bytes) = self.disk_free {
            free.get_or_create(&NoLabel {}).set(bytes);
        }
        let help = "Bytes that the server can still write into its data directory";
        registry.register("disk_free_bytes", help, free);
        let backup = Family::<NoLabel, Seconds>::default();
        if let Some(at_s) = self.backup_s {
            backup.get_or_create(&NoLabel {}).set(at_s);
        }
        let help = "Unix time at which all rows of the store were fetched last by a backup";
        registry.register("backup_timestamp_seconds", help, backup);
    }
}

/// The word of a state in the API.
fn word(state: DeploymentState) -> &'static str {
    match state {
        DeploymentState::Scheduled => "scheduled",
        DeploymentState::Active => "active",
        DeploymentState::Completed => "completed",
        DeploymentState::Aborted => "aborted",
        DeploymentState::Paused => "paused",
    }
}

/// A count as a gauge has it.
fn of(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use hoist_orchestrator_core::model::row::GroupCountRow;
    use hoist_protocol::id::GroupId;

    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn a_thousand_groups_have_no_more_series_than_there_is_room_for_and_sums_stay_right() {
        let group = |number: u32| -> (GroupId, GroupCountRow) {
            let count = GroupCountRow {
                members: 2 * number,
                online: number,
                ..GroupCountRow::default()
            };
            (format!("g{number}").parse().unwrap(), count)
        };
        let fleet = Fleet {
            counts: FleetCounts {
                groups: (0..1_000).map(group).collect(),
                ..FleetCounts::default()
            },
            ..Fleet::default()
        };
        let text = Metrics::default().text(&fleet).unwrap();
        let devices: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("hoist_devices{"))
            .collect();
        assert_eq!(devices.len(), 2 * (GROUPS_MAX + 1));
        let value = |line: &&str| line.rsplit(' ').next()?.parse::<u32>().ok();
        let sum: u32 = devices.iter().filter_map(value).sum();
        assert_eq!(sum, 2 * 999 * 1_000 / 2, "of 0 to 999, twice");
        assert!(text.contains("hoist_devices{group=\"g999\",presence=\"online\"} 999\n"));
        assert!(!text.contains("\"g799\""), "the smaller ones are together");
        assert!(text.contains("hoist_series_left_out{of=\"groups\"} 800\n"));
        assert!(text.len() < 64 << 10, "{} bytes", text.len());
    }
}
