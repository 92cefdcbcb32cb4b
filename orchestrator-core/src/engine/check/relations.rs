//! Statements of one row about another.

use hoist_protocol::id::GroupId;

use super::{Check, Findings};
use crate::model::counter::Totals;
use crate::model::state::DeploymentState;

impl Check {
    pub(super) fn relations(&mut self) {
        let mut findings = std::mem::take(&mut self.findings);
        self.membership(&mut findings);
        self.listing(&mut findings);
        self.releases(&mut findings);
        self.counting(&mut findings);
        self.trail.check(&mut findings);
        self.history(&mut findings);
        self.findings = findings;
    }

    /// The history has every event between its ends, and no other.
    fn history(&self, findings: &mut Findings) {
        let head = &self.event_head;
        let ends = (self.events.first(), self.events.last());
        let kept = self.events.len() as u64;
        let expected = head.number.saturating_add(1).saturating_sub(head.first);
        let fits = match ends {
            (Some(first), Some(last)) => (*first, *last) == (head.first, head.number),
            _ => head.number == 0,
        };
        if !fits || kept != expected.min(head.number) {
            let what = format!(
                "{kept} are kept, and the history goes from {} to {}",
                head.first, head.number
            );
            findings.add("events".to_owned(), what);
        }
    }

    /// A device is a member of its group and of no other, and is counted there.
    fn membership(&self, findings: &mut Findings) {
        let unassigned = GroupId::unassigned();
        for (device, group) in &self.devices {
            let about = || format!("device {device}");
            if *group != unassigned && !self.groups.contains_key(group) {
                findings.add(about(), format!("its group {group} does not exist"));
            }
            if !self.members.contains(&(group.clone(), device.clone())) {
                findings.add(about(), format!("it is not among the members of {group}"));
            }
        }
        for (group, device) in &self.members {
            if self.devices.get(device) != Some(group) {
                let what = format!("{device} is among its members and is not in it");
                findings.add(format!("group {group}"), what);
            }
        }
        let groups = self.groups.keys().chain(self.counts.keys());
        for group in groups.collect::<std::collections::BTreeSet<_>>() {
            let there = self.devices.values().filter(|of| *of == group).count();
            let counted = self.counts.get(group).copied().unwrap_or_default();
            if u32::try_from(there) != Ok(counted) {
                let what = format!("{counted} devices are counted, {there} are in it");
                findings.add(format!("group {group}"), what);
            }
        }
    }

    /// A group lists exactly the deployments that are active or scheduled in it.
    fn listing(&self, findings: &mut Findings) {
        for (id, (group, _, state)) in &self.deployments {
            let about = || format!("deployment {id}");
            if *id > self.last_deployment {
                let what = format!("the highest number given is {}", self.last_deployment);
                findings.add(about(), what);
            }
            let listed = self.groups.get(group).is_some_and(|row| match state {
                state if state.is_active() => row.active.contains(id),
                DeploymentState::Scheduled => row.scheduled.contains(id),
                _ => true,
            });
            if !listed {
                findings.add(about(), format!("group {group} does not list it"));
            }
        }
        for id in self.forgotten.keys() {
            let about = || format!("deployment {id}");
            if self.deployments.contains_key(id) {
                findings.add(about(), "it was removed and is there");
            }
            if *id > self.last_deployment {
                let what = format!("the highest number given is {}", self.last_deployment);
                findings.add(about(), what);
            }
        }
        for (group, row) in &self.groups {
            let listed = row.active.iter().map(|id| (id, true));
            let waiting = row.scheduled.iter();
            let waiting = waiting.map(|id| (id, false));
            for (id, active) in listed.chain(waiting) {
                let known = self.deployments.get(id);
                let fits = |state: DeploymentState| match active {
                    true => state.is_active(),
                    false => state == DeploymentState::Scheduled,
                };
                if known.is_none_or(|(of, _, is)| of != group || !fits(*is)) {
                    let what = format!("it lists deployment {id}, which is not so");
                    findings.add(format!("group {group}"), what);
                }
            }
        }
    }

    fn releases(&self, findings: &mut Findings) {
        for (id, (_, release, state)) in &self.deployments {
            let is_over = !state.is_active() && *state != DeploymentState::Scheduled;
            if !is_over && !self.releases.contains(release) {
                let what = format!("its release {release} is not there");
                findings.add(format!("deployment {id}"), what);
            }
        }
        for (name, release) in &self.names {
            if !self.releases.contains(release) {
                let what = format!("{release} is not there");
                findings.add(format!("release {name}"), what);
            }
        }
    }

    /// Counters equal a recount, and whatever is in progress ends some time.
    fn counting(&self, findings: &mut Findings) {
        let ids = self.counters.keys().chain(self.recounted.keys());
        for id in ids.collect::<std::collections::BTreeSet<_>>() {
            let about = || format!("deployment {id}");
            // It was removed, and what is left of it goes page by page.
            if self.forgotten.get(id) == Some(&true) {
                continue;
            }
            if !self.deployments.contains_key(id) {
                findings.add(about(), "it has records or counters and is not there");
            }
            let counted = self.counters.get(id).cloned().unwrap_or_default();
            let mut recounted = Totals::default();
            self.recounted
                .get(id)
                .iter()
                .for_each(|row| recounted.add(row));
            if counted != recounted {
                findings.add(about(), "its counters are not what its records come to");
            }
        }
        for (id, device, _) in self.working.difference(&self.timers) {
            let what = format!("{device} is in progress, and no timer ends that");
            findings.add(format!("deployment {id}"), what);
        }
        for (id, device, _) in self.timers.difference(&self.working) {
            let what = format!("a timer is set for {device}, which is not in progress");
            findings.add(format!("deployment {id}"), what);
        }
    }
}
