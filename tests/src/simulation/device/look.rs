//! Everything of a device that can make a difference, for whoever compares two worlds.

use super::super::canon::Canon;
use super::{Device, Disk};

impl Device {
    /// Hands out everything but what it said last of itself.
    pub(in super::super) fn look(&self, canon: &mut Canon) {
        let Self {
            number: _,
            id: _,
            special,
            online,
            ahead_ms,
            fuse,
            truth,
            session,
            disk,
            boots,
            doing,
            in_flight,
            acked,
            floor: (signed_ms, at_ms),
            vetoes,
            lies,
        } = self;
        // What is installed and kept for a release is read while it works.
        let Disk {
            record: _,
            ring: _,
            spec: _,
            forgotten: _,
            release,
            inventory,
        } = disk;
        canon.put((special, online, fuse, boots, doing, ahead_ms));
        canon.put((in_flight, acked, vetoes, lies));
        // Without a signed time it does not matter since when.
        canon.put((*signed_ms > 0).then_some((signed_ms, at_ms)));
        canon.put(session);
        canon.put((release, inventory, truth));
    }

    /// Hands out what is read only when it boots.
    pub(in super::super) fn look_at_disk(&self, canon: &mut Canon) {
        canon.put((&self.disk.record, &self.disk.ring));
        canon.put((&self.disk.spec, &self.disk.forgotten));
    }

    /// The last report of the device on itself.
    pub(in super::super) fn info(&self) -> Option<&[u8]> {
        self.session.last_info()
    }
}
