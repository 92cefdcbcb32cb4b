//! States of an explored world: what is shared and each device by itself, numbered.
//!
//! Devices are alike: what a device is, it could be under the other's name. So a device is
//! kept under every name, has one number, and two states in which only the names are changed
//! round are one. Of a device's own numbers only the order counts.

use std::sync::OnceLock;

use super::super::canon::fingerprint;
use super::Left;
use super::part::{ALL, ALL_SHARED, DEVICES, Mask, OF_DEVICE, PARTS, Place, SHARED, all_of};
use super::step::{Share, State as Parts, Steps};
use super::table::{Shelf, Table};

/// A state: the number of what is shared, and of each device.
pub(super) type State = [u32; 1 + DEVICES as usize];

/// The shares of the last events that each of two devices has yet to get: the device whose turn it
/// is, and the other.
pub(super) type Shares = [Vec<Share>; DEVICES as usize];

/// The shared parts, with the trouble that can still come in them.
struct Shared {
    parts: [u32; SHARED],
    server: u8,
    message: u8,
    shares: Shares,
    /// The same with the shares changed round.
    changed_round: OnceLock<u32>,
}

/// A device under each name, with how often its power can still go.
struct Own {
    parts: [[u32; OF_DEVICE]; DEVICES as usize],
    cuts: u8,
}

/// Some of a state put together, on its way to the next.
#[derive(Clone)]
pub(super) struct View {
    /// The parts that are there; other parts are those of a world with nothing.
    pub(super) parts: Parts,
    /// Which parts are there.
    pub(super) mask: Mask,
    pub(super) left: Left,
    pub(super) shares: Shares,
}

/// Every state that was ever met, in pieces.
pub(super) struct States {
    shared: Shelf<Shared>,
    shared_numbers: Table<u32>,
    own: Shelf<Own>,
    own_numbers: Table<u32>,
}

impl States {
    pub(super) fn new() -> Self {
        Self {
            shared: Shelf::new(),
            shared_numbers: Table::new(),
            own: Shelf::new(),
            own_numbers: Table::new(),
        }
    }

    /// The shared parts, for the other device's turn.
    pub(super) fn changed_round(&self, steps: &Steps, shared: u32) -> u32 {
        let known = self.shared.at(shared);
        if known.shares[0] == known.shares[1] {
            return shared;
        }
        *known.changed_round.get_or_init(|| {
            let mut view = self.view(steps, shared, &[]);
            view.shares.swap(0, 1);
            self.shared(steps, &view)
        })
    }

    /// The shared parts, and devices with these names, put together.
    pub(super) fn view(&self, steps: &Steps, shared: u32, devices: &[(u16, u32)]) -> View {
        let known = self.shared.at(shared);
        let mut view = View {
            parts: steps.nothing(),
            mask: ALL_SHARED,
            left: Left {
                server: known.server,
                message: known.message,
                ..Left::NOTHING
            },
            shares: known.shares.clone(),
        };
        view.parts[..SHARED].copy_from_slice(&known.parts);
        for (name, own) in devices {
            let Own { parts, cuts } = self.own.at(*own);
            let (index, first) = (usize::from(*name) - 1, Place::Device.of(*name));
            view.parts[first..first + OF_DEVICE].copy_from_slice(&parts[index]);
            view.mask |= all_of(*name);
            view.left.device[index] = *cuts;
        }
        view
    }

    /// The number of what is shared in a view.
    pub(super) fn shared(&self, steps: &Steps, view: &View) -> u32 {
        let parts: [u32; SHARED] = std::array::from_fn(|place| view.parts[place]);
        let prints = parts.iter().map(|number| (steps.print(*number), true));
        let (server, message) = (view.left.server, view.left.message);
        let key = fingerprint(prints, (server, message, &view.shares));
        self.shared_numbers.get(key).unwrap_or_else(|| {
            let number = self.shared.put(Shared {
                parts,
                server,
                message,
                shares: view.shares.clone(),
                changed_round: OnceLock::new(),
            });
            self.shared_numbers.enter(key, || number)
        })
    }

    /// The number of the device that goes by the first name in the first of these views, and
    /// so on.
    pub(super) fn own(&self, steps: &Steps, views: [(&View, u16); DEVICES as usize]) -> u32 {
        let parts = views.map(|(view, name)| {
            let first = Place::Device.of(name);
            std::array::from_fn(|place| view.parts[first + place])
        });
        let (view, name) = views[0];
        let cuts = view.left.device[usize::from(name) - 1];
        let print = |parts: &[u32; OF_DEVICE]| {
            let prints = parts.iter();
            let prints = prints.map(|number| (steps.print(*number), cuts > 0));
            fingerprint(prints, cuts)
        };
        let key = print(&parts[0]);
        let number = self.own_numbers.get(key).unwrap_or_else(|| {
            let number = self.own.put(Own { parts, cuts });
            self.own_numbers.enter(key, || number)
        });
        if cfg!(debug_assertions) {
            let known = &self.own.at(number).parts;
            for (known, parts) in known.iter().zip(&parts) {
                assert_eq!(print(known), print(parts), "devices are not alike");
            }
        }
        number
    }

    /// Everything of a state put together, its devices by these names.
    pub(super) fn together(&self, steps: &Steps, state: State, names: [u16; 2]) -> View {
        let [shared, first, second] = state;
        self.view(steps, shared, &[(names[0], first), (names[1], second)])
    }

    /// The state of which these are two views, the devices' names changed round in the other.
    pub(super) fn whole(&self, steps: &Steps, view: &View, other: &View) -> State {
        let shared = self.shared(steps, view);
        assert_eq!(shared, self.shared(steps, other), "devices are not alike");
        let first = self.own(steps, [(view, 1), (other, 2)]);
        let second = self.own(steps, [(other, 1), (view, 2)]);
        [shared, first, second]
    }
}

impl View {
    /// A view of everything in a world.
    pub(super) fn of(parts: Parts, left: Left) -> Self {
        const { assert!(PARTS <= Mask::BITS as usize) };
        Self {
            parts,
            mask: ALL,
            left,
            shares: Shares::default(),
        }
    }

    /// True if a device is in it.
    pub(super) fn has(&self, name: u16) -> bool {
        self.mask & all_of(name) != 0
    }
}
