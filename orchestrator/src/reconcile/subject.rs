//! What the broker is made to hold, one message of each.

use hoist_protocol::id::{DeviceId, GroupId, ReleaseId};

/// Something of which one message is retained, in the order in which changes go out: what
/// holds a device goes before what would let it start (S10).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// The root document.
    Root,
    /// A release's manifest.
    Release(ReleaseId),
    /// A device's head.
    Device(DeviceId),
    /// A group's head.
    Group(GroupId),
}
