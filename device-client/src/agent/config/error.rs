//! The reasons that a configuration cannot be used.

use std::io;
use std::path::PathBuf;

use hoist_protocol::code::Code;

use crate::agent::strict_toml::TomlError;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The text does not fit; names line and remedy.
    #[error(transparent)]
    Toml(#[from] TomlError),
    /// A secret that others can read or change.
    #[error("{} holds a token, and others can read or change it: `chmod 600 {}`; if somebody else may have seen it, take a new one: `hoist device token rotate ID --overlap 0s --out FILE`", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// A private key that others can read or change.
    #[error("{} is a private key, and others can read or change it: `chmod 600 {}`; if somebody else may have seen it, take another key and a certificate for that", path.display(), path.display())]
    KeyExposed {
        /// The file.
        path: PathBuf,
    },
    /// A file that the device obeys and runs, and that others can change.
    #[error("{} can be changed by others, who could make this device obey them: `chmod go-w {}`, and look at what it says", path.display(), path.display())]
    Writable {
        /// The file.
        path: PathBuf,
    },
}

impl ConfigError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::File { .. } | Self::Toml(_) => Code::Config,
            Self::Exposed { .. } | Self::KeyExposed { .. } | Self::Writable { .. } => Code::Exposed,
        }
    }
}
