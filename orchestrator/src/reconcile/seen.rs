//! What heads of ours say that lie at the broker, or that devices kept.

use hoist_orchestrator_core::engine::input::Input;
use hoist_orchestrator_core::model::now::Mode;
use hoist_protocol::envelope::{Kind, PublicKey, open};
use hoist_protocol::head::{DeviceHead, GroupHead};
use hoist_protocol::id::{DeviceId, GroupId};
use hoist_protocol::topic::Topic;

use super::{Ahead, Reconciler, Shows, Subject};
use crate::transport::Delivery;

impl Reconciler {
    /// A message on one of our own topics. Returns what a head that we signed names, so that
    /// its numbers and rounds are never given again.
    pub(crate) fn seen(&mut self, topic: &Topic, delivery: &Delivery) -> Option<Input> {
        let (subject, signed, named) = match topic {
            Topic::GroupHead(group) => {
                let opened = self.open::<GroupHead>(Kind::GroupHead, delivery);
                let signed = opened.as_ref().map(|head| head.generation);
                let lists = opened.filter(|head| !head.notices.is_empty());
                let named = lists.map(|head| self.named(group, head));
                (Subject::Group(group.clone()), signed, named)
            }
            Topic::DeviceHead(device) => {
                let opened = self.open::<DeviceHead>(Kind::DeviceHead, delivery);
                let signed = opened.as_ref().map(|head| head.generation);
                let rounds = opened.map(|head| head.rounds).unwrap_or_default();
                let device = device.clone();
                let subject = Subject::Device(device.clone());
                let opened = !rounds.is_empty();
                let named = opened.then_some(Input::SeenRounds { device, rounds });
                (subject, signed, named)
            }
            Topic::Release(release) => (Subject::Release(*release), None, None),
            Topic::Root(number) if *number == self.keys.root_number => (Subject::Root, None, None),
            _ => return None,
        };
        if self.mode == Mode::Recovering {
            self.difference.learned(signed.unwrap_or_default());
        } else if let Some(signed) = signed.filter(|signed| self.difference.is_ahead(*signed)) {
            let known = self.difference.generations()[1];
            self.ahead = Some(Ahead {
                place: delivery.topic.clone(),
                shows: Shows::Signed { at: signed, known },
            });
        }
        self.difference.seen(subject, &delivery.payload, signed);
        named
    }

    fn named(&self, group: &GroupId, head: GroupHead) -> Input {
        match self.mode {
            Mode::Serving => Input::SeenHead(head.notices),
            Mode::Recovering => Input::RecoverGroup {
                group: group.clone(),
                head: Box::new(head),
            },
        }
    }

    /// The head that a device kept, when an earlier run of the program signed it for the device,
    /// and whether that was after everything that the store knew of when its recovery began.
    /// What is signed from now on is newer.
    pub(crate) fn kept_by(
        &mut self,
        device: &DeviceId,
        stored: &[u8],
    ) -> Option<(DeviceHead, bool)> {
        let topic = self.topics.format(&Topic::DeviceHead(device.clone()));
        let ours = [self.keys.orchestrator.public()];
        let opened = open::<DeviceHead>(&ours, Kind::DeviceHead, &topic, stored);
        let head = opened.ok()?.message;
        if self.difference.signed_here(device, head.generation) {
            return None;
        }
        self.difference.learned(head.generation);
        let newer = head.generation > self.known;
        Some((head, newer))
    }

    /// A head of ours that shows that the store is an older copy, or that another server signs
    /// with its keys; one that was seen.
    pub(crate) fn ahead(&self) -> Option<&Ahead> {
        self.ahead.as_ref()
    }

    /// The message of ours in a delivery, when our signature on it holds.
    fn open<M: hoist_protocol::codec::Message>(
        &self,
        kind: Kind,
        delivery: &Delivery,
    ) -> Option<M> {
        let ours: [PublicKey; 1] = [self.keys.orchestrator.public()];
        let opened = open::<M>(&ours, kind, &delivery.topic, &delivery.payload);
        opened.ok().map(|opened| opened.message)
    }
}
