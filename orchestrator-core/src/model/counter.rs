//! Counters of a deployment, kept per shard so that several orchestrators never fight over
//! one row, and summed when read. What a record counts as is a function of the record, so
//! nothing is ever counted twice (S15): a change takes the old away and adds the new.

use std::collections::BTreeMap;

use hoist_protocol::id::{DeploymentId, DeviceId, Round, Shard};
use hoist_protocol::reason::Reason;
use hoist_protocol::status::{Rollback, Step};
use serde::{Deserialize, Serialize};

use crate::model::key::{CounterKey, Key, RecordKey, RowKey};
use crate::model::row::{CounterRow, Ended, RecordRow, RecordState};
use crate::model::txn::{Txn, Undecided};

/// The counters of a deployment, summed over its shards.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    /// In progress, by step in wire order.
    pub steps: [u32; 5],
    /// Successful.
    pub successful: u32,
    /// Failed, by the reason's place in the wire's list.
    pub failed: BTreeMap<u8, u32>,
    /// Failed ones by round.
    pub failed_rounds: BTreeMap<Round, u32>,
    /// Failed ones that are to begin again in a round of their own.
    pub again: u32,
    /// Records that ever retried.
    pub retried: u32,
    /// Failed records that rolled back.
    pub rolled_back: u32,
    /// Records of devices that left the group.
    pub outside: u32,
    /// Successful ones among them.
    pub outside_successful: u32,
    /// Failed ones that the server inferred (S7).
    pub provisional: u32,
}

impl Totals {
    /// Adds one shard.
    pub fn add(&mut self, row: &CounterRow) {
        for (sum, part) in self.steps.iter_mut().zip(row.steps) {
            *sum += part;
        }
        for (reason, count) in &row.failed {
            *self.failed.entry(*reason).or_default() += count;
        }
        for (round, count) in &row.failed_rounds {
            *self.failed_rounds.entry(*round).or_default() += count;
        }
        self.again += row.again;
        self.successful += row.successful;
        self.retried += row.retried;
        self.rolled_back += row.rolled_back;
        self.outside += row.outside;
        self.outside_successful += row.outside_successful;
        self.provisional += row.provisional;
    }

    /// Devices that ended and said so. Those that the release does not fit are nobody's failure
    /// (S12).
    #[must_use]
    pub fn ended(&self) -> Ended {
        let unable = self.failed.get(&(Reason::Incompatible as u8));
        let aside = self
            .provisional
            .saturating_add(unable.copied().unwrap_or(0));
        Ended {
            successful: self.successful,
            failed: self.all_failed().saturating_sub(aside),
        }
    }

    /// Devices that are at work.
    #[must_use]
    pub fn in_progress(&self) -> u32 {
        self.steps.iter().sum()
    }

    /// Devices that have started: all with a record but those that could not (S10, S12).
    #[must_use]
    pub fn started(&self) -> u32 {
        let unable = self.failed.get(&(Reason::Incompatible as u8));
        let all = self.steps.iter().sum::<u32>() + self.successful + self.all_failed();
        all.saturating_sub(unable.copied().unwrap_or(0))
    }

    /// Failed devices that are to begin again: those of rounds below this one, and those
    /// with a round of their own (S13).
    #[must_use]
    pub fn to_begin_again(&self, round: Round) -> u32 {
        let below = self.failed_rounds.range(..round).map(|(_, count)| count);
        below.sum::<u32>() + self.again
    }

    /// Failed devices.
    #[must_use]
    pub fn all_failed(&self) -> u32 {
        self.failed.values().sum()
    }

    /// The counts, in a group of this many members: Pending = members without a record (S5).
    /// A record stays with its deployment when its device leaves, so what counts as members
    /// is everyone who is counted, and never fewer than were successful (S14).
    #[must_use]
    pub fn counts(&self, members: u32) -> Counts {
        let in_progress = self.steps.iter().sum::<u32>();
        let failed = self.all_failed();
        let begun = in_progress + self.successful + failed;
        let pending = members.saturating_sub(begun.saturating_sub(self.outside));
        Counts {
            members: pending + begun,
            pending,
            in_progress,
            successful: self.successful,
            failed,
        }
    }
}

/// The key of the counters that a device's record is in.
pub(crate) fn key_of(deployment: DeploymentId, device: &DeviceId) -> Key {
    CounterKey(deployment, Shard::of(device)).key()
}

/// The keys of every shard's counters.
pub(crate) fn keys(deployment: DeploymentId) -> impl Iterator<Item = Key> {
    (0..=u8::MAX).map(move |shard| CounterKey(deployment, Shard(shard)).key())
}

/// Sums a deployment's counters.
pub(crate) fn totals(txn: &Txn, deployment: DeploymentId) -> Result<Totals, Undecided> {
    txn.want(keys(deployment))?;
    let mut totals = Totals::default();
    for shard in 0..=u8::MAX {
        if let Some(row) = txn.read(&CounterKey(deployment, Shard(shard)))? {
            totals.add(&row);
        }
    }
    Ok(totals)
}

/// Writes a record and moves its counters along.
pub(crate) fn put_record(
    txn: &mut Txn,
    key: &RecordKey,
    old: Option<&RecordRow>,
    new: &RecordRow,
) -> Result<(), Undecided> {
    let RecordKey(deployment, device) = key;
    let counter = CounterKey(*deployment, Shard::of(device));
    let mut row = txn.read_or_empty(&counter)?;
    if let Some(old) = old {
        apply(&mut row, old, |count| *count = count.saturating_sub(1));
    }
    apply(&mut row, new, |count| *count += 1);
    row.failed.retain(|(_, count)| *count > 0);
    row.failed_rounds.retain(|(_, count)| *count > 0);
    row.updated_ms = row.updated_ms.max(new.updated_ms);
    txn.put(&counter, &row);
    txn.put(key, new);
    Ok(())
}

/// Everything a record counts as.
fn apply(row: &mut CounterRow, record: &RecordRow, change: impl Fn(&mut u32)) {
    match &record.state {
        RecordState::InProgress(_) if record.lost => change(&mut row.steps[RETRYING]),
        RecordState::InProgress(step) => change(&mut row.steps[step_index(*step)]),
        RecordState::Successful(_) => {
            change(&mut row.successful);
            if record.outside {
                change(&mut row.outside_successful);
            }
        }
        RecordState::Failed(failure) => {
            apply_failed(row, record, failure.reason, &change);
            if failure.rollback == Rollback::Succeeded {
                change(&mut row.rolled_back);
            }
        }
        RecordState::TimedOut => {
            apply_failed(row, record, Reason::TimedOut, &change);
            change(&mut row.provisional);
        }
    }
    if record.retried {
        change(&mut row.retried);
    }
    if record.outside {
        change(&mut row.outside);
    }
}

/// A failed record to begin again in a round of its own counts there, not in its round.
fn apply_failed(
    row: &mut CounterRow,
    record: &RecordRow,
    reason: Reason,
    change: impl Fn(&mut u32),
) {
    change(entry(&mut row.failed, reason as u8));
    if record.again {
        change(&mut row.again);
    } else {
        change(entry(&mut row.failed_rounds, record.round));
    }
}

/// The place of a step without contact (S6).
const RETRYING: usize = 4;

fn step_index(step: Step) -> usize {
    match step {
        Step::Downloading(_) => 0,
        Step::Downloaded => 1,
        Step::Installing => 2,
        Step::Rebooting => 3,
        Step::Retrying | Step::RetryingAfter(_) => RETRYING,
    }
}

/// The count under a key of a sorted list.
fn entry<K: Ord + Copy>(counts: &mut Vec<(K, u32)>, key: K) -> &mut u32 {
    let index = match counts.binary_search_by_key(&key, |(key, _)| *key) {
        Ok(index) => index,
        Err(index) => {
            counts.insert(index, (key, 0));
            index
        }
    };
    &mut counts[index].1
}

/// Adds what a record counts as.
pub(crate) fn count(row: &mut CounterRow, record: &RecordRow) {
    apply(row, record, |count| *count += 1);
}

/// Counts records afresh: what the stored counters must equal.
#[must_use]
pub fn recount<'a>(records: impl IntoIterator<Item = &'a RecordRow>) -> Totals {
    let mut row = CounterRow::default();
    for record in records {
        count(&mut row, record);
    }
    let mut totals = Totals::default();
    totals.add(&row);
    totals
}

/// Devices by status; they add up to the members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Devices that it is about: in the group now, or when the deployment ended (S5), and
    /// those with a record that have left the group.
    pub members: u32,
    /// Members without a record.
    pub pending: u32,
    /// Started.
    pub in_progress: u32,
    /// Ended well.
    pub successful: u32,
    /// Ended badly.
    pub failed: u32,
}
