//! What the device says, and what was heard of it (W5–W7).

use alloc::vec::Vec;

use hoist_protocol::codec::encode;
use hoist_protocol::device::DeviceInfo;
use hoist_protocol::envelope::PublicKey;
use hoist_protocol::status::DeviceStatus;

use super::{Carries, Clock, Output, Session};
use crate::machine::{Event, InfoExtent};

impl Session {
    /// W7: never faster than the link drains; the newest waits, older ones are skipped.
    pub(super) fn publish(&mut self, status: DeviceStatus) {
        self.out.extend(status.running.map(Output::Progress));
        let Some(link) = &mut self.link else { return };
        link.waiting = Some(status);
        let now = self.waiting_status();
        self.out.extend(now);
    }

    /// The status that waited for its turn.
    pub(super) fn waiting_status(&mut self) -> Option<Output> {
        let link = self.link.as_mut().filter(|link| !link.in_flight)?;
        let status = link.waiting.take()?;
        link.in_flight = true;
        Some(Output::Status(status))
    }

    /// The broker has acknowledged a publish of this connection.
    pub fn acknowledged(&mut self, carries: Carries, clock: &mut impl Clock) {
        let Some(link) = &mut self.link else { return };
        match carries {
            Carries::Status { seq, ended } => {
                link.in_flight = false;
                self.handle(Event::Acknowledged { seq, ended }, clock);
            }
            Carries::Info(extent) => {
                link.infos = link.infos.saturating_sub(1);
                if extent == InfoExtent::Full {
                    link.full_infos = link.full_infos.saturating_sub(1);
                    // What a resync asked for is in the last of them.
                    if link.full_infos == 0 {
                        self.handle(Event::InfoAcknowledged, clock);
                    }
                }
            }
            Carries::Other => {}
        }
    }

    /// True if a DeviceInfo with the stored spec is not acknowledged.
    #[must_use]
    pub fn owes_full_info(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.full_infos > 0)
    }

    /// No spec came for [`ANNOUNCE_AFTER_MS`](super::ANNOUNCE_AFTER_MS): the device says who it
    /// is and what it was told last, once (W4).
    pub fn announce(&mut self) {
        let link = self.link.as_mut();
        if link.is_some_and(|link| core::mem::take(&mut link.announces)) {
            self.report_on_itself(InfoExtent::Full);
        }
    }

    /// Something of the device may have changed.
    pub fn changed(&mut self) {
        self.report_on_itself(InfoExtent::IfChanged);
    }

    pub(super) fn report_on_itself(&mut self, extent: InfoExtent) {
        if self.link.is_some() {
            self.out.push_back(Output::Describe(extent));
        }
    }

    /// The DeviceInfo to publish, encoded, if it is news; `own` is what the device is and has.
    #[must_use]
    pub fn describe(&mut self, own: DeviceInfo, extent: InfoExtent) -> Option<Vec<u8>> {
        let full = extent == InfoExtent::Full;
        let spec = &self.identity.spec;
        let info = encode(&DeviceInfo {
            public_key: self.key_to_tell(),
            stored_spec: (full && !spec.is_empty()).then(|| spec.clone()),
            ..own
        });
        let link = self.link.as_mut()?;
        if !full && self.info.as_ref() == Some(&info) {
            return None;
        }
        link.infos = link.infos.saturating_add(1);
        link.full_infos = link.full_infos.saturating_add(u32::from(full));
        self.info = Some(info.clone());
        Some(info)
    }

    /// The last report of the device on itself, unless it may be lost.
    #[must_use]
    pub fn last_info(&self) -> Option<&[u8]> {
        self.info.as_deref()
    }

    /// The device's key, while its spec does not show it.
    pub(super) fn key_to_tell(&self) -> Option<PublicKey> {
        let pinned = self.machine.own_spec().and_then(|spec| spec.public_key);
        let own = self.identity.key;
        (pinned != Some(own)).then_some(own)
    }
}
