//! A list that goes on where it was: every page of a range is looked at once, however often
//! the query is asked again for what it lacked meanwhile, and so many rows in one request. Several
//! ranges whose keys end in the same names are gone along side by side, in the order of the names.

use crate::model::key::{Key, Prefix};
use crate::query::cursor::Cursor;
use crate::query::{ITEMS_BYTES_MAX, Need, Queried, Reader};
use crate::reply::view::DeploymentView;
use crate::reply::{AuditItem, DeviceItem, EventItem, FailedDevice, HistoryItem, ListResult};

/// The progress of a list.
#[derive(Debug, Clone)]
pub(super) struct Walk<T> {
    /// The end of the last key of the pages that are done.
    done: Option<Vec<u8>>,
    /// The items found so far.
    pub(super) items: Vec<T>,
    bytes: usize,
    looked_at: usize,
    /// The name in a cursor of the last row that was looked at.
    mark: Option<String>,
}

impl<T> Default for Walk<T> {
    fn default() -> Self {
        Self {
            done: None,
            items: Vec::new(),
            bytes: 0,
            looked_at: 0,
            mark: None,
        }
    }
}

/// Where a list goes along, and when it ends.
pub(super) struct Way {
    /// The ranges; none = nothing is listed.
    pub(super) prefixes: Vec<Prefix>,
    /// Only rows whose keys end in something behind this.
    pub(super) start: Option<Vec<u8>>,
    /// Rows of a range that are read at once.
    pub(super) page: usize,
    /// Most items.
    pub(super) wanted: usize,
    /// Rows looked at after which it ends early, so that nobody waits long for an answer.
    pub(super) rows: usize,
    /// The condition for the end.
    pub(super) end: End,
}

/// Where a list is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With the last item wanted.
    Wanted,
    /// Once it is known whether one more would have followed.
    OneMore,
}

impl Way {
    /// The end of a key in the range of a prefix, behind that.
    fn rest(prefix: &Prefix, key: &Key) -> Vec<u8> {
        key.0.iter().skip(prefix.bytes().0.len()).copied().collect()
    }

    /// The next rows of each range, as far as those of all are known, and where they end unless
    /// all ranges do.
    fn pages<'a>(
        &self,
        reader: &'a Reader,
        done: Option<&Vec<u8>>,
    ) -> Result<(Vec<Rows<'a>>, Option<Vec<u8>>), Need> {
        let mut pages: Vec<Rows> = Vec::with_capacity(self.prefixes.len());
        for prefix in &self.prefixes {
            let after = done.map(|done| Key([&prefix.bytes().0[..], done].concat()));
            pages.push(reader.scan(prefix, after.as_ref(), self.page)?);
        }
        let ranges = self.prefixes.iter().zip(&pages);
        let full = ranges.filter(|(_, page)| page.len() == self.page);
        let lasts = full.filter_map(|(prefix, page)| Some(Self::rest(prefix, &page.last()?.0)));
        let last = lasts.min();
        if let Some(last) = &last {
            for (prefix, page) in self.prefixes.iter().zip(&mut pages) {
                let known = page.partition_point(|(key, _)| Self::rest(prefix, key) <= *last);
                *page = page.get(..known).unwrap_or_default();
            }
        }
        Ok((pages, last))
    }
}

/// Rows of a range, in the order of their keys.
pub(super) type Rows<'a> = &'a [(Key, Vec<u8>)];

/// A row that was looked at.
pub(super) struct Row<T> {
    /// Its name in a cursor.
    pub(super) mark: String,
    /// The item that is listed of the row, and the most bytes that the item takes as JSON.
    pub(super) item: Option<(T, usize)>,
}

impl<T> Walk<T> {
    /// Goes on to the end. What the last row is called that was looked at, when there may be
    /// more behind it.
    ///
    /// # Errors
    /// [`Need`]: answer it and go on; pages that are done are not looked at again.
    pub(super) fn go(
        &mut self,
        reader: &mut Reader,
        way: &Way,
        look: impl Fn(&Reader, &[Rows]) -> Result<Vec<Row<T>>, Need>,
    ) -> Result<Option<String>, Need> {
        loop {
            let done = self.done.as_ref().or(way.start.as_ref());
            let (pages, last) = way.pages(reader, done)?;
            let rows = look(reader, &pages)?;
            self.looked_at += pages.iter().map(|page| page.len()).sum::<usize>();
            for row in rows {
                if let Ended::Yes = self.take(row, way) {
                    return Ok(self.mark.take());
                }
            }
            for prefix in &way.prefixes {
                reader.forget(prefix);
            }
            match last {
                Some(last) => self.done = Some(last),
                None => return Ok(None),
            }
            if self.looked_at >= way.rows {
                return Ok(self.mark.take());
            }
        }
    }

    fn take(&mut self, row: Row<T>, way: &Way) -> Ended {
        if let Some((item, bytes)) = row.item {
            let full = self.bytes + bytes > ITEMS_BYTES_MAX && !self.items.is_empty();
            if full || self.items.len() == way.wanted {
                return Ended::Yes;
            }
            self.bytes += bytes;
            self.items.push(item);
        }
        self.mark = Some(row.mark);
        match way.end == End::Wanted && self.items.len() == way.wanted {
            true => Ended::Yes,
            false => Ended::No,
        }
    }
}

/// The completeness of a list.
enum Ended {
    Yes,
    No,
}

/// A page of a list. A walk that lacks something is kept, and goes on when the query is asked again.
pub(super) fn page<T>(
    reader: &mut Reader,
    of: impl Fn(&mut Walks) -> &mut Walk<T>,
    (way, cursor): (&Way, &Cursor),
    look: impl Fn(&Reader, &[Rows]) -> Result<Vec<Row<T>>, Need>,
) -> Queried<ListResult<T>> {
    let mut walk = std::mem::take(of(&mut reader.walks));
    match walk.go(reader, way, look) {
        Ok(last) => {
            let next = last.map(|last| cursor.behind(&last));
            let items = walk.items;
            Ok(Ok(ListResult { items, next }))
        }
        Err(need) => {
            *of(&mut reader.walks) = walk;
            Err(need)
        }
    }
}

/// The lists that a [`Reader`] may be on.
#[derive(Debug, Clone, Default)]
pub(super) struct Walks {
    pub(super) devices: Walk<DeviceItem>,
    pub(super) deployments: Walk<DeploymentView>,
    pub(super) failed: Walk<FailedDevice>,
    pub(super) audit: Walk<AuditItem>,
    pub(super) history: Walk<HistoryItem>,
    pub(super) events: Walk<EventItem>,
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::query::Scan;

    const ROWS: u8 = 100;

    fn way(wanted: usize, rows: usize) -> Way {
        Way {
            prefixes: vec![Prefix::Devices],
            start: None,
            page: 10,
            wanted,
            rows,
            end: End::OneMore,
        }
    }

    /// Walks along numbers, and lists every fiftieth; each page lacks something at first.
    fn walk(way: &Way) -> (Walk<u8>, Option<String>, usize) {
        let (mut reader, mut walk) = (Reader::default(), Walk::default());
        let (looked, lacks) = (Cell::new(0), Cell::new(true));
        let look = |_: &Reader, pages: &[Rows]| {
            let page = pages[0];
            if lacks.replace(!lacks.get()) {
                return Err(Need::Scan(scan(way, None)));
            }
            looked.set(looked.get() + page.len());
            let numbers = page.iter().map(|(key, _)| key.0[1]);
            let row = |number: u8| Row {
                mark: number.to_string(),
                item: (number % 50 == 49).then_some((number, 1)),
            };
            Ok(numbers.map(row).collect())
        };
        loop {
            match walk.go(&mut reader, way, look) {
                Ok(last) => return (walk, last, looked.get()),
                Err(Need::Scan(scan)) => {
                    let behind = scan.after.as_ref().map_or(0, |key| key.0[1] + 1);
                    let numbers = (behind..ROWS).take(scan.limit);
                    let rows = numbers.map(|number| (Key(vec![3, number]), Vec::new()));
                    reader.page(scan, rows.collect());
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    }

    fn scan(way: &Way, after: Option<Key>) -> Scan {
        Scan {
            prefix: way.prefixes[0].clone(),
            after,
            limit: way.page,
        }
    }

    #[test]
    fn each_row_is_looked_at_once_however_often_something_is_missing() {
        let (walk, last, looked) = walk(&way(5, 1_000));
        assert_eq!(walk.items, [49, 99]);
        assert_eq!((last, looked), (None, usize::from(ROWS)));
    }

    #[test]
    fn it_ends_early_and_says_behind_which_row_it_goes_on() {
        let (walk, last, looked) = walk(&way(5, 25));
        assert!(walk.items.is_empty());
        assert_eq!((last.as_deref(), looked), (Some("29"), 30));
    }

    #[test]
    fn a_full_list_goes_on_before_the_item_that_had_no_place() {
        let (walk, last, _) = walk(&way(1, 1_000));
        assert_eq!(
            (walk.items.as_slice(), last.as_deref()),
            (&[49][..], Some("98"))
        );
    }

    #[test]
    fn ranges_are_gone_along_side_by_side_and_no_row_is_passed_over_or_shown_twice() {
        let way = Way {
            prefixes: vec![Prefix::Devices, Prefix::Revoked],
            ..way(100, 1_000)
        };
        // One range has every number, the other those that three divides, and some beyond.
        let held = |prefix: &Prefix, number: u8| match prefix {
            Prefix::Devices => number < 40,
            _ => number.is_multiple_of(3) && number < 99,
        };
        let (mut reader, mut walk) = (Reader::default(), Walk::<u8>::default());
        let look = |_: &Reader, pages: &[Rows]| {
            let numbers = pages.iter().flat_map(|page| page.iter());
            let numbers: std::collections::BTreeSet<u8> =
                numbers.map(|(key, _)| key.0[1]).collect();
            let row = |number: u8| Row {
                mark: number.to_string(),
                item: Some((number, 1)),
            };
            Ok(numbers.into_iter().map(row).collect())
        };
        loop {
            match walk.go(&mut reader, &way, look) {
                Ok(last) => break assert_eq!(last, None),
                Err(Need::Scan(scan)) => {
                    let behind = scan.after.as_ref().map_or(0, |key| key.0[1] + 1);
                    let numbers = (behind..ROWS).filter(|number| held(&scan.prefix, *number));
                    let first = scan.prefix.bytes().0[0];
                    let rows = numbers.map(|number| (Key(vec![first, number]), Vec::new()));
                    let rows = rows.take(scan.limit).collect();
                    reader.page(scan, rows);
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        let all = (0..ROWS).filter(|number| way.prefixes.iter().any(|of| held(of, *number)));
        assert_eq!(walk.items, all.collect::<Vec<u8>>());
    }
}
