//! Groups: what is active beside each other, and freezes.

use std::collections::BTreeSet;

use hoist_orchestrator_core::model::key::{DeploymentKey, GroupKey};
use hoist_orchestrator_core::model::row::GroupRow;
use hoist_orchestrator_core::model::txn::Write;

use hoist_protocol::id::GroupId;

use super::super::super::line::Line;
use super::super::super::server::Server;
use super::super::{Broken, hold};
use super::{Mirror, row};

impl Mirror {
    /// S11: what is active beside each other shares no artifact; at most 8.
    pub(super) fn group(&mut self, write: &Write, server: &Server) -> Result<(), Broken> {
        let text = write
            .key
            .0
            .get(1..)
            .and_then(|bytes| std::str::from_utf8(bytes).ok());
        let Some(group): Option<GroupId> = text.and_then(|text| text.parse().ok()) else {
            return Ok(());
        };
        match row::<GroupRow>(write)?.is_some_and(|row| row.frozen.is_some()) {
            true => self.frozen.insert(group.clone()),
            false => self.frozen.remove(&group),
        };
        let Some(row) = server.row(&GroupKey(group)) else {
            return Ok(());
        };
        let mut names = BTreeSet::new();
        for id in &row.active {
            let deployment = server.row(&DeploymentKey(*id));
            let Some(deployment) = deployment else {
                continue;
            };
            let active = deployment.state.is_active();
            let fresh = deployment
                .artifacts
                .iter()
                .all(|name| names.insert(name.clone()));
            hold(
                active && fresh,
                "active-deployments-share-no-artifact",
                || format!("{id} is listed among {:?}", row.active),
            )?;
        }
        hold(
            row.active.len() <= 8,
            "active-deployments-share-no-artifact",
            || format!("{} are active", row.active.len()),
        )
    }

    /// True if nobody of a group may start anything.
    pub(in crate::simulation::invariants) fn is_frozen(&self, line: Line) -> bool {
        let by_itself = self
            .frozen
            .iter()
            .any(|group| Line::group(group) == Some(line));
        self.is_all_frozen || by_itself
    }
}
