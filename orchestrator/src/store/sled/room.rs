//! Room to write: looked at before anything is begun, so that a full disk is met between two writes
//! and not in the middle of one.

use std::path::Path;

use super::super::{Fault, StoreError, Trouble};
use super::failure::failing;
use crate::durable_file;
use crate::space;

/// Below this nothing is begun: opening writes a segment and an index of the pages, a batch less.
const SPACE_MIN: u64 = 8 << 20;
/// More than a batch of statuses.
const PROBE_BYTES: usize = 256 << 10;

/// Refuses what would begin to write where there is no space to end it.
pub(super) fn check_space(path: &Path) -> Result<(), StoreError> {
    let left = space::left(path).map_err(|error| failing(path, &error))?;
    if left >= SPACE_MIN {
        return Ok(());
    }
    let (left_kib, least_kib) = (left >> 10, SPACE_MIN >> 10);
    let why = format!("{left_kib} KiB are left of {least_kib} KiB that it needs to work");
    Err(StoreError::new(Fault::Io(Trouble::Full), path, &why))
}

/// Ok if files can be written and made durable there again, by doing it.
pub(super) fn probe(path: &Path) -> Result<(), StoreError> {
    check_space(path)?;
    let file = path.join("probe");
    let written = durable_file::write(&file, &[0; PROBE_BYTES], 0o600);
    let removed = std::fs::remove_file(&file);
    written.and(removed).map_err(|error| failing(path, &error))
}
