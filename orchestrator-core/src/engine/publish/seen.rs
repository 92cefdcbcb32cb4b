//! The specs of ours that lie at the broker, or that devices kept.

use hoist_protocol::id::{DeviceId, GroupId};
use hoist_protocol::spec::{DeviceSpec, GroupSpec};
use hoist_protocol::topic::Topic;

use super::{Publisher, Shows, Subject};
use crate::engine::input::Input;
use crate::engine::seals::Seals;
use crate::model::now::Mode;

impl Publisher {
    /// A message on one of our own topics. Returns what a spec that we signed names, so that its
    /// numbers and rounds are never given again.
    pub(crate) fn seen(
        &mut self,
        topic: &Topic,
        payload: &[u8],
        seals: &impl Seals,
    ) -> Option<Input> {
        let (subject, signed, named) = match topic {
            Topic::GroupSpec(group) => {
                let opened = seals.open_group(group, payload);
                let signed = opened.as_ref().map(|spec| spec.generation);
                let lists = opened.filter(|spec| !spec.entries.is_empty());
                let named = lists.map(|spec| self.named(group, spec));
                (Subject::Group(group.clone()), signed, named)
            }
            Topic::DeviceSpec(device) => {
                let opened = seals.open_device(device, payload);
                let signed = opened.as_ref().map(|spec| spec.generation);
                let rounds = opened.map(|spec| spec.rounds).unwrap_or_default();
                let device = device.clone();
                let subject = Subject::Device(device.clone());
                let opened = !rounds.is_empty();
                let named = opened.then_some(Input::SeenRounds { device, rounds });
                (subject, signed, named)
            }
            Topic::Release(release) => (Subject::Release(*release), None, None),
            Topic::Root(number) if self.root(*number).is_some() => {
                (Subject::Root(*number), None, None)
            }
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

    fn named(&self, group: &GroupId, spec: GroupSpec) -> Input {
        match self.settings.mode {
            Mode::Serving => Input::SeenSpec(spec.entries),
            Mode::Recovering => Input::RecoverGroup {
                group: group.clone(),
                spec: Box::new(spec),
            },
        }
    }

    /// The spec that a device kept, when an earlier run of the program signed it for the device,
    /// and whether that was after everything that the store knew of when its recovery began. The
    /// specs that are signed from now on are newer.
    pub(crate) fn kept_by(
        &mut self,
        device: &DeviceId,
        stored: &[u8],
        seals: &impl Seals,
    ) -> Option<(DeviceSpec, bool)> {
        let spec = seals.open_device(device, stored)?;
        if self.difference.signed_here(device, spec.generation) {
            return None;
        }
        self.difference.learned(spec.generation);
        let newer = spec.generation > self.known;
        Some((spec, newer))
    }
}
