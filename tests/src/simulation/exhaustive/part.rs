//! A world cut into parts, so that states share what they have in common and a step is
//! known by the parts it can touch. A part is about one device, or shared by all.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use hoist_orchestrator_core::engine::memory::MemoryRows;
use hoist_orchestrator_core::engine::publish::Difference;

use super::super::broker::{Inbox, Link, Payload};
use super::super::device::Device;
use super::super::invariants::{Past, Rows};
use super::super::line::{Line, device_id};
use super::super::order::Order;
use super::super::server::Server;
use super::super::world::{Told, World};
use super::owner::{is_history, owner};

/// Devices in a world that is explored.
pub(super) const DEVICES: u16 = 2;

/// Which part of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Place {
    /// True time, and how much of it the server was connected.
    Clock,
    /// The server with the rows that are shared.
    Server,
    /// The orders that operators still want.
    Orders,
    /// Retained messages that are shared.
    Specs,
    /// The echoes of these that come back to the server.
    Echo,
    /// The memory of the invariants about the server.
    Rows,
    /// The events that the invariants have yet to look at: none between two steps.
    Told,
    /// The first of [`Place::of`]: of each device itself, its connection, what is retained
    /// about it, what is on its way to the server about it, the server's rows of it and what
    /// it knows to be out, what the invariants remember of these rows and of the device, and
    /// whether its death came late.
    Device,
    Link,
    Retained,
    Lane,
    Served,
    Mirror,
    Past,
    Misled,
}

/// Parts that are shared, of each device, and together.
pub(super) const SHARED: usize = Place::Device as usize;
pub(super) const OF_DEVICE: usize = 8;
pub(super) const PARTS: usize = SHARED + OF_DEVICE * DEVICES as usize;

/// A set of parts, a bit for each.
pub(super) type Mask = u32;

/// Every part that is shared.
pub(super) const ALL_SHARED: Mask = (1 << SHARED) - 1;
/// Every part.
pub(super) const ALL: Mask = (1 << PARTS) - 1;

impl Place {
    /// Where the shared part is.
    pub(super) const fn at(self) -> usize {
        self as usize
    }

    /// Where the part of a device is.
    pub(super) const fn of(self, device: u16) -> usize {
        self as usize + OF_DEVICE * (device as usize - 1)
    }

    /// Which part of which device is there, if it is of one.
    fn named(place: usize) -> (Self, Option<u16>) {
        const NAMES: [Place; SHARED + OF_DEVICE] = [
            Place::Clock,
            Place::Server,
            Place::Orders,
            Place::Specs,
            Place::Echo,
            Place::Rows,
            Place::Told,
            Place::Device,
            Place::Link,
            Place::Retained,
            Place::Lane,
            Place::Served,
            Place::Mirror,
            Place::Past,
            Place::Misled,
        ];
        match place.checked_sub(SHARED) {
            None => (NAMES[place], None),
            Some(place) => (
                NAMES[SHARED + place % OF_DEVICE],
                Some((place / OF_DEVICE) as u16 + 1),
            ),
        }
    }
}

/// Every part of a device.
pub(super) const fn all_of(device: u16) -> Mask {
    ((1 << OF_DEVICE) - 1) << Place::Device.of(device)
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
        uptime_ms: u64,
    },
    Server(Box<Server>),
    Orders(VecDeque<Order>),
    Retained(BTreeMap<Line, Payload>),
    Lane(Option<Inbox>),
    Rows(Rows),
    Told(Told),
    Device(Arc<Device>),
    Link(Link),
    Served {
        rows: MemoryRows,
        difference: Difference,
    },
    Past(Arc<Past>),
    Misled(bool),
}

impl Part {
    /// A copy of what a world has there.
    pub(super) fn cut(world: &World, place: usize) -> Self {
        let (place, device) = Place::named(place);
        let number = device.unwrap_or(1);
        let index = usize::from(number) - 1;
        match place {
            Place::Clock => Self::Clock {
                unix_ms: world.unix_ms,
                uptime_ms: world.uptime_ms,
            },
            Place::Server => {
                let mut server = world.server.clone();
                server.rows = Arc::new(
                    server
                        .rows
                        .part(|key| owner(key).is_none() && !is_history(key)),
                );
                *server.engine.difference_mut() = server.engine.difference().shared_part();
                Self::Server(Box::new(server))
            }
            Place::Orders => Self::Orders(world.orders.clone()),
            Place::Specs | Place::Retained => Self::Retained(world.broker.retained_about(device)),
            Place::Echo | Place::Lane => Self::Lane(world.broker.lane_about(device)),
            Place::Rows | Place::Mirror => Self::Rows(world.watch.rows.part(device)),
            Place::Told => Self::Told(world.told.clone()),
            Place::Device => Self::Device(Arc::clone(&world.devices[index])),
            Place::Link => Self::Link(world.broker.link(number)),
            Place::Served => Self::Served {
                rows: world.server.rows.part(|key| owner(key) == device),
                difference: world
                    .server
                    .engine
                    .difference()
                    .device_part(&device_id(number)),
            },
            Place::Past => Self::Past(Arc::clone(&world.watch.pasts[index])),
            Place::Misled => Self::Misled(world.misled.contains(&number)),
        }
    }

    /// True if the part surely is the same as another, which can be told without a closer look.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Retained(a), Self::Retained(b)) => a == b,
            (Self::Lane(a), Self::Lane(b)) => a == b,
            (Self::Rows(a), Self::Rows(b)) => a == b,
            (Self::Device(a), Self::Device(b)) => Arc::ptr_eq(a, b),
            (Self::Link(a), Self::Link(b)) => a == b,
            (Self::Past(a), Self::Past(b)) => Arc::ptr_eq(a, b),
            (Self::Misled(a), Self::Misled(b)) => a == b,
            _ => false,
        }
    }

    /// Puts a copy of it there, where a world has nothing of its own yet; what is shared
    /// comes first.
    pub(super) fn put(&self, world: &mut World, place: usize) {
        let (_, device) = Place::named(place);
        let number = device.unwrap_or(1);
        let index = usize::from(number) - 1;
        match self {
            Self::Clock { unix_ms, uptime_ms } => {
                (world.unix_ms, world.uptime_ms) = (*unix_ms, *uptime_ms)
            }
            Self::Server(server) => world.server = (**server).clone(),
            Self::Orders(orders) => world.orders.clone_from(orders),
            Self::Retained(retained) => world.broker.retain(retained),
            Self::Lane(lane) => world.broker.add_lane(lane.as_ref()),
            Self::Rows(rows) => Arc::make_mut(&mut world.watch.rows).join(rows),
            Self::Told(told) => world.told = told.clone(),
            Self::Device(it) => world.devices[index] = Arc::clone(it),
            Self::Link(link) => world.broker.restore(number, link),
            Self::Served { rows, difference } => {
                Arc::make_mut(&mut world.server.rows).join(rows);
                world.server.engine.difference_mut().join(difference);
            }
            Self::Past(past) => world.watch.pasts[index] = Arc::clone(past),
            Self::Misled(true) => {
                world.misled.insert(number);
            }
            Self::Misled(false) => {
                world.misled.remove(&number);
            }
        }
    }
}

/// True if nothing is in the fields that no part holds: they are empty in a world that is explored.
pub(super) fn has_nothing_else(world: &World) -> bool {
    let World {
        revoked,
        leaving,
        removed,
        replayed,
        honest,
        ..
    } = world;
    let none: [&BTreeSet<u16>; 3] = [revoked, leaving, removed];
    none.iter().all(|set| set.is_empty()) && replayed.is_empty() && *honest
}
