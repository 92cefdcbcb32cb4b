//! Looks for the line of a limited deployment among all members of its group (S10), page
//! by page and beside the loop: a million members take seconds. What a line is, and whether
//! the one found still holds, is the core's.

use std::sync::Arc;

use hoist_orchestrator_core::model::damage::Damage;
use hoist_orchestrator_core::model::key::{GroupKey, Key, Prefix};
use hoist_orchestrator_core::model::row::MemberRow;
use hoist_orchestrator_core::model::search::{Found, Seek};
use hoist_orchestrator_core::model::txn::Txn;
use hoist_orchestrator_core::rules::rollout::limit::Search;
use hoist_protocol::codec::decode;

use crate::rows::{self, ReadError};
use crate::store::Store;

/// Members read at once: long enough to be quick, short enough to let others read.
const PAGE: usize = 512;

/// Finds a line.
///
/// # Errors
/// [`ReadError`]; it is asked for again.
pub(crate) async fn find(store: Arc<dyn Store>, seek: Seek) -> Result<Found, ReadError> {
    let mut txn = Txn::default();
    let key = GroupKey(seek.group.clone());
    // Before the members: a change among them from now on is another turn.
    let group = rows::resolve(&*store, &mut txn, |txn| txn.read(&key)).await?;
    let prefix = Prefix::Members(seek.group.clone());
    // The line of a group that was removed since is void, whatever it is.
    let mut search = Search::new(seek, group.map_or(0, |row| row.turn));
    let mut after = None;
    loop {
        let page = store.scan(prefix.bytes().0, after.take(), PAGE).await?;
        for (key, row) in &page.items {
            let key = Key(key.clone());
            let row: MemberRow = match decode(&row.value) {
                Ok(row) => row,
                Err(source) => return Err(Damage::Unreadable { key, source }.into()),
            };
            if let Some(Ok(device)) = prefix.rest(&key).map(|text| text.parse()) {
                search.member(device, &row);
            }
        }
        match page.items.last() {
            Some((key, _)) if page.more => after = Some(key.clone()),
            _ => return Ok(search.found()),
        }
    }
}
