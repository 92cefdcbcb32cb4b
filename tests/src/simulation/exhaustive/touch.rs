//! Which parts something can touch.

use super::super::choice::Choice;
use super::super::server::Fate;
use super::super::world::Told;
use super::part::{ALL, DEVICES, Mask, Place, mask};

/// The parts that something can touch, where all are there.
pub(super) fn touched(choice: Choice) -> Mask {
    use Place::{Clock, Echo, Lane, Link, Misled, Orders, Retained, Rows, Served, Server, Specs};
    let served = mask(&[Clock.at(), Server.at(), Place::Told.at()]);
    let published = mask(&[Specs.at(), Echo.at()]);
    match choice {
        Choice::Order(fate) => served | forgotten(fate) | mask(&[Orders.at()]),
        Choice::Serve(line, fate) => {
            let whose = match line.about() {
                Some(number) => mask(&[Lane, Retained, Served].map(|place| place.of(number))),
                None => mask(&[Echo.at()]),
            };
            served | forgotten(fate) | whose
        }
        Choice::Reconcile => served | published | all(&[Link, Retained, Lane, Served]),
        Choice::ServerStart | Choice::ServerCut => served,
        Choice::ServerCrash => served | all(&[Served]),
        Choice::ServerConnect(_) => served | published | all(&[Lane, Retained, Served]),
        Choice::Will(number) => mask(&[Lane, Retained, Link, Misled].map(|place| place.of(number))),
        Choice::LoseToServer(line) => mask(&[match line.about() {
            Some(number) => Lane.of(number),
            None => Echo.at(),
        }]),
        Choice::LoseToDevice(number, _) | Choice::Repeat(number, _) => mask(&[Link.of(number)]),
        Choice::Hear(number, _)
        | Choice::Finish(number, _)
        | Choice::Wake(number)
        | Choice::Acknowledge(number)
        | Choice::Announce(number)
        | Choice::Cut(number)
        | Choice::PowerCut(number)
        | Choice::Fuse(number, _)
        | Choice::Veto(number, _)
        | Choice::Lie(number, _)
        | Choice::DeviceClock(number, _) => device(number),
        // It is known to the invariants what was over before.
        Choice::Connect(number) => device(number) | mask(&[Rows.at()]),
        Choice::Wait(_)
        | Choice::Review
        | Choice::Timers
        | Choice::Search
        | Choice::DrawLine
        | Choice::ServerClock(_)
        | Choice::Batch(..)
        | Choice::BrokerRestart(_)
        | Choice::LoseRetained(_)
        | Choice::Replay(..)
        | Choice::Spoil(_)
        | Choice::Forge(_) => ALL,
    }
}

/// A device, what reaches it and what comes from it.
fn device(number: u16) -> Mask {
    use Place::{Clock, Device, Lane, Link, Misled, Retained, Specs, Told};
    let own = [Device, Link, Retained, Lane, Misled].map(|place| place.of(number));
    mask(&own) | mask(&[Clock.at(), Specs.at(), Told.at()])
}

/// The parts of its devices that a server forgets in a crash.
fn forgotten(fate: Fate) -> Mask {
    match fate {
        Fate::Whole | Fate::Repeats => 0,
        Fate::CrashBefore | Fate::CrashAfter(_) => all(&[Place::Served]),
    }
}

/// These of every device.
fn all(of: &[Place]) -> Mask {
    let numbers = 1..=DEVICES;
    numbers.fold(0, |all, number| {
        of.iter()
            .fold(all, |all, place| all | 1 << place.of(number))
    })
}

/// The parts that the invariants look at, by the events they are told.
pub(super) fn looked_at(told: &Told) -> Mask {
    let mut looked = mask(&[Place::Told.at(), Place::Rows.at()]);
    for (line, _) in &told.published {
        let device = line.about().into_iter();
        looked |= device.fold(0, |all, number| all | 1 << Place::Mirror.of(number));
    }
    if !told.committed.is_empty() {
        looked |= mask(&[Place::Clock.at(), Place::Server.at()]);
        looked |= all(&[Place::Served, Place::Mirror, Place::Past]);
    }
    for (number, _) in &told.deeds {
        looked |= 1 << Place::Clock.at() | all(&[Place::Past]);
        looked |= mask(&[Place::Device, Place::Link].map(|place| place.of(*number)));
    }
    looked
}
