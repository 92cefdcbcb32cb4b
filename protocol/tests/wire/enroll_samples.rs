//! One message of every kind that enrollment has.

use hoist_protocol::enroll::{
    ClaimProof, ClaimSecret, EnrollAnswer, EnrollRefused, EnrollRequest, EnrollText, Enrolled,
};
use hoist_protocol::id::Namespace;
use hoist_protocol::topic::{Topic, Topics};

use crate::samples::{DEVICE_SEED, device, key};

/// The nonce of every request, and of its answer.
const NONCE: [u8; 16] = [6; 16];

fn claim_secret() -> ClaimSecret {
    ClaimSecret([7; 32])
}

pub(crate) fn enroll_request() -> EnrollRequest {
    let key = key(DEVICE_SEED).public();
    let topic = Topics::default().format(&Topic::EnrollRequest(device()));
    EnrollRequest {
        device: device(),
        key,
        nonce: NONCE,
        device_type: "sensor-a".to_owned(),
        claim: Some(ClaimProof {
            claim: "c-1".parse().unwrap(),
            proof: claim_secret().proof(&topic, &key, &NONCE),
        }),
    }
}

pub(crate) fn enrolled() -> EnrollAnswer {
    EnrollAnswer {
        nonce: NONCE,
        result: Enrolled::Certificate(vec![vec![0x30, 2, 5, 0]]),
    }
}

pub(crate) fn enroll_refused() -> EnrollAnswer {
    EnrollAnswer {
        nonce: NONCE,
        result: Enrolled::Refused(EnrollRefused {
            code: "E_PENDING".to_owned(),
            detail: "dev-0001 waits for approval".to_owned(),
            hint: "`hoist device approve dev-0001`".to_owned(),
            waits: true,
        }),
    }
}

pub(crate) fn enroll_text() -> EnrollText {
    EnrollText {
        namespace: Namespace::default(),
        mqtt: "mqtts://fleet.example.com:8883".to_owned(),
        artifacts: "https://fleet.example.com:7883/artifacts".to_owned(),
        ca: vec![vec![0x30, 2, 5, 0]],
        root_sha256: [5; 32],
        claim: "c-1".parse().unwrap(),
        secret: claim_secret(),
        root_number: 300,
    }
}
