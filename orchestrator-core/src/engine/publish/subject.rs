//! Subjects of which the broker is made to hold a message each.

use hoist_protocol::id::{DeviceId, GroupId, ReleaseId};
use hoist_protocol::topic::Topic;
use serde::Serialize;

/// Something of which one message is retained, in the order in which changes go out: what
/// holds a device goes before what would let it start (S10).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Subject {
    /// The root document of this number.
    Root(u32),
    /// A release's manifest.
    Release(ReleaseId),
    /// A device's spec.
    Device(DeviceId),
    /// A group's spec.
    Group(GroupId),
}

impl Subject {
    /// The subject whose message lies on a topic; none if it is not one of our own.
    #[must_use]
    pub fn of(topic: &Topic) -> Option<Self> {
        Some(match topic {
            Topic::Root(number) => Self::Root(*number),
            Topic::Release(release) => Self::Release(*release),
            Topic::DeviceSpec(device) => Self::Device(device.clone()),
            Topic::GroupSpec(group) => Self::Group(group.clone()),
            _ => return None,
        })
    }
}
