//! Looks for the devices that a pass has to change, page by page and beside the loop. Which they are,
//! and whether they still are when they are changed, is the core's.

use hoist_orchestrator_core::model::damage::Damage;
use hoist_orchestrator_core::model::key::{DeviceKey, Key, Prefix, RowKey};
use hoist_orchestrator_core::model::row::DeviceRow;
use hoist_orchestrator_core::model::search::{PassPage, PassSeek};
use hoist_orchestrator_core::rules::pass::PassSearch;
use hoist_protocol::codec::decode;

use crate::rows::ReadError;
use crate::store::Store;

/// Devices read at once: long enough to be quick, short enough to let others read.
const PAGE: usize = 512;

/// Finds a page.
///
/// # Errors
/// [`ReadError`]; it is asked for again.
pub(crate) async fn page(store: &dyn Store, seek: PassSeek) -> Result<PassPage, ReadError> {
    let prefix = Prefix::Devices;
    let mut search = PassSearch::new(seek);
    let mut after = search
        .after()
        .map(|device| DeviceKey(device.clone()).key().0);
    loop {
        let page = store.scan(prefix.bytes().0, after.take(), PAGE).await?;
        for (key, row) in &page.items {
            let key = Key(key.clone());
            let row: DeviceRow = match decode(&row.value) {
                Ok(row) => row,
                Err(source) => return Err(Damage::Unreadable { key, source }.into()),
            };
            let Some(Ok(device)) = prefix.rest(&key).map(|text| text.parse()) else {
                continue;
            };
            if search.device(device, &row) {
                return Ok(search.found(true));
            }
        }
        match page.items.last() {
            Some((key, _)) if page.more => after = Some(key.clone()),
            _ => return Ok(search.found(false)),
        }
    }
}
