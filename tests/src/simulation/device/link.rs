//! Its power and its connection.

use hoist_device_client::machine::Event;
use hoist_protocol::codec::encode;
use hoist_protocol::device::PresenceState;

use super::super::broker::Broker;
use super::{Device, Surroundings, session, time};

impl Device {
    /// Switches it on, or connects it again.
    pub fn connect(&mut self, world: &mut Surroundings<'_>) {
        if self.boots == 0 {
            self.boot(world);
        }
        self.session.begin();
        if self.act(world).is_break() {
            return;
        }
        self.online = true;
        let will = encode(&self.session.presence(PresenceState::Offline));
        world.broker.connect(self.number, will.into());
        self.truth.connected();
        let mut now = time(&mut self.floor, self.ahead_ms, world);
        self.session.connected(&mut now);
        let _cut = self.act(world);
    }

    /// The front door refuses its token, because it was removed.
    pub fn is_refused(&mut self, world: &mut Surroundings<'_>) {
        if self.boots == 0 {
            self.boot(world);
        }
        self.hear_removal(world);
    }

    /// The connection is gone; the will speaks for it, some time.
    fn leave(&mut self, broker: &mut Broker) {
        self.online = false;
        self.in_flight = None;
        broker.disconnect(self.number);
    }

    /// Loses its connection.
    pub fn disconnect(&mut self, world: &mut Surroundings<'_>) {
        self.leave(world.broker);
        let mut now = time(&mut self.floor, self.ahead_ms, world);
        self.session.disconnected(&mut now);
        let _cut = self.act(world);
    }

    /// Loses power, and with it everything that is not on disk, and boots again.
    pub fn cut_power(&mut self, world: &mut Surroundings<'_>) {
        if self.online {
            self.leave(world.broker);
        }
        self.boot(world);
    }

    fn boot(&mut self, world: &mut Surroundings<'_>) {
        self.boots = self.boots.wrapping_add(1).max(1);
        self.doing = None;
        self.floor = (0, world.unix_ms);
        self.fuse = None;
        self.vetoes = false;
        let kept = self.disk.record.as_ref().map(|record| record.generation);
        self.truth.forgets_specs_above(kept.unwrap_or_default());
        self.session = session(self.number, &self.disk, self.boots);
        self.tell(Event::Started, world);
    }
}
