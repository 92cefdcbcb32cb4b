//! Resyncs (W6): the server asks for everything that ended, of one device or of a group. A
//! resync is answered when the broker has the answer, not when it is given: until then
//! every status carries it, and after a power cut it is given again. An answer has two halves,
//! a status and a DeviceInfo with the stored spec.

use alloc::vec::Vec;

use hoist_protocol::id::{Resync, Seq};
use hoist_protocol::status::Outcome;
use serde::Serialize;

use super::Machine;
use super::action::{Action, InfoExtent};

/// The resync that is answered, and the progress of the answer.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct ResyncAnswer {
    heard: Resync,
    answered: Resync,
    /// The first status that carried the answer, while none with it is acknowledged.
    answer: Option<Seq>,
    /// The answer's DeviceInfo is not acknowledged.
    owes_info: bool,
}

impl ResyncAnswer {
    /// As it was kept.
    pub(super) fn new(answered: Resync) -> Self {
        Self {
            heard: answered,
            answered,
            answer: None,
            owes_info: false,
        }
    }

    /// The last resync whose answer the broker has: what is kept.
    pub(super) fn answered(&self) -> Resync {
        self.answered
    }

    /// True if any was ever heard.
    pub(super) fn is_known(&self) -> bool {
        self.heard > Resync::default()
    }

    /// True if this one was not heard before.
    pub(super) fn hear(&mut self, called: Resync) -> bool {
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
    /// Answers a resync of this device alone: whoever asks misses an outcome.
    pub(super) fn answer_alone(&mut self, out: &mut Vec<Action>) {
        self.device_resync.give(Seq(self.seq.0 + 1));
        self.answer(out);
    }

    pub(super) fn answer_with_group(&mut self, out: &mut Vec<Action>) {
        self.group_resync.give(Seq(self.seq.0 + 1));
        self.answer(out);
    }

    fn answer(&mut self, out: &mut Vec<Action>) {
        let status = self.status();
        self.publish(status, out);
        out.push(Action::PublishInfo(InfoExtent::Full));
    }

    /// The outcomes that a status tells: those that ended and were not acknowledged; the whole ring
    /// to who asked the group; everything that is remembered to who asked this device
    /// alone.
    pub(super) fn outcomes_to_tell(&self) -> Vec<Outcome> {
        match (&self.device_resync.answer, &self.group_resync.answer) {
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
        let alone = self.device_resync.status_arrived(seq);
        if self.group_resync.status_arrived(seq) || alone {
            self.persist(out);
        }
    }

    /// The broker has every DeviceInfo with the stored spec that it was sent.
    pub(super) fn info_acknowledged(&mut self, out: &mut Vec<Action>) {
        let alone = self.device_resync.info_arrived();
        if self.group_resync.info_arrived() || alone {
            self.persist(out);
        }
    }

    /// The extent of the DeviceInfo when a session begins: what an answer lacks was lost with the
    /// one before.
    pub(super) fn info_of_session(&self) -> InfoExtent {
        match self.device_resync.owes_info || self.group_resync.owes_info {
            true => InfoExtent::Full,
            false => InfoExtent::IfChanged,
        }
    }
}
