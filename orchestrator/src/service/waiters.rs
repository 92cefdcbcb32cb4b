//! People who wait for an answer by HTTP, by the number that the engine knows them by.

use std::collections::HashMap;

use hoist_orchestrator_core::engine::delivery::Waiter;
use tokio::sync::oneshot;

/// Everybody who waits.
#[derive(Default)]
pub(super) struct Waiters {
    waiting: HashMap<Waiter, oneshot::Sender<Vec<u8>>>,
    /// The number of the last one.
    last: u64,
}

impl Waiters {
    /// Somebody begins to wait.
    pub(super) fn enter(&mut self, answer_to: oneshot::Sender<Vec<u8>>) -> Waiter {
        self.last += 1;
        let waiter = Waiter(self.last);
        self.waiting.insert(waiter, answer_to);
        waiter
    }

    /// Somebody is answered.
    pub(super) fn take(&mut self, waiter: Waiter) -> Option<oneshot::Sender<Vec<u8>>> {
        self.waiting.remove(&waiter)
    }
}
