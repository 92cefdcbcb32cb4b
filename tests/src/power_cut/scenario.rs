//! The events of a device beside the cuts: its orders to install, and the fate of scripts, reboots,
//! downloads and messages.

use std::ops::Range;

use hoist_protocol::reason::Reason;
use hoist_protocol::status::{Rollback, ScriptKind};

use super::manner::Manner;
use super::package::{Package, Part};
pub use super::trouble::Lasts;

/// One story, as it goes without cuts.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// Releases.
    pub packages: Vec<Package>,
    /// The orders to install, one after another.
    pub orders: Vec<Order>,
    /// Scripts that do not end with 0.
    pub exits: Vec<Exits>,
    /// The result of a reboot that is asked for.
    pub reboots: Reboots,
    /// The trouble on the network.
    pub luck: Luck,
    /// The software that the device came with.
    pub came_with: Vec<(&'static str, u8)>,
    /// Orders that stay listed beside those after them, from the first on.
    pub lasting: usize,
    /// From which order on the device is in another group, whose specs are older.
    pub moved: Option<usize>,
    /// True if a cut may damage data that was synced.
    pub damage: bool,
    /// The flaw of the device itself, which must be seen.
    pub flaw: Option<Flaw>,
}

/// One deployment in one round, or something a person at the device wants.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    /// Deployment and round; `None` for a person's.
    pub entry: Option<(u32, u32)>,
    /// Which of the packages.
    pub package: usize,
    /// Attempts.
    pub attempts: u32,
    /// The manner in which it is carried out.
    pub manner: Manner,
    /// The end without cuts.
    pub expect: Expect,
}

/// The end of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Installed now.
    Installed,
    /// It was there.
    Already,
    /// Not.
    Failed(Reason, Rollback),
    /// It is not the device's to begin.
    Nothing,
}

/// Runs of a script that end otherwise, counted from 0 in an order.
#[derive(Debug, Clone)]
pub struct Exits {
    /// In which order.
    pub order: usize,
    /// Of which artifact.
    pub artifact: u8,
    /// Which script.
    pub kind: ScriptKind,
    /// Which runs.
    pub runs: Range<u32>,
    /// The exit code with which they end.
    pub exit: u8,
}

/// The result of a reboot that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reboots {
    /// It comes.
    Come,
    /// It comes, and another right after it.
    ComeTwice,
    /// It never comes.
    NeverCome,
}

/// The trouble that is still to come on the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Luck {
    /// Statuses with outcomes that never arrive.
    pub statuses_lost: u32,
    /// Statuses with outcomes whose acknowledgment never arrives.
    pub acks_lost: u32,
    /// Downloads that break off in the middle.
    pub downloads_cut: u32,
    /// Outcomes are acknowledged and not heard: a [`Flaw`].
    pub swallows: bool,
}

/// The acts that no real device or broker may do, and this program must see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// A sync does nothing.
    LyingDisk,
    /// Acknowledged statuses are not heard.
    SwallowedOutcomes,
    /// Timers never wake the device.
    DeafTimers,
    /// Rollback scripts do nothing and say that they did.
    EmptyRollback,
}

/// The artifact that is the agent itself; before version 2 it knows only format 1.
pub const AGENT_NAME: &str = "agent";

/// A story of one deployment.
pub fn one(name: &'static str, parts: &[Part], expect: Expect) -> Scenario {
    Scenario {
        name,
        packages: vec![Package::new(1, parts)],
        orders: vec![Order {
            entry: Some((1, 0)),
            package: 0,
            attempts: 3,
            manner: Manner::default(),
            expect,
        }],
        exits: Vec::new(),
        reboots: Reboots::Come,
        luck: Luck::default(),
        came_with: Vec::new(),
        lasting: 0,
        moved: None,
        damage: false,
        flaw: None,
    }
}

impl Scenario {
    /// A further deployment.
    pub fn then(mut self, counter: u64, parts: &[Part], expect: Expect) -> Self {
        self.packages.push(Package::new(counter, parts));
        let number = u32::try_from(self.orders.len() + 1).unwrap_or(u32::MAX);
        self.orders.push(Order {
            entry: Some((number, 0)),
            package: self.packages.len() - 1,
            attempts: 3,
            manner: Manner::default(),
            expect,
        });
        self
    }

    /// The last deployment again, in a higher round.
    pub fn retried(mut self, expect: Expect) -> Self {
        if let Some(last) = self.orders.last().copied() {
            self.orders.push(Order {
                entry: last
                    .entry
                    .map(|(deployment, round)| (deployment, round + 1)),
                expect,
                ..last
            });
        }
        self
    }

    /// The last order again, in the same round.
    pub fn retried_now(mut self, expect: Expect) -> Self {
        let last = self.orders.last().copied();
        self.orders
            .extend(last.map(|last| Order { expect, ..last }));
        self
    }

    /// The last order may be tried so often.
    pub fn attempts(mut self, attempts: u32) -> Self {
        if let Some(last) = self.orders.last_mut() {
            last.attempts = attempts;
        }
        self
    }

    /// The last order is to be carried out in this manner.
    pub fn manner(mut self, manner: Manner) -> Self {
        if let Some(last) = self.orders.last_mut() {
            last.manner = manner;
        }
        self
    }

    /// The last order is a person's at the device.
    pub fn by_hand(mut self) -> Self {
        if let Some(last) = self.orders.last_mut() {
            last.entry = None;
            last.attempts = 1;
        }
        self
    }

    /// Runs of a script of the last order end otherwise.
    pub fn exit(mut self, artifact: u8, kind: ScriptKind, runs: Range<u32>, exit: u8) -> Self {
        self.exits.push(Exits {
            order: self.orders.len() - 1,
            artifact,
            kind,
            runs,
            exit,
        });
        self
    }

    /// Sets the result of reboots.
    pub fn reboots(self, reboots: Reboots) -> Self {
        Self { reboots, ..self }
    }

    /// Sets the trouble on the network.
    pub fn luck(self, luck: Luck) -> Self {
        Self { luck, ..self }
    }

    /// The first order stays listed beside all others.
    pub fn first_lasts(self) -> Self {
        Self { lasting: 1, ..self }
    }

    /// The device is moved before the last order.
    pub fn after_a_move(self) -> Self {
        Self {
            moved: self.orders.len().checked_sub(1),
            ..self
        }
    }

    /// Cuts may damage what was synced.
    pub fn damage(self) -> Self {
        Self {
            damage: true,
            ..self
        }
    }

    /// Sets the software that the device came with.
    pub fn came_with(self, parts: &[(&'static str, u8)]) -> Self {
        Self {
            came_with: parts.to_vec(),
            ..self
        }
    }
}
