//! Everything of a device that can make a difference, for whoever compares two worlds.

use std::fmt::Debug;

use super::{Device, Disk};

impl Device {
    /// Hands out everything but what it said last of itself.
    pub(in super::super) fn look(&self, mut put: impl FnMut(&dyn Debug)) {
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
        put(&(special, online, fuse, boots, doing));
        put(&format_args!("time_ms: {ahead_ms}"));
        put(&(in_flight, acked, vetoes, lies));
        // Without a signed time it does not matter since when.
        if *signed_ms > 0 {
            put(&format_args!("signed_ms: {signed_ms}, heard_ms: {at_ms}"));
        }
        put(session);
        put(&(release, inventory, truth));
    }

    /// Hands out what is read only when it boots.
    pub(in super::super) fn look_at_disk(&self, mut put: impl FnMut(&dyn Debug)) {
        put(&(&self.disk.record, &self.disk.ring));
        put(&(&self.disk.spec, &self.disk.forgotten));
    }

    /// The last report of the device on itself.
    pub(in super::super) fn info(&self) -> Option<&[u8]> {
        self.session.last_info()
    }
}
