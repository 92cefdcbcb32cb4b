//! The keys of a server: made once, read at every start, replaced one by one, never printed. Root
//! and release keys may live elsewhere; nothing of the running server needs them.

use std::path::{Path, PathBuf};

use hoist_orchestrator::config;
use hoist_protocol::code::Code;
use hoist_protocol::envelope::{OpenError, PrivateKey, PublicKey};
use hoist_protocol::id::{Generation, Namespace};
use hoist_protocol::root::{KeyRole, RoleKey, RootDocument, RootError};

use crate::private_file::{self, PrivateFileError};

mod chain;
mod change;
mod file;
mod request;
mod rotation;
mod signer;

pub use chain::Chain;
pub use file::{private_pem, public_pem, read_public, read_seed, read_signing_key};
pub use request::{Asked, Of, Request, Signature};
pub use rotation::{NewKey, Rotation, Wanted};
pub use signer::Signer;

use file::{SEED_BYTES, write_seed};

/// Every role, in the order in which people read them.
pub const ROLES: [KeyRole; 3] = [KeyRole::Root, KeyRole::Release, KeyRole::Orchestrator];

/// Why keys cannot be used.
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
    /// Neither hex nor PEM.
    #[error("{} is no key file: neither 64 hex digits nor an Ed25519 key as PEM (PKCS#8)", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
    },
    /// A private key could be meant as well as a public one.
    #[error("the 64 hex digits in {} may be a private key or a public one", path.display())]
    Ambiguous {
        /// Which file.
        path: PathBuf,
    },
    /// A passphrase would be needed.
    #[error("the key in {} is encrypted", path.display())]
    Encrypted {
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
        source: RootError,
    },
    /// The root document is of another namespace than asked for.
    #[error("the keys are for namespace {found}, not {asked}")]
    Namespace {
        /// Of the keys.
        found: Namespace,
        /// Of the settings.
        asked: Namespace,
    },
    /// A file of a signing step cannot be read.
    #[error("{} is no {what}: {why}", path.display())]
    Step {
        /// Which file.
        path: PathBuf,
        /// The file that it should be.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A signature is not one of the keys that count.
    #[error("the signature is by none of the keys that count here")]
    Signature,
    /// A signature is over something else.
    #[error("the signature is over other content than {of}")]
    OtherContent {
        /// What it should be over.
        of: String,
    },
    /// Root keys have not signed yet.
    #[error("root document {number} still wants {missing}")]
    Unsigned {
        /// The number of the document.
        number: u32,
        /// Whose signatures are missing.
        missing: String,
    },
    /// No rotation waits for signatures.
    #[error("no rotation waits for signatures")]
    NoRotation,
    /// Another rotation waits for signatures.
    #[error("root document {number}, with other keys, waits for signatures already")]
    Waits {
        /// The number of the document.
        number: u32,
    },
    /// Another process changes the keys.
    #[error("another process changes the keys in {}", dir.display())]
    Busy {
        /// Their folder.
        dir: PathBuf,
    },
    /// The private half of a new key is not where the server would sign with it.
    #[error("root document {number} names orchestrator key {fingerprint}, and its private half is not in {}", dir.display())]
    Lost {
        /// The number of the document.
        number: u32,
        /// The key.
        fingerprint: String,
        /// The folder of keys.
        dir: PathBuf,
    },
    /// The root document has no number after it, or no room for a key.
    #[error("no root document can follow: {why}")]
    Full {
        /// Why.
        why: &'static str,
    },
    /// One key in the place of the root keys could not give as many signatures as before.
    #[error(
        "root document {number} wants the signatures of {threshold} root keys, and one new key would take their place"
    )]
    Threshold {
        /// The number of the document before it.
        number: u32,
        /// Its threshold.
        threshold: u8,
    },
    /// A command did not sign.
    #[error("the command of --sign-with {why}")]
    Signer {
        /// What it did instead.
        why: String,
    },
}

impl KeysError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::File(PrivateFileError::Exposed { .. }) => Code::Secret,
            Self::File(PrivateFileError::Io { .. }) | Self::Malformed { .. } => Code::Key,
            Self::Ambiguous { .. } | Self::Encrypted { .. } => Code::Key,
            Self::Full { .. } | Self::Lost { .. } => Code::Key,
            Self::Busy { .. } => Code::Locked,
            Self::Random { .. } => Code::Random,
            Self::Root { source, .. } => source.code(),
            Self::Namespace { .. } => Code::RootNamespace,
            Self::Step { .. } | Self::NoRotation | Self::Waits { .. } => Code::File,
            Self::Signature | Self::OtherContent { .. } => Code::Signature,
            Self::Unsigned { .. } | Self::Threshold { .. } => Code::RootSignatures,
            Self::Signer { .. } => Code::Signer,
        }
    }
}

/// The keys that a server needs.
pub struct Keys {
    /// The orchestrator's.
    pub service: config::Keys,
    /// Device tokens are derived from it.
    pub token: [u8; SEED_BYTES],
}

/// Keys that exist before a server does, and stay where they are.
#[derive(Default)]
pub struct Given {
    /// The key that signs root documents, with what signs by it.
    pub root: Option<(PublicKey, Signer)>,
    /// The key that signs releases.
    pub release: Option<PublicKey>,
}

/// A random 32 byte secret.
pub fn random_seed() -> Result<[u8; SEED_BYTES], KeysError> {
    let mut seed = [0; SEED_BYTES];
    getrandom::fill(&mut seed).map_err(|error| KeysError::Random {
        reason: error.to_string(),
    })?;
    Ok(seed)
}

/// The word for a role in commands, files and sentences.
#[must_use]
pub fn word(role: KeyRole) -> &'static str {
    role.word()
}

/// The file of the private key of a role.
#[must_use]
pub fn key_file(dir: &Path, role: KeyRole) -> PathBuf {
    dir.join(format!("{}.key", word(role)))
}

/// Makes all keys in `dir` that are not given, and the root document that trusts them. `dir`
/// appears with everything in it or not at all.
pub fn create(
    dir: &Path,
    namespace: &Namespace,
    now: Generation,
    given: &Given,
) -> Result<(), KeysError> {
    let new = dir.with_extension("new");
    if new.exists() {
        std::fs::remove_dir_all(&new).map_err(PrivateFileError::io("remove", &new))?;
    }
    private_file::create_dir(&new)?;
    let make = |role| -> Result<PrivateKey, KeysError> {
        let seed = random_seed()?;
        write_seed(&key_file(&new, role), &seed)?;
        Ok(PrivateKey::from_seed(&seed))
    };
    let own_root;
    let (root, signer) = match &given.root {
        Some((public, signer)) => (*public, signer),
        None => {
            let key = make(KeyRole::Root)?;
            own_root = Signer::Key(key.clone());
            (key.public(), &own_root)
        }
    };
    let release = match given.release {
        Some(public) => public,
        None => make(KeyRole::Release)?.public(),
    };
    let orchestrator = make(KeyRole::Orchestrator)?.public();
    write_seed(&new.join("token.key"), &random_seed()?)?;
    let role_keys = ROLES.into_iter().zip([root, release, orchestrator]);
    let document = RootDocument {
        number: 1,
        namespace: namespace.clone(),
        issued: now,
        expires_s: 0,
        threshold: 1,
        keys: role_keys.map(|(role, key)| RoleKey { role, key }).collect(),
    };
    let seal = signer.sign_root(&document, &[root])?;
    private_file::write(&new.join(chain::NEWEST), &document.sealed_with(&[seal]))?;
    std::fs::rename(&new, dir).map_err(PrivateFileError::io("create", dir))?;
    // A device may pin them in the next moment.
    private_file::sync_dir_of(dir)?;
    Ok(())
}

impl Keys {
    /// Reads what a server needs.
    pub fn load(dir: &Path, namespace: &Namespace) -> Result<Self, KeysError> {
        let chain = Chain::read(dir)?;
        change::settle(dir, chain.newest())?;
        let document = chain.newest();
        if document.namespace != *namespace {
            return Err(KeysError::Namespace {
                found: document.namespace.clone(),
                asked: namespace.clone(),
            });
        }
        let orchestrator = read_signing_key(&key_file(dir, KeyRole::Orchestrator))?;
        let public = orchestrator.public();
        if !document
            .keys_of(KeyRole::Orchestrator)
            .any(|key| key == public)
        {
            let source = OpenError::UnknownKey { key: public.id() };
            return Err(KeysError::Root {
                path: dir.join(chain::NEWEST),
                source: source.into(),
            });
        }
        Ok(Self {
            token: read_seed(&dir.join("token.key"))?,
            service: config::Keys {
                orchestrator,
                release: document.keys_of(KeyRole::Release).collect(),
                root_number: document.number,
                root_sha256: document.pin(),
                roots: chain.sealed(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_complete_and_trusted_by_their_root() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        let namespace = Namespace::default();
        create(&keys, &namespace, Generation(7), &Given::default()).unwrap();
        let loaded = Keys::load(&keys, &namespace).unwrap();
        let release = read_signing_key(&keys.join("release.key")).unwrap();
        assert_eq!(loaded.service.release, [release.public()]);
        let [(1, root)] = &loaded.service.roots[..] else {
            panic!("{:?}", loaded.service.roots);
        };
        assert!(RootDocument::open_pinned(root, &loaded.service.root_sha256).is_ok());
        assert!(!dir.path().join("keys.new").exists());
    }

    #[test]
    fn keys_of_another_namespace_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        create(
            &keys,
            &Namespace::default(),
            Generation(7),
            &Given::default(),
        )
        .unwrap();
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
        create(
            &keys,
            &Namespace::default(),
            Generation(7),
            &Given::default(),
        )
        .unwrap();
        write_seed(&keys.join("orchestrator.key"), &[9; 32]).unwrap();
        assert!(matches!(
            Keys::load(&keys, &Namespace::default()),
            Err(KeysError::Root { .. })
        ));
    }
}
