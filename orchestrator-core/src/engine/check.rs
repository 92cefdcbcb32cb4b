//! The check that rows fit together: each row can be read, and each statement of one row about
//! another is true. It only looks; its caller reads the store and hands every row over, in any
//! order.

use std::collections::{BTreeMap, BTreeSet};

use hoist_protocol::codec::{DecodeError, Message, decode};
use hoist_protocol::id::{DeploymentId, DeviceId, GroupId, ReleaseId};

use crate::api::remembered::RequestRow;
use crate::model::counter::{Totals, count};
use crate::model::key::Key;
use crate::model::row::{
    ClaimRow, CloneRow, CounterRow, DeploymentRow, DeviceRow, DynamicGroupsRow, EventHeadRow,
    EventRow, FactsRow, FleetFreezeRow, ForgottenRow, GroupCountRow, GroupRow, HistoryRow,
    InstanceRow, MemberRow, NotedRootRow, NumbersRow, OpenedRow, OutboxRow, PassesRow, PolicyRow,
    PolicyVersionRow, RecordRow, RecoveryRow, RefusedRow, ReleaseNameRow, ReleaseRow,
    RemovedGroupRow, RevokedRow, RolloutRow, SlotRow, TimerRow, TroubleRow, WaitingCountRow,
    WaitingRow,
};
use crate::model::state::DeploymentState;
use crate::model::timer::{Timer, TimerKind};
use trail::Trail;

mod relations;
mod trail;

/// Findings that are listed; of more than so many the rest is only counted.
const LISTED_MAX: usize = 100;

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The subject of the finding, for people.
    pub about: String,
    /// The fault.
    pub what: String,
}

/// The findings of one check.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// The first of them.
    pub listed: Vec<Finding>,
    /// The number of findings, listed or not.
    pub count: u64,
}

impl Findings {
    fn add(&mut self, about: String, what: impl Into<String>) {
        self.count += 1;
        if self.listed.len() < LISTED_MAX {
            let what = what.into();
            self.listed.push(Finding { about, what });
        }
    }
}

/// The numbers of things in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// Rows of all kinds.
    pub rows: u64,
    /// Groups.
    pub groups: u64,
    /// Devices.
    pub devices: u64,
    /// Releases.
    pub releases: u64,
    /// Deployments.
    pub deployments: u64,
    /// Devices within deployments.
    pub records: u64,
}

/// Rows being looked at.
#[derive(Default)]
pub struct Check {
    extent: Extent,
    findings: Findings,
    last_deployment: DeploymentId,
    groups: BTreeMap<GroupId, GroupRow>,
    counts: BTreeMap<GroupId, u32>,
    devices: BTreeMap<DeviceId, GroupId>,
    members: BTreeSet<(GroupId, DeviceId)>,
    releases: BTreeSet<ReleaseId>,
    names: Vec<(String, ReleaseId)>,
    deployments: BTreeMap<DeploymentId, (GroupId, ReleaseId, DeploymentState)>,
    /// Removed ones, and whether rows of them may be left.
    forgotten: BTreeMap<DeploymentId, bool>,
    counters: BTreeMap<DeploymentId, Totals>,
    recounted: BTreeMap<DeploymentId, CounterRow>,
    /// Records in progress, with when their time is over.
    working: BTreeSet<(DeploymentId, DeviceId, u64)>,
    timers: BTreeSet<(DeploymentId, DeviceId, u64)>,
    trail: Trail,
    event_head: EventHeadRow,
    /// The numbers of the events that are kept.
    events: BTreeSet<u64>,
}

impl Check {
    /// Takes a row in.
    pub fn row(&mut self, key: &Key, bytes: &[u8]) {
        self.extent.rows += 1;
        let read = self.read(key, bytes);
        match read {
            Ok(Some(())) => {}
            Ok(None) => {
                let what = "it is of a kind that this version does not know";
                self.findings.add(key.to_string(), what);
            }
            Err(error) => {
                let what = format!("it cannot be read: {error}");
                self.findings.add(key.to_string(), what);
            }
        }
    }

    /// Says what there is, and what is wrong with it.
    #[must_use]
    pub fn finish(mut self) -> (Extent, Findings) {
        self.relations();
        (self.extent, self.findings)
    }

    /// Reads a row; `None` for an unknown kind.
    fn read(&mut self, key: &Key, bytes: &[u8]) -> Result<Option<()>, DecodeError> {
        let Some((kind, rest)) = key.0.split_first() else {
            return Ok(None);
        };
        match kind {
            1 => {
                let row: InstanceRow = decode(bytes)?;
                self.last_deployment = self.last_deployment.max(row.last_deployment);
            }
            2 => {
                let row = decode(bytes)?;
                self.groups.extend(id(rest).map(|group| (group, row)));
                self.extent.groups += 1;
            }
            3 => {
                let row: DeviceRow = decode(bytes)?;
                self.devices
                    .extend(id(rest).map(|device| (device, row.group)));
                self.extent.devices += 1;
            }
            4 => {
                let row: ReleaseRow = decode(bytes)?;
                self.releases.insert(row.manifest.id());
                self.extent.releases += 1;
            }
            5 => {
                let row: ReleaseNameRow = decode(bytes)?;
                self.names
                    .push((String::from_utf8_lossy(rest).into(), row.release));
            }
            6 => {
                let row: DeploymentRow = decode(bytes)?;
                let Some((number, _)) = numbered(rest) else {
                    return Ok(None);
                };
                let known = (row.group, row.release, row.state);
                self.deployments.insert(number, known);
                self.extent.deployments += 1;
            }
            7 | 8 => return self.read_record(*kind, rest, bytes),
            9 => {
                decode::<MemberRow>(bytes)?;
                self.members.extend(pair(rest));
            }
            11 => {
                decode::<TimerRow>(bytes)?;
                let Some(timer) = Timer::parse(key) else {
                    return Ok(None);
                };
                if let TimerKind::Device(deployment, device) = timer.kind {
                    self.timers.insert((deployment, device, timer.due_ms));
                }
            }
            22 => {
                let row: ForgottenRow = decode(bytes)?;
                let number = numbered(rest).map(|(number, _)| number);
                let sweeping = row.sweep_due_ms.is_some();
                self.forgotten
                    .extend(number.map(|number| (number, sweeping)));
            }
            28 | 29 => return self.trail.read(*kind, rest, bytes),
            38 => self.event_head = decode(bytes)?,
            39 => self.read_event(rest, bytes)?,
            12 => {
                let row: GroupCountRow = decode(bytes)?;
                self.counts
                    .extend(id(rest).map(|group| (group, row.members)));
            }
            kind => return read_other(*kind, bytes),
        }
        Ok(Some(()))
    }

    fn read_event(&mut self, rest: &[u8], bytes: &[u8]) -> Result<(), DecodeError> {
        decode::<EventRow>(bytes)?;
        let number = rest.try_into().ok().map(u64::from_be_bytes);
        self.events.extend(number);
        Ok(())
    }

    fn read_record(
        &mut self,
        kind: u8,
        rest: &[u8],
        bytes: &[u8],
    ) -> Result<Option<()>, DecodeError> {
        let Some((deployment, rest)) = numbered(rest) else {
            return Ok(None);
        };
        if kind == 8 {
            let row: CounterRow = decode(bytes)?;
            self.counters.entry(deployment).or_default().add(&row);
            return Ok(Some(()));
        }
        let row: RecordRow = decode(bytes)?;
        count(self.recounted.entry(deployment).or_default(), &row);
        self.extent.records += 1;
        if let (Some(due_ms), Some(device)) = (row.due_ms, id(rest)) {
            self.working.insert((deployment, device, due_ms));
        }
        Ok(Some(()))
    }
}

/// Kinds of rows of which nothing else is told.
fn read_other(kind: u8, bytes: &[u8]) -> Result<Option<()>, DecodeError> {
    fn is<M: Message>(bytes: &[u8]) -> Result<(), DecodeError> {
        decode::<M>(bytes).map(drop)
    }
    match kind {
        10 => is::<RequestRow>(bytes)?,
        13 => is::<OutboxRow>(bytes)?,
        14 => is::<RevokedRow>(bytes)?,
        15 => is::<CloneRow>(bytes)?,
        16 => is::<OpenedRow>(bytes)?,
        17 => is::<RefusedRow>(bytes)?,
        18 => is::<TroubleRow>(bytes)?,
        19 => is::<FactsRow>(bytes)?,
        20 => is::<SlotRow>(bytes)?,
        21 => is::<RemovedGroupRow>(bytes)?,
        23 => is::<RecoveryRow>(bytes)?,
        24 => is::<NumbersRow>(bytes)?,
        25 => is::<ClaimRow>(bytes)?,
        26 => is::<WaitingRow>(bytes)?,
        27 => is::<WaitingCountRow>(bytes)?,
        30 => is::<RolloutRow>(bytes)?,
        31 => is::<HistoryRow>(bytes)?,
        35 => is::<NotedRootRow>(bytes)?,
        32 => is::<PassesRow>(bytes)?,
        33 => is::<FleetFreezeRow>(bytes)?,
        36 => is::<PolicyRow>(bytes)?,
        37 => is::<PolicyVersionRow>(bytes)?,
        34 => is::<DynamicGroupsRow>(bytes)?,
        _ => return Ok(None),
    }
    Ok(Some(()))
}

fn id<I: std::str::FromStr>(bytes: &[u8]) -> Option<I> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

fn numbered(rest: &[u8]) -> Option<(DeploymentId, &[u8])> {
    let (number, rest) = rest.split_first_chunk::<4>()?;
    Some((DeploymentId(u32::from_be_bytes(*number)), rest))
}

fn pair(rest: &[u8]) -> Option<(GroupId, DeviceId)> {
    let mut parts = rest.split(|byte| *byte == 0);
    Some((id(parts.next()?)?, id(parts.next()?)?))
}

#[cfg(test)]
mod tests;
