//! The stored row of groups whose members follow from labels.

use hoist_protocol::id::GroupId;
use serde::{Deserialize, Serialize};

use crate::model::selector::Selector;

/// The dynamic groups. One row, because a device that is labeled is looked at by all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DynamicGroupsRow {
    /// With the labels of their members, by name.
    pub groups: Vec<(GroupId, Selector)>,
}

impl DynamicGroupsRow {
    /// The labels of a group's members, if it is dynamic.
    #[must_use]
    pub fn selector(&self, group: &GroupId) -> Option<&Selector> {
        let mut groups = self.groups.iter();
        let (_, selector) = groups.find(|(dynamic, _)| dynamic == group)?;
        Some(selector)
    }

    /// The groups to which these labels fit, by name.
    pub fn fitting(&self, labels: &[(String, String)]) -> impl Iterator<Item = &GroupId> {
        let groups = self.groups.iter();
        let fitting = groups.filter(|(_, selector)| selector.matches(labels));
        fitting.map(|(group, _)| group)
    }

    /// The group of a device with these labels that is in `group`. An operator's word stands: who was
    /// put into an ordinary group stays there. Of several that fit, the first by name has it.
    #[must_use]
    pub fn home(&self, group: &GroupId, labels: &[(String, String)]) -> GroupId {
        let by_labels = *group == GroupId::unassigned() || self.selector(group).is_some();
        if !by_labels {
            return group.clone();
        }
        let first = self.fitting(labels).next();
        first.cloned().unwrap_or_else(GroupId::unassigned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::row::tests::golden;

    #[test]
    fn dynamic_groups_keep_their_bytes() {
        let groups = vec![("eu".parse().unwrap(), "a=b".parse().unwrap())];
        golden(&DynamicGroupsRow { groups }, "010102657503613d62");
    }
}
