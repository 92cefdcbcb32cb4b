//! Changes of devices' specs on their way: which wait for their group's spec, which were
//! sent, and which the broker was seen to hold. The rows behind it outlive a crash
//! ([`OutboxRow`]), this does not.

use std::collections::{BTreeMap, BTreeSet};

use hoist_protocol::id::{DeviceId, GroupId};
use serde::Serialize;

use super::published_state::is_overdue;
use crate::engine::input::Input;
use crate::model::row::OutboxRow;

/// A change that was sent.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Sent {
    change: u32,
    /// When, Unix ms.
    at_ms: u64,
    /// True if the spec was cleared, because its device was removed.
    cleared: bool,
}

/// Changes on their way.
#[derive(Debug, Default, Clone)]
pub(super) struct Outbox {
    /// Devices whose specs wait for their group's.
    pub(super) waiting: BTreeMap<GroupId, BTreeSet<DeviceId>>,
    pub(super) sent: BTreeMap<DeviceId, Sent>,
    pub(super) out: Vec<Input>,
}

impl Outbox {
    /// Nothing that was sent is known to have arrived; the rows say what has to go again.
    pub(super) fn connected(&mut self) {
        self.waiting.clear();
        self.sent.clear();
    }

    /// A device's spec waits for its group's.
    pub(super) fn wait(&mut self, group: GroupId, device: DeviceId) {
        self.waiting.entry(group).or_default().insert(device);
    }

    /// True if somebody waits for a group's spec.
    pub(super) fn is_awaited(&self, group: &GroupId) -> bool {
        self.waiting.contains_key(group)
    }

    /// The broker holds a group's spec: who waited for it.
    pub(super) fn release(&mut self, group: &GroupId) -> BTreeSet<DeviceId> {
        self.waiting.remove(group).unwrap_or_default()
    }

    /// A device's spec was sent, or is known to be there already.
    pub(super) fn sent(&mut self, device: &DeviceId, row: &OutboxRow, held: bool, now_ms: u64) {
        if held {
            self.sent.remove(device);
            self.tell(device.clone(), row.change);
        } else {
            let (change, cleared) = (row.change, false);
            let at_ms = now_ms;
            let sent = Sent {
                change,
                at_ms,
                cleared,
            };
            self.sent.insert(device.clone(), sent);
        }
    }

    /// A removed device's spec was cleared.
    pub(super) fn cleared(&mut self, device: &DeviceId, row: &OutboxRow, now_ms: u64) {
        let sent = Sent {
            change: row.change,
            at_ms: now_ms,
            cleared: true,
        };
        self.sent.insert(device.clone(), sent);
    }

    /// The broker was seen to hold what was sent for a device: its spec, or nothing.
    pub(super) fn arrived(&mut self, device: &DeviceId, nothing: bool) -> bool {
        let sent = self.sent.get(device);
        let Some(sent) = sent.filter(|sent| sent.cleared == nothing) else {
            return false;
        };
        let change = sent.change;
        self.sent.remove(device);
        self.tell(device.clone(), change);
        true
    }

    fn tell(&mut self, device: DeviceId, change: u32) {
        self.out.push(Input::SpecOut { device, change });
    }

    /// Word of what has arrived since the last call.
    pub(super) fn take_out(&mut self) -> Vec<Input> {
        std::mem::take(&mut self.out)
    }

    /// True if something has arrived since the last call.
    pub(super) fn has_out(&self) -> bool {
        !self.out.is_empty()
    }

    /// Removed devices whose specs were cleared too long ago to be still on their way.
    pub(super) fn overdue(&self, now_ms: u64) -> Vec<DeviceId> {
        let late = |sent: &Sent| sent.cleared && is_overdue(sent.at_ms, now_ms);
        let late = self.sent.iter().filter(|(_, sent)| late(sent));
        late.map(|(device, _)| device.clone()).collect()
    }

    /// True if a device's spec waits for its group's.
    pub(super) fn is_waiting(&self, device: &DeviceId) -> bool {
        self.waiting
            .values()
            .any(|devices| devices.contains(device))
    }

    /// True if nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.sent.is_empty() && self.out.is_empty()
    }
}
