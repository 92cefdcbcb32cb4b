//! The broker and whoever listens behind it: what they heard of the device.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use hoist_protocol::codec::encode;
use hoist_protocol::status::{DeviceStatus, FinalResult, Outcome};

use super::fault::Fault;
use super::scenario::Luck;

/// Deployment and round.
pub type Key = (u32, u32);

/// The messages that arrived.
#[derive(Debug, Clone, Default)]
pub struct Broker {
    /// The device's retained status.
    pub retained: Option<DeviceStatus>,
    heard: BTreeMap<Key, Outcome>,
    session: u64,
    /// The trouble that is still to come on the way.
    pub luck: Luck,
}

/// The fate of a status on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// It arrives, and its acknowledgment too.
    Whole,
    /// It arrives, and the connection is lost before its acknowledgment.
    Unacknowledged,
    /// The connection is lost before it arrives.
    Lost,
    /// It is acknowledged and nobody heard it: what no broker may do.
    Swallowed,
}

impl Broker {
    /// One that heard nothing.
    pub fn new(luck: Luck) -> Self {
        Self {
            luck,
            ..Self::default()
        }
    }

    /// The outcome heard, if any.
    pub fn outcome(&self, key: Key) -> Option<&Outcome> {
        self.heard.get(&key)
    }

    /// The fate of this status.
    pub fn passage(&mut self, status: &DeviceStatus) -> Passage {
        let luck = &mut self.luck;
        if status.outcomes.is_empty() {
            return Passage::Whole;
        }
        if luck.swallows {
            return Passage::Swallowed;
        }
        if luck.statuses_lost > 0 {
            luck.statuses_lost -= 1;
            return Passage::Lost;
        }
        if luck.acks_lost > 0 {
            luck.acks_lost -= 1;
            return Passage::Unacknowledged;
        }
        Passage::Whole
    }

    /// A session begins with this number.
    ///
    /// # Errors
    /// [`Fault::Numbers`] when it is not higher than the last.
    pub fn begin_session(&mut self, number: u64) -> Result<(), Fault> {
        if number <= self.session {
            let what = format!("session {number} after {}", self.session);
            return Err(Fault::Numbers(what));
        }
        self.session = number;
        Ok(())
    }

    /// Takes a status; returns the outcomes that are new.
    ///
    /// # Errors
    /// [`Fault`] when it contradicts what was heard before.
    pub fn receive(&mut self, status: DeviceStatus) -> Result<Vec<Outcome>, Fault> {
        if let Some(last) = &self.retained
            && (status.seq < last.seq || (status.seq == last.seq && !is_same(&status, last)))
        {
            let what = format!("{status:?} after {last:?}");
            return Err(Fault::Numbers(what));
        }
        let mut new = Vec::new();
        for outcome in &status.outcomes {
            let key = (outcome.deployment.0, outcome.round.0);
            match self.heard.get(&key) {
                Some(heard) if is_same_outcome(heard, outcome) => {}
                Some(heard) => {
                    let what = format!("heard {heard:?}, then {outcome:?}");
                    return Err(Fault::LostOutcome(what));
                }
                None => {
                    self.heard.insert(key, outcome.clone());
                    new.push(outcome.clone());
                }
            }
        }
        if status.ended as usize != self.heard.len() {
            let what = format!("{} heard, {status:?}", self.heard.len());
            return Err(Fault::LostOutcome(what));
        }
        self.retained = Some(status);
        Ok(new)
    }

    /// Hashes everything that what follows depends on.
    pub fn fingerprint(&self, into: &mut impl Hasher) {
        self.retained.as_ref().map(encode).hash(into);
        self.heard.keys().for_each(|key| key.hash(into));
        for outcome in self.heard.values() {
            format!("{outcome:?}").hash(into);
        }
        (self.session, self.luck).hash(into);
    }
}

fn is_same(one: &DeviceStatus, other: &DeviceStatus) -> bool {
    let same = |(a, b)| is_same_outcome(a, b);
    one.running == other.running
        && one.outcomes.len() == other.outcomes.len()
        && one.outcomes.iter().zip(&other.outcomes).all(same)
}

/// The output of a script travels once.
fn is_same_outcome(one: &Outcome, other: &Outcome) -> bool {
    without_output(one) == without_output(other)
}

fn without_output(outcome: &Outcome) -> Outcome {
    let mut outcome = outcome.clone();
    if let FinalResult::Failed(failure) = &mut outcome.result {
        failure.output.clear();
    }
    outcome
}
