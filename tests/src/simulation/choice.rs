//! Everything that can happen next: chosen by chance in random runs, all of it where a
//! small world is explored.

use super::device::{Doing, End, Lie};
use super::line::Line;
use super::server::Fate;
use super::world::World;

/// One thing that can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Choice {
    /// The next command reaches the server, perhaps again.
    Order(Fate),
    /// The server takes the oldest message of a line.
    Serve(Line, Fate),
    /// The server takes a message of so many lines as one batch.
    Batch(u8, Fate),
    /// The server publishes what one subject needs.
    Reconcile,
    /// The server looks for what it never saw back.
    Review,
    /// The server handles timers that are due.
    Timers,
    /// The server looks for a line among the members of a group.
    Search,
    /// The server draws a line that it found.
    DrawLine,
    /// The server's program ends.
    ServerCrash,
    /// It starts again.
    ServerStart,
    /// The server loses its connection.
    ServerCut,
    /// It connects; retained messages are left out so many times in 256.
    ServerConnect(u8),
    /// A device takes a message.
    Hear(u16, Line),
    /// The task of a device comes to its end.
    Finish(u16, End),
    /// A device's time has come.
    Wake(u16),
    /// A device's status is acknowledged.
    Acknowledge(u16),
    /// A device says that it got no spec.
    Announce(u16),
    /// A device connects.
    Connect(u16),
    /// A device loses its connection.
    Cut(u16),
    /// A device loses power.
    PowerCut(u16),
    /// A device will lose power at the effect after so many.
    Fuse(u16, u8),
    /// A device's owner vetoes new starts, or no longer does.
    Veto(u16, bool),
    /// A device's last will is published at last.
    Will(u16),
    /// The broker restarts and keeps a retained message so many times in 256.
    BrokerRestart(u8),
    /// The broker loses a retained message.
    LoseRetained(Line),
    /// A message on its way to the server gets lost.
    LoseToServer(Line),
    /// A message on its way to a device gets lost.
    LoseToDevice(u16, Line),
    /// A message on its way to a device comes twice.
    Repeat(u16, Line),
    /// An old spec comes back.
    Replay(Line, u8),
    /// Somebody writes what is no message of ours.
    Spoil(Line),
    /// Somebody claims a success for a device, without its signature.
    Forge(u16),
    /// A device will say what is not so.
    Lie(u16, Lie),
    /// Time passes, ms.
    Wait(u64),
    /// The server's clock is set, ms ahead of true time.
    ServerClock(u64),
    /// A device's clock is set, ms ahead of true time.
    DeviceClock(u16, u64),
}

impl World {
    /// The next acts of a device without an accident, added to `choices`.
    pub fn device_choices(&self, number: u16, choices: &mut Vec<Choice>) {
        let device = self.device(number);
        let revoked = self.revoked.contains(&number);
        // One that is refused once and believes it only asks in vain from then on.
        if !device.online && (!revoked || device.own_spec().is_some()) {
            choices.push(Choice::Connect(number));
        }
        let mut spec_waits = false;
        if let Some(session) = self.broker.session(number) {
            for line in session.inbox.lines() {
                spec_waits |= *line == Line::Device(number);
                choices.push(Choice::Hear(number, *line));
            }
        }
        if device.doing().is_some() {
            choices.push(Choice::Finish(number, End::Done));
        }
        if device.is_due(self.unix_ms) {
            choices.push(Choice::Wake(number));
        }
        if device.awaits_ack() {
            choices.push(Choice::Acknowledge(number));
        }
        if device.may_announce() && !spec_waits {
            choices.push(Choice::Announce(number));
        }
        if device.vetoes() {
            choices.push(Choice::Veto(number, false));
        }
    }

    /// The next acts of the server, the broker and operators without an accident.
    pub fn central_choices(&self, choices: &mut Vec<Choice>) {
        choices.extend(self.leaving.iter().map(|number| Choice::Cut(*number)));
        if !self.server.up {
            choices.push(Choice::ServerStart);
        } else if !self.server.connected {
            choices.push(Choice::ServerConnect(0));
        } else {
            self.arrivals(choices);
            if self.server.is_marked() {
                choices.push(Choice::Reconcile);
            }
            if self.server.is_due(self.unix_ms) {
                choices.push(Choice::Timers);
            }
            let (sought, found) = self.server.lines();
            if sought {
                choices.push(Choice::Search);
            }
            if found {
                choices.push(Choice::DrawLine);
            }
            if !self.orders.is_empty() {
                choices.push(Choice::Order(Fate::Whole));
            }
        }
        if let Some((number, _)) = self.broker.wills().first() {
            choices.push(Choice::Will(*number));
        }
    }

    /// The messages that the server can take, while it is connected.
    pub fn arrivals(&self, choices: &mut Vec<Choice>) {
        let lines = self.broker.server.iter().flat_map(|inbox| inbox.lines());
        choices.extend(lines.map(|line| Choice::Serve(*line, Fate::Whole)));
    }

    /// Every way in which what a device does can end.
    pub fn ends(doing: Doing) -> &'static [End] {
        match doing {
            Doing::Proof | Doing::Download => &[End::Done, End::Fails],
            Doing::Script(_) => &[End::Done, End::Fails, End::Later, End::TimesOut],
        }
    }
}
