//! A mirror in parts, and put together from them.

use std::collections::{BTreeMap, BTreeSet};

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
            deployments: BTreeMap::new(),
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
            gone: BTreeSet::new(),
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
    }
}
