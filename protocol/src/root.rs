//! The root document: which keys are trusted for what. A device pins the SHA-256 of the
//! body of its first one; each later one is signed by enough root keys of the one before
//! it. Envelope: `body ‖ (key id ‖ signature)+`, scope empty: it names its namespace.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::codec::{Message, decode_prefix, encode};
use crate::envelope::{Kind, OpenError, PrivateKey, PublicKey, SEAL_BYTES, split_seal, verify};
use crate::id::{Generation, Namespace, sha256};

/// Most keys in a root document.
pub const KEYS_MAX: usize = 16;

/// Key roles of one namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootDocument {
    /// 1 for the first; each next one is one higher.
    pub number: u32,
    /// The namespace it is for.
    pub namespace: Namespace,
    /// Issue time, Unix ms.
    pub issued: Generation,
    /// Unix seconds after which it is not followed any more; 0 = never.
    pub expires_s: u64,
    /// Root signatures needed to replace this document, at least 1.
    pub threshold: u8,
    /// All trusted keys; at most [`KEYS_MAX`].
    pub keys: Vec<RoleKey>,
}

/// One key and what it is trusted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleKey {
    /// For what.
    pub role: KeyRole,
    /// The key.
    pub key: PublicKey,
}

/// The purpose that a key is trusted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum KeyRole {
    /// Signs root documents.
    Root,
    /// Signs release manifests; may be kept offline.
    Release,
    /// Signs specs, online.
    Orchestrator,
}

impl Message for RootDocument {
    const VERSION: u8 = 1;
    const BYTES_MAX: usize = 4_096;

    fn check(&self) -> Result<(), &'static str> {
        if self.number == 0 {
            return Err("root documents count from 1");
        }
        if self.keys.len() > KEYS_MAX {
            return Err("more than 16 keys in a root document");
        }
        // A key listed twice signs only once: counted twice, nobody could replace this.
        let mut roots: Vec<PublicKey> = Vec::new();
        for key in self.keys_of(KeyRole::Root) {
            if !roots.contains(&key) {
                roots.push(key);
            }
        }
        if self.threshold == 0 || roots.len() < usize::from(self.threshold) {
            return Err("fewer root keys than the threshold needs");
        }
        Ok(())
    }
}

impl RootDocument {
    /// The keys trusted for a role.
    pub fn keys_of(&self, role: KeyRole) -> impl Iterator<Item = PublicKey> {
        self.keys
            .iter()
            .filter(move |entry| entry.role == role)
            .map(|entry| entry.key)
    }

    /// Encodes and signs with every given key.
    #[must_use]
    pub fn seal(&self, keys: &[PrivateKey]) -> Vec<u8> {
        let body = encode(self);
        let mut sealed = body.clone();
        for key in keys {
            sealed.extend_from_slice(&key.public().id().0);
            sealed.extend_from_slice(&key.sign(Kind::Root, "", &body));
        }
        sealed
    }

    /// Opens the first document of a device by the SHA-256 of its body that was pinned.
    /// It must also be signed by its own root keys.
    ///
    /// # Errors
    /// [`OpenError`]; [`OpenError::Signature`] when the hash is not the pinned one.
    pub fn open_pinned(sealed: &[u8], pinned: &[u8; 32]) -> Result<Self, OpenError> {
        let (document, rest) = decode_prefix::<Self>(sealed)?;
        let body = &sealed[..sealed.len() - rest.len()];
        if sha256(body) != *pinned {
            return Err(OpenError::Signature);
        }
        let keys: Vec<PublicKey> = document.keys_of(KeyRole::Root).collect();
        check_signatures(&keys, document.threshold, body, rest)?;
        Ok(document)
    }

    /// SHA-256 of the encoded body: what devices pin.
    #[must_use]
    pub fn pin(&self) -> [u8; 32] {
        sha256(&encode(self))
    }
}

/// Checks that `threshold` different trusted keys signed `body`.
fn check_signatures(
    trusted: &[PublicKey],
    threshold: u8,
    body: &[u8],
    seals: &[u8],
) -> Result<(), OpenError> {
    let count = seals.len() / SEAL_BYTES;
    if count == 0 || count > KEYS_MAX || !seals.len().is_multiple_of(SEAL_BYTES) {
        return Err(OpenError::Shape {
            length: seals.len(),
        });
    }
    let mut signers: Vec<PublicKey> = Vec::new();
    for seal in seals.chunks_exact(SEAL_BYTES) {
        let (id, signature) = split_seal(seal).ok_or(OpenError::Shape { length: seal.len() })?;
        let key = trusted.iter().find(|key| key.id() == id);
        let key = key.ok_or(OpenError::UnknownKey { key: id })?;
        verify(key, Kind::Root, "", body, signature)?;
        if !signers.contains(key) {
            signers.push(*key);
        }
    }
    if signers.len() < usize::from(threshold) {
        Err(OpenError::Signature)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(key: &PrivateKey) -> RootDocument {
        RootDocument {
            number: 1,
            namespace: Namespace::default(),
            issued: Generation(1),
            expires_s: 0,
            threshold: 1,
            keys: alloc::vec![RoleKey {
                role: KeyRole::Root,
                key: key.public()
            }],
        }
    }

    #[test]
    fn the_first_root_is_trusted_only_by_its_pin_and_its_own_signature() {
        let key = PrivateKey::from_seed(&[1; 32]);
        let root = document(&key);
        let sealed = root.seal(core::slice::from_ref(&key));
        assert_eq!(
            RootDocument::open_pinned(&sealed, &root.pin()),
            Ok(root.clone())
        );
        assert!(RootDocument::open_pinned(&sealed, &[0; 32]).is_err());
        let forged = root.seal(&[PrivateKey::from_seed(&[2; 32])]);
        assert!(RootDocument::open_pinned(&forged, &root.pin()).is_err());
        assert!(RootDocument::open_pinned(&encode(&root), &root.pin()).is_err());
    }

    #[test]
    fn a_threshold_is_met_only_by_different_keys() {
        let key = PrivateKey::from_seed(&[1; 32]);
        let mut root = document(&key);
        root.threshold = 2;
        root.keys.push(root.keys[0]);
        assert!(root.check().is_err());
        let other = PrivateKey::from_seed(&[2; 32]);
        root.keys[1].key = other.public();
        assert_eq!(root.check(), Ok(()));
        let twice = root.seal(&[key.clone(), key.clone()]);
        assert!(RootDocument::open_pinned(&twice, &root.pin()).is_err());
        let both = root.seal(&[key, other]);
        assert_eq!(RootDocument::open_pinned(&both, &root.pin()), Ok(root));
    }
}
