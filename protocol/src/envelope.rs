//! Signed messages: `body ‖ key id (4) ‖ signature (64)`, Ed25519 over
//! `"hoist/v1" ‖ type ‖ scope ‖ 0x00 ‖ body`. The scope is the topic, so that nothing
//! can be replayed elsewhere; it is empty for what also travels by USB.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::code::Code;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::codec::{DecodeError, Message, decode_prefix, encode};
use crate::id::sha256;

/// Bytes of an Ed25519 signature.
pub const SIGNATURE_BYTES: usize = 64;
/// Bytes of key id and signature behind a body.
pub const SEAL_BYTES: usize = 4 + SIGNATURE_BYTES;

/// The kind of signed content, so that a signature over one kind is never one over another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// [`crate::spec::GroupSpec`]
    GroupSpec = 1,
    /// [`crate::spec::DeviceSpec`]
    DeviceSpec = 2,
    /// [`crate::release::ReleaseManifest`]
    Release = 3,
    /// [`crate::root::RootDocument`]
    Root = 4,
    /// [`crate::status::DeviceStatus`] with outcomes
    Status = 5,
    /// [`crate::enroll::EnrollRequest`]
    Enrollment = 6,
}

/// First 4 bytes of the SHA-256 of a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyId(pub [u8; 4]);

/// An Ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// The key's short name in envelopes.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let hash = sha256(&self.0);
        KeyId([hash[0], hash[1], hash[2], hash[3]])
    }

    /// True if a signature can verify by the key: the key is a point of the curve, and not one of
    /// the few of small order, for which signatures can be made up.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| !key.is_weak())
    }

    /// The text by which people compare keys: the first 16 bytes of the key's SHA-256, in
    /// lower-case hex.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let hash = sha256(&self.0);
        hash[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// A private key. Its bytes never appear in debug output.
#[derive(Clone)]
pub struct PrivateKey(SigningKey);

impl PrivateKey {
    /// The key made from 32 random bytes.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The 32 bytes that it was made from, for whoever keeps them secret as well.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a body for one kind and scope.
    #[must_use]
    pub fn sign(&self, kind: Kind, scope: &str, body: &[u8]) -> [u8; SIGNATURE_BYTES] {
        self.0.sign(&signed_bytes(kind, scope, body)).to_bytes()
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey(of {:?})", self.public())
    }
}

/// Why a signed message is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The body does not decode.
    #[error("the signed body does not decode: {0}")]
    Decode(#[from] DecodeError),
    /// Something other than key id and signature follows the body (`E_DECODE`).
    #[error("{length} bytes follow the body where the signature should be")]
    Shape {
        /// The number of those bytes.
        length: usize,
    },
    /// Signed by a key that is not trusted for this (`E_SIG`).
    #[error("signed by a key that is not trusted for it")]
    UnknownKey {
        /// The key id in the envelope.
        key: KeyId,
    },
    /// The signature does not verify for this kind, scope and body (`E_SIG`).
    #[error("the signature does not verify")]
    Signature,
}

impl OpenError {
    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Decode(error) => error.code(),
            Self::Shape { .. } => Code::Decode,
            Self::UnknownKey { .. } | Self::Signature => Code::Signature,
        }
    }
}

/// The bytes that a signature is over, for whoever keeps the key elsewhere.
#[must_use]
pub fn signed_bytes(kind: Kind, scope: &str, body: &[u8]) -> Vec<u8> {
    const CONTEXT: &[u8] = b"hoist/v1";
    let mut bytes = Vec::with_capacity(CONTEXT.len() + 2 + scope.len() + body.len());
    bytes.extend_from_slice(CONTEXT);
    bytes.push(kind as u8);
    bytes.extend_from_slice(scope.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(body);
    bytes
}

/// Verifies one signature. Weak keys and malleable signatures are refused.
///
/// # Errors
/// [`OpenError::Signature`].
pub fn verify(
    key: &PublicKey,
    kind: Kind,
    scope: &str,
    body: &[u8],
    signature: &[u8; SIGNATURE_BYTES],
) -> Result<(), OpenError> {
    let key = VerifyingKey::from_bytes(&key.0).map_err(|_| OpenError::Signature)?;
    key.verify_strict(
        &signed_bytes(kind, scope, body),
        &Signature::from_bytes(signature),
    )
    .map_err(|_| OpenError::Signature)
}

/// A signature and the key that made it: the bytes behind a body in its envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// The key of the signer.
    pub key: PublicKey,
    /// The signature.
    pub signature: [u8; SIGNATURE_BYTES],
}

impl Seal {
    /// The seal of a private key over a body.
    #[must_use]
    pub fn by(key: &PrivateKey, kind: Kind, scope: &str, body: &[u8]) -> Self {
        Self {
            key: key.public(),
            signature: key.sign(kind, scope, body),
        }
    }

    /// Appends the seal to a body, or to the seal before it.
    pub fn append_to(&self, sealed: &mut Vec<u8>) {
        sealed.extend_from_slice(&self.key.id().0);
        sealed.extend_from_slice(&self.signature);
    }
}

/// Encodes and signs a message.
#[must_use]
pub fn seal<M: Message>(key: &PrivateKey, kind: Kind, scope: &str, message: &M) -> Vec<u8> {
    let mut sealed = encode(message);
    Seal::by(key, kind, scope, &sealed).append_to(&mut sealed);
    sealed
}

/// A message as found in its envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened<'a, M> {
    /// The decoded message.
    pub message: M,
    /// The signed bytes, of which ids are hashes.
    pub body: &'a [u8],
    /// The key of the signer.
    pub key: KeyId,
}

/// Decodes an envelope and verifies it against the keys trusted for it.
///
/// # Errors
/// [`OpenError`].
pub fn open<'a, M: Message>(
    keys: &[PublicKey],
    kind: Kind,
    scope: &str,
    sealed: &'a [u8],
) -> Result<Opened<'a, M>, OpenError> {
    let (message, rest) = decode_prefix::<M>(sealed)?;
    let body = &sealed[..sealed.len() - rest.len()];
    let (key, signature) = split_seal(rest).ok_or(OpenError::Shape { length: rest.len() })?;
    let trusted = keys.iter().find(|trusted| trusted.id() == key);
    verify(
        trusted.ok_or(OpenError::UnknownKey { key })?,
        kind,
        scope,
        body,
        signature,
    )?;
    Ok(Opened { message, body, key })
}

/// The key that signed a message, as its envelope names it; not verified.
#[must_use]
pub fn signer_of<M: Message>(sealed: &[u8]) -> Option<KeyId> {
    let (_, rest) = decode_prefix::<M>(sealed).ok()?;
    split_seal(rest).map(|(key, _)| key)
}

/// Splits key id and signature, when that is all there is.
pub(crate) fn split_seal(bytes: &[u8]) -> Option<(KeyId, &[u8; SIGNATURE_BYTES])> {
    let (key, signature) = bytes.split_first_chunk::<4>()?;
    Some((KeyId(*key), signature.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::GroupSpec;

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::from_seed(&[seed; 32])
    }

    #[test]
    fn a_sealed_message_opens_only_on_its_own_topic_and_kind() {
        // bad-inputs row 23
        let sealed = seal(
            &key(1),
            Kind::GroupSpec,
            "hoist/g/eu",
            &GroupSpec::default(),
        );
        let trusted = [key(1).public()];
        assert!(open::<GroupSpec>(&trusted, Kind::GroupSpec, "hoist/g/eu", &sealed).is_ok());
        assert_eq!(
            open::<GroupSpec>(&trusted, Kind::GroupSpec, "hoist/g/us", &sealed),
            Err(OpenError::Signature)
        );
        assert_eq!(
            open::<GroupSpec>(&trusted, Kind::DeviceSpec, "hoist/g/eu", &sealed),
            Err(OpenError::Signature)
        );
    }

    #[test]
    fn an_untrusted_key_and_a_weak_key_are_refused() {
        // bad-inputs row 22
        let sealed = seal(&key(1), Kind::GroupSpec, "t", &GroupSpec::default());
        let other = [key(2).public()];
        assert!(matches!(
            open::<GroupSpec>(&other, Kind::GroupSpec, "t", &sealed),
            Err(OpenError::UnknownKey { .. })
        ));
        let mut small_order = [0; 32];
        small_order[0] = 1;
        assert!(!PublicKey(small_order).is_sound() && !PublicKey([0; 32]).is_sound());
        assert!(key(1).public().is_sound());
        assert_eq!(
            verify(&PublicKey(small_order), Kind::Status, "t", b"", &[0; 64]),
            Err(OpenError::Signature)
        );
    }
}
