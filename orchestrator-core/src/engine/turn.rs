//! The turns of the engine: which work is taken up next, and what it wants.

use super::{BATCH_MAX, Engine, Interrupted, Job, Link, Look};
use crate::engine::arrival::{Arrival, Content};
use crate::engine::batch::{Batch, Step};
use crate::engine::event::{Output, Turn, missing};
use crate::engine::input::Input;
use crate::engine::publish::{Cause, Publisher};
use crate::engine::seals::Seals;
use crate::engine::walk::Walk;
use crate::model::damage::Damage;
use crate::model::effect::Effect;
use crate::model::now::Now;
use crate::model::txn::Txn;

impl<S: Seals> Engine<S> {
    /// Goes on as far as that is possible by itself. After [`Turn::Outputs`] there may be more.
    ///
    /// # Errors
    /// [`Damage`] to the row without which nothing can be made durable: going on would lose
    /// something. Whatever else is damaged stops only what needs it ([`Effect::Damaged`]).
    pub fn turn(&mut self, now: Now) -> Result<Turn, Damage> {
        if matches!(self.job, Job::None) {
            self.begin(now);
        }
        match std::mem::take(&mut self.job) {
            Job::None => Ok(Turn::Idle),
            Job::Batch(batch) => self.decide(batch),
            Job::Durable(batch) => Ok(Turn::Outputs(self.follow(*batch))),
            Job::Walk(walk) => Ok(self.walk(walk)),
            Job::Look(look) => Ok(self.look(look)),
        }
    }

    /// Takes up the next work: first what is to be decided, last what may have to be published.
    fn begin(&mut self, now: Now) {
        let difference = &mut self.publisher.difference;
        let out = difference.take_out().into_iter().map(Content::Input);
        self.waiting.extend(out.map(Arrival::of));
        if self.waiting.is_empty()
            && !self.walks.any()
            && let Some(wants) = self.wants(now)
        {
            self.arrived([wants]);
        }
        if !self.waiting.is_empty() {
            let count = self.waiting.len().min(BATCH_MAX);
            let arrivals = self.waiting.drain(..count).collect();
            self.job = Job::Batch(Box::new(Batch::new(arrivals, self.instance, now)));
        } else if let Some(walk) = self.walks.next() {
            self.job = Job::Walk(walk);
        } else if self.link != Link::Down
            && let Some((subject, cause)) = self.publisher.difference.pop()
        {
            self.job = Job::Look(Box::new(Look {
                subject,
                cause,
                begun_ms: now.unix_ms,
                txn: Txn::of(self.instance),
                wanted: Vec::new(),
            }));
        }
    }

    /// The decision that is due before anything is published.
    fn wants(&self, now: Now) -> Option<Input> {
        let connected = self.link != Link::Down;
        let wants = self.publisher.difference.wants(now.unix_ms);
        wants.filter(|_| connected)
    }

    /// True if rows are to be walked over before it is known what else is to be published.
    #[must_use]
    pub fn has_walks(&self) -> bool {
        self.walks.any()
    }

    /// True if something is to be decided before anything is published.
    #[must_use]
    pub fn has_decisions(&self, now: Now) -> bool {
        !matches!(self.job, Job::None)
            || !self.waiting.is_empty()
            || self.walks.any()
            || self.publisher.difference.has_out()
            || self.wants(now).is_some()
    }

    fn decide(&mut self, mut batch: Box<Batch>) -> Result<Turn, Damage> {
        let turn = match batch.step(&self.seals)? {
            Step::Load(keys) => Turn::Load(keys),
            Step::Commit(writes) => Turn::Commit(writes),
            Step::Done => return Ok(Turn::Outputs(self.follow(*batch))),
        };
        self.job = Job::Batch(batch);
        Ok(turn)
    }

    fn walk(&mut self, mut walk: Walk) -> Turn {
        if let Some(scan) = walk.next() {
            self.job = Job::Walk(walk);
            return Turn::Scan(scan);
        }
        match walk.subjects {
            Some(subjects) if walk.looks => {
                for subject in subjects {
                    self.publisher.difference.mark(subject, Cause::Changed);
                }
            }
            Some(subjects) => self.publisher.subscribed(subjects),
            None => {}
        }
        self.arrived(walk.inputs);
        self.arrived(walk.doubts.then_some(Input::ResyncAsked));
        Turn::Outputs(walk.damaged.into_iter().map(damaged).collect())
    }

    fn look(&mut self, mut look: Box<Look>) -> Turn {
        if self.publisher.is_unheard(&look.subject) {
            return Turn::Outputs(Vec::new());
        }
        let rows = match Publisher::read(&look.txn, &look.subject) {
            Ok(rows) => rows,
            Err(undecided) => match missing(undecided) {
                // The broker goes on with what it has.
                Err(damage) => return Turn::Outputs(vec![damaged(damage)]),
                Ok(mut keys) => {
                    keys.retain(|key| !look.txn.has(key));
                    look.wanted.clone_from(&keys);
                    self.job = Job::Look(look);
                    return Turn::Load(keys);
                }
            },
        };
        let Look {
            subject,
            cause,
            begun_ms,
            ..
        } = *look;
        let (publisher, seals) = (&mut self.publisher, &self.seals);
        Turn::Outputs(publisher.publish(&subject, cause, rows, seals, begun_ms))
    }

    /// The store failed: gives back what was to be decided. What was looked at is looked at
    /// again.
    pub fn interrupted(&mut self) -> Interrupted {
        let mut interrupted = Interrupted::default();
        match std::mem::take(&mut self.job) {
            Job::Batch(batch) | Job::Durable(batch) => interrupted.begun = batch.give_up(),
            Job::Look(look) => self.publisher.difference.mark(look.subject, look.cause),
            Job::Walk(walk) => self.walks.again(&walk),
            Job::None => {}
        }
        interrupted.waiting = self.waiting.drain(..).collect();
        interrupted
    }
}

fn damaged(damage: Damage) -> Output {
    Output::Effect(Effect::Damaged(damage))
}
