//! The next root document: made here, signed here or elsewhere, and in effect once enough root keys
//! of both documents have signed it. Writing `root.bin` is the one moment at which it takes effect;
//! whatever is cut off before or after it is put right at the next start.

use std::path::{Path, PathBuf};

use hoist_protocol::codec::{decode_prefix, encode};
use hoist_protocol::envelope::{KeyId, Kind, PrivateKey, PublicKey, SEAL_BYTES, Seal, verify};
use hoist_protocol::id::Generation;
use hoist_protocol::root::{KEYS_MAX, KeyRole, RoleKey, RootDocument};

use super::chain::{NEWEST, earlier};
use super::file::write_seed;
use super::{
    Chain, KeysError, ROLES, Request, Signer, key_file, random_seed, read_signing_key, word,
};
use crate::private_file::{self, PrivateFileError};

/// The document that waits for signatures, with those that it has.
const WAITING: &str = "root.next.bin";

/// The new key of a role.
pub enum NewKey {
    /// Made here.
    Made,
    /// Brought here, because the server signs with it.
    Brought([u8; 32]),
    /// It stays elsewhere.
    Elsewhere(PublicKey),
}

impl NewKey {
    /// Its public half, or that of some key where one would be made.
    fn tried(&self) -> Result<PublicKey, KeysError> {
        let seed = match self {
            Self::Elsewhere(public) => return Ok(*public),
            Self::Brought(seed) => *seed,
            Self::Made => random_seed()?,
        };
        Ok(PrivateKey::from_seed(&seed).public())
    }
}

/// A root document on its way into effect.
pub struct Rotation {
    dir: PathBuf,
    chain: Chain,
    next: RootDocument,
    seals: Vec<Seal>,
}

fn next_key(dir: &Path, role: KeyRole) -> PathBuf {
    dir.join(format!("{}.next.key", word(role)))
}

/// Puts the keys that a root document names in the place of those before them, after a rotation that
/// was cut off once the document was in effect.
pub(super) fn settle(dir: &Path, document: &RootDocument) -> Result<(), KeysError> {
    for role in ROLES {
        let (next, now) = (next_key(dir, role), key_file(dir, role));
        if !next.exists() {
            continue;
        }
        let public = read_signing_key(&next)?.public();
        if document.keys_of(role).any(|key| key == public) {
            std::fs::rename(&next, &now).map_err(PrivateFileError::io("replace", &now))?;
        }
    }
    private_file::sync_dir(dir)?;
    Ok(())
}

impl Rotation {
    /// Begins one: the document after the newest, with another key for a role. `also` says whether
    /// the keys before it stay trusted. Nothing is written yet.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn new(
        dir: &Path,
        (role, new, also): (KeyRole, &PublicKey, bool),
        now: Generation,
    ) -> Result<Self, KeysError> {
        let chain = Chain::read(dir)?;
        let mut next = chain.newest().clone();
        let number = next.number.checked_add(1);
        next.number = number.ok_or(KeysError::Full {
            why: "its number is the highest",
        })?;
        next.issued = Generation(now.0.max(next.issued.0.saturating_add(1)));
        next.expires_s = 0;
        if !also {
            next.keys.retain(|entry| entry.role != role);
            if role == KeyRole::Root {
                next.threshold = 1;
            }
        }
        if next.keys.len() >= KEYS_MAX {
            let why = "it names 16 keys: revoke some of them";
            return Err(KeysError::Full { why });
        }
        next.keys.push(RoleKey { role, key: *new });
        Ok(Self {
            dir: dir.to_owned(),
            chain,
            next,
            seals: Vec::new(),
        })
    }

    /// The same with a key that is made or brought, which is only written where nothing is tried.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn begin(
        dir: &Path,
        (role, new, also): (KeyRole, NewKey, bool),
        now: Generation,
        only_tries: bool,
    ) -> Result<Self, KeysError> {
        let public = match only_tries {
            false => Self::key(dir, role, &new)?,
            true => new.tried()?,
        };
        Self::new(dir, (role, &public, also), now)
    }

    /// The one that waits for signatures.
    ///
    /// # Errors
    /// [`KeysError::NoRotation`] when none does.
    pub fn waiting(dir: &Path) -> Result<Self, KeysError> {
        let path = dir.join(WAITING);
        if !path.exists() {
            return Err(KeysError::NoRotation);
        }
        let bytes = private_file::read(&path)?;
        let malformed = || KeysError::Malformed { path: path.clone() };
        let (next, rest) = decode_prefix::<RootDocument>(&bytes).map_err(|_| malformed())?;
        let mut rotation = Self {
            dir: dir.to_owned(),
            chain: Chain::read(dir)?,
            next,
            seals: Vec::new(),
        };
        if rotation.next.number != rotation.chain.newest().number.saturating_add(1) {
            return Err(KeysError::NoRotation);
        }
        for seal in rest.chunks_exact(SEAL_BYTES) {
            if let Some((id, signature)) = seal.split_first_chunk::<4>()
                && let Ok(signature) = signature.try_into()
                && let Some(key) = rotation.root_key(KeyId(*id))
            {
                rotation.add(Seal { key, signature })?;
            }
        }
        Ok(rotation)
    }

    /// The document that is to follow.
    #[must_use]
    pub fn document(&self) -> &RootDocument {
        &self.next
    }

    /// Makes or brings the new private key of a role, beside the one in use; the public key.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn key(dir: &Path, role: KeyRole, new: &NewKey) -> Result<PublicKey, KeysError> {
        let seed = match new {
            NewKey::Elsewhere(public) => {
                let left = next_key(dir, role);
                if left.exists() {
                    std::fs::remove_file(&left).map_err(PrivateFileError::io("remove", &left))?;
                }
                return Ok(*public);
            }
            NewKey::Brought(seed) => *seed,
            NewKey::Made => random_seed()?,
        };
        write_seed(&next_key(dir, role), &seed)?;
        Ok(PrivateKey::from_seed(&seed).public())
    }

    /// Signs with the root keys that are in the folder: the one in use, and the one that is to take
    /// its place. Keys that are elsewhere sign by themselves.
    ///
    /// # Errors
    /// [`KeysError`] for a key that is there and cannot be used.
    pub fn sign_here(&mut self) -> Result<(), KeysError> {
        for path in [
            key_file(&self.dir, KeyRole::Root),
            next_key(&self.dir, KeyRole::Root),
        ] {
            if !path.exists() {
                continue;
            }
            let key = read_signing_key(&path)?;
            if self.root_key(key.public().id()) == Some(key.public()) {
                self.sign(&Signer::Key(key))?;
            }
        }
        Ok(())
    }

    /// Signs with a root key that is elsewhere.
    ///
    /// # Errors
    /// [`KeysError`], for a key that is a root key of neither document too.
    pub fn sign(&mut self, signer: &Signer) -> Result<(), KeysError> {
        let seal = signer.sign_root(&self.next, &self.root_keys())?;
        self.add(seal)
    }

    /// Takes a signature.
    ///
    /// # Errors
    /// [`KeysError::Signature`] when it does not verify by a root key of one of the two documents.
    pub fn add(&mut self, seal: Seal) -> Result<(), KeysError> {
        if !self.root_keys().contains(&seal.key) {
            return Err(KeysError::Signature);
        }
        verify(
            &seal.key,
            Kind::Root,
            "",
            &encode(&self.next),
            &seal.signature,
        )
        .map_err(|_| KeysError::Signature)?;
        if self.seals.iter().all(|known| known.key != seal.key) {
            self.seals.push(seal);
        }
        Ok(())
    }

    /// Root keys of both documents that have not signed.
    #[must_use]
    pub fn unsigned(&self) -> Vec<PublicKey> {
        let mut keys = self.root_keys();
        keys.retain(|key| self.seals.iter().all(|seal| seal.key != *key));
        keys
    }

    /// Ok if enough root keys of both documents have signed.
    ///
    /// # Errors
    /// [`KeysError::Unsigned`] naming whose signatures are missing.
    pub fn is_signed(&self) -> Result<(), KeysError> {
        let sealed = self.next.sealed_with(&self.seals);
        if self.chain.newest().open_next(&sealed, 0).is_ok() {
            return Ok(());
        }
        let unsigned = self.unsigned();
        let names = unsigned
            .iter()
            .map(|key| format!("root key {}", key.fingerprint()));
        Err(KeysError::Unsigned {
            number: self.next.number,
            missing: names.collect::<Vec<_>>().join(" and "),
        })
    }

    /// Keeps what there is until the missing signatures come, and asks for them.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn wait(&self) -> Result<Request, KeysError> {
        let sealed = self.next.sealed_with(&self.seals);
        private_file::write(&self.dir.join(WAITING), &sealed)?;
        Ok(Request::root(&self.next, &self.unsigned()))
    }

    /// Puts the document and the new key into effect.
    ///
    /// # Errors
    /// [`KeysError::Unsigned`], and those of the file system.
    pub fn finish(self) -> Result<RootDocument, KeysError> {
        self.is_signed()?;
        let before = self.chain.newest();
        private_file::write(
            &earlier(&self.dir, before.number),
            self.chain.newest_sealed(),
        )?;
        let sealed = self.next.sealed_with(&self.seals);
        private_file::write(&self.dir.join(NEWEST), &sealed)?;
        settle(&self.dir, &self.next)?;
        let waiting = self.dir.join(WAITING);
        if waiting.exists() {
            std::fs::remove_file(&waiting).map_err(PrivateFileError::io("remove", &waiting))?;
        }
        Ok(self.next)
    }

    /// Root keys of the newest document, and of the next.
    fn root_keys(&self) -> Vec<PublicKey> {
        let mut keys: Vec<PublicKey> = self.chain.newest().keys_of(KeyRole::Root).collect();
        for key in self.next.keys_of(KeyRole::Root) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    fn root_key(&self, id: KeyId) -> Option<PublicKey> {
        self.root_keys().into_iter().find(|key| key.id() == id)
    }
}

#[cfg(test)]
#[path = "rotation_tests.rs"]
mod tests;
