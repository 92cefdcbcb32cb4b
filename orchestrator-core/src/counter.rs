//! Counters of a deployment, kept per shard so that several orchestrators never fight over
//! one row, and summed when read. What a record counts as is a function of the record, so
//! nothing is ever counted twice (S15): a change takes the old away and adds the new.

use std::collections::BTreeMap;

use hoist_protocol::id::{DeploymentId, Shard};
use hoist_protocol::reason::Reason;
use hoist_protocol::status::{Rollback, Step};

use crate::key::{CounterKey, Key, RecordKey, RowKey};
use crate::row::{CounterRow, RecordRow, RecordState};
use crate::txn::{Txn, Undecided};
use crate::view::Counts;

/// The counters of a deployment, summed over its shards.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    /// In progress, by step in wire order.
    pub steps: [u32; 5],
    /// Successful.
    pub successful: u32,
    /// Failed, by the reason's place in the wire's list.
    pub failed: BTreeMap<u8, u32>,
    /// Records that ever retried.
    pub retried: u32,
    /// Failed records that rolled back.
    pub rolled_back: u32,
    /// Records of devices that left the group.
    pub outside: u32,
    /// Successful ones among them.
    pub outside_successful: u32,
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
        self.successful += row.successful;
        self.retried += row.retried;
        self.rolled_back += row.rolled_back;
        self.outside += row.outside;
        self.outside_successful += row.outside_successful;
    }

    /// The counts beside this many members: Pending = members without a record (S5).
    #[must_use]
    pub fn counts(&self, members: u32) -> Counts {
        let in_progress = self.steps.iter().sum::<u32>();
        let failed = self.failed.values().sum::<u32>();
        let inside = (in_progress + self.successful + failed).saturating_sub(self.outside);
        Counts {
            members,
            pending: members.saturating_sub(inside),
            in_progress,
            successful: self.successful,
            failed,
        }
    }
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
    let mut row = txn.read(&counter)?.unwrap_or_default();
    if let Some(old) = old {
        apply(&mut row, old, |count| *count = count.saturating_sub(1));
    }
    apply(&mut row, new, |count| *count += 1);
    row.failed.retain(|(_, count)| *count > 0);
    txn.put(&counter, &row);
    txn.put(key, new);
    Ok(())
}

/// Everything a record counts as.
fn apply(row: &mut CounterRow, record: &RecordRow, change: impl Fn(&mut u32)) {
    match &record.state {
        RecordState::InProgress(step) => change(&mut row.steps[step_index(*step)]),
        RecordState::Successful(_) => {
            change(&mut row.successful);
            if record.outside {
                change(&mut row.outside_successful);
            }
        }
        RecordState::Failed(failure) => {
            change(failed(row, failure.reason));
            if failure.rollback == Rollback::Succeeded {
                change(&mut row.rolled_back);
            }
        }
        RecordState::TimedOut => change(failed(row, Reason::TimedOut)),
    }
    if record.retried {
        change(&mut row.retried);
    }
    if record.outside {
        change(&mut row.outside);
    }
}

fn step_index(step: Step) -> usize {
    match step {
        Step::Downloading(_) => 0,
        Step::Downloaded => 1,
        Step::Installing => 2,
        Step::Rebooting => 3,
        Step::Retrying => 4,
    }
}

fn failed(row: &mut CounterRow, reason: Reason) -> &mut u32 {
    let place = reason as u8;
    let index = match row
        .failed
        .binary_search_by_key(&place, |(reason, _)| *reason)
    {
        Ok(index) => index,
        Err(index) => {
            row.failed.insert(index, (place, 0));
            index
        }
    };
    &mut row.failed[index].1
}

/// Counts records afresh: what the stored counters must equal.
#[must_use]
pub fn recount<'a>(records: impl IntoIterator<Item = &'a RecordRow>) -> Totals {
    let mut row = CounterRow::default();
    for record in records {
        apply(&mut row, record, |count| *count += 1);
    }
    let mut totals = Totals::default();
    totals.add(&row);
    totals
}
