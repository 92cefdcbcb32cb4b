//! One decision in the making: whatever the rules of it share.

use crate::model::effect::Effects;
use crate::model::now::Now;
use crate::model::txn::Txn;

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

    /// Takes everything back that was decided.
    pub(crate) fn take_back(&mut self) {
        self.txn.take_back();
        self.effects.clear();
    }
}
