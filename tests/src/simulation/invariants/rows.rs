//! The conditions on the server's rows, looked at as the rows are written: a mirror of them is kept
//! with its own running counts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hoist_orchestrator_core::model::row::{
    CounterRow, DeploymentRow, DeviceRow, FleetFreezeRow, RecordRow, RecordState, RolloutRow,
};
use hoist_orchestrator_core::model::state::DeploymentState;
use hoist_orchestrator_core::model::timer::{Timer, TimerKind};
use hoist_orchestrator_core::model::txn::Write;
use hoist_protocol::codec::{Message, decode};
use hoist_protocol::id::{DeploymentId, GroupId, Resync, Shard, UserId};
use serde::Serialize;

use super::super::line::{device_id, device_number};
use super::super::server::{Committed, Server};
use super::super::truth::Ending;
use super::tally::Tally;
use super::{Broken, Past, hold};

mod course;
mod gone;
mod group;
mod part;
mod silence;

pub(super) use course::Course;

/// The last word of a record and when its time began, in true ms of connected uptime.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Known {
    row: RecordRow,
    armed_ms: u64,
    /// When it was asked, if it was.
    asked_ms: Option<u64>,
}

/// A mirror of the rows that invariants are about.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Mirror {
    pub(super) deployments: BTreeMap<DeploymentId, DeploymentRow>,
    records: BTreeMap<(DeploymentId, u16), Known>,
    counters: BTreeMap<(DeploymentId, u8), Tally>,
    tallies: BTreeMap<(DeploymentId, u8), Tally>,
    /// Resync call of each device and when it was called last, in true ms of connected uptime.
    calls: BTreeMap<u16, (Resync, u64)>,
    /// The session that was heard of last, by device.
    sessions: BTreeMap<u16, Option<u64>>,
    /// Devices that were ever removed. What one counted in that life says nothing of the next:
    /// a message that is still on its way may be taken for a word of the new one.
    removed: BTreeSet<u16>,
    /// Deployments that were removed.
    gone: BTreeSet<DeploymentId>,
    /// Rollouts.
    pub(super) courses: BTreeMap<DeploymentId, Course>,
    /// The users who approved each phase of a rollout, by its place from 1.
    approvals: BTreeMap<(DeploymentId, u32), BTreeSet<UserId>>,
    /// The labels of registered devices.
    pub(super) labels: BTreeMap<u16, Vec<(String, String)>>,
    /// Their groups.
    pub(super) groups: BTreeMap<u16, GroupId>,
    /// Groups that are frozen by themselves.
    frozen: BTreeSet<GroupId>,
    /// True if everything is frozen.
    is_all_frozen: bool,
}

fn row<M: Message>(write: &Write) -> Result<Option<M>, Broken> {
    let decoded = write.bytes.as_deref().map(decode).transpose();
    decoded.map_err(|error| Broken {
        invariant: "a-row-can-be-read",
        what: format!("{:?}: {error}", write.key),
    })
}

fn deployment(bytes: &[u8]) -> DeploymentId {
    let number = bytes.first_chunk::<4>().copied().unwrap_or_default();
    DeploymentId(u32::from_be_bytes(number))
}

impl Mirror {
    pub(super) fn apply(
        &mut self,
        committed: &Committed,
        uptime_ms: u64,
        pasts: &[Arc<Past>],
        server: &Server,
    ) -> Result<(), Broken> {
        let mut touched = BTreeSet::new();
        let mut records = Vec::new();
        let (mut rollouts, mut changes) = (Vec::new(), Vec::new());
        for write in &committed.writes {
            let (prefix, rest) = write.key.0.split_first().unwrap_or((&0, &[]));
            match prefix {
                2 => self.group(write, server)?,
                3 => self.device(write, rest, uptime_ms)?,
                6 => {
                    let id = deployment(rest);
                    let old = self.deployments.get(&id).cloned();
                    self.deployment(id, row(write)?, committed.now.unix_ms)?;
                    let new = self.deployments.get(&id).cloned();
                    changes.extend(new.map(|new| (id, old, new)));
                }
                30 => rollouts.push((deployment(rest), row::<RolloutRow>(write)?)),
                33 => {
                    let all = row::<FleetFreezeRow>(write)?;
                    self.is_all_frozen = all.is_some_and(|all| all.frozen.is_some());
                }
                7 => {
                    records.push((write, deployment(rest), rest));
                }
                8 => {
                    let key = (deployment(rest), rest.last().copied().unwrap_or_default());
                    let counter = row::<CounterRow>(write)?.unwrap_or_default();
                    self.counters.insert(key, Tally::of(&counter));
                    touched.insert(key);
                }
                _ => {}
            }
        }
        // After the devices of the same batch: a resync comes with them.
        for (write, id, rest) in records {
            let Some(number) = device_of(rest.get(4..)) else {
                continue;
            };
            let record = row::<RecordRow>(write)?;
            let past = usize::from(number)
                .checked_sub(1)
                .and_then(|place| pasts.get(place));
            if let (Some(record), Some(past)) = (&record, past) {
                self.record((id, number), past, record, uptime_ms, server)?;
            }
            touched.insert(self.keep(id, number, record, uptime_ms));
        }
        for change in &changes {
            self.stopped(change)?;
        }
        for (id, row) in rollouts {
            self.course(id, row, uptime_ms)?;
        }
        for (id, shard) in touched {
            let counted = self.counters.get(&(id, shard)).copied().unwrap_or_default();
            let recount = self.tallies.get(&(id, shard)).copied().unwrap_or_default();
            let swept = self.gone.contains(&id);
            hold(
                swept || counted == recount,
                "counters-equal-a-recount",
                || format!("{id} shard {shard}: counted {counted:?}, there are {recount:?}"),
            )?;
        }
        Ok(())
    }

    /// Puts a record into the mirror and its running counts.
    fn keep(
        &mut self,
        id: DeploymentId,
        number: u16,
        record: Option<RecordRow>,
        uptime_ms: u64,
    ) -> (DeploymentId, u8) {
        let device = device_id(number);
        let key = (id, Shard::of(&device).0);
        let tally = self.tallies.entry(key).or_default();
        let old = self.records.remove(&(id, number));
        if let Some(old) = &old {
            tally.count(&old.row, -1);
        }
        if let Some(row) = record {
            tally.count(&row, 1);
            let again = old.filter(|old| {
                old.row.round == row.round
                    && matches!(old.row.state, RecordState::InProgress(_))
                    // Whoever answers begins a new wait.
                    && (row.asked || !old.row.asked)
            });
            let armed_ms = again.as_ref().map_or(uptime_ms, |old| old.armed_ms);
            let called_ms = self.calls.get(&number).map(|(_, at_ms)| *at_ms);
            let before_ms = again.and_then(|old| old.asked_ms);
            let asked_ms = before_ms.or(called_ms).filter(|_| row.asked);
            let known = Known {
                row,
                armed_ms,
                asked_ms,
            };
            self.records.insert((id, number), known);
        }
        key
    }

    fn record(
        &self,
        (id, number): (DeploymentId, u16),
        past: &Past,
        new: &RecordRow,
        uptime_ms: u64,
        server: &Server,
    ) -> Result<(), Broken> {
        let name = device_id(number);
        let ending = match &new.state {
            RecordState::Successful(_) => Some(Ending::Successful),
            RecordState::Failed(_) => Some(Ending::Failed),
            RecordState::InProgress(_) | RecordState::TimedOut => None,
        };
        if let Some(ending) = ending {
            let own = past.ends.get(&(id, new.round));
            hold(
                own == Some(&ending),
                "a-recorded-outcome-is-the-devices-own",
                || format!("{name} in {id}: recorded {ending:?}, its own is {own:?}"),
            )?;
        }
        let in_progress = matches!(new.state, RecordState::InProgress(_));
        let timer = new.due_ms.map(|due_ms| Timer {
            due_ms,
            kind: TimerKind::Device(id, name.clone()),
        });
        let armed = timer.is_some_and(|timer| server.row(&timer).is_some());
        hold(
            armed == in_progress,
            "a-record-in-progress-has-its-timer",
            || format!("{name} in {id}: {new:?}"),
        )?;
        hold(
            self.deployments.contains_key(&id),
            "a-record-belongs-to-a-member",
            || format!("{name} has a record in {id}, which does not exist"),
        )?;
        let Some(old) = self.records.get(&(id, number)) else {
            return hold(
                new.state != RecordState::TimedOut,
                "a-timeout-is-decided-after-asking",
                || format!("{name} timed out in {id}, which it never began"),
            );
        };
        let stays = match &old.row.state {
            RecordState::Successful(_) => {
                new.round == old.row.round && ending == Some(Ending::Successful)
            }
            RecordState::Failed(_) => {
                new.round > old.row.round
                    || (new.round == old.row.round && ending == Some(Ending::Failed))
            }
            RecordState::InProgress(_) | RecordState::TimedOut => new.round >= old.row.round,
        };
        hold(
            new.seq >= old.row.seq || self.removed.contains(&number),
            "a-status-number-never-falls",
            || format!("{name} in {id} was {:?} and is {:?}", old.row, new),
        )?;
        hold(
            new.seq > old.row.seq || !is_answer(&old.row, new) || self.removed.contains(&number),
            "only-a-newer-status-moves-a-record",
            || format!("{name} in {id} was {:?} and is {:?}", old.row, new),
        )?;
        hold(stays, "a-final-outcome-never-regresses", || {
            format!("{name} in {id} was {:?} and is {:?}", old.row, new)
        })?;
        if new.state == RecordState::TimedOut && old.row.state != RecordState::TimedOut {
            self.timed_out(id, number, old, uptime_ms)?;
        }
        Ok(())
    }

    fn device(&mut self, write: &Write, rest: &[u8], uptime_ms: u64) -> Result<(), Broken> {
        let Some(number) = device_of(Some(rest)) else {
            return Ok(());
        };
        match row::<DeviceRow>(write)? {
            None => {
                self.calls.remove(&number);
                self.labels.remove(&number);
                self.groups.remove(&number);
                self.sessions.remove(&number);
                self.removed.insert(number);
            }
            Some(row) => {
                hold(
                    row.recorded <= row.ended,
                    "no-outcome-is-counted-twice",
                    || {
                        format!(
                            "d{number} ended {} and {} are recorded",
                            row.ended, row.recorded
                        )
                    },
                )?;
                self.labels.insert(number, row.labels);
                self.groups.insert(number, row.group);
                let session = row.presence.map(|heard| heard.session.0);
                let is_online = row.presence.is_some_and(|heard| heard.online);
                let before = self.sessions.insert(number, session);
                hold(
                    before.is_none_or(|before| session >= before || is_online),
                    "a-late-death-beats-no-birth",
                    || format!("d{number} was in session {before:?} and is in {session:?}"),
                )?;
                let known = self.calls.entry(number).or_insert((row.resync, 0));
                if known.0 != row.resync {
                    *known = (row.resync, uptime_ms);
                }
            }
        }
        Ok(())
    }

    fn deployment(
        &mut self,
        id: DeploymentId,
        row: Option<DeploymentRow>,
        now_ms: u64,
    ) -> Result<(), Broken> {
        let Some(row) = row else {
            self.gone.extend(self.deployments.remove(&id).map(|_| id));
            return Ok(());
        };
        self.is_new(id)?;
        let begins = self
            .deployments
            .get(&id)
            .is_none_or(|old| old.state != row.state)
            && row.state == DeploymentState::Active;
        let in_time = row.start_ms.is_none_or(|start_ms| start_ms <= now_ms);
        hold(
            !begins || in_time,
            "a-deployment-is-listed-in-its-time",
            || format!("{id} is listed at {now_ms}: {row:?}"),
        )?;
        if let Some(old) = self.deployments.get(&id) {
            let ended = old.end.is_some();
            let same = row.state == old.state && row.end == old.end;
            hold(
                (!ended || same) && row.round >= old.round,
                "an-ended-deployment-stays-ended",
                || format!("{id} was {old:?} and is {row:?}"),
            )?;
        }
        self.deployments.insert(id, row);
        Ok(())
    }
}

/// True if a record changed as only a device's word changes it (bad-inputs rows 26 and 27):
/// not by time, by an operator, or by lost contact.
fn is_answer(old: &RecordRow, new: &RecordRow) -> bool {
    let inferred = new.state == RecordState::TimedOut;
    let said = |row: &RecordRow| (row.round, row.attempt, row.state.clone());
    (old.asked && !new.asked) || (!inferred && said(old) != said(new))
}

fn device_of(bytes: Option<&[u8]>) -> Option<u16> {
    let text = std::str::from_utf8(bytes?).ok()?;
    device_number(&text.parse().ok()?)
}

/// Keys of this mirror follow the core's; a changed prefix must not go unseen.
#[cfg(test)]
mod tests {
    use super::*;
    use hoist_orchestrator_core::model::key::{
        CounterKey, DeploymentKey, DeviceKey, FleetFreezeKey, GroupKey, RecordKey, RolloutKey,
        RowKey,
    };

    #[test]
    fn the_mirror_reads_the_cores_keys() {
        let device: hoist_protocol::id::DeviceId = "d7".parse().unwrap();
        let id = DeploymentId(258);
        assert_eq!(GroupKey("eu".parse().unwrap()).key().0, b"\x02eu");
        assert_eq!(DeviceKey(device.clone()).key().0, b"\x03d7");
        assert_eq!(DeploymentKey(id).key().0, b"\x06\0\0\x01\x02");
        assert_eq!(RecordKey(id, device).key().0, b"\x07\0\0\x01\x02d7");
        assert_eq!(CounterKey(id, Shard(9)).key().0, b"\x08\0\0\x01\x02\x09");
        assert_eq!(RolloutKey(id).key().0, b"\x1e\0\0\x01\x02");
        assert_eq!(FleetFreezeKey.key().0, [33]);
        assert_eq!(deployment(b"\0\0\x01\x02d7"), id);
    }
}
