//! The history of events, oldest first.

use crate::model::kept::EventId;
use crate::model::key::{EventHeadKey, Prefix};
use crate::model::row::EventRow;
use crate::query::body::{EVENTS_MAX, EventList};
use crate::query::cursor::{self, Cursor};
use crate::query::walk::{self, End, Row, Rows, Way};
use crate::query::{Queried, Reader, SCAN_ROWS, row};
use crate::reply::{EventItem, ListResult};
use crate::rules::text::parse_moment;

/// `event-list`: of the groups that the reader may see, and of everything.
pub(crate) fn event_list(reader: &mut Reader, list: &EventList) -> Queried<ListResult<EventItem>> {
    let since = list.since.as_deref();
    let since = since.map(|text| parse_moment("since", text)).transpose();
    let since_ms = match since {
        Ok(since) => since.unwrap_or_default(),
        Err(rejection) => return Ok(Err(rejection)),
    };
    let head = reader.read_or_empty(&EventHeadKey)?;
    let filter = [&list.since, &list.kind, &list.after_event];
    let filter = filter.map(|text| text.as_deref());
    let cursor = Cursor::of(EventList::VERB, &filter);
    let after = match cursor.open(list.after.as_deref()) {
        Ok(after) => after.map(str::parse),
        Err(rejection) => return Ok(Err(rejection)),
    };
    let behind = list.after_event.as_deref().map(str::parse::<EventId>);
    let start = match (after, behind) {
        (Some(Err(_)), _) => return Ok(Err(cursor::refusal())),
        (_, Some(Err(_))) => return Ok(Err(no_event())),
        (Some(Ok(number)), _) => Some(number),
        // Ids of a history that is gone say nothing about this one.
        (None, Some(Ok(id))) => (id.origin_ms == head.origin_ms).then_some(id.number),
        (None, None) => None,
    };
    let way = Way {
        prefixes: vec![Prefix::Events],
        start: start.map(|number: u64| number.to_be_bytes().to_vec()),
        page: SCAN_ROWS,
        wanted: usize::try_from(list.limit.unwrap_or(EVENTS_MAX)).unwrap_or(1),
        rows: super::LOOKED_AT_MAX,
        end: End::OneMore,
    };
    let origin_ms = head.origin_ms;
    let look = |reader: &Reader, pages: &[Rows]| {
        let looked = pages.iter().copied().flatten().map(|(key, value)| {
            let event: EventRow = row(key, value)?;
            let number = key.0.get(1..).and_then(|bytes| bytes.try_into().ok());
            let number = number.map_or(0, u64::from_be_bytes);
            let is_kind = list.kind.as_ref().is_none_or(|kind| *kind == event.kind);
            let is_wanted = event.at_ms >= since_ms && is_kind;
            let is_shown = is_wanted && reader.may_see(event.group.as_ref());
            let id = EventId { origin_ms, number };
            // A character of a text may be escaped once more.
            let item = || (EventItem::new(id, &event), 200 + event.data.len());
            Ok(Row {
                mark: number.to_string(),
                item: is_shown.then(item),
            })
        });
        looked.collect()
    };
    walk::page(reader, |walks| &mut walks.events, (&way, &cursor), look)
}

fn no_event() -> crate::model::error::Rejection {
    use crate::model::error::{Code, Rejection};
    let why = "no event has such an id";
    let hint = "take the `id` of an event, or leave it out";
    Rejection::new(Code::Command, why)
        .field("afterEvent")
        .hint(hint)
}
