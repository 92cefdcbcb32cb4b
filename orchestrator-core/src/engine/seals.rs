//! Signatures, as the engine needs them. Keys are kept by whoever implements this.

use hoist_protocol::codec::DecodeError;
use hoist_protocol::envelope::{KeyId, PublicKey};
use hoist_protocol::id::{DeviceId, GroupId};
use hoist_protocol::spec::{DeviceSpec, GroupSpec};
use hoist_protocol::status::DeviceStatus;

use crate::model::evidence::SignatureEvidence;

/// Seals what goes out, and says what the seals of what comes in are worth.
pub trait Seals {
    /// The key that signs, by its short name; none where signatures are not modelled.
    fn signer(&self) -> Option<KeyId>;

    /// A group's spec as it is retained. The same spec gives the same bytes.
    fn group_spec(&self, group: &GroupId, spec: &GroupSpec) -> Vec<u8>;

    /// A device's spec as it is retained. The same spec gives the same bytes.
    fn device_spec(&self, device: &DeviceId, spec: &DeviceSpec) -> Vec<u8>;

    /// The spec of a group in a payload, if our signature on it holds.
    fn open_group(&self, group: &GroupId, payload: &[u8]) -> Option<GroupSpec>;

    /// The spec of a device in a payload, if our signature on it holds.
    fn open_device(&self, device: &DeviceId, payload: &[u8]) -> Option<DeviceSpec>;

    /// The status in a payload.
    ///
    /// # Errors
    /// [`DecodeError`].
    fn status(&self, payload: &[u8]) -> Result<DeviceStatus, DecodeError>;

    /// The worth of a status's signature, given the key pinned for its device.
    fn evidence(
        &self,
        device: &DeviceId,
        payload: &[u8],
        key: Option<&PublicKey>,
    ) -> SignatureEvidence;
}
