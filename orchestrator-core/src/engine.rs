//! The orchestrator's loop as a pure state machine. Whatever happens is told to it
//! ([`Engine::handle`]); whatever it wants of the store and the broker it says, one turn after the
//! other ([`Engine::turn`]): rows to read, rows to make durable, and what is to be done then. The
//! order is the promise: nothing is published or acknowledged before it is durable, and a crash
//! anywhere delivers again what was not acknowledged.
//!
//! The parts are [`decide`](decide::decide), the one door into the rules, [`batch`], which decides
//! many arrivals with one commit, [`publish`], which makes the broker hold what [`desired`] says,
//! and [`check`], which says whether rows fit together.

pub mod arrival;
pub mod batch;
pub mod check;
pub mod decide;
pub mod delivery;
pub mod desired;
pub mod event;
mod follow;
pub mod input;
pub mod memory;
pub mod publish;
pub mod seals;
#[cfg(test)]
mod tests;
mod turn;
mod walk;

use std::collections::{HashSet, VecDeque};

use hoist_protocol::codec::decode;
use hoist_protocol::device::DeviceInfo;
use hoist_protocol::envelope::PublicKey;
use hoist_protocol::id::{DeviceId, Generation, GroupId};
use hoist_protocol::topic::Topic;

use crate::engine::arrival::{Arrival, Content};
use crate::engine::batch::Batch;
use crate::engine::delivery::Delivery;
use crate::engine::event::{Event, Session};
use crate::engine::input::Input;
use crate::engine::publish::{Cause, Difference, Publisher, Settings, Shows, Subject, is_own};
use crate::engine::seals::Seals;
use crate::engine::walk::{Walk, Walks};
use crate::model::error::Code;
use crate::model::instance::InstanceId;
use crate::model::key::Key;
use crate::model::now::{Mode, Now};
use crate::model::row::InstanceRow;
use crate::model::txn::{Stored, Txn};
use crate::query::explain::SpecsOut;

/// Arrivals decided together: a store is at its best from 64 on and no better above.
pub const BATCH_MAX: usize = 512;

/// An orchestrator without its store, broker, clocks and keys.
#[derive(Debug, Clone)]
pub struct Engine<S> {
    seals: S,
    mode: Mode,
    instance: InstanceId,
    publisher: Publisher,
    link: Link,
    /// Topics of retained commands that were cleared on this connection, until the empty message
    /// comes back, which is no command.
    clearing: HashSet<Topic>,
    /// To be decided, in this order.
    waiting: VecDeque<Arrival>,
    walks: Walks,
    /// True if a broker lost what was retained, and no group was asked for a resync since.
    doubtful: bool,
    job: Job,
}

/// The connection to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Down,
    /// Not everything can be heard yet.
    Up,
    Listening,
}

/// The work at hand.
#[derive(Debug, Clone, Default)]
enum Job {
    #[default]
    None,
    /// A batch on its way to its commit.
    Batch(Box<Batch>),
    /// A batch that is durable.
    Durable(Box<Batch>),
    Walk(Walk),
    Look(Box<Look>),
}

/// A look at one subject: whether the broker holds what its rows desire.
#[derive(Debug, Clone)]
struct Look {
    subject: Subject,
    cause: Cause,
    /// Unix ms at which generations were reserved for it: it is signed as of then, however long
    /// its rows take.
    begun_ms: u64,
    txn: Txn,
    wanted: Vec<Key>,
}

/// Arrivals of which nothing is known to be durable, in order.
#[derive(Debug, Default)]
pub struct Interrupted {
    /// Those that were being made durable.
    pub begun: Vec<Arrival>,
    /// Those behind them.
    pub waiting: Vec<Arrival>,
}

impl<S: Seals> Engine<S> {
    /// An engine that is not connected, which goes on from what earlier runs left in `instance`. The
    /// store knew of generations up to `known` before it began to recover.
    pub fn new(seals: S, settings: Settings, instance: &InstanceRow, known: Generation) -> Self {
        let reserved = instance.reserved_by(seals.signer());
        let signer = seals.signer().filter(|by| instance.signer != Some(*by));
        let mut engine = Self {
            seals,
            mode: settings.mode,
            instance: settings.instance,
            publisher: Publisher::new(settings, reserved, known),
            link: Link::Down,
            clearing: HashSet::new(),
            waiting: VecDeque::new(),
            walks: Walks::default(),
            doubtful: instance.is_doubtful(),
            job: Job::None,
        };
        engine.arrived(signer.map(Input::SignedBy));
        engine
    }

    /// Goes on with these root documents and the key that the newest names; by another key every spec
    /// is signed anew.
    pub fn sign_with(&mut self, seals: S, roots: Vec<(u32, Vec<u8>)>) {
        let is_same = seals.signer() == self.seals.signer();
        self.seals = seals;
        self.publisher.has_roots(roots);
        if !is_same {
            self.publisher.signed_anew();
            self.arrived(self.seals.signer().map(Input::SignedBy));
        }
        self.walks.shared |= self.link == Link::Listening;
    }

    /// Reads a delivery: what is to be decided for it, first what it brings back of a lost store.
    pub fn receive(&mut self, delivery: Delivery) -> Vec<Arrival> {
        let Some(topic) = delivery.topic.clone() else {
            let (device, code) = (None, Code::Topic);
            let refused = Content::Input(Input::Refused { device, code });
            return vec![Arrival {
                receipt: delivery.receipt,
                ..Arrival::of(refused)
            }];
        };
        if is_own(&topic) {
            let named = self
                .publisher
                .seen(&topic, &delivery.payload, &self.seals)
                .map_or(Content::Nothing, Content::Input);
            return vec![Arrival {
                receipt: delivery.receipt,
                ..Arrival::of(named)
            }];
        }
        if delivery.payload.is_empty() && self.clearing.remove(&topic) {
            return vec![Arrival::nothing(delivery.receipt)];
        }
        let back = self.brings_back(&topic, &delivery.payload);
        let arrival = Arrival::delivered(topic, delivery, &self.seals);
        back.into_iter().chain([arrival]).collect()
    }

    /// The spec that a device kept is its membership (W4).
    fn brings_back(&mut self, topic: &Topic, payload: &[u8]) -> Option<Arrival> {
        let Topic::Info(device) = topic else {
            return None;
        };
        if self.mode != Mode::Recovering {
            return None;
        }
        let info = decode::<DeviceInfo>(payload).ok()?;
        let stored = info.stored_spec?;
        let (spec, newer) = self.publisher.kept_by(device, &stored, &self.seals)?;
        Some(Arrival::of(Content::Input(Input::RecoverDevice {
            device: device.clone(),
            spec: Box::new(spec),
            newer,
            shown: info.public_key.filter(PublicKey::is_sound),
        })))
    }

    /// Takes note of what happened; [`Engine::turn`] says what follows.
    pub fn handle(&mut self, event: Event, now: Now) {
        match event {
            Event::Connected(session) => {
                self.link = Link::Up;
                self.clearing.clear();
                self.publisher.difference.connected();
                if session == Session::Fresh {
                    self.doubtful = true;
                    self.arrived([Input::BrokerForgot]);
                }
            }
            Event::Subscribed => {
                self.walks.doubts |= std::mem::take(&mut self.doubtful);
                self.walks.shared = true;
                self.link = Link::Listening;
                self.arrived([Input::Connected]);
            }
            Event::Disconnected => {
                self.link = Link::Down;
                self.doubtful |= self.walks.doubts;
                self.walks = Walks::default();
                self.arrived([Input::Disconnected]);
            }
            Event::Arrived(arrivals) => self.waiting.extend(arrivals),
            Event::Timers => self.walks.timers |= self.link == Link::Listening,
            Event::Review => self.publisher.difference.review(now.unix_ms),
            Event::Refresh => self.walks.shared |= self.link == Link::Listening,
            Event::Loaded(rows) => self.loaded(rows),
            Event::Scanned(page) => {
                if let Job::Walk(walk) = &mut self.job {
                    walk.found(page, now);
                }
            }
            Event::Durable => {
                self.job = match std::mem::take(&mut self.job) {
                    Job::Batch(batch) => Job::Durable(batch),
                    job => job,
                };
            }
            Event::Conflict => {
                if let Job::Batch(batch) = &mut self.job {
                    batch.conflict();
                }
            }
        }
    }

    fn arrived(&mut self, inputs: impl IntoIterator<Item = Input>) {
        let inputs = inputs.into_iter().map(Content::Input);
        self.waiting.extend(inputs.map(Arrival::of));
    }

    fn loaded(&mut self, rows: Vec<Option<Stored>>) {
        match &mut self.job {
            Job::Batch(batch) => batch.loaded(rows),
            Job::Look(look) => {
                for (key, row) in look.wanted.drain(..).zip(rows) {
                    look.txn.load(key, row);
                }
            }
            Job::None | Job::Durable(_) | Job::Walk(_) => {}
        }
    }

    /// Nothing can be sent any more, as these messages were not: their subjects are looked at again
    /// on the next connection.
    pub fn cut(&mut self, unsent: &[Topic]) {
        self.link = Link::Down;
        for subject in unsent.iter().filter_map(Subject::of) {
            self.publisher.difference.mark(subject, Cause::Changed);
        }
    }

    /// A spec of ours that shows that the store is an older copy, or that another server signs
    /// with its keys; one that was seen.
    #[must_use]
    pub fn ahead(&self) -> Option<&(Topic, Shows)> {
        self.publisher.ahead.as_ref()
    }

    /// True if the root document and every group spec were seen back from the broker.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.publisher.is_quiet()
    }

    /// The state at the broker of what a device is to read.
    #[must_use]
    pub fn specs_out(&self, group: &GroupId, device: &DeviceId) -> SpecsOut {
        self.publisher.specs_out(group, device)
    }

    /// The signatures.
    pub fn seals(&self) -> &S {
        &self.seals
    }

    /// The messages that are known to be out, and the subjects to be looked at.
    pub fn difference(&self) -> &Difference {
        &self.publisher.difference
    }

    /// The same, for whoever explores what can happen and puts it together from parts.
    pub fn difference_mut(&mut self) -> &mut Difference {
        &mut self.publisher.difference
    }
}
