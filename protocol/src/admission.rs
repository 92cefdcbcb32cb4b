//! Admission without per-device messages (W3): a device starts when its hash is below
//! the line of the entry.

use serde::{Deserialize, Serialize};

use crate::id::{DeploymentId, DeviceId, sha256};
use alloc::vec::Vec;

/// Where a device stands in the order of one deployment: first 32 bits of
/// `SHA-256(deployment as 4 bytes big-endian ‖ device id)`. Ties are broken by device id.
#[must_use]
pub fn hash32(deployment: DeploymentId, device: &DeviceId) -> u32 {
    let mut input = Vec::with_capacity(4 + device.as_str().len());
    input.extend_from_slice(&deployment.0.to_be_bytes());
    input.extend_from_slice(device.as_str().as_bytes());
    let hash = sha256(&input);
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

/// The devices that may start. Append-only: labels and named devices come later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Audience {
    /// Devices whose [`hash32`] is below the line; `u32::MAX` admits everyone.
    Below(u32),
}

impl Audience {
    /// Every device of the group.
    pub const EVERYONE: Self = Self::Below(u32::MAX);

    /// True if the device is admitted to the deployment.
    ///
    /// ```
    /// use hoist_protocol::{admission::Audience, id::DeploymentId};
    /// let device = "dev-01".parse().unwrap();
    /// assert!(Audience::EVERYONE.admits(DeploymentId(1), &device));
    /// assert!(!Audience::Below(0).admits(DeploymentId(1), &device));
    /// ```
    #[must_use]
    pub fn admits(&self, deployment: DeploymentId, device: &DeviceId) -> bool {
        match *self {
            Self::Below(line) => line == u32::MAX || hash32(deployment, device) < line,
        }
    }
}
