//! A request for the certificate of a device, and what becomes of it.

use hoist_protocol::envelope::PublicKey;
use hoist_protocol::id::{ClaimId, DeviceId};

use crate::model::error::Rejection;

/// A request, with what the adapter has verified of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrollAsk {
    /// From its topic.
    pub device: DeviceId,
    /// The device that it names itself.
    pub named: DeviceId,
    /// The key that the certificate is to be for.
    pub key: PublicKey,
    /// Told again in the answer.
    pub nonce: [u8; 16],
    /// The type of the device; empty when it has none.
    pub device_type: String,
    /// The claim by which it comes; none of a device that renews.
    pub claim: Option<ClaimId>,
    /// True if whoever sent it has the private half of the key.
    pub proven: bool,
    /// True if whoever sent it has the secret of the claim.
    pub claimed: bool,
    /// True if a user has the id of the device for a name.
    pub is_user: bool,
}

/// The outcome of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnrollOutcome {
    /// A certificate is to be made.
    Certify {
        /// For this issue of the device.
        issue: u32,
        /// For this key.
        key: PublicKey,
    },
    /// It is refused.
    Refused(Box<Rejection>),
    /// It is refused until somebody approves it: it may be sent again.
    Waits(Box<Rejection>),
}
