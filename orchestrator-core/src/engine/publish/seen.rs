//! The heads of ours that lie at the broker, or that devices kept.

use hoist_protocol::head::{DeviceHead, GroupHead};
use hoist_protocol::id::{DeviceId, GroupId};
use hoist_protocol::topic::Topic;

use super::{Publisher, Shows, Subject};
use crate::engine::input::Input;
use crate::engine::seals::Seals;
use crate::model::now::Mode;

impl Publisher {
    /// A message on one of our own topics. Returns what a head that we signed names, so that its
    /// numbers and rounds are never given again.
    pub(crate) fn seen(
        &mut self,
        topic: &Topic,
        payload: &[u8],
        seals: &impl Seals,
    ) -> Option<Input> {
        let (subject, signed, named) = match topic {
            Topic::GroupHead(group) => {
                let opened = seals.open_group(group, payload);
                let signed = opened.as_ref().map(|head| head.generation);
                let lists = opened.filter(|head| !head.notices.is_empty());
                let named = lists.map(|head| self.named(group, head));
                (Subject::Group(group.clone()), signed, named)
            }
            Topic::DeviceHead(device) => {
                let opened = seals.open_device(device, payload);
                let signed = opened.as_ref().map(|head| head.generation);
                let rounds = opened.map(|head| head.rounds).unwrap_or_default();
                let device = device.clone();
                let subject = Subject::Device(device.clone());
                let opened = !rounds.is_empty();
                let named = opened.then_some(Input::SeenRounds { device, rounds });
                (subject, signed, named)
            }
            Topic::Release(release) => (Subject::Release(*release), None, None),
            Topic::Root(number) if self.has_root(*number) => (Subject::Root, None, None),
            _ => return None,
        };
        if self.settings.mode == Mode::Recovering {
            self.difference.learned(signed.unwrap_or_default());
        } else if let Some(signed) = signed.filter(|signed| self.difference.is_ahead(*signed)) {
            let known = self.difference.generations()[1];
            self.ahead = Some((topic.clone(), Shows::Signed { at: signed, known }));
        }
        self.difference.seen(subject, payload, signed);
        named
    }

    fn named(&self, group: &GroupId, head: GroupHead) -> Input {
        match self.settings.mode {
            Mode::Serving => Input::SeenHead(head.notices),
            Mode::Recovering => Input::RecoverGroup {
                group: group.clone(),
                head: Box::new(head),
            },
        }
    }

    /// The head that a device kept, when an earlier run of the program signed it for the device,
    /// and whether that was after everything that the store knew of when its recovery began. The
    /// heads that are signed from now on are newer.
    pub(crate) fn kept_by(
        &mut self,
        device: &DeviceId,
        stored: &[u8],
        seals: &impl Seals,
    ) -> Option<(DeviceHead, bool)> {
        let head = seals.open_device(device, stored)?;
        if self.difference.signed_here(device, head.generation) {
            return None;
        }
        self.difference.learned(head.generation);
        let newer = head.generation > self.known;
        Some((head, newer))
    }
}
