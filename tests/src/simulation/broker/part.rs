//! A broker in parts, and put together from them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Broker, Inbox, Line, Link, Payload};

impl Broker {
    /// The messages that are retained about a device, or about none.
    pub fn retained_about(&self, device: Option<u16>) -> BTreeMap<Line, Payload> {
        let own = self
            .all_retained()
            .filter(|(line, _)| line.about() == device);
        own.map(|(line, payload)| (line, Arc::clone(payload)))
            .collect()
    }

    /// The messages on their way to the server about a device, or about none.
    pub fn lane_about(&self, device: Option<u16>) -> Option<Inbox> {
        let inbox = self.server.as_ref()?;
        let mut lane = Inbox::default();
        for (line, letter) in inbox.all().filter(|(line, _)| line.about() == device) {
            lane.push(line, letter.clone());
        }
        Some(lane)
    }

    /// A device's connection.
    pub fn link(&self, device: u16) -> Link {
        let wills = self.wills.iter().filter(|(other, _)| *other == device);
        Link {
            session: self.session(device).cloned(),
            wills: wills.map(|(_, will)| Arc::clone(will)).collect(),
        }
    }

    /// Adds retained messages.
    pub fn retain(&mut self, retained: &BTreeMap<Line, Payload>) {
        let retained = retained.iter();
        self.retained
            .extend(retained.map(|(line, payload)| (*line, Arc::clone(payload))));
    }

    /// Adds what is on its way to the server, if that has a session.
    pub fn add_lane(&mut self, lane: Option<&Inbox>) {
        let Some(lane) = lane else { return };
        let inbox = self.server.get_or_insert_default();
        for (line, letter) in lane.all() {
            inbox.push(line, letter.clone());
        }
    }

    /// Adds a device's connection.
    pub fn restore(&mut self, device: u16, link: &Link) {
        let place = usize::from(device);
        if self.devices.len() <= place {
            self.devices.resize(place + 1, None);
        }
        self.devices[place].clone_from(&link.session);
        let wills = link.wills.iter().map(|will| (device, Arc::clone(will)));
        self.wills.extend(wills);
    }
}
