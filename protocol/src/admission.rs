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

/// The devices that may start. Append-only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Audience {
    /// Devices whose rank is below the line, in an order of the deployment's own; `u32::MAX`
    /// admits everyone.
    Below(u32),
    /// The same in an order that several deployments share: the first devices of one are the first
    /// of all.
    Ordered {
        /// The line.
        line: u32,
        /// The number of the order, in the place of the deployment's in [`hash32`].
        order: u32,
    },
}

impl Audience {
    /// Every device of the group.
    pub const EVERYONE: Self = Self::Below(u32::MAX);

    /// The line below which devices are admitted.
    #[must_use]
    pub fn line(&self) -> u32 {
        match *self {
            Self::Below(line) | Self::Ordered { line, .. } => line,
        }
    }

    /// The place of a device in the order of this audience: its [`hash32`] with the deployment, or
    /// with the order.
    #[must_use]
    pub fn rank(&self, deployment: DeploymentId, device: &DeviceId) -> u32 {
        match *self {
            Self::Below(_) => hash32(deployment, device),
            Self::Ordered { order, .. } => hash32(DeploymentId(order), device),
        }
    }

    /// True if the device is admitted to the deployment.
    ///
    /// ```
    /// use hoist_protocol::{admission::Audience, id::DeploymentId};
    /// let device = "dev-01".parse().unwrap();
    /// assert!(Audience::EVERYONE.admits(DeploymentId(1), &device));
    /// assert!(!Audience::Below(0).admits(DeploymentId(1), &device));
    /// let first = |order| Audience::Ordered { line: 1 << 31, order };
    /// let admits = |deployment| first(7).admits(DeploymentId(deployment), &device);
    /// assert!((1..100).all(|deployment| admits(deployment) == admits(0)));
    /// ```
    #[must_use]
    pub fn admits(&self, deployment: DeploymentId, device: &DeviceId) -> bool {
        let line = self.line();
        line == u32::MAX || self.rank(deployment, device) < line
    }
}
