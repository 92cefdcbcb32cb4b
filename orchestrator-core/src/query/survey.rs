//! The reach of a release: the members of a group that would refuse the release as they are now,
//! by their own reports, and those of the others that are online. The members are many, so the
//! adapter reads them page by page, beside its loop. An unknown fact does not count against a
//! device: the device decides.

use std::collections::{BTreeMap, BinaryHeap};

use hoist_protocol::id::{DeviceId, Name};
use hoist_protocol::reason::Reason;
use hoist_protocol::release::{ArtifactManifest, ReleaseManifest};
use hoist_protocol::version::{Requirement, Version, attribute_meets};

use crate::model::row::{DeviceRow, FactsRow, InstanceRow};
use crate::reply::Counted;
use crate::reply::view::FailureCount;
use crate::rules::rollout::limit::place;

/// Names and versions that artifacts provide, by the artifact's name and version.
pub type Provided = BTreeMap<(String, String), Vec<(String, String)>>;

/// A release as devices would judge it.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its manifest.
    pub release: ReleaseManifest,
    /// The names of its artifacts, in install order.
    pub names: Vec<Name>,
    /// Its artifacts, in install order; none when they cannot be read, and then no dependency
    /// is judged.
    pub artifacts: Vec<ArtifactManifest>,
    /// The names and versions that artifacts of known releases provide.
    pub provided: Provided,
    /// True if it may go below what is installed.
    pub allow_downgrade: bool,
}

impl Candidate {
    /// Why a device would refuse it, in the order in which the device looks.
    #[must_use]
    pub fn refusal(&self, row: &DeviceRow, facts: Option<&FactsRow>) -> Option<Reason> {
        // Nothing but what it says of itself is known of a device's software.
        if row.agent.is_empty() {
            return None;
        }
        self.unfit(row, facts)
            .or_else(|| self.is_downgrade(row, facts).then_some(Reason::Downgrade))
            .or_else(|| self.lacks(row))
    }

    fn unfit(&self, row: &DeviceRow, facts: Option<&FactsRow>) -> Option<Reason> {
        let types = &self.release.device_types;
        if !types.is_empty() && !types.contains(&row.device_type) {
            return Some(Reason::Incompatible);
        }
        let facts = facts?;
        for (name, wanted) in &self.release.attributes {
            let found = facts.attributes.iter().find(|(found, _)| found == name);
            match found.map(|(_, value)| attribute_meets(value, wanted)) {
                Some(Ok(true)) => {}
                Some(Err(_)) => return Some(Reason::BadRelease),
                Some(Ok(false)) | None => return Some(Reason::Incompatible),
            }
        }
        None
    }

    fn is_downgrade(&self, row: &DeviceRow, facts: Option<&FactsRow>) -> bool {
        let counter = self.release.counter;
        let installed = row.inventory.iter();
        let mut same = installed.filter(|installed| self.names.contains(&installed.name));
        facts.is_some_and(|facts| counter < facts.floor)
            || (!self.allow_downgrade && same.any(|installed| installed.counter > counter))
    }

    fn lacks(&self, row: &DeviceRow) -> Option<Reason> {
        for (index, artifact) in self.artifacts.iter().enumerate() {
            for (name, requirement) in &artifact.depends {
                let Ok(wanted) = requirement.parse::<Requirement>() else {
                    return Some(Reason::BadRelease);
                };
                let there = self.versions_of(name, &self.artifacts[..index], row);
                if !there
                    .iter()
                    .any(|version| wanted.allows(&Version::parse(version)))
                {
                    return Some(Reason::MissingDependency);
                }
            }
        }
        None
    }

    /// In which versions something is there once the artifacts before are installed.
    fn versions_of<'a>(
        &'a self,
        name: &str,
        before: &'a [ArtifactManifest],
        row: &'a DeviceRow,
    ) -> Vec<&'a str> {
        let mut versions = Vec::new();
        for artifact in before {
            let own = (artifact.name.as_str(), artifact.version.as_str());
            versions.extend(provides(name, own, &artifact.provides));
        }
        let replaced = |name: &Name| before.iter().any(|artifact| artifact.name == *name);
        for installed in row.inventory.iter().filter(|it| !replaced(&it.name)) {
            let key = (installed.name.to_string(), installed.version.clone());
            let others = self.provided.get(&key).map_or(&[][..], Vec::as_slice);
            let own = (installed.name.as_str(), installed.version.as_str());
            versions.extend(provides(name, own, others));
        }
        versions
    }
}

fn provides<'a>(
    name: &str,
    own: (&'a str, &'a str),
    others: &'a [(String, String)],
) -> Vec<&'a str> {
    let others = others
        .iter()
        .map(|(name, version)| (name.as_str(), version.as_str()));
    let all = std::iter::once(own).chain(others);
    all.filter(|(provided, _)| *provided == name)
        .map(|(_, version)| version)
        .collect()
}

/// The members that a limit lets start: the first of a deployment's order (S10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct First {
    /// The number that sets the order.
    pub order: u32,
    /// Number of devices, at least 1.
    pub devices: u32,
}

/// The fate of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    StartsNow,
    StartsWhenConnected,
    Refuses(Reason),
}

/// Counts members, one after another.
#[derive(Debug)]
pub struct Survey {
    candidate: Candidate,
    instance: InstanceRow,
    first: Option<First>,
    counts: BTreeMap<Fate, u32>,
    /// With a limit: the first so far, at most as many as it lets start.
    lowest: BinaryHeap<(u32, DeviceId, Fate)>,
    /// With a limit: the places of those whose slots go to others.
    unable: Vec<u32>,
}

impl Survey {
    /// Nobody is counted yet.
    #[must_use]
    pub fn new(candidate: Candidate, instance: InstanceRow, first: Option<First>) -> Self {
        Self {
            candidate,
            instance,
            first,
            counts: BTreeMap::new(),
            lowest: BinaryHeap::new(),
            unable: Vec::new(),
        }
    }

    /// Counts a member; one that is held or revoked starts nothing and is not counted.
    pub fn member(&mut self, device: &DeviceId, row: &DeviceRow, facts: Option<&FactsRow>) {
        if row.starts_nothing() {
            return;
        }
        let fate = match self.candidate.refusal(row, facts) {
            Some(reason) => Fate::Refuses(reason),
            None if row.is_there(&self.instance) == Some(true) => Fate::StartsNow,
            None => Fate::StartsWhenConnected,
        };
        let Some(first) = self.first else {
            *self.counts.entry(fate).or_default() += 1;
            return;
        };
        let place = place(first.order, device);
        if fate == Fate::Refuses(Reason::Incompatible) {
            self.unable.push(place);
            return;
        }
        self.lowest.push((place, device.clone(), fate));
        if self.lowest.len() > usize::try_from(first.devices).unwrap_or(usize::MAX) {
            self.lowest.pop();
        }
    }

    /// The counts of the members.
    #[must_use]
    pub fn counted(mut self) -> Counted {
        self.count_first();
        let mut count = |fate| self.counts.remove(&fate).unwrap_or(0);
        let (online, when_connected) = (count(Fate::StartsNow), count(Fate::StartsWhenConnected));
        let refusals = self.counts.into_iter().filter_map(|(fate, count)| {
            let Fate::Refuses(reason) = fate else {
                return None;
            };
            let reason = reason.into();
            Some(FailureCount { reason, count })
        });
        let mut would_refuse: Vec<FailureCount> = refusals.collect();
        would_refuse.sort_by(FailureCount::most_first);
        Counted {
            online,
            when_connected,
            would_refuse,
        }
    }

    /// Counts those that a limit lets start, and those that come before the last of them and
    /// leave their slots to others.
    fn count_first(&mut self) {
        let Some(first) = self.first else {
            return;
        };
        let last = match self.lowest.peek() {
            Some((last, ..)) if self.lowest.len() >= first.devices as usize => *last,
            _ => u32::MAX,
        };
        for (_, _, fate) in std::mem::take(&mut self.lowest) {
            *self.counts.entry(fate).or_default() += 1;
        }
        let unable = self.unable.iter().filter(|place| **place <= last).count();
        if unable > 0 {
            let unable = u32::try_from(unable).unwrap_or(u32::MAX);
            self.counts
                .insert(Fate::Refuses(Reason::Incompatible), unable);
        }
    }
}

#[cfg(test)]
#[path = "survey_tests.rs"]
mod tests;
