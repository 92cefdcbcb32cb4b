//! The audit trail, oldest first.

use hoist_protocol::id::UserId;

use crate::model::key::Prefix;
use crate::model::row::AuditRow;
use crate::query::body::{AUDIT_MAX, AuditList};
use crate::query::cursor::{self, Cursor};
use crate::query::walk::{self, End, Row, Rows, Way};
use crate::query::{Queried, Reader, SCAN_ROWS, name, row};
use crate::reply::{AuditItem, ListResult};
use crate::rules::text::parse_moment;

/// The audit trail, or the part of it that one user or the time since then has.
pub(crate) fn audit_list(reader: &mut Reader, list: &AuditList) -> Queried<ListResult<AuditItem>> {
    let user = list
        .user
        .as_deref()
        .map(|text| name::<UserId>("user", text));
    let since = list.since.as_deref();
    let since = since.map(|text| parse_moment("since", text));
    let (user, since_ms) = match (user.transpose(), since.transpose()) {
        (Ok(user), Ok(since)) => (user, since.unwrap_or_default()),
        (Err(rejection), _) | (_, Err(rejection)) => return Ok(Err(rejection)),
    };
    let filter = [list.user.as_deref(), list.since.as_deref()];
    let cursor = Cursor::of(AuditList::VERB, &filter);
    let after = match cursor.open(list.after.as_deref()) {
        Ok(after) => after.map(str::parse),
        Err(rejection) => return Ok(Err(rejection)),
    };
    let after = match after {
        Some(Err(_)) => return Ok(Err(cursor::refusal())),
        Some(Ok(number)) => Some(u64::to_be_bytes(number).to_vec()),
        None => None,
    };
    let way = Way {
        prefixes: vec![Prefix::Audit],
        start: after,
        page: SCAN_ROWS,
        wanted: usize::try_from(list.limit.unwrap_or(AUDIT_MAX)).unwrap_or(1),
        rows: super::LOOKED_AT_MAX,
        end: End::OneMore,
    };
    let look = |_: &Reader, pages: &[Rows]| {
        let looked = pages.iter().copied().flatten().map(|(key, value)| {
            let item: AuditRow = row(key, value)?;
            let number = key.0.get(1..).and_then(|bytes| bytes.try_into().ok());
            let wanted = item.at_s.saturating_mul(1_000) >= since_ms
                && user.as_ref().is_none_or(|user| *user == item.user);
            Ok(Row {
                mark: number.map_or(0, u64::from_be_bytes).to_string(),
                item: wanted.then(|| (AuditItem::from(&item), bytes_at_most(&item))),
            })
        });
        looked.collect()
    };
    walk::page(reader, |walks| &mut walks.audit, (&way, &cursor), look)
}

/// An upper bound of an item's JSON: a character may need two bytes for one when escaped.
fn bytes_at_most(item: &AuditRow) -> usize {
    let texts = [&item.from, &item.verb, &item.target];
    let texts: usize = texts.iter().map(|text| 2 * text.len()).sum();
    240 + item.user.as_str().len() + item.request.as_str().len() + texts
}
