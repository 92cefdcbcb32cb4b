//! What is signed and what signatures are worth: heads go out sealed for their topic,
//! statuses come in with evidence. Keys never leave this file.

use hoist_orchestrator_core::model::evidence::SignatureEvidence;
use hoist_protocol::envelope::{Kind, PrivateKey, PublicKey, seal};
use hoist_protocol::head::{DeviceHead, GroupHead};
use hoist_protocol::id::{DeviceId, GroupId};
use hoist_protocol::status::ReceivedStatus;
use hoist_protocol::topic::{Topic, Topics};

use crate::transport::Outgoing;

/// Seals heads with the orchestrator's key.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    key: PrivateKey,
    topics: Topics,
}

impl Signer {
    /// A signer for the topics of one namespace.
    #[must_use]
    pub(crate) fn new(key: PrivateKey, topics: Topics) -> Self {
        Self { key, topics }
    }

    /// A group's head as it is retained. The same head gives the same bytes.
    #[must_use]
    pub(crate) fn group_head(&self, group: &GroupId, head: &GroupHead) -> Outgoing {
        let topic = self.topics.format(&Topic::GroupHead(group.clone()));
        let payload = seal(&self.key, Kind::GroupHead, &topic, head);
        Outgoing::retained(topic, payload)
    }

    /// A device's head as it is retained. The same head gives the same bytes.
    #[must_use]
    pub(crate) fn device_head(&self, device: &DeviceId, head: &DeviceHead) -> Outgoing {
        let topic = self.topics.format(&Topic::DeviceHead(device.clone()));
        let payload = seal(&self.key, Kind::DeviceHead, &topic, head);
        Outgoing::retained(topic, payload)
    }
}

/// What the signature of a status is worth, given the key pinned for its device.
#[must_use]
pub(crate) fn evidence(
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
