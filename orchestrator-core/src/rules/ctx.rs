//! One decision in the making: whatever the rules of it share.

use crate::model::effect::{Effect, Effects};
use crate::model::now::Now;
use crate::model::txn::{Txn, Undecided};

/// The rows that a decision reads and writes, its clocks, and what follows from it. A rule that only
/// reads takes the rows alone.
#[derive(Debug)]
pub(crate) struct Ctx<'a> {
    pub(crate) txn: &'a mut Txn,
    pub(crate) now: Now,
    /// The effects so far, in order.
    pub(crate) effects: Effects,
}

impl<'a> Ctx<'a> {
    /// Nothing is decided yet.
    pub(crate) fn new(txn: &'a mut Txn, now: Now) -> Self {
        Self {
            txn,
            now,
            effects: Effects::new(),
        }
    }

    /// Goes on without what a damaged row stops, and tells of it: nothing else is to wait for that row.
    pub(crate) fn unless_damaged<T>(
        &mut self,
        done: Result<T, Undecided>,
    ) -> Result<Option<T>, Undecided> {
        match done {
            Err(Undecided::Damaged(damage)) => {
                self.effects.push(Effect::Damaged(damage));
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    /// Takes everything back that was decided.
    pub(crate) fn take_back(&mut self) {
        self.txn.take_back();
        self.effects.clear();
    }
}
