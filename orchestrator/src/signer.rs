//! Signatures, and what they are worth: specs go out sealed for their topic, statuses come in with
//! evidence. Keys never leave this file.

use hoist_orchestrator_core::engine::seals::Seals;
use hoist_orchestrator_core::model::evidence::SignatureEvidence;
use hoist_protocol::codec::{DecodeError, Message};
use hoist_protocol::envelope::{KeyId, Kind, PrivateKey, PublicKey, open, seal};
use hoist_protocol::id::{DeviceId, GroupId};
use hoist_protocol::spec::{DeviceSpec, GroupSpec};
use hoist_protocol::status::{DeviceStatus, ReceivedStatus};
use hoist_protocol::topic::{Topic, Topics};

/// Seals specs with the orchestrator's key, for the topics of one namespace.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    key: PrivateKey,
    topics: Topics,
}

impl Signer {
    /// A signer with this key.
    #[must_use]
    pub(crate) fn new(key: PrivateKey, topics: Topics) -> Self {
        Self { key, topics }
    }

    fn open<M: Message>(&self, kind: Kind, topic: &Topic, payload: &[u8]) -> Option<M> {
        let (ours, topic) = ([self.key.public()], self.topics.format(topic));
        let opened = open::<M>(&ours, kind, &topic, payload);
        opened.ok().map(|opened| opened.message)
    }
}

impl Seals for Signer {
    fn signer(&self) -> Option<KeyId> {
        Some(self.key.public().id())
    }

    fn group_spec(&self, group: &GroupId, spec: &GroupSpec) -> Vec<u8> {
        let topic = self.topics.format(&Topic::GroupSpec(group.clone()));
        seal(&self.key, Kind::GroupSpec, &topic, spec)
    }

    fn device_spec(&self, device: &DeviceId, spec: &DeviceSpec) -> Vec<u8> {
        let topic = self.topics.format(&Topic::DeviceSpec(device.clone()));
        seal(&self.key, Kind::DeviceSpec, &topic, spec)
    }

    fn open_group(&self, group: &GroupId, payload: &[u8]) -> Option<GroupSpec> {
        self.open(Kind::GroupSpec, &Topic::GroupSpec(group.clone()), payload)
    }

    fn open_device(&self, device: &DeviceId, payload: &[u8]) -> Option<DeviceSpec> {
        let topic = Topic::DeviceSpec(device.clone());
        self.open(Kind::DeviceSpec, &topic, payload)
    }

    fn status(&self, payload: &[u8]) -> Result<DeviceStatus, DecodeError> {
        DeviceStatus::receive(payload).map(|received| received.status)
    }

    fn evidence(
        &self,
        device: &DeviceId,
        payload: &[u8],
        key: Option<&PublicKey>,
    ) -> SignatureEvidence {
        let topic = self.topics.format(&Topic::Status(device.clone()));
        match DeviceStatus::receive(payload) {
            Ok(received) => evidence(&received, key, &topic),
            Err(_) => SignatureEvidence::Invalid,
        }
    }
}

/// The worth of the signature of a status, given the key pinned for its device.
fn evidence(
    received: &ReceivedStatus<'_>,
    key: Option<&PublicKey>,
    topic: &str,
) -> SignatureEvidence {
    if received.status.outcomes.is_empty() {
        return SignatureEvidence::Valid;
    }
    if received.signature.is_none() {
        return SignatureEvidence::Absent;
    }
    match key.map(|key| received.verify(key, topic)) {
        Some(Ok(())) => SignatureEvidence::Valid,
        Some(Err(_)) | None => SignatureEvidence::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use hoist_protocol::codec::encode;
    use hoist_protocol::id::{Attempt, DeploymentId, Round};
    use hoist_protocol::status::{DeviceStatus, FinalResult, Outcome, Success};

    use super::*;

    const TOPIC: &str = "hoist/s/00/d1";

    fn status() -> DeviceStatus {
        DeviceStatus {
            outcomes: vec![Outcome {
                deployment: DeploymentId(1),
                round: Round(0),
                attempt: Attempt(1),
                result: FinalResult::Successful(Success::Installed),
            }],
            ..DeviceStatus::default()
        }
    }

    fn of(payload: &[u8], key: Option<&PublicKey>, topic: &str) -> SignatureEvidence {
        evidence(&DeviceStatus::receive(payload).unwrap(), key, topic)
    }

    #[test]
    fn an_outcome_is_worth_what_its_signature_proves_for_this_topic() {
        // bad-inputs rows 22 and 23
        let key = PrivateKey::from_seed(&[1; 32]);
        let other = PrivateKey::from_seed(&[2; 32]).public();
        let sealed = status().seal(&key, TOPIC);
        let public = key.public();
        assert_eq!(of(&sealed, Some(&public), TOPIC), SignatureEvidence::Valid);
        let elsewhere = "hoist/s/00/d2";
        assert_eq!(
            of(&sealed, Some(&public), elsewhere),
            SignatureEvidence::Invalid
        );
        assert_eq!(of(&sealed, Some(&other), TOPIC), SignatureEvidence::Invalid);
        assert_eq!(of(&sealed, None, TOPIC), SignatureEvidence::Invalid);
        let bare = encode(&status());
        assert_eq!(of(&bare, Some(&public), TOPIC), SignatureEvidence::Absent);
        let progress = encode(&DeviceStatus::default());
        assert_eq!(of(&progress, None, TOPIC), SignatureEvidence::Valid);
    }
}
