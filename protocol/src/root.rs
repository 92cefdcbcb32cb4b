//! The root document: which keys are trusted for what. A device pins the SHA-256 of the
//! body of its first one; each later one is signed by enough root keys of the one before
//! it and by enough of its own. Envelope: `body ‖ (key id ‖ signature)+`, scope empty: it names
//! its namespace.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::codec::{Message, decode_prefix, encode};
use crate::envelope::{
    KeyId, Kind, OpenError, PrivateKey, PublicKey, SEAL_BYTES, Seal, split_seal, verify,
};
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

impl KeyRole {
    /// Its word for people, as `hoist keys` takes it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Release => "release",
            Self::Orchestrator => "orchestrator",
        }
    }
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

/// Why a document does not follow the one that a device has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RootError {
    /// The document does not decode, or a signature on it does not verify.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The document is of another namespace (`E_ROOT_NAMESPACE`).
    #[error("root document {number} is for namespace {found}, not {known}")]
    Namespace {
        /// The number of the document.
        number: u32,
        /// The namespace of the document.
        found: Namespace,
        /// The namespace of the trusted one.
        known: Namespace,
    },
    /// The number is that of the trusted document, or lower (`E_ROOT_OLD`).
    #[error("root document {found} is not newer than {known}, which is trusted")]
    Old {
        /// The number of the document.
        found: u32,
        /// The number of the trusted one.
        known: u32,
    },
    /// A document between the two is missing (`E_ROOT_SKIPPED`).
    #[error(
        "root document {found} does not follow {known}: each is signed by the keys of the one before it"
    )]
    Skipped {
        /// The number of the document.
        found: u32,
        /// The number of the trusted one.
        known: u32,
    },
    /// Too few root keys of one of the two documents signed it (`E_ROOT_SIGNATURES`).
    #[error(
        "root document {number} is signed by {signed} root keys of document {by}, which wants {needed}"
    )]
    Signatures {
        /// The number of the document.
        number: u32,
        /// The document that names the keys.
        by: u32,
        /// How many of them signed.
        signed: usize,
        /// How many must.
        needed: u8,
    },
    /// The document is over (`E_ROOT_EXPIRED`).
    #[error("root document {number} expired at Unix second {expired_s}")]
    Expired {
        /// The number of the document.
        number: u32,
        /// When it expired.
        expired_s: u64,
    },
}

impl RootError {
    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Open(error) => error.code(),
            Self::Namespace { .. } => Code::RootNamespace,
            Self::Old { .. } => Code::RootOld,
            Self::Skipped { .. } => Code::RootSkipped,
            Self::Signatures { .. } => Code::RootSignatures,
            Self::Expired { .. } => Code::RootExpired,
        }
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

    /// The short names of the keys trusted for a role.
    pub fn key_ids_of(&self, role: KeyRole) -> impl Iterator<Item = KeyId> {
        self.keys_of(role).map(|key| key.id())
    }

    /// Encodes and signs with every given key.
    #[must_use]
    pub fn seal(&self, keys: &[PrivateKey]) -> Vec<u8> {
        let body = encode(self);
        let seals: Vec<Seal> = keys
            .iter()
            .map(|key| Seal::by(key, Kind::Root, "", &body))
            .collect();
        self.sealed_with(&seals)
    }

    /// The document with signatures that were made elsewhere, over
    /// [`signed_bytes`](crate::envelope::signed_bytes) of its body.
    #[must_use]
    pub fn sealed_with(&self, seals: &[Seal]) -> Vec<u8> {
        let mut sealed = encode(self);
        seals.iter().for_each(|seal| seal.append_to(&mut sealed));
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
        // The document before it may have signed it too: its keys say nothing here.
        let signed = document.count(&document.signers(&document, body, rest, Others::Allowed)?);
        if signed < usize::from(document.threshold) {
            return Err(OpenError::Signature);
        }
        Ok(document)
    }

    /// Opens the document after this one: for the same namespace, with the next number, signed
    /// by enough root keys of this document and by enough of its own. `now_s` is the time as
    /// the reader knows it, Unix seconds.
    ///
    /// # Errors
    /// [`RootError`]; this document stays the trusted one then.
    pub fn open_next(&self, sealed: &[u8], now_s: u64) -> Result<Self, RootError> {
        let (next, rest) = decode_prefix::<Self>(sealed).map_err(OpenError::from)?;
        let body = &sealed[..sealed.len() - rest.len()];
        let (number, known) = (next.number, self.number);
        if next.namespace != self.namespace {
            return Err(RootError::Namespace {
                number,
                found: next.namespace,
                known: self.namespace.clone(),
            });
        }
        if number <= known {
            let found = number;
            return Err(RootError::Old { found, known });
        }
        if number - known > 1 {
            let found = number;
            return Err(RootError::Skipped { found, known });
        }
        let signers = self.signers(&next, body, rest, Others::Refused)?;
        for document in [self, &next] {
            let signed = document.count(&signers);
            if signed < usize::from(document.threshold) {
                return Err(RootError::Signatures {
                    number,
                    by: document.number,
                    signed,
                    needed: document.threshold,
                });
            }
        }
        if next.expires_s != 0 && next.expires_s <= now_s {
            return Err(RootError::Expired {
                number,
                expired_s: next.expires_s,
            });
        }
        Ok(next)
    }

    /// SHA-256 of the encoded body: what devices pin.
    #[must_use]
    pub fn pin(&self) -> [u8; 32] {
        sha256(&encode(self))
    }

    /// The root keys of this document and of `other` that signed a body, each once.
    fn signers(
        &self,
        other: &Self,
        body: &[u8],
        seals: &[u8],
        others: Others,
    ) -> Result<Vec<PublicKey>, OpenError> {
        let (count, length) = (seals.len() / SEAL_BYTES, seals.len());
        if count == 0 || count > 2 * KEYS_MAX || !length.is_multiple_of(SEAL_BYTES) {
            return Err(OpenError::Shape { length });
        }
        let mut signers: Vec<PublicKey> = Vec::new();
        for seal in seals.chunks_exact(SEAL_BYTES) {
            let (id, signature) =
                split_seal(seal).ok_or(OpenError::Shape { length: seal.len() })?;
            let mut trusted = self
                .keys_of(KeyRole::Root)
                .chain(other.keys_of(KeyRole::Root));
            let Some(key) = trusted.find(|key| key.id() == id) else {
                match others {
                    Others::Allowed => continue,
                    Others::Refused => return Err(OpenError::UnknownKey { key: id }),
                }
            };
            verify(&key, Kind::Root, "", body, signature)?;
            if !signers.contains(&key) {
                signers.push(key);
            }
        }
        Ok(signers)
    }

    /// How many of these are root keys of this document.
    fn count(&self, signers: &[PublicKey]) -> usize {
        let is_root = |key: &&PublicKey| self.keys_of(KeyRole::Root).any(|root| root == **key);
        signers.iter().filter(is_root).count()
    }
}

/// Signatures by keys that nobody here knows.
#[derive(Clone, Copy)]
enum Others {
    /// Passed over.
    Allowed,
    /// Refused.
    Refused,
}

#[cfg(test)]
#[path = "root_tests.rs"]
mod tests;
