//! Failures of the disk or of sled, as users of the store see them.

use std::io;
use std::path::Path;

use super::super::{Fault, StoreError, Trouble};

pub(super) fn of_sled(path: &Path, error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(error) => failing(path, &error),
        // Its own words are of offsets that nobody can do anything with.
        sled::Error::Corruption { .. } => damaged(path, "it does not read as it was written"),
        other => damaged(path, &other.to_string()),
    }
}

pub(super) fn damaged(path: &Path, why: &str) -> StoreError {
    StoreError::new(Fault::Damaged, path, why)
}

pub(super) fn failing(path: &Path, error: &io::Error) -> StoreError {
    let fault = Fault::Io(Trouble::of(error.kind()));
    StoreError::new(fault, path, &error.to_string())
}
