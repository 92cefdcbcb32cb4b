//! Looks for the line of a limited deployment among all members of its group (S10), page
//! by page and beside the loop: a million members take seconds. What a line is, and whether
//! the one found still holds, is the core's.

use std::collections::BTreeMap;
use std::sync::Arc;

use hoist_orchestrator_core::model::damage::Damage;
use hoist_orchestrator_core::model::key::{DeviceKey, GroupKey, Key, Prefix, RecordKey, RowKey};
use hoist_orchestrator_core::model::row::{DeviceRow, MemberRow, RecordRow};
use hoist_orchestrator_core::model::search::{Found, Seek};
use hoist_orchestrator_core::model::txn::Txn;
use hoist_orchestrator_core::rules::rollout::limit::{Known, Needs, Search};
use hoist_protocol::codec::decode;
use hoist_protocol::id::DeviceId;

use crate::rows::{self, ReadError};
use crate::store::Store;

/// Members read at once: long enough to be quick, short enough to let others read.
const PAGE: usize = 512;

/// What is known of a member.
type Rows = (Option<DeviceRow>, Option<RecordRow>, bool);

/// The rows of those members that a search has to look at.
async fn look_at(
    store: &dyn Store,
    search: &Search,
    members: &[(DeviceId, MemberRow)],
) -> Result<BTreeMap<DeviceId, Rows>, ReadError> {
    let (id, before) = (search.deployment(), search.in_place_of());
    let needs = members
        .iter()
        .map(|(device, row)| (device, search.needs(device, row)));
    let needs: Vec<_> = needs
        .filter(|(_, needs)| *needs != Needs::Nothing)
        .collect();
    let mut keys = Vec::new();
    for (device, needs) in &needs {
        keys.push(DeviceKey((*device).clone()).key());
        if *needs == Needs::DeviceAndRecord {
            keys.push(RecordKey(id, (*device).clone()).key());
        }
        keys.extend(before.map(|before| RecordKey(before, (*device).clone()).key()));
    }
    let mut txn = Txn::default();
    rows::load(store, &mut txn, keys).await?;
    let mut known = BTreeMap::new();
    for (device, needs) in needs {
        let key = DeviceKey(device.clone());
        let of = rows::resolve(store, &mut txn, |txn| txn.read(&key)).await?;
        let record = match needs {
            Needs::DeviceAndRecord => {
                let key = RecordKey(id, device.clone());
                rows::resolve(store, &mut txn, |txn| txn.read(&key)).await?
            }
            Needs::Nothing | Needs::Device => None,
        };
        let began = match before {
            Some(before) => {
                let key = RecordKey(before, device.clone());
                let record = rows::resolve(store, &mut txn, |txn| txn.read(&key)).await?;
                record.is_some()
            }
            None => false,
        };
        known.insert(device.clone(), (of, record, began));
    }
    Ok(known)
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
        let mut looked_at = look_at(&*store, &search, &members).await?;
        for (device, row) in members {
            let (of, record, began) = looked_at.remove(&device).unwrap_or_default();
            let known = Known {
                device: of.as_ref(),
                record: record.as_ref(),
                began,
            };
            search.member(device, &row, known);
        }
        match page.items.last() {
            Some((key, _)) if page.more => after = Some(key.clone()),
            _ => return Ok(search.found()),
        }
    }
}
