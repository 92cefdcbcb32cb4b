//! Which device a row of the server is about.

use hoist_orchestrator_core::model::key::{AuditHeadKey, EventHeadKey, Key, Prefix, RowKey};
use hoist_orchestrator_core::model::timer::{Timer, TimerKind};
use hoist_protocol::id::{DeviceId, Shard};

use super::super::line::{device_id, device_number};
use super::part::DEVICES;

/// The device that a row is about; none = it is shared. The counters of a shard are about
/// the only device in it.
pub(super) fn owner(key: &Key) -> Option<u16> {
    let (prefix, rest) = key.0.split_first()?;
    match prefix {
        3 | 13 | 14 | 15 | 18 | 19 | 26 => named(rest),
        7 | 20 => named(rest.get(4..)?),
        8 => of_shard(*rest.last()?),
        9 => named(rest.rsplit(|byte| *byte == 0).next()?),
        11 => match Timer::parse(key)?.kind {
            TimerKind::Device(_, device)
            | TimerKind::Contact(device)
            | TimerKind::Doubt(device)
            | TimerKind::Waiting(device)
            | TimerKind::Overlap(device) => device_number(&device),
            TimerKind::Start(_)
            | TimerKind::Until(_)
            | TimerKind::Forget(..)
            | TimerKind::Seek(_)
            | TimerKind::Sweep(_)
            | TimerKind::Claim(_)
            | TimerKind::Rollout(_)
            | TimerKind::Fallback(_)
            | TimerKind::Pass
            | TimerKind::Window(_) => None,
        },
        _ => None,
    }
}

/// True for a row of the audit trail, or of the history of events: no decision rests on one, and its
/// number would make a state of every history. They begin anew in each step.
pub(super) fn is_history(key: &Key) -> bool {
    let heads = [AuditHeadKey.key(), EventHeadKey.key()];
    let items = [Prefix::Audit.bytes(), Prefix::Events.bytes()];
    heads.contains(key) || items.iter().any(|item| key.0.starts_with(&item.0))
}

fn named(name: &[u8]) -> Option<u16> {
    let name: DeviceId = std::str::from_utf8(name).ok()?.parse().ok()?;
    device_number(&name)
}

fn of_shard(shard: u8) -> Option<u16> {
    (1..=DEVICES).find(|number| Shard::of(&device_id(*number)).0 == shard)
}

#[cfg(test)]
mod tests {
    use hoist_orchestrator_core::model::key::{
        CloneKey, CounterKey, DeploymentKey, DeviceKey, GroupCountKey, GroupKey, InstanceKey,
        MemberKey, OutboxKey, RecordKey, RevokedKey,
    };
    use hoist_protocol::id::{DeploymentId, GroupId};

    use super::*;

    #[test]
    fn rows_are_about_the_device_in_their_key() {
        let (id, group): (_, GroupId) = (DeploymentId(258), "eu".parse().unwrap());
        for number in 1..=DEVICES {
            let device = device_id(number);
            let timer = Timer {
                due_ms: 1 << 40,
                kind: TimerKind::Device(id, device.clone()),
            };
            let keys = [
                DeviceKey(device.clone()).key(),
                OutboxKey(device.clone()).key(),
                RevokedKey(device.clone()).key(),
                CloneKey(device.clone()).key(),
                RecordKey(id, device.clone()).key(),
                CounterKey(id, Shard::of(&device)).key(),
                MemberKey(group.clone(), device.clone()).key(),
                timer.key(),
            ];
            for key in keys {
                assert_eq!(owner(&key), Some(number), "{key:?}");
            }
        }
        let timer = Timer {
            due_ms: 1,
            kind: TimerKind::Until(id),
        };
        let shared = [
            InstanceKey::MAIN.key(),
            GroupKey(group.clone()).key(),
            GroupCountKey(group).key(),
            DeploymentKey(id).key(),
            timer.key(),
        ];
        for key in shared {
            assert_eq!(owner(&key), None, "{key:?}");
        }
    }
}
