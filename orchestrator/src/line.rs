//! Looks for the line of a limited deployment among all members of its group (S10), page
//! by page and beside the loop: a million members take seconds. What a line is, and whether
//! the one found still holds, is the core's.

use std::collections::BTreeSet;
use std::sync::Arc;

use hoist_orchestrator_core::model::damage::Damage;
use hoist_orchestrator_core::model::key::{DeviceKey, GroupKey, Key, Prefix, RowKey};
use hoist_orchestrator_core::model::row::MemberRow;
use hoist_orchestrator_core::model::search::{Found, Seek};
use hoist_orchestrator_core::model::txn::Txn;
use hoist_orchestrator_core::rules::rollout::limit::Search;
use hoist_protocol::codec::decode;
use hoist_protocol::id::DeviceId;

use crate::rows::{self, ReadError};
use crate::store::Store;

/// Members read at once: long enough to be quick, short enough to let others read.
const PAGE: usize = 512;

/// Those of some members who are away for so long that they take no slot of a rollout.
async fn away(
    store: &dyn Store,
    search: &Search,
    members: &[(DeviceId, MemberRow)],
) -> Result<BTreeSet<DeviceId>, ReadError> {
    let mut txn = Txn::default();
    let looked_at = members
        .iter()
        .filter_map(|(device, row)| Some((device, search.away_before_ms(device, row)?)));
    let looked_at: Vec<(&DeviceId, u64)> = looked_at.collect();
    let keys = looked_at
        .iter()
        .map(|(device, _)| DeviceKey((*device).clone()));
    rows::load(store, &mut txn, keys.map(|key| key.key()).collect()).await?;
    let mut away = BTreeSet::new();
    for (device, before_ms) in looked_at {
        let key = DeviceKey(device.clone());
        let row = rows::resolve(store, &mut txn, |txn| txn.read(&key)).await?;
        if row.is_some_and(|row| row.is_away(before_ms)) {
            away.insert(device.clone());
        }
    }
    Ok(away)
}

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
        let mut members = Vec::new();
        for (key, row) in &page.items {
            let key = Key(key.clone());
            let row: MemberRow = match decode(&row.value) {
                Ok(row) => row,
                Err(source) => return Err(Damage::Unreadable { key, source }.into()),
            };
            if let Some(Ok(device)) = prefix.rest(&key).map(|text| text.parse()) {
                members.push((device, row));
            }
        }
        let away = away(&*store, &search, &members).await?;
        for (device, row) in members {
            let is_away = away.contains(&device);
            search.member(device, &row, is_away);
        }
        match page.items.last() {
            Some((key, _)) if page.more => after = Some(key.clone()),
            _ => return Ok(search.found()),
        }
    }
}
