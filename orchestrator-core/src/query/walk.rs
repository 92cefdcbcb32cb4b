//! A list that goes on where it was: every page of a range is looked at once, however often
//! the query is asked again for what it lacked meanwhile, and so many rows in one request.

use crate::model::key::{Key, Prefix};
use crate::query::{ITEMS_BYTES_MAX, Need, Reader, ScanPage};
use crate::reply::view::DeploymentView;
use crate::reply::{DeviceItem, FailedDevice};

/// The progress of a list.
#[derive(Debug, Clone)]
pub(super) struct Walk<T> {
    /// The last key of the pages that are done.
    done: Option<Key>,
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
    pub(super) prefix: Prefix,
    /// Only rows behind this key.
    pub(super) start: Option<Key>,
    /// Rows read at once.
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
        look: impl Fn(&Reader, &ScanPage) -> Result<Vec<Row<T>>, Need>,
    ) -> Result<Option<String>, Need> {
        loop {
            let after = self.done.as_ref().or(way.start.as_ref());
            let page = reader.scan(&way.prefix, after, way.page)?;
            let rows = look(reader, page)?;
            let full = page.len() == way.page;
            let last = page.last().filter(|_| full).map(|(key, _)| key.clone());
            self.looked_at += page.len();
            for row in rows {
                if let Ended::Yes = self.take(row, way) {
                    return Ok(self.mark.take());
                }
            }
            reader.forget(&way.prefix);
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

/// The lists that a [`Reader`] may be on.
#[derive(Debug, Clone, Default)]
pub(super) struct Walks {
    pub(super) devices: Walk<DeviceItem>,
    pub(super) deployments: Walk<DeploymentView>,
    pub(super) failed: Walk<FailedDevice>,
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::query::Scan;

    const ROWS: u8 = 100;

    fn way(wanted: usize, rows: usize) -> Way {
        Way {
            prefix: Prefix::Devices,
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
        let look = |_: &Reader, page: &ScanPage| {
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
            prefix: way.prefix.clone(),
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
}
