//! A difference cut into parts by subject and put together again, for whoever explores what
//! can happen and lets parts share what they have in common.

use hoist_protocol::id::DeviceId;
use serde::{Serialize, Serializer};

use super::difference::Difference;
use super::outbox::Outbox;
use super::published_state::PublishedState;
use super::subject::Subject;
use crate::engine::input::Input;

impl Difference {
    /// The shared part: everything that is not about a single device.
    #[must_use]
    pub fn shared_part(&self) -> Self {
        let of = |subject: &Subject| !matches!(subject, Subject::Device(_));
        let mut part = self.part(of);
        part.published_state.bounded_as(&self.published_state);
        part
    }

    /// The part that is about a device.
    #[must_use]
    pub fn device_part(&self, device: &DeviceId) -> Self {
        let mut part = self.part(|subject| matches!(subject, Subject::Device(of) if of == device));
        part.outbox = self.outbox.part(device);
        part
    }

    /// Puts another part beside this one.
    pub fn join(&mut self, other: &Self) {
        self.published_state.join(&other.published_state);
        let marked = other.marked.iter();
        self.marked
            .extend(marked.map(|(subject, cause)| (subject.clone(), *cause)));
        self.outbox.join(&other.outbox);
    }

    fn part(&self, of: impl Fn(&Subject) -> bool) -> Self {
        let marked = self.marked.iter().filter(|(subject, _)| of(subject));
        Self {
            published_state: self.published_state.part(&of),
            marked: marked
                .map(|(subject, cause)| (subject.clone(), *cause))
                .collect(),
            outbox: Outbox::default(),
        }
    }
}

impl PublishedState {
    /// The part that is about these subjects.
    fn part(&self, of: impl Fn(&Subject) -> bool) -> Self {
        let entries = self.entries.iter().filter(|(subject, _)| of(subject));
        Self {
            entries: entries
                .map(|(subject, entry)| (subject.clone(), entry.clone()))
                .collect(),
            ..Self::default()
        }
    }

    /// Signs within the same bounds as another.
    fn bounded_as(&mut self, other: &Self) {
        (self.floor, self.reserved, self.highest) = (other.floor, other.reserved, other.highest);
    }

    /// Adds what another part knows.
    fn join(&mut self, other: &Self) {
        let entries = other.entries.iter();
        self.entries
            .extend(entries.map(|(subject, entry)| (subject.clone(), entry.clone())));
        self.floor = self.floor.max(other.floor);
        self.reserved = self.reserved.max(other.reserved);
        self.highest = self.highest.max(other.highest);
    }
}

/// Everything on its way: of what goes out, the devices and changes that it tells of.
impl Serialize for Outbox {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { waiting, sent, out } = self;
        let out: Vec<_> = out
            .iter()
            .map(|input| match input {
                Input::SpecOut { device, change } => Some((device, change)),
                _ => None,
            })
            .collect();
        (waiting, sent, out).serialize(serializer)
    }
}

impl Outbox {
    /// The part that is on its way to a device.
    fn part(&self, device: &DeviceId) -> Self {
        let mut part = Self::default();
        for (group, devices) in &self.waiting {
            if devices.contains(device) {
                part.wait(group.clone(), device.clone());
            }
        }
        let sent = self.sent.get_key_value(device);
        part.sent = sent
            .map(|(device, sent)| (device.clone(), sent.clone()))
            .into_iter()
            .collect();
        let of =
            |input: &&Input| matches!(input, Input::SpecOut { device: of, .. } if of == device);
        part.out = self.out.iter().filter(of).cloned().collect();
        part
    }

    /// Adds what is on its way in another part.
    fn join(&mut self, other: &Self) {
        for (group, devices) in &other.waiting {
            let all = self.waiting.entry(group.clone()).or_default();
            all.extend(devices.iter().cloned());
        }
        let sent = other.sent.iter();
        self.sent
            .extend(sent.map(|(device, sent)| (device.clone(), sent.clone())));
        self.out.extend(other.out.iter().cloned());
    }
}

#[cfg(test)]
mod tests {
    use hoist_protocol::id::{Generation, GroupId};

    use super::super::difference::Cause;
    use super::*;

    #[test]
    fn parts_put_together_are_what_was_cut() {
        let mut whole = Difference::default();
        let devices: [DeviceId; 2] = ["d1".parse().unwrap(), "d2".parse().unwrap()];
        let group: GroupId = "eu".parse().unwrap();
        whole.started(Generation(3));
        whole.reserved(Generation(2_000));
        let seal = |generation| format!("{generation}").into_bytes();
        whole.publish(&Subject::Group(group.clone()), seal, 0, 1_000);
        whole.mark(Subject::Group(group), Cause::Seen);
        for device in &devices {
            whole.publish(&Subject::Device(device.clone()), seal, 0, 1_000);
            whole.mark(Subject::Device(device.clone()), Cause::Changed);
        }
        let text = |difference: &Difference| {
            let marked: Vec<_> = difference.marked().cloned().collect();
            let (known, generations) = (difference.known(), difference.generations());
            format!(
                "{marked:?} {known:?} {generations:?} {:?}",
                difference.outbox()
            )
        };
        let mut joined = whole.shared_part();
        assert_eq!(joined.known().len(), 1);
        for device in &devices {
            let part = whole.device_part(device);
            assert_eq!(part.known().len(), 1);
            joined.join(&part);
        }
        assert_eq!(text(&joined), text(&whole));
    }
}
