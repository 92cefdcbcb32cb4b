//! Enrollment: how a device asks for its certificate, what it is answered, and the one text that
//! sets a device up. A request proves two things: that the device has the private half of the key
//! that it shows, and, by a claim, that somebody who may register devices wanted it. Neither can be
//! taken from it by whoever passes it on.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::codec::{DecodeError, Message, decode, decode_prefix, encode};
use crate::device::TEXT_BYTES_MAX;
use crate::envelope::{Kind, OpenError, PrivateKey, PublicKey, SIGNATURE_BYTES, verify};
use crate::id::{ClaimId, DeviceId, Namespace};

/// The user name of a client that enrolls begins with it; the claim follows.
pub const USER_PREFIX: &str = "enroll:";
/// An enrollment text begins with it; the rest is base64url without padding.
pub const TEXT_PREFIX: &str = "hoist-enroll:";
/// Longest address in an enrollment text, in bytes.
pub const ADDRESS_BYTES_MAX: usize = 256;
/// Most certificates of CAs in an enrollment text, and most in an answer.
pub const CERTIFICATES_MAX: usize = 4;
/// Longest certificate, in bytes.
pub const CERTIFICATE_BYTES_MAX: usize = 4_096;
/// Longest sentence of a refusal, in bytes.
pub const SENTENCE_BYTES_MAX: usize = 512;

/// The secret of a claim. Its bytes never appear in debug output.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimSecret(pub [u8; 32]);

impl fmt::Debug for ClaimSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimSecret(..)")
    }
}

impl ClaimSecret {
    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        // A key of any length does.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            return [0; 32];
        };
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// The password of a client that enrolls by the claim: 64 hex digits.
    #[must_use]
    pub fn password(&self) -> String {
        let mac = self.mac(&[b"connect"]);
        mac.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The proof in a request on a topic, for a key.
    #[must_use]
    pub fn proof(&self, topic: &str, key: &PublicKey, nonce: &[u8; 16]) -> [u8; 32] {
        self.mac(&[b"request\0", topic.as_bytes(), b"\0", &key.0, nonce])
    }
}

/// A claim as a request names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimProof {
    /// Which claim.
    pub claim: ClaimId,
    /// [`ClaimSecret::proof`].
    pub proof: [u8; 32],
}

/// A device asks for its certificate. Envelope: `body ‖ signature` by the key in it; the scope is
/// the topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollRequest {
    /// The device, as its topic says.
    pub device: DeviceId,
    /// The key that the certificate is to be for.
    pub key: PublicKey,
    /// Told again in the answer.
    pub nonce: [u8; 16],
    /// The type of the device; empty when it has none.
    pub device_type: String,
    /// The claim by which it comes; none of a device that renews.
    pub claim: Option<ClaimProof>,
}

impl Message for EnrollRequest {
    const VERSION: u8 = 1;
    const BYTES_MAX: usize = 512;

    fn check(&self) -> Result<(), &'static str> {
        if self.device_type.len() > TEXT_BYTES_MAX {
            return Err("a device type longer than 64 bytes");
        }
        Ok(())
    }
}

impl EnrollRequest {
    /// Encodes and signs it for a topic.
    #[must_use]
    pub fn seal(&self, key: &PrivateKey, topic: &str) -> Vec<u8> {
        let mut sealed = encode(self);
        let signature = key.sign(Kind::Enrollment, topic, &sealed);
        sealed.extend_from_slice(&signature);
        sealed
    }

    /// Decodes one without looking at its signature, for [`EnrollRequest::is_proven`].
    ///
    /// # Errors
    /// [`OpenError::Decode`] or [`OpenError::Shape`].
    pub fn open(sealed: &[u8]) -> Result<Self, OpenError> {
        let (request, rest) = decode_prefix::<Self>(sealed)?;
        match rest.len() {
            SIGNATURE_BYTES => Ok(request),
            length => Err(OpenError::Shape { length }),
        }
    }

    /// True if whoever sent it has the private half of its key.
    #[must_use]
    pub fn is_proven(&self, topic: &str, sealed: &[u8]) -> bool {
        let Some((body, signature)) = sealed.split_last_chunk::<SIGNATURE_BYTES>() else {
            return false;
        };
        verify(&self.key, Kind::Enrollment, topic, body, signature).is_ok()
    }
}

/// The answer to a request. Nobody signs it: it holds nothing that a device believes anybody for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollAnswer {
    /// That of the request.
    pub nonce: [u8; 16],
    /// The certificate, or why there is none.
    pub result: Enrolled,
}

/// The result of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Enrolled {
    /// The device's certificate, and those that prove it behind it: DER.
    Certificate(Vec<Vec<u8>>),
    /// It is refused, or has to wait.
    Refused(EnrollRefused),
}

/// Why there is no certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollRefused {
    /// A stable code.
    pub code: String,
    /// One sentence.
    pub detail: String,
    /// The advice to follow.
    pub hint: String,
    /// True if the same request may be granted later, once somebody has approved it.
    pub waits: bool,
}

impl Message for EnrollAnswer {
    const VERSION: u8 = 1;
    const BYTES_MAX: usize = 16_384;

    fn check(&self) -> Result<(), &'static str> {
        match &self.result {
            Enrolled::Certificate(chain) => are_certificates(chain),
            Enrolled::Refused(refused) => {
                let fits = |text: &String| text.len() <= SENTENCE_BYTES_MAX;
                if fits(&refused.detail) && fits(&refused.hint) && refused.code.len() <= 32 {
                    return Ok(());
                }
                Err("a sentence longer than 512 bytes, or a code longer than 32")
            }
        }
    }
}

fn are_certificates(chain: &[Vec<u8>]) -> Result<(), &'static str> {
    if chain.is_empty() || chain.len() > CERTIFICATES_MAX {
        return Err("not 1 to 4 certificates");
    }
    if chain.iter().any(|one| one.len() > CERTIFICATE_BYTES_MAX) {
        return Err("a certificate longer than 4096 bytes");
    }
    Ok(())
}

/// Everything that sets a device up: where it finds its server, whom it believes, and the claim by
/// which it comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollText {
    /// The first level of every topic.
    pub namespace: Namespace,
    /// The broker: `mqtts://host:port`.
    pub mqtt: String,
    /// Base URL of artifacts.
    pub artifacts: String,
    /// The CAs that both are believed by: DER.
    pub ca: Vec<Vec<u8>>,
    /// SHA-256 of the body of the root document.
    pub root_sha256: [u8; 32],
    /// The claim.
    pub claim: ClaimId,
    /// Its secret.
    pub secret: ClaimSecret,
    /// The number of the root document; 1 in texts of servers that named the first one alone.
    pub root_number: u32,
}

impl Message for EnrollText {
    const VERSION: u8 = 2;
    const BYTES_MAX: usize = 16_384;

    fn decode_older(bytes: &[u8]) -> Option<Result<(Self, &[u8]), DecodeError>> {
        let fields = bytes.strip_prefix(&[1])?;
        let number = [1];
        let grown = [&[Self::VERSION], fields, &number].concat();
        Some(decode(&grown).map(|text| (text, &[][..])))
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.mqtt.len() > ADDRESS_BYTES_MAX || self.artifacts.len() > ADDRESS_BYTES_MAX {
            return Err("an address longer than 256 bytes");
        }
        if self.root_number == 0 {
            return Err("root documents count from 1");
        }
        are_certificates(&self.ca)
    }
}

impl EnrollText {
    /// The text behind its prefix, once that is decoded.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes)
    }
}

/// The claim in the user name of a client that enrolls.
#[must_use]
pub fn claim_of(user: &str) -> Option<ClaimId> {
    user.strip_prefix(USER_PREFIX)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    const TOPIC: &str = "hoist/e/98/dev-0001";

    fn request(key: &PrivateKey) -> EnrollRequest {
        EnrollRequest {
            device: "dev-0001".parse().unwrap(),
            key: key.public(),
            nonce: [3; 16],
            device_type: String::new(),
            claim: None,
        }
    }

    #[test]
    fn a_request_is_proven_by_its_own_key_on_its_own_topic_alone() {
        let (own, other) = (
            PrivateKey::from_seed(&[1; 32]),
            PrivateKey::from_seed(&[2; 32]),
        );
        let sealed = request(&own).seal(&own, TOPIC);
        let opened = EnrollRequest::open(&sealed).unwrap();
        assert_eq!(opened, request(&own));
        assert!(opened.is_proven(TOPIC, &sealed));
        assert!(!opened.is_proven("hoist/e/98/dev-0002", &sealed));
        let stolen = request(&own).seal(&other, TOPIC);
        assert!(
            !EnrollRequest::open(&stolen)
                .unwrap()
                .is_proven(TOPIC, &stolen)
        );
        assert!(EnrollRequest::open(&sealed[..sealed.len() - 1]).is_err());
    }

    #[test]
    fn the_proof_of_a_claim_is_for_one_device_and_one_key_and_shows_nothing_of_its_secret() {
        let secret = ClaimSecret([7; 32]);
        let key = PrivateKey::from_seed(&[1; 32]).public();
        let proof = secret.proof(TOPIC, &key, &[3; 16]);
        let other = PrivateKey::from_seed(&[2; 32]).public();
        assert_ne!(proof, secret.proof(TOPIC, &other, &[3; 16]));
        assert_ne!(proof, secret.proof("hoist/e/98/dev-0002", &key, &[3; 16]));
        assert_ne!(proof, ClaimSecret([8; 32]).proof(TOPIC, &key, &[3; 16]));
        assert_eq!(secret.password().len(), 64);
        assert_eq!(format!("{secret:?}"), "ClaimSecret(..)");
    }

    #[test]
    fn a_text_of_before_root_numbers_names_the_first_document() {
        let text = EnrollText {
            namespace: Namespace::default(),
            mqtt: "mqtts://a:1".into(),
            artifacts: "https://a:2".into(),
            ca: vec![vec![0x30]],
            root_sha256: [5; 32],
            claim: "c-1".parse().unwrap(),
            secret: ClaimSecret([7; 32]),
            root_number: 1,
        };
        let mut older = encode(&text);
        older[0] = 1;
        assert_eq!(older.pop(), Some(1));
        assert_eq!(EnrollText::read(&older), Ok(text.clone()));
        let none = EnrollText {
            root_number: 0,
            ..text
        };
        assert!(EnrollText::read(&encode(&none)).is_err());
    }

    #[test]
    fn the_claim_is_in_the_user_name() {
        assert_eq!(claim_of("enroll:c-1"), Some("c-1".parse().unwrap()));
        for user in ["c-1", "enroll:", "enroll:a b", "Enroll:c-1"] {
            assert_eq!(claim_of(user), None, "{user}");
        }
    }
}
