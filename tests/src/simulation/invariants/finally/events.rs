//! The history of events is whole: each between its ends is kept, and no other.

use hoist_orchestrator_core::model::key::{EventHeadKey, Prefix};
use hoist_orchestrator_core::model::row::EventRow;
use hoist_protocol::codec::decode;

use super::super::super::world::World;
use super::same;

/// Where no history was kept there is nothing to look at: a world that is explored has none.
pub(super) fn the_history_is_whole(world: &World) -> Result<(), String> {
    let mut numbers = Vec::new();
    for (key, bytes) in world.server.rows.scan(&Prefix::Events.bytes()) {
        let _read: EventRow = decode(bytes).map_err(|error| format!("{key}: {error}"))?;
        let number = key.0.get(1..).and_then(|bytes| bytes.try_into().ok());
        numbers.extend(number.map(u64::from_be_bytes));
    }
    let expected = match world.server.row(&EventHeadKey) {
        Some(head) => (head.first..=head.number).collect(),
        None => Vec::new(),
    };
    same("the events that are kept", &numbers, &expected)
}
