//! Roll calls (W6): the server asks for everything that ended, of one device or of a group. A
//! roll call is answered when the broker has the answer, not when it is given: until then
//! every status carries it, and after a power cut it is given again. An answer has two halves,
//! a status and a DeviceInfo with the stored head.

use alloc::vec::Vec;

use hoist_protocol::id::{RollCall, Seq};
use hoist_protocol::status::Outcome;

use super::Machine;
use super::action::{Action, InfoExtent};

/// A roll: the call that it answers, and the progress of the answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Roll {
    heard: RollCall,
    answered: RollCall,
    /// The first status that carried the answer, while none with it is acknowledged.
    answer: Option<Seq>,
    /// The answer's DeviceInfo is not acknowledged.
    owes_info: bool,
}

impl Roll {
    /// As it was kept.
    pub(super) fn new(answered: RollCall) -> Self {
        Self {
            heard: answered,
            answered,
            answer: None,
            owes_info: false,
        }
    }

    /// The last roll call whose answer the broker has: what is kept.
    pub(super) fn answered(&self) -> RollCall {
        self.answered
    }

    /// True if any was ever heard.
    pub(super) fn is_known(&self) -> bool {
        self.heard > RollCall::default()
    }

    /// True if this one was not heard before.
    pub(super) fn hear(&mut self, called: RollCall) -> bool {
        let new = called != self.heard;
        if new {
            *self = Self {
                heard: called,
                ..Self::new(self.answered)
            };
        }
        new
    }

    fn give(&mut self, first: Seq) {
        self.answer = Some(first);
        self.owes_info = true;
    }

    /// The broker has a status; whether that is all of an answer now.
    fn status_arrived(&mut self, seq: Seq) -> bool {
        let carried = self.answer.take_if(|first| seq >= *first).is_some();
        carried && self.is_given()
    }

    /// The broker has the DeviceInfo; whether that is all of an answer now.
    fn info_arrived(&mut self) -> bool {
        core::mem::take(&mut self.owes_info) && self.is_given()
    }

    fn is_given(&mut self) -> bool {
        let given = self.answer.is_none() && !self.owes_info;
        if given {
            self.answered = self.heard;
        }
        given
    }
}

impl Machine {
    /// Answers a roll of this device alone: whoever calls it misses an outcome.
    pub(super) fn answer_alone(&mut self, out: &mut Vec<Action>) {
        self.device_roll.give(Seq(self.seq.0 + 1));
        self.answer(out);
    }

    pub(super) fn answer_with_group(&mut self, out: &mut Vec<Action>) {
        self.group_roll.give(Seq(self.seq.0 + 1));
        self.answer(out);
    }

    fn answer(&mut self, out: &mut Vec<Action>) {
        let status = self.status();
        self.publish(status, out);
        out.push(Action::PublishInfo(InfoExtent::Full));
    }

    /// The outcomes that a status tells: those that ended and were not acknowledged; the whole ring
    /// to who called the roll of the group; everything that is remembered to who asked this device
    /// alone.
    pub(super) fn outcomes_to_tell(&self) -> Vec<Outcome> {
        match (&self.device_roll.answer, &self.group_roll.answer) {
            (None, None) => self.ring.since(self.acked).to_vec(),
            (Some(_), _) => self.ring.everything(),
            _ => self.ring.since(0).to_vec(),
        }
    }

    /// The broker has a status.
    pub(super) fn acknowledged(&mut self, seq: Seq, ended: u32, out: &mut Vec<Action>) {
        let ended = ended.min(self.ring.ended);
        if ended > self.acked {
            self.acked = ended;
            self.ring.drop_output(ended);
        }
        let alone = self.device_roll.status_arrived(seq);
        if self.group_roll.status_arrived(seq) || alone {
            self.persist(out);
        }
    }

    /// The broker has every DeviceInfo with the stored head that it was sent.
    pub(super) fn info_acknowledged(&mut self, out: &mut Vec<Action>) {
        let alone = self.device_roll.info_arrived();
        if self.group_roll.info_arrived() || alone {
            self.persist(out);
        }
    }

    /// The extent of the DeviceInfo when a session begins: what an answer lacks was lost with the
    /// one before.
    pub(super) fn info_of_session(&self) -> InfoExtent {
        match self.device_roll.owes_info || self.group_roll.owes_info {
            true => InfoExtent::Full,
            false => InfoExtent::IfChanged,
        }
    }
}
