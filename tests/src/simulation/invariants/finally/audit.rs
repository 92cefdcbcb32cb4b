//! The audit trail is whole, and tells each command that is remembered, once.

use std::collections::BTreeMap;

use hoist_orchestrator_core::model::key::{AuditHeadKey, Key, Prefix, RequestKey, RowKey};
use hoist_orchestrator_core::model::row::{AuditChain, AuditRow};
use hoist_protocol::codec::decode;

use super::super::super::world::World;
use super::same;

/// Seconds for which an answer is remembered: a command that comes again later is another one.
const REMEMBER_S: u64 = 7 * 24 * 60 * 60;
/// The first byte of the keys of remembered answers.
const REQUESTS: u8 = 10;

/// Where no trail was kept there is nothing to look at: a world that is explored has none.
pub(super) fn the_trail_tells_each_command_once(world: &World) -> Result<(), String> {
    let Some(head) = world.server.row(&AuditHeadKey) else {
        return Ok(());
    };
    let mut chain = AuditChain::default();
    let mut told: BTreeMap<Key, u64> = BTreeMap::new();
    for (key, bytes) in world.server.rows.scan(&Prefix::Audit.bytes()) {
        let item: AuditRow = decode(bytes).map_err(|error| format!("{key}: {error}"))?;
        if !chain.take(&item) {
            return Err(format!("{key} does not follow the one before it"));
        }
        let request = RequestKey(item.user.clone(), item.request.clone()).key();
        if let Some(before_s) = told.insert(request, item.at_s)
            && item.at_s < before_s + REMEMBER_S - 1
        {
            return Err(format!("{key} tells of a command twice: {item:?}"));
        }
    }
    same(
        "the end",
        &(head.number, head.hash),
        &(chain.items, chain.hash),
    )?;
    let mut remembered = world.server.rows.scan(&Key(vec![REQUESTS]));
    match remembered.find(|(key, _)| !told.contains_key(key)) {
        Some((key, _)) => Err(format!("nothing tells of {key}")),
        None => Ok(()),
    }
}
