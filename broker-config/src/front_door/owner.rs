//! The owner of a session.

use hoist_protocol::access::Principal;
use hoist_protocol::id::{ClaimId, DeviceId, UserId};

/// The owner of sessions: nobody takes over those of another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    Device(DeviceId),
    /// All that enroll by one claim.
    Claim(ClaimId),
    User(UserId),
    Service,
}

impl Owner {
    pub(crate) fn of(principal: &Principal) -> Self {
        match principal {
            Principal::Device(device) => Self::Device(device.clone()),
            Principal::Enrolling { claim, .. } => Self::Claim(claim.clone()),
            Principal::User { user, .. } => Self::User(user.clone()),
            Principal::Service => Self::Service,
        }
    }
}

/// A session: its owner and client id.
pub(crate) type Key = (Owner, String);
