//! Signatures of a model: nobody in it makes bytes that somebody else could have signed, so that
//! a spec of the server's is one that decodes, and a status is signed by the key behind it.

use hoist_orchestrator_core::engine::seals::Seals;
use hoist_orchestrator_core::model::evidence::SignatureEvidence;
use hoist_protocol::codec::{DecodeError, Message, decode_prefix, encode};
use hoist_protocol::envelope::{KeyId, PublicKey};
use hoist_protocol::id::{DeviceId, GroupId};
use hoist_protocol::spec::{DeviceSpec, GroupSpec};
use hoist_protocol::status::DeviceStatus;

/// Seals nothing.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

impl Seals for Plain {
    fn signer(&self) -> Option<KeyId> {
        None
    }

    fn group_spec(&self, _: &GroupId, spec: &GroupSpec) -> Vec<u8> {
        encode(spec)
    }

    fn device_spec(&self, _: &DeviceId, spec: &DeviceSpec) -> Vec<u8> {
        encode(spec)
    }

    fn open_group(&self, _: &GroupId, payload: &[u8]) -> Option<GroupSpec> {
        read(payload)
    }

    fn open_device(&self, _: &DeviceId, payload: &[u8]) -> Option<DeviceSpec> {
        read(payload)
    }

    fn status(&self, payload: &[u8]) -> Result<DeviceStatus, DecodeError> {
        decode_prefix(payload).map(|(status, _)| status)
    }

    fn evidence(&self, _: &DeviceId, payload: &[u8], key: Option<&PublicKey>) -> SignatureEvidence {
        let Ok((status, proof)) = decode_prefix::<DeviceStatus>(payload) else {
            return SignatureEvidence::Invalid;
        };
        match (status.outcomes.is_empty(), proof.is_empty()) {
            (true, _) => SignatureEvidence::Valid,
            (false, true) => SignatureEvidence::Absent,
            (false, false) if key.is_some_and(|key| key.0 == proof) => SignatureEvidence::Valid,
            (false, false) => SignatureEvidence::Invalid,
        }
    }
}

fn read<M: Message>(payload: &[u8]) -> Option<M> {
    decode_prefix(payload).ok().map(|(message, _)| message)
}
