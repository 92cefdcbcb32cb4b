//! The data directory's keys: made once at the first start, read afterwards, never
//! printed. `release.key` may be moved away; nothing of the running server needs it.

use std::path::{Path, PathBuf};

use hoist_orchestrator::config;
use hoist_protocol::envelope::{OpenError, PrivateKey};
use hoist_protocol::id::{Generation, Namespace, sha256};
use hoist_protocol::root::{KeyRole, RoleKey, RootDocument};

use crate::private_file::{self, PrivateFileError};

/// Bytes of every secret: an Ed25519 seed, or the token key.
const SEED_BYTES: usize = 32;

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The operating system gives no randomness.
    #[error("the system gives no random numbers: {reason}")]
    Random {
        /// Its reason.
        reason: String,
    },
    /// Not 64 hex digits.
    #[error("{} is not a key file of 64 hex digits", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
    },
    /// The root document does not hold.
    #[error("{} is not the root document of these keys", path.display())]
    Root {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: OpenError,
    },
    /// The root document is of another namespace than asked for.
    #[error("the keys are for namespace {found}, not {asked}")]
    Namespace {
        /// Of the keys.
        found: Namespace,
        /// Of the settings.
        asked: Namespace,
    },
}

/// The keys that a server needs.
pub struct Keys {
    /// The orchestrator's.
    pub service: config::Keys,
    /// Device tokens are derived from it.
    pub token: [u8; SEED_BYTES],
}

/// A random 32 byte secret.
pub fn random_seed() -> Result<[u8; SEED_BYTES], KeysError> {
    let mut seed = [0; SEED_BYTES];
    getrandom::fill(&mut seed).map_err(|error| KeysError::Random {
        reason: error.to_string(),
    })?;
    Ok(seed)
}

/// Makes all keys in `dir` and the root document that trusts them. `dir` appears with
/// everything in it or not at all.
pub fn create(dir: &Path, namespace: &Namespace, now: Generation) -> Result<(), KeysError> {
    let new = dir.with_extension("new");
    if new.exists() {
        std::fs::remove_dir_all(&new).map_err(PrivateFileError::io("remove", &new))?;
    }
    private_file::create_dir(&new)?;
    let mut keys = Vec::new();
    let mut root_key = None;
    for (role, file) in [
        (KeyRole::Root, "root.key"),
        (KeyRole::Release, "release.key"),
        (KeyRole::Orchestrator, "orchestrator.key"),
    ] {
        let seed = random_seed()?;
        write_seed(&new.join(file), &seed)?;
        let key = PrivateKey::from_seed(&seed);
        keys.push(RoleKey {
            role,
            key: key.public(),
        });
        root_key.get_or_insert(key);
    }
    write_seed(&new.join("token.key"), &random_seed()?)?;
    let document = RootDocument {
        number: 1,
        namespace: namespace.clone(),
        issued: now,
        expires_s: 0,
        threshold: 1,
        keys,
    };
    let root_keys: Vec<PrivateKey> = root_key.into_iter().collect();
    private_file::write(&new.join("root.bin"), &document.seal(&root_keys))?;
    std::fs::rename(&new, dir).map_err(PrivateFileError::io("create", dir))?;
    Ok(())
}

fn write_seed(path: &Path, seed: &[u8; SEED_BYTES]) -> Result<(), KeysError> {
    let text = data_encoding::HEXLOWER.encode(seed) + "\n";
    Ok(private_file::write(path, text.as_bytes())?)
}

/// Reads one secret.
pub fn read_seed(path: &Path) -> Result<[u8; SEED_BYTES], KeysError> {
    let text = private_file::read(path)?;
    data_encoding::HEXLOWER
        .decode(text.trim_ascii())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| KeysError::Malformed {
            path: path.to_owned(),
        })
}

/// Reads the key that signs releases.
pub fn read_signing_key(path: &Path) -> Result<PrivateKey, KeysError> {
    Ok(PrivateKey::from_seed(&read_seed(path)?))
}

impl Keys {
    /// Reads what a server needs.
    pub fn load(dir: &Path, namespace: &Namespace) -> Result<Self, KeysError> {
        let path = dir.join("root.bin");
        let root = private_file::read(&path)?;
        let document = open_own_root(&root).map_err(|source| KeysError::Root {
            path: path.clone(),
            source,
        })?;
        if document.namespace != *namespace {
            return Err(KeysError::Namespace {
                found: document.namespace,
                asked: namespace.clone(),
            });
        }
        let orchestrator = read_signing_key(&dir.join("orchestrator.key"))?;
        let trusted = document
            .keys_of(KeyRole::Orchestrator)
            .any(|key| key == orchestrator.public());
        if !trusted {
            let source = OpenError::UnknownKey {
                key: orchestrator.public().id(),
            };
            return Err(KeysError::Root { path, source });
        }
        Ok(Self {
            token: read_seed(&dir.join("token.key"))?,
            service: config::Keys {
                orchestrator,
                release: document.keys_of(KeyRole::Release).collect(),
                root_number: document.number,
                root_sha256: document.pin(),
                root,
            },
        })
    }
}

/// Opens our own root document: we are who pins it.
fn open_own_root(sealed: &[u8]) -> Result<RootDocument, OpenError> {
    let (document, rest) = hoist_protocol::codec::decode_prefix::<RootDocument>(sealed)?;
    let pin = sha256(&sealed[..sealed.len() - rest.len()]);
    RootDocument::open_pinned(sealed, &pin)?;
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_complete_and_trusted_by_their_root() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        let namespace = Namespace::default();
        create(&keys, &namespace, Generation(7)).unwrap();
        let loaded = Keys::load(&keys, &namespace).unwrap();
        let release = read_signing_key(&keys.join("release.key")).unwrap();
        assert_eq!(loaded.service.release, [release.public()]);
        assert!(
            RootDocument::open_pinned(&loaded.service.root, &loaded.service.root_sha256).is_ok()
        );
        assert!(!dir.path().join("keys.new").exists());
    }

    #[test]
    fn keys_of_another_namespace_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        create(&keys, &Namespace::default(), Generation(7)).unwrap();
        let other = "other".parse().unwrap();
        assert!(matches!(
            Keys::load(&keys, &other),
            Err(KeysError::Namespace { .. })
        ));
    }

    #[test]
    fn an_exchanged_orchestrator_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        create(&keys, &Namespace::default(), Generation(7)).unwrap();
        write_seed(&keys.join("orchestrator.key"), &[9; 32]).unwrap();
        assert!(matches!(
            Keys::load(&keys, &Namespace::default()),
            Err(KeysError::Root { .. })
        ));
    }
}
