//! One batch: decided in order on one overlay of rows, and made durable by one commit. It asks
//! for rows as it misses them, and is decided again when somebody else wrote in between.
//! Nothing that follows from it is said before it is durable.

use std::collections::BTreeSet;

use crate::api::response::{Decision, Response};
use crate::engine::arrival::{Arrival, Content};
use crate::engine::decide::decide;
use crate::engine::event::missing;
use crate::engine::input::Input;
use crate::engine::seals::Seals;
use crate::model::damage::Damage;
use crate::model::effect::Effect;
use crate::model::error::Rejection;
use crate::model::instance::InstanceId;
use crate::model::key::{InstanceKey, Key, RowKey};
use crate::model::now::Now;
use crate::model::txn::{Stored, Txn, Undecided, Write};
use crate::reply::Answer;

/// Arrivals that are decided together.
#[derive(Debug, Clone)]
pub struct Batch {
    arrivals: Vec<Arrival>,
    now: Now,
    txn: Txn,
    decided: Vec<Decision>,
    /// The arrival that is being decided, as it was read: rows that it misses are no reason to look
    /// at its signature again.
    at_hand: Option<Input>,
    /// Rows that were asked for.
    wanted: Vec<Key>,
    /// True if the rows that are surely looked at were asked for.
    hinted: bool,
}

/// The next need of a batch.
#[derive(Debug)]
#[must_use]
pub enum Step {
    /// Rows to read; then [`Batch::loaded`].
    Load(Vec<Key>),
    /// Everything is decided, and this is to be made durable.
    Commit(Vec<Write>),
    /// Everything is decided, and there is nothing to write.
    Done,
}

impl Batch {
    /// A batch of which nothing is decided.
    #[must_use]
    pub fn new(arrivals: Vec<Arrival>, instance: InstanceId, now: Now) -> Self {
        Self {
            decided: Vec::with_capacity(arrivals.len()),
            arrivals,
            now,
            txn: Txn::of(instance),
            at_hand: None,
            wanted: Vec::new(),
            hinted: false,
        }
    }

    /// Decides as far as the rows that were loaded allow.
    ///
    /// # Errors
    /// [`Damage`] to the row without which nothing can be made durable.
    pub fn step(&mut self, seals: &impl Seals) -> Result<Step, Damage> {
        match self.decide(seals) {
            Ok(step) => Ok(step),
            Err(undecided) => Ok(self.want(missing(undecided)?)),
        }
    }

    fn decide(&mut self, seals: &impl Seals) -> Result<Step, Undecided> {
        if !self.hinted {
            self.hinted = true;
            let mut keys: BTreeSet<Key> = self.arrivals.iter().flat_map(Arrival::hint).collect();
            if !keys.is_empty() {
                // A batch that carries anything writes it.
                keys.insert(self.txn.instance_key().key());
                return Err(Undecided::Missing(keys.into_iter().collect()));
            }
        }
        let Self {
            arrivals,
            now,
            txn,
            decided,
            at_hand,
            ..
        } = self;
        for arrival in arrivals.iter().skip(decided.len()) {
            let one = decide_one(arrival, at_hand, txn, (seals, *now));
            decided.push(one.or_else(|undecided| stopped(&arrival.content, undecided))?);
            *at_hand = None;
        }
        if txn.is_unchanged() {
            return Ok(Step::Done);
        }
        // A batch that carries anything also carries the connected uptime so far (S7).
        let _none = decide(txn, &Input::Uptime, *now)?;
        Ok(Step::Commit(txn.writes()))
    }

    fn want(&mut self, mut keys: Vec<Key>) -> Step {
        keys.retain(|key| !self.txn.has(key));
        self.wanted.clone_from(&keys);
        Step::Load(keys)
    }

    /// Takes the rows that were asked for, in the same order.
    pub fn loaded(&mut self, rows: Vec<Option<Stored>>) {
        for (key, row) in self.wanted.drain(..).zip(rows) {
            self.txn.load(key, row);
        }
    }

    /// Nothing was written, because somebody else wrote in between: all of it is decided again,
    /// on rows that are read anew.
    pub fn conflict(&mut self) {
        let InstanceKey(instance) = self.txn.instance_key();
        *self = Self::new(std::mem::take(&mut self.arrivals), instance, self.now);
    }

    /// Everything is durable: each arrival with what was decided on it, in order.
    pub fn finish(self) -> impl Iterator<Item = (Arrival, Decision)> {
        self.arrivals.into_iter().zip(self.decided)
    }

    /// Nothing of it is known to be durable: the arrivals, in order.
    #[must_use]
    pub fn give_up(self) -> Vec<Arrival> {
        self.arrivals
    }
}

/// Decides one arrival.
fn decide_one(
    arrival: &Arrival,
    at_hand: &mut Option<Input>,
    txn: &mut Txn,
    (seals, now): (&impl Seals, Now),
) -> Result<Decision, Undecided> {
    if at_hand.is_none() {
        *at_hand = arrival.input(txn, seals)?;
    }
    match at_hand {
        Some(input) => decide(txn, input, now),
        None => Ok(Decision::default()),
    }
}

/// The end of an arrival that needs a damaged row: nothing of it is decided, and the row is named,
/// also to whoever waits for an answer. The others go on.
fn stopped(content: &Content, undecided: Undecided) -> Result<Decision, Undecided> {
    let Undecided::Damaged(damage) = undecided else {
        return Err(undecided);
    };
    let asked = match content {
        Content::Command(asked) => Some((&asked.user, &asked.request)),
        Content::Input(Input::Command(asked)) => Some((&asked.user, &asked.request)),
        Content::Input(_) | Content::Status { .. } | Content::Enroll(_) | Content::Nothing => None,
    };
    let response = asked.map(|(user, request)| Response::Reply {
        user: user.clone(),
        request: request.clone(),
        answer: Answer::Refused(Rejection::from(&damage)),
    });
    Ok(Decision {
        effects: vec![Effect::Damaged(damage)],
        kept: Vec::new(),
        response,
    })
}
