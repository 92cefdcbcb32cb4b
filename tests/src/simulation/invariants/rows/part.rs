//! A mirror in parts, and put together from them.

use std::collections::BTreeMap;

use hoist_protocol::id::{DeploymentId, SessionCounter, Shard};

use super::super::super::canon::Canon;
use super::super::super::line::device_id;
use super::{Mirror, Tally};

impl Mirror {
    /// Everything that can make a difference.
    pub(in crate::simulation::invariants) fn look(&self, canon: &mut Canon) {
        canon.put(&self.deployments);
        canon.put((&self.records, &self.counters, &self.tallies));
        canon.put((&self.removed, &self.gone));
        canon.put((&self.courses, &self.approvals));
        canon.put((&self.labels, &self.groups));
        canon.put((&self.frozen, self.is_all_frozen));
        for call in self.calls.values() {
            canon.put(call);
        }
        for session in self.sessions.values() {
            canon.put(session.map(SessionCounter));
        }
    }

    /// The memory about a device, or about none.
    pub(in crate::simulation::invariants) fn part(&self, device: Option<u16>) -> Self {
        let Some(device) = device else {
            return Self {
                deployments: self.deployments.clone(),
                gone: self.gone.clone(),
                courses: self.courses.clone(),
                approvals: self.approvals.clone(),
                frozen: self.frozen.clone(),
                is_all_frozen: self.is_all_frozen,
                ..Self::default()
            };
        };
        let shard = Shard::of(&device_id(device)).0;
        let of_shard = |tallies: &BTreeMap<(DeploymentId, u8), Tally>| {
            let tallies = tallies.iter().filter(|((_, of), _)| *of == shard);
            tallies.map(|(key, tally)| (*key, *tally)).collect()
        };
        let records = self.records.iter();
        let records = records.filter(|((_, of), _)| *of == device);
        let only = |of: &u16| *of == device;
        Self {
            records: records.map(|(key, known)| (*key, known.clone())).collect(),
            counters: of_shard(&self.counters),
            tallies: of_shard(&self.tallies),
            calls: (self.calls.iter().filter(|(of, _)| only(of)))
                .map(|(of, call)| (*of, *call))
                .collect(),
            sessions: (self.sessions.iter().filter(|(of, _)| only(of)))
                .map(|(of, session)| (*of, *session))
                .collect(),
            removed: self.removed.iter().copied().filter(only).collect(),
            labels: (self.labels.iter().filter(|(of, _)| only(of)))
                .map(|(of, labels)| (*of, labels.clone()))
                .collect(),
            groups: (self.groups.iter().filter(|(of, _)| only(of)))
                .map(|(of, group)| (*of, group.clone()))
                .collect(),
            ..Self::default()
        }
    }

    /// Adds what another part remembers.
    pub(in crate::simulation::invariants) fn join(&mut self, other: &Self) {
        let deployments = other.deployments.iter();
        self.deployments
            .extend(deployments.map(|(id, row)| (*id, row.clone())));
        let records = other.records.iter();
        self.records
            .extend(records.map(|(key, known)| (*key, known.clone())));
        self.counters.extend(&other.counters);
        self.tallies.extend(&other.tallies);
        self.calls.extend(&other.calls);
        self.sessions.extend(&other.sessions);
        self.removed.extend(&other.removed);
        self.gone.extend(&other.gone);
        let courses = other.courses.iter();
        self.courses
            .extend(courses.map(|(id, course)| (*id, course.clone())));
        let approvals = other.approvals.iter();
        self.approvals
            .extend(approvals.map(|(of, users)| (*of, users.clone())));
        let labels = other.labels.iter();
        self.labels
            .extend(labels.map(|(of, labels)| (*of, labels.clone())));
        let groups = other.groups.iter();
        self.groups
            .extend(groups.map(|(of, group)| (*of, group.clone())));
        self.frozen.extend(other.frozen.iter().cloned());
        self.is_all_frozen |= other.is_all_frozen;
    }
}
