//! Presence by session counter: a late death never beats a newer birth (W8).

use hoist_protocol::device::{Presence, PresenceState};
use hoist_protocol::id::DeviceId;
use hoist_protocol::topic::View;

use crate::effect::{Effect, Effects};
use crate::error::Code;
use crate::input::Now;
use crate::key::{DeviceKey, GroupCountKey};
use crate::txn::{Txn, Undecided};

/// Takes a birth or a death in.
pub(crate) fn merge(
    txn: &mut Txn,
    device: &DeviceId,
    presence: Presence,
    now: Now,
) -> Result<Effects, Undecided> {
    let key = DeviceKey(device.clone());
    let Some(mut row) = txn.read(&key)? else {
        return Ok(vec![Effect::Rejected {
            code: Code::Unknown,
            device: Some(device.clone()),
        }]);
    };
    let online = presence.state == PresenceState::Online;
    let known = row.online.is_some();
    // Within a session death is the last word: births are sent first.
    let stale = presence.session < row.session
        || (known && presence.session == row.session && (online || row.online == Some(false)));
    if stale {
        return Ok(vec![Effect::Duplicate]);
    }
    let count_key = GroupCountKey(row.group.clone());
    let mut count = txn.read(&count_key)?.unwrap_or_default();
    match (row.online == Some(true), online) {
        (false, true) => count.online += 1,
        (true, false) => count.online = count.online.saturating_sub(1),
        _ => {}
    }
    txn.put(&count_key, &count);
    row.session = presence.session;
    row.online = Some(online);
    row.last_seen_ms = Some(now.unix_ms);
    let mut effects = vec![
        Effect::ViewChanged(View::Group(row.group.clone())),
        Effect::ViewChanged(View::Fleet),
    ];
    if online {
        effects.push(Effect::DeviceHeadChanged(device.clone()));
    }
    txn.put(&key, &row);
    Ok(effects)
}
