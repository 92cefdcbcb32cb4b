//! Running counts of records, added up here and not by the core.

use hoist_orchestrator_core::model::row::{CounterRow, RecordRow, RecordState};
use serde::Serialize;

/// The counts of the records of one shard, added up here and not by the core.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Tally {
    in_progress: i64,
    successful: i64,
    failed: i64,
    outside: i64,
}

impl Tally {
    pub(super) fn count(&mut self, record: &RecordRow, by: i64) {
        match record.state {
            RecordState::InProgress(_) => self.in_progress += by,
            RecordState::Successful(_) => self.successful += by,
            RecordState::Failed(_) | RecordState::TimedOut => self.failed += by,
        }
        self.outside += if record.outside { by } else { 0 };
    }

    pub(super) fn of(row: &CounterRow) -> Self {
        Self {
            in_progress: row.steps.iter().map(|count| i64::from(*count)).sum(),
            successful: i64::from(row.successful),
            failed: row.failed.iter().map(|(_, count)| i64::from(*count)).sum(),
            outside: i64::from(row.outside),
        }
    }
}
