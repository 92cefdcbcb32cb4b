//! The CAs of others whose certificates let devices in, as the registry asks.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use hoist_net::tls::server::AuthorityId;

/// Those that are accepted now.
#[derive(Debug, Default)]
pub(crate) struct Accepted {
    ids: RwLock<HashSet<AuthorityId>>,
    changes: AtomicU64,
}

impl Accepted {
    /// These are accepted from now on, and no others.
    pub(crate) fn accept(&self, ids: impl IntoIterator<Item = AuthorityId>) {
        let ids = ids.into_iter().collect();
        let before = {
            let mut now = self.ids.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *now, ids)
        };
        drop(before);
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// True if certificates of this CA let devices in.
    pub(crate) fn has(&self, id: &AuthorityId) -> bool {
        let ids = self.ids.read().unwrap_or_else(PoisonError::into_inner);
        ids.contains(id)
    }

    /// Rises with every change.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }
}
