//! A world cut into parts, so that states share what they have in common and a step is
//! known by the parts it can touch.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::super::broker::{Inbox, Link, Payload};
use super::super::device::Device;
use super::super::invariants::{Past, Rows};
use super::super::line::Line;
use super::super::order::Order;
use super::super::server::Server;
use super::super::world::{Told, World};

/// Devices in a world that is explored.
pub(super) const DEVICES: u16 = 2;

/// Which part of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Place {
    /// True time, and how much of it the server was connected.
    Clock,
    /// The server with its rows.
    Server,
    /// What operators still want.
    Orders,
    /// Whom the front door knows, and whose death came late.
    Door,
    /// Retained messages of the server.
    Heads,
    /// What comes back to the server of its own messages.
    Echo,
    /// What the invariants remember of the server.
    Rows,
    /// What the invariants have yet to look at.
    Told,
    /// The first of [`Place::of`]: of each device itself, its connection, what is retained
    /// of it, what is on its way to the server, and what the invariants remember of it.
    Device,
    Link,
    Reports,
    Lane,
    Past,
}

/// Parts of a world: those that are there once, and those of each device.
pub(super) const PARTS: usize = ONCE + OF_DEVICE * DEVICES as usize;
const ONCE: usize = Place::Device as usize;
const OF_DEVICE: usize = 5;

/// A set of parts, a bit for each.
pub(super) type Mask = u32;

impl Place {
    /// Where the part is that there is once.
    pub(super) const fn at(self) -> usize {
        self as usize
    }

    /// Where the part of a device is.
    pub(super) const fn of(self, device: u16) -> usize {
        self as usize + OF_DEVICE * (device as usize - 1)
    }

    /// Which part of which device is there; device 0 = it is there once.
    pub(super) fn named(place: usize) -> (Self, u16) {
        const ALL: [Place; ONCE + OF_DEVICE] = [
            Place::Clock,
            Place::Server,
            Place::Orders,
            Place::Door,
            Place::Heads,
            Place::Echo,
            Place::Rows,
            Place::Told,
            Place::Device,
            Place::Link,
            Place::Reports,
            Place::Lane,
            Place::Past,
        ];
        match place.checked_sub(ONCE) {
            None => (ALL[place], 0),
            Some(place) => (
                ALL[ONCE + place % OF_DEVICE],
                (place / OF_DEVICE) as u16 + 1,
            ),
        }
    }
}

/// The bit of each of these places.
pub(super) fn mask(places: &[usize]) -> Mask {
    places.iter().fold(0, |mask, place| mask | 1 << place)
}

/// The places in a mask.
pub(super) fn places(mask: Mask) -> impl Iterator<Item = usize> {
    (0..PARTS).filter(move |place| mask & 1 << place != 0)
}

/// A part's content.
pub(super) enum Part {
    Clock {
        unix_ms: u64,
        attended_ms: u64,
    },
    Server(Box<Server>),
    Orders(VecDeque<Order>),
    Door {
        misled: BTreeSet<u16>,
        revoked: BTreeSet<u16>,
        removed: BTreeSet<u16>,
    },
    Retained(BTreeMap<Line, Payload>),
    Lane(Option<Inbox>),
    Rows(Arc<Rows>),
    Told(Told),
    Device(Arc<Device>),
    Link(Link),
    Past(Arc<Past>),
}

impl Part {
    /// A copy of what a world has there.
    pub(super) fn cut(world: &World, place: usize) -> Self {
        let (place, device) = Place::named(place);
        let owner = (device > 0).then_some(device);
        match place {
            Place::Clock => Self::Clock {
                unix_ms: world.unix_ms,
                attended_ms: world.attended_ms,
            },
            Place::Server => Self::Server(Box::new(world.server.clone())),
            Place::Orders => Self::Orders(world.orders.clone()),
            Place::Door => Self::Door {
                misled: world.misled.clone(),
                revoked: world.revoked.clone(),
                removed: world.removed.clone(),
            },
            Place::Heads | Place::Reports => Self::Retained(world.broker.retained_of(owner)),
            Place::Echo | Place::Lane => Self::Lane(world.broker.lane_of(owner)),
            Place::Rows => Self::Rows(Arc::clone(&world.watch.rows)),
            Place::Told => Self::Told(world.told.clone()),
            Place::Device => Self::Device(Arc::clone(&world.devices[usize::from(device) - 1])),
            Place::Link => Self::Link(world.broker.link(device)),
            Place::Past => Self::Past(Arc::clone(&world.watch.pasts[usize::from(device) - 1])),
        }
    }

    /// Messages of the server in it.
    pub(super) fn own_messages(&self) -> Vec<(Line, Arc<[u8]>)> {
        let own =
            |(line, payload): (Line, &Payload)| line.is_own().then(|| (line, Arc::clone(payload)));
        match self {
            Self::Retained(retained) => {
                let retained = retained.iter().map(|(line, payload)| (*line, payload));
                retained.filter_map(own).collect()
            }
            Self::Lane(lane) => {
                let all = lane.iter().flat_map(|inbox| inbox.all());
                all.filter_map(own).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Puts a copy of it there, where a world has nothing of its own yet.
    pub(super) fn put(&self, world: &mut World, place: usize) {
        let (_, device) = Place::named(place);
        let number = usize::from(device.max(1)) - 1;
        match self {
            Self::Clock {
                unix_ms,
                attended_ms,
            } => (world.unix_ms, world.attended_ms) = (*unix_ms, *attended_ms),
            Self::Server(server) => world.server = (**server).clone(),
            Self::Orders(orders) => world.orders.clone_from(orders),
            Self::Door {
                misled,
                revoked,
                removed,
            } => {
                world.misled.clone_from(misled);
                world.revoked.clone_from(revoked);
                world.removed.clone_from(removed);
            }
            Self::Retained(retained) => world.broker.retain(retained),
            Self::Lane(lane) => world.broker.add_lane(lane.as_ref()),
            Self::Rows(rows) => world.watch.rows = Arc::clone(rows),
            Self::Told(told) => world.told = told.clone(),
            Self::Device(it) => world.devices[number] = Arc::clone(it),
            Self::Link(link) => world.broker.restore(device, link),
            Self::Past(past) => world.watch.pasts[number] = Arc::clone(past),
        }
    }
}
