//! Reading. After a commit that failed, what it was to change is shown as it was before, so
//! that nothing is ever shown that may not be durable.

use std::collections::btree_map;
use std::iter::Peekable;
use std::ops::Bound;

use sled::IVec;

use super::super::super::{Page, StoreError, Versioned};
use super::{Open, SEAL_KEY};

/// A row as it is stored.
type Row = (Vec<u8>, IVec);

impl Open {
    pub(in super::super) fn get(&self, key: &[u8]) -> Result<Option<Versioned>, StoreError> {
        let found = match self.before.get(key) {
            Some(before) => before.clone(),
            None => self.db.get(key).map_err(|error| self.failed(error))?,
        };
        found.map(|stored| self.versioned(&stored)).transpose()
    }

    pub(in super::super) fn scan(
        &self,
        prefix: &[u8],
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let start = match after.filter(|key| key.as_slice() >= prefix) {
            Some(key) => Bound::Excluded(key),
            None => Bound::Included(prefix.to_vec()),
        };
        let mut page = Page::default();
        for row in self.rows(start) {
            let (key, stored) = row?;
            if !key.starts_with(prefix) || key == SEAL_KEY {
                break;
            }
            if page.items.len() == limit {
                page.more = true;
                break;
            }
            let row = self.versioned(&stored)?;
            page.items.push((key, row));
        }
        Ok(page)
    }

    /// Every row, key and value.
    pub(in super::super) fn everything(
        &self,
    ) -> impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), StoreError>> {
        let rows = self.rows(Bound::Unbounded).filter(|row| match row {
            Ok((key, _)) => key != SEAL_KEY,
            Err(_) => true,
        });
        rows.map(|row| {
            let (key, stored) = row?;
            Ok((key, self.versioned(&stored)?.value))
        })
    }

    /// Rows in the order of their keys: sled's, and in the place of those that a failed
    /// commit was to change, those from before it.
    fn rows(&self, start: Bound<Vec<u8>>) -> impl Iterator<Item = Result<Row, StoreError>> {
        let end = Bound::<Vec<u8>>::Unbounded;
        let mut before = self.before.range((start.clone(), end.clone())).peekable();
        let own = self.db.range((start, end)).filter_map(|row| match row {
            Ok((key, _)) if self.before.contains_key(&*key) => None,
            Ok((key, stored)) => Some(Ok((key.to_vec(), stored))),
            Err(error) => Some(Err(self.failed(error))),
        });
        let mut own = own.peekable();
        std::iter::from_fn(move || match own.peek() {
            Some(Ok((key, _))) => match next_present(&mut before, Some(key)) {
                Some(row) => Some(Ok(row)),
                None => own.next(),
            },
            Some(Err(_)) => own.next(),
            None => next_present(&mut before, None).map(Ok),
        })
    }

    pub(super) fn versioned(&self, stored: &[u8]) -> Result<Versioned, StoreError> {
        let (generation, value) = stored
            .split_first_chunk()
            .ok_or_else(|| self.damaged("a value is without its generation"))?;
        Ok(Versioned {
            generation: u64::from_be_bytes(*generation),
            value: value.to_vec(),
        })
    }
}

/// The next row from before a failed commit that was there then, below a key.
fn next_present(
    before: &mut Peekable<btree_map::Range<'_, Vec<u8>, Option<IVec>>>,
    below: Option<&Vec<u8>>,
) -> Option<Row> {
    loop {
        let (key, stored) = before.next_if(|(key, _)| below.is_none_or(|below| *key < below))?;
        if let Some(stored) = stored {
            return Some((key.clone(), stored.clone()));
        }
    }
}
