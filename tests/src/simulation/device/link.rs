//! Its power and its connection.

use hoist_device_client::machine::Event;
use hoist_protocol::device::PresenceState;

use super::super::broker::Broker;
use super::super::line::Line;
use super::{Device, Surroundings, machine};

impl Device {
    /// Switches it on, or connects it again.
    pub fn connect(&mut self, world: &mut Surroundings<'_>) {
        if self.boots == 0 {
            self.boot(world);
        }
        let (session, actions) = self.machine.begin_session();
        self.session = session;
        if self.act(actions, world).is_break() {
            return;
        }
        self.online = true;
        world
            .broker
            .connect(self.number, self.presence(PresenceState::Offline));
        let birth = self.presence(PresenceState::Online);
        world.broker.publish(Line::Presence(self.number), &birth);
        self.announces = true;
        self.truth.connected();
        if self.machine.wants_own_status() {
            world
                .broker
                .subscribe(self.number, Line::Status(self.number));
        }
        world
            .broker
            .subscribe(self.number, Line::Device(self.number));
        self.tell(Event::Connected, world);
    }

    /// The front door refuses its token, because it was removed.
    pub fn is_refused(&mut self, world: &mut Surroundings<'_>) {
        if self.boots == 0 {
            self.boot(world);
        }
        self.truth.is_told_of_removal();
        self.tell(Event::Removed, world);
    }

    /// The connection is gone; the will speaks for it, some time.
    fn leave(&mut self, broker: &mut Broker) {
        self.online = false;
        self.in_flight = None;
        self.waiting = None;
        self.info_in_flight = false;
        self.wanted = None;
        let pinned = self.machine.own_head().and_then(|head| head.public_key);
        if pinned != Some(self.public_key()) {
            self.info = None;
        }
        self.announces = false;
        broker.disconnect(self.number);
    }

    /// Loses its connection.
    pub fn disconnect(&mut self, world: &mut Surroundings<'_>) {
        self.leave(world.broker);
        self.tell(Event::Disconnected, world);
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
        self.does(None);
        self.wanted = None;
        self.info = None;
        self.floor = (0, world.unix_ms);
        self.fuse = None;
        self.reconnects = false;
        self.vetoes = false;
        let kept = self.disk.record.as_ref().map(|record| record.generation);
        self.truth.forgets_heads_above(kept.unwrap_or_default());
        self.machine = machine(&self.id, &self.disk, self.boots);
        self.tell(Event::Started, world);
    }
}
