//! The bytes of a generation that was forgotten.

use hoist_protocol::envelope::KeyId;
use hoist_protocol::id::Generation;

use crate::record::Floor;

/// The content of its file.
pub(super) fn bytes_of(floor: &Floor) -> Vec<u8> {
    let mut bytes = floor.generation.0.to_be_bytes().to_vec();
    bytes.extend(floor.by.iter().flat_map(|by| by.0));
    bytes
}

/// Eight bytes of a generation, and four of the key that signed it, which older agents left out.
pub(super) fn floor_of(bytes: &[u8]) -> Option<Floor> {
    let (generation, by) = bytes.split_first_chunk::<8>()?;
    let by = match by {
        [] => None,
        by => Some(KeyId(by.try_into().ok()?)),
    };
    let generation = Generation(u64::from_be_bytes(*generation));
    Some(Floor { generation, by })
}
