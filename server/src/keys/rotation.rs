//! The next root document: made here, signed here or elsewhere, and in effect once enough root keys
//! of both documents have signed it. Writing `root.bin` is the one moment at which it takes effect;
//! whatever is cut off before or after it is put right at the next start.

use std::path::{Path, PathBuf};

use hoist_protocol::codec::{decode_prefix, encode};
use hoist_protocol::envelope::{KeyId, Kind, PrivateKey, PublicKey, SEAL_BYTES, Seal, verify};
use hoist_protocol::id::Generation;
use hoist_protocol::root::{KEYS_MAX, KeyRole, RoleKey, RootDocument};

use super::chain::{NEWEST, earlier};
use super::change::{Changing, is_absent, next_key};
use super::file::write_seed;
use super::{Chain, KeysError, ROLES, Request, Signer, key_file, random_seed, read_signing_key};
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

    /// Its public half once its private one, if it is to be here, lies beside the one in use.
    fn kept(&self, dir: &Path, role: KeyRole) -> Result<PublicKey, KeysError> {
        let seed = match self {
            Self::Elsewhere(public) => return Ok(*public),
            Self::Brought(seed) => *seed,
            Self::Made => random_seed()?,
        };
        write_seed(&next_key(dir, role), &seed)?;
        Ok(PrivateKey::from_seed(&seed).public())
    }

    /// Its public half, if a rotation that waits can be for it.
    fn waiting(&self, dir: &Path, role: KeyRole) -> Result<Option<PublicKey>, KeysError> {
        if !matches!(self, Self::Made) {
            return self.tried().map(Some);
        }
        match read_signing_key(&next_key(dir, role)) {
            Ok(key) => Ok(Some(key.public())),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The change that somebody asks for.
pub struct Wanted {
    /// The role whose key is replaced.
    pub role: KeyRole,
    /// The key in its place.
    pub new: NewKey,
    /// True if the keys before it stay trusted.
    pub also: bool,
    /// True if a rotation that waits for signatures is given up for it.
    pub anew: bool,
    /// True if nothing is written.
    pub only_tries: bool,
}

/// A root document on its way into effect. Nobody else changes the keys meanwhile.
pub struct Rotation {
    dir: PathBuf,
    changing: Changing,
    chain: Chain,
    next: RootDocument,
    seals: Vec<Seal>,
}

impl Rotation {
    /// Begins one: the document after the newest, with another key for a role, whose private half
    /// lies beside the one in use from then on. The same as one that waits for signatures goes on
    /// with that one.
    ///
    /// # Errors
    /// [`KeysError::Waits`] beside another one that waits, and the others of [`KeysError`].
    pub fn begin(dir: &Path, wanted: &Wanted, now: Generation) -> Result<Self, KeysError> {
        let (changing, chain) = opened(dir, wanted.only_tries)?;
        let (role, also) = (wanted.role, wanted.also);
        let waiting = dir.join(WAITING);
        if let Some((next, seals)) = waits(&waiting, &chain)?
            && !wanted.anew
        {
            let same = match wanted.new.waiting(dir, role)? {
                Some(key) => after(chain.newest(), (role, key, also), next.issued)? == next,
                None => false,
            };
            if !same {
                let number = next.number;
                return Err(KeysError::Waits { number });
            }
            if let (NewKey::Brought(_), false) = (&wanted.new, wanted.only_tries) {
                wanted.new.kept(dir, role)?;
            }
            return Self::with(dir, (changing, chain), (next, &seals));
        }
        let key = match wanted.only_tries {
            true => wanted.new.tried()?,
            false => {
                // What can be refused is, before anything is given up for it.
                after(chain.newest(), (role, wanted.new.tried()?, also), now)?;
                private_file::check(&next_key(dir, role))?;
                // First the document: its key may be the only one of its kind.
                remove(&waiting)?;
                for role in ROLES {
                    remove(&next_key(dir, role))?;
                }
                wanted.new.kept(dir, role)?
            }
        };
        let next = after(chain.newest(), (role, key, also), now)?;
        Self::with(dir, (changing, chain), (next, &[]))
    }

    /// The one that waits for signatures.
    ///
    /// # Errors
    /// [`KeysError::NoRotation`] when none does.
    pub fn waiting(dir: &Path) -> Result<Self, KeysError> {
        let (changing, chain) = opened(dir, false)?;
        let waits = waits(&dir.join(WAITING), &chain)?;
        let (next, seals) = waits.ok_or(KeysError::NoRotation)?;
        Self::with(dir, (changing, chain), (next, &seals))
    }

    /// The document that waits for signatures, if one does. Reads only.
    ///
    /// # Errors
    /// Those of the file system, and [`KeysError::Malformed`].
    pub fn waits(dir: &Path) -> Result<Option<RootDocument>, KeysError> {
        let waits = waits(&dir.join(WAITING), &Chain::read(dir)?)?;
        Ok(waits.map(|(next, _)| next))
    }

    /// One with the signatures in these bytes.
    fn with(
        dir: &Path,
        (changing, chain): (Changing, Chain),
        (next, seals): (RootDocument, &[u8]),
    ) -> Result<Self, KeysError> {
        let mut rotation = Self {
            dir: dir.to_owned(),
            changing,
            chain,
            next,
            seals: Vec::new(),
        };
        for seal in seals.chunks_exact(SEAL_BYTES) {
            if let Some((id, signature)) = seal.split_first_chunk::<4>()
                && let Ok(signature) = signature.try_into()
                && let Some(key) = rotation.root_key(KeyId(*id))
            {
                rotation.add(Seal { key, signature })?;
            }
        }
        Ok(rotation)
    }

    /// The roles that get other keys by it.
    pub fn changes(&self) -> impl Iterator<Item = KeyRole> {
        let before = self.chain.newest();
        let is_other = move |role: &KeyRole| !before.keys_of(*role).eq(self.next.keys_of(*role));
        ROLES.into_iter().filter(is_other)
    }

    /// The document that is to follow.
    #[must_use]
    pub fn document(&self) -> &RootDocument {
        &self.next
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
    /// [`KeysError::Unsigned`], [`KeysError::Lost`] where no server could sign by the document, and
    /// those of the file system.
    pub fn finish(self) -> Result<RootDocument, KeysError> {
        self.is_signed()?;
        self.can_serve()?;
        let before = self.chain.newest();
        private_file::write(
            &earlier(&self.dir, before.number),
            self.chain.newest_sealed(),
        )?;
        let sealed = self.next.sealed_with(&self.seals);
        private_file::write(&self.dir.join(NEWEST), &sealed)?;
        self.changing.settle(&self.next)?;
        remove(&self.dir.join(WAITING))?;
        Ok(self.next)
    }

    /// Ok if the private half of an orchestrator's key that the document names is here.
    fn can_serve(&self) -> Result<(), KeysError> {
        let role = KeyRole::Orchestrator;
        let named: Vec<PublicKey> = self.next.keys_of(role).collect();
        for path in [key_file(&self.dir, role), next_key(&self.dir, role)] {
            match read_signing_key(&path) {
                Ok(key) if named.contains(&key.public()) => return Ok(()),
                Ok(_) => {}
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Err(KeysError::Lost {
            number: self.next.number,
            fingerprint: named.iter().map(PublicKey::fingerprint).collect(),
            dir: self.dir.clone(),
        })
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

/// The right to change a folder, and its chain once a rotation that was cut off is settled.
fn opened(dir: &Path, only_tries: bool) -> Result<(Changing, Chain), KeysError> {
    let changing = Changing::begin(dir)?;
    let chain = Chain::read(dir)?;
    if !only_tries {
        changing.settle(chain.newest())?;
    }
    Ok((changing, chain))
}

/// The document after one, with another key for a role. `also` says whether the keys before it stay
/// trusted.
fn after(
    newest: &RootDocument,
    (role, key, also): (KeyRole, PublicKey, bool),
    now: Generation,
) -> Result<RootDocument, KeysError> {
    let mut next = newest.clone();
    let number = next.number.checked_add(1);
    next.number = number.ok_or(KeysError::Full {
        why: "its number is the highest",
    })?;
    next.issued = Generation(now.0.max(next.issued.0.saturating_add(1)));
    next.expires_s = 0;
    if role == KeyRole::Root && newest.threshold > 1 {
        let (number, threshold) = (newest.number, newest.threshold);
        return Err(KeysError::Threshold { number, threshold });
    }
    if !also {
        next.keys.retain(|entry| entry.role != role);
    }
    if next.keys.len() >= KEYS_MAX {
        let why = "it names 16 keys: revoke some of them";
        return Err(KeysError::Full { why });
    }
    next.keys.push(RoleKey { role, key });
    Ok(next)
}

/// The document that waits for signatures and those that it has, unless it is one of the past.
fn waits(path: &Path, chain: &Chain) -> Result<Option<(RootDocument, Vec<u8>)>, KeysError> {
    if !path.exists() {
        return Ok(None);
    }
    let bytes = private_file::read(path)?;
    let decoded = decode_prefix::<RootDocument>(&bytes);
    let (next, seals) = decoded.map_err(|_| KeysError::Malformed {
        path: path.to_owned(),
    })?;
    let follows = next.number == chain.newest().number.saturating_add(1);
    Ok(follows.then(|| (next, seals.to_vec())))
}

fn remove(path: &Path) -> Result<(), KeysError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(PrivateFileError::io("remove", path)(error).into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "rotation_tests.rs"]
mod tests;
