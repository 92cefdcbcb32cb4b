//! `hoist keys …`, and the flags by which anything is signed.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use hoist_protocol::root::KeyRole;

/// The signer of something.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SignArgs {
    /// Private key that signs, as hex or PEM (PKCS#8), for its owner only
    #[arg(long, value_name = "FILE", conflicts_with = "sign_with")]
    pub(crate) key: Option<PathBuf>,
    /// Command that signs, for keys in hardware or a cloud: it reads the bytes to sign and writes
    /// the Ed25519 signature, 64 bytes or base64
    #[arg(long, value_name = "CMD")]
    pub(crate) sign_with: Option<String>,
    /// Public key by which that command signs, where no root document here names it
    #[arg(long, value_name = "FILE", requires = "sign_with")]
    pub(crate) public_key: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Make the keys of a server before its first start; root and release key may be elsewhere
    Init {
        /// First level of every topic [default: hoist]
        #[arg(long, value_name = "NAME")]
        namespace: Option<String>,
        #[command(flatten)]
        root: SignArgs,
        /// Key that signs releases; only its public half is read [default: a new one]
        #[arg(long, value_name = "FILE")]
        release_key: Option<PathBuf>,
    },
    /// List the keys that the newest root document names, and where they are
    List,
    /// Replace the key of a role by the next root document, which root keys sign
    Rotate(Rotate),
    /// Print the public keys of a role as PEM
    Export {
        /// Which
        role: Role,
        /// The private key instead, as PEM (PKCS#8)
        #[arg(long)]
        private: bool,
        /// Write it to this file, mode 0600 [default: print it]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Sign a request that another machine wrote: a release or a root document
    Sign {
        /// The request
        file: PathBuf,
        #[command(flatten)]
        signer: SignArgs,
        /// Where the signature goes [default: FILE.sig]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Say what would be signed, and sign nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Rotate {
    /// Whose key
    pub(crate) role: Role,
    /// The new key: a private one, or of root and release a public one [default: make one]
    #[arg(long, value_name = "FILE")]
    pub(crate) new_key: Option<PathBuf>,
    /// Trust the release keys before it no more; of root and orchestrator none is ever kept
    #[arg(long)]
    pub(crate) revoke: bool,
    #[command(flatten)]
    pub(crate) signer: SignArgs,
    /// Write a request for the signatures that are missing, and wait for them
    #[arg(long, value_name = "FILE", conflicts_with = "signature")]
    pub(crate) request: Option<PathBuf>,
    /// Signature of a root key on the request that waits; may be repeated
    #[arg(long, value_name = "FILE", conflicts_with_all = ["new_key", "revoke", "anew"])]
    pub(crate) signature: Vec<PathBuf>,
    /// Give up a rotation that waits for signatures, with its new key
    #[arg(long)]
    pub(crate) anew: bool,
    /// Say what would happen and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// A role of keys as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Signs root documents
    Root,
    /// Signs releases
    Release,
    /// Signs what groups and devices are told
    Orchestrator,
}

impl From<Role> for KeyRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Root => Self::Root,
            Role::Release => Self::Release,
            Role::Orchestrator => Self::Orchestrator,
        }
    }
}
