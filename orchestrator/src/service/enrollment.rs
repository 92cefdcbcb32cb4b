//! Requests for certificates of devices: what only the adapter can verify of one, and the answer
//! that goes back, with the certificate if there is to be one.

use hoist_orchestrator_core::engine::arrival::Enrolling;
use hoist_orchestrator_core::model::enroll::EnrollOutcome;
use hoist_orchestrator_core::model::error::Rejection;
use hoist_orchestrator_core::model::time::format_time;
use hoist_orchestrator_core::reply::{Answer, EnrollCreateResult};
use hoist_protocol::codec::encode;
use hoist_protocol::enroll::{EnrollAnswer, EnrollRefused, Enrolled, SENTENCE_BYTES_MAX};
use hoist_protocol::id::DeviceId;
use hoist_protocol::topic::Topic;

use super::Service;
use crate::config::{Directory, Keys};
use crate::transport::Outgoing;

impl Service {
    /// Looks what a request proves.
    pub(super) fn look_at_request(&self, enrolling: &mut Enrolling) {
        let topic = Topic::EnrollRequest(enrolling.device.clone());
        let topic = self.topics.format(&topic);
        let request = &enrolling.request;
        enrolling.is_user = self.is_user(enrolling.device.as_str());
        enrolling.proven = request.is_proven(&topic, &enrolling.payload);
        enrolling.claimed = request.claim.as_ref().is_some_and(|shown| {
            let secret = self.directory.claim_secret(&shown.claim);
            // Whoever learned one by trying would have to try for ever: it is of 256 bits.
            secret.proof(&topic, &request.key, &request.nonce) == shown.proof
        });
    }

    /// Answers a request; the certificate is made anew for each.
    pub(super) async fn answer_request(
        &mut self,
        device: &DeviceId,
        nonce: [u8; 16],
        outcome: EnrollOutcome,
    ) {
        let (result, waits) = match outcome {
            EnrollOutcome::Certify { issue, key } => {
                (self.directory.certify(device, issue, &key), false)
            }
            EnrollOutcome::Refused(rejection) => (Err(*rejection), false),
            EnrollOutcome::Waits(rejection) => (Err(*rejection), true),
        };
        let result = match result {
            Ok(certificate) => {
                tracing::debug!(%device, "a certificate was made");
                Enrolled::Certificate(vec![certificate])
            }
            Err(rejection) => {
                let (code, why) = (rejection.code.as_str(), &rejection.detail);
                tracing::debug!(%device, code, why, waits, "no certificate was made");
                Enrolled::Refused(refused(rejection, waits))
            }
        };
        let topic = self.topics.format(&Topic::EnrollAnswer(device.clone()));
        let answer = encode(&EnrollAnswer { nonce, result });
        // Whoever hears nothing asks again.
        let _ = self.send(Outgoing::passing(topic, answer)).await;
    }
}

fn refused(rejection: Rejection, waits: bool) -> EnrollRefused {
    let cut = |text: String| {
        let mut end = text.len().min(SENTENCE_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text[..end].to_owned()
    };
    let code = rejection.code;
    let hint = rejection.hint.unwrap_or_else(|| code.hint().to_owned());
    EnrollRefused {
        code: code.as_str().to_owned(),
        detail: cut(rejection.detail),
        hint: cut(hint),
        waits,
    }
}

/// The result of `enroll-create`, with the secret that only the host knows.
pub(super) fn created(
    answer: &Answer,
    directory: &dyn Directory,
    keys: &Keys,
) -> Option<EnrollCreateResult> {
    let Answer::ClaimCreated {
        claim,
        group,
        uses,
        expires_ms,
    } = answer
    else {
        return None;
    };
    let hex = |bytes: &[u8; 32]| data_encoding::HEXLOWER.encode(bytes);
    Some(EnrollCreateResult {
        secret: hex(&directory.claim_secret(claim).0),
        root_sha256: hex(&keys.root_sha256),
        root_number: keys.root_number,
        claim: claim.to_string(),
        group: group.to_string(),
        uses: *uses,
        expires_at: format_time(*expires_ms),
    })
}
