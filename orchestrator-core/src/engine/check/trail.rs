//! The audit trail is whole: each item follows the one before, and the end is where it is said to be.

use std::collections::BTreeMap;

use hoist_protocol::codec::{DecodeError, decode};

use super::Findings;
use crate::model::row::{AuditChain, AuditHeadRow, AuditRow};

/// The audit trail, as far as it is read.
#[derive(Default)]
pub(super) struct Trail {
    head: Option<AuditHeadRow>,
    /// As far as it is whole.
    chain: AuditChain,
    /// Items that came before one that precedes them; of rows in the order of their keys at most
    /// one.
    waiting: BTreeMap<u64, AuditRow>,
    broken: bool,
}

impl Trail {
    /// Reads a row of the trail; `None` for one under no key of it.
    pub(super) fn read(
        &mut self,
        kind: u8,
        rest: &[u8],
        bytes: &[u8],
    ) -> Result<Option<()>, DecodeError> {
        match (kind, rest.split_first_chunk()) {
            (28, _) => self.head = Some(decode(bytes)?),
            (_, Some((number, []))) => self.item(u64::from_be_bytes(*number), decode(bytes)?),
            _ => return Ok(None),
        }
        Ok(Some(()))
    }

    /// Takes an item in.
    fn item(&mut self, number: u64, row: AuditRow) {
        if self.broken {
            return;
        }
        self.waiting.insert(number, row);
        while let Some(row) = self.waiting.remove(&(self.chain.items + 1)) {
            if !self.chain.take(&row) {
                self.broken = true;
                self.waiting.clear();
                return;
            }
        }
    }

    pub(super) fn check(&self, findings: &mut Findings) {
        let head = self.head.unwrap_or_default();
        let next = self.chain.items + 1;
        let ends = (head.number, head.hash) == (self.chain.items, self.chain.hash);
        if self.broken {
            let what = "it does not follow the item before it: one of them was changed";
            findings.add(format!("audit item {next}"), what);
        } else if !self.waiting.is_empty() || !ends {
            let what = format!(
                "it is missing, or not the last: the trail ends at {}",
                head.number
            );
            findings.add(format!("audit item {next}"), what);
        }
    }
}
