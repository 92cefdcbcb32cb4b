//! What follows a durable decision. Specs that may have changed are only marked: they are
//! published as they are desired then, after everything that was decided.

use hoist_protocol::topic::Topic;

use super::{Engine, Link};
use crate::api::response::Decision;
use crate::engine::arrival::{Arrival, Content, WithoutSpec};
use crate::engine::batch::Batch;
use crate::engine::delivery::Receipt;
use crate::engine::event::{Output, Told};
use crate::engine::publish::{Cause, Subject, clear, clear_reports, reports};
use crate::engine::seals::Seals;
use crate::model::effect::Effect;

impl<S: Seals> Engine<S> {
    /// Everything that follows from a durable batch, in order: of each arrival the effects, the
    /// answer, and last the acknowledgment.
    pub(super) fn follow(&mut self, batch: Batch) -> Vec<Output> {
        let mut outputs = Vec::new();
        for (arrival, decision) in batch.finish() {
            self.follow_one(arrival, decision, &mut outputs);
        }
        outputs
    }

    fn follow_one(&mut self, arrival: Arrival, decision: Decision, outputs: &mut Vec<Output>) {
        if let Content::Command(asked) = arrival.content {
            outputs.push(Output::Decided(Box::new((*asked, decision.clone()))));
        }
        let mut kept = decision.kept.into_iter();
        for effect in decision.effects {
            match effect {
                Effect::Event(event) => {
                    let kept = kept.next();
                    outputs.push(Output::Told(Box::new(Told { event, kept })));
                }
                effect => self.follow_effect(effect, outputs),
            }
        }
        let response = decision.response.map(Box::new);
        outputs.extend(response.map(|response| Output::Respond(response, arrival.answer_to)));
        match arrival.without_spec {
            Some(WithoutSpec::Born(device)) => self.publisher.difference.born(device),
            Some(WithoutSpec::Asked(device)) => self.publisher.asked(device),
            Some(WithoutSpec::Forgot(device)) => self.publisher.forgot(device),
            None => {}
        }
        self.finish(arrival.clear, arrival.receipt, outputs);
    }

    /// The end of an arrival: clears what is to be cleared, and acknowledges. A lost connection
    /// delivers again; deciding again changes nothing.
    pub fn finish(
        &mut self,
        clears: Option<Topic>,
        receipt: Option<Receipt>,
        outputs: &mut Vec<Output>,
    ) {
        outputs.extend(clears.map(|topic| {
            self.clearing.insert(topic.clone());
            clear(topic)
        }));
        outputs.extend(receipt.map(Output::Acknowledge));
    }

    /// The consequences of one effect: also of what was decided without a batch, because it changes
    /// nothing.
    pub fn follow_effect(&mut self, effect: Effect, outputs: &mut Vec<Output>) {
        let difference = &mut self.publisher.difference;
        let mut changed = |subject| difference.mark(subject, Cause::Changed);
        match &effect {
            Effect::GroupSpecChanged(group) => return changed(Subject::Group(group.clone())),
            Effect::DeviceSpecChanged(device) => return changed(Subject::Device(device.clone())),
            Effect::PublishRelease(release) => return changed(Subject::Release(*release)),
            Effect::EveryGroupChanged => {
                self.walks.groups |= self.link == Link::Listening;
            }
            Effect::GenerationsReserved(reserved) => return difference.reserved(*reserved),
            Effect::ReadStatus(device) => {
                let status = Topic::Status(device.clone());
                return outputs.push(Output::Read(status));
            }
            Effect::ReadReports(device) => {
                return outputs.extend(reports(device).map(Output::Read));
            }
            Effect::ReleaseRemoved { release, .. } => changed(Subject::Release(*release)),
            Effect::DeviceRevoked { device, .. } => {
                let cleared = clear_reports(device);
                outputs.push(Output::Effect(effect.clone()));
                return outputs.extend(cleared);
            }
            _ => {}
        }
        outputs.push(Output::Effect(effect));
    }
}
