//! The history of a deployment, oldest first.

use hoist_protocol::id::DeploymentId;

use crate::model::key::{DeploymentKey, Prefix};
use crate::model::row::HistoryRow;
use crate::query::body::{DeploymentHistory, HISTORY_MAX};
use crate::query::cursor::{self, Cursor};
use crate::query::walk::{self, End, Row, Rows, Way};
use crate::query::{Queried, Reader, SCAN_ROWS, no_deployment, row};
use crate::reply::{HistoryItem, ListResult};

/// `deployment-history`
pub(crate) fn deployment_history(
    reader: &mut Reader,
    list: &DeploymentHistory,
) -> Queried<ListResult<HistoryItem>> {
    let id = DeploymentId(list.deployment);
    if reader.read(&DeploymentKey(id))?.is_none() {
        return Ok(Err(no_deployment(reader, id)?));
    }
    let number = id.to_string();
    let cursor = Cursor::of(DeploymentHistory::VERB, &[Some(number.as_str())]);
    let after = match cursor.open(list.after.as_deref()) {
        Ok(after) => after.map(str::parse),
        Err(rejection) => return Ok(Err(rejection)),
    };
    let after = match after {
        Some(Err(_)) => return Ok(Err(cursor::refusal())),
        Some(Ok(number)) => Some(u32::to_be_bytes(number).to_vec()),
        None => None,
    };
    let prefix = Prefix::History(id);
    let way = Way {
        prefixes: vec![prefix.clone()],
        start: after,
        page: SCAN_ROWS,
        wanted: usize::try_from(list.limit.unwrap_or(HISTORY_MAX)).unwrap_or(1),
        rows: super::LOOKED_AT_MAX,
        end: End::OneMore,
    };
    let before = prefix.bytes().0.len();
    let look = |_: &Reader, pages: &[Rows]| {
        let looked = pages.iter().copied().flatten().map(|(key, value)| {
            let happened: HistoryRow = row(key, value)?;
            let number = key.0.get(before..).and_then(|bytes| bytes.try_into().ok());
            let item = HistoryItem::from(&happened);
            // A text of a person may need six bytes for one when escaped.
            let bytes = 300 + 6 * item.text.len();
            Ok(Row {
                mark: number.map_or(0, u32::from_be_bytes).to_string(),
                item: Some((item, bytes)),
            })
        });
        looked.collect()
    };
    walk::page(reader, |walks| &mut walks.history, (&way, &cursor), look)
}
